//! TAB in real interactive bash.

use crate::kit::{User, free_port};

const LAYER: &str = "source ~/co/shell/tsm.sh";

/// A user with two processes that run, one that was stopped, a definition, environments and files.
fn user() -> User {
    let user = User::new();
    user.shell_layer();
    user.file("env/dev.env", "A=1\n");
    user.file("env/staging.env", "A=1\n");
    user.file("my data.txt", "");
    user.file("sub dir/inner", "");
    user.file("../state/services-available/x", "");
    std::fs::create_dir_all(user.tsm_dir().join("services-available")).unwrap();
    std::fs::write(user.tsm_dir().join("services-available/webshop.tsm"), "SERVICE_COMMAND='sleep 600'\n")
        .unwrap();
    for name in ["api", "worker-one", "worker-two", "old"] {
        user.ok(&["start", "--name", name, "sleep", "600"]);
    }
    user.ok(&["stop", "old"]);
    for name in ["api", "worker-one", "worker-two"] {
        user.until_state(name, "online");
    }
    user
}

/// Keys, and the line that they make.
const TYPED: &[(&str, &str)] = &[
    // Verbs, and the words on options.
    ("tsm resta\t", "tsm restart |"),
    ("tsm ls\t", "tsm ls |"),
    ("tsm stop --js\t", "tsm stop --json |"),
    ("tsm list av\t", "tsm list available |"),
    ("tsm --color=al\t", "tsm --color=always |"),
    ("tsm start --restart on\t", "tsm start --restart on-failure |"),
    // Processes; those that are named already are left out.
    ("tsm stop a\t", "tsm stop a|"),
    ("tsm stop ap\t", "tsm stop api |"),
    ("tsm stop wo\t", "tsm stop worker-|"),
    ("tsm stop worker-one wo\t", "tsm stop worker-one worker-two |"),
    ("tsm stop o\t", "tsm stop o|"),
    ("tsm start o\t", "tsm start o|"),
    ("tsm logs ol\t", "tsm logs old |"),
    ("tsm logs id:0\t", "tsm logs id:0 |"),
    ("tsm logs name:ap\t", "tsm logs name:api |"),
    ("tsm logs 'name:ap\t", "tsm logs 'name:api' |"),
    // Services and environments.
    ("tsm enable webs\t", "tsm enable webshop |"),
    ("tsm start webs\t", "tsm start webshop |"),
    ("tsm start --env d\t", "tsm start --env dev |"),
    ("tsm start --env=d\t", "tsm start --env=dev |"),
    ("tsm start --env=\"s\t", "tsm start --env=\"staging\" |"),
    ("tsm start --env en\t", "tsm start --env env/|"),
    // Files, with what bash needs to read them back.
    ("tsm start my\t", "tsm start my\\ data.txt |"),
    ("tsm start ./my\t", "tsm start ./my\\ data.txt |"),
    ("tsm start 'my\t", "tsm start 'my data.txt' |"),
    ("tsm start --dir su\t", "tsm start --dir sub\\ dir/|"),
    ("tsm start --dir=su\t", "tsm start --dir=sub\\ dir/|"),
    ("tsm list > my\t", "tsm list > my\\ data.txt |"),
    // In the middle of a line, and of a word.
    ("tsm logs wo api\x02\x02\x02\x02\t", "tsm logs worker-| api"),
    ("tsm logs ap --json\x1bb\x1bb\x1bf\t", "tsm logs api| --json"),
    ("tsm sta python3\x01\x1bf\x1bf\t", "tsm start| python3"),
    ("tsm logs apx\x02\t", "tsm logs api|x"),
    // Behind another command, a variable and an operator.
    ("A=1 tsm resta\t", "A=1 tsm restart |"),
    ("true; tsm resta\t", "true; tsm restart |"),
    // A command's own words.
    ("tsm start cat my\t", "tsm start cat my\\ data.txt |"),
    ("tsm start --no-env -- cat my\t", "tsm start --no-env -- cat my\\ data.txt |"),
];

#[test]
fn a_tab_completes_what_stands_at_the_cursor() {
    let user = user();
    let mut bash = user.interactive_bash(LAYER);
    for (keys, line) in TYPED {
        assert_eq!(bash.line(keys), *line, "{keys:?}");
    }
}

#[test]
fn a_tab_works_in_whatever_shell_somebody_has_made_for_himself() {
    let user = user();
    let aliases = "for w in complete compopt compgen local printf read source declare return break; do \
                   alias $w='echo HOSTILE;'; done";
    for rc in [
        "set -u",
        "set -o posix",
        "set -C; set -f",
        "set -euo pipefail",
        "IFS=-/o",
        "shopt -s failglob nullglob nocaseglob nocasematch extglob globstar dotglob",
        "set -o vi",
        "bind 'set show-all-if-ambiguous on'",
        "bind 'set completion-ignore-case on'",
        "shopt -u progcomp_alias; COMP_WORDBREAKS=${COMP_WORDBREAKS//[:=]/}",
        "unset COLUMNS; shopt -u checkwinsize",
        "for f in complete compopt local printf read source; do eval \"$f() { echo HOSTILE; }\"; done",
    ] {
        let mut bash = user.interactive_bash(&format!("{LAYER}\n{rc}"));
        let some = ["sta\t", "wo\t", "id:0\t", "env=d\t", "\"s\t", "dir=su\t", "my\t"];
        for (keys, line) in TYPED.iter().filter(|(keys, _)| some.iter().any(|end| keys.ends_with(end))) {
            assert_eq!(bash.line(keys), *line, "{keys:?} with {rc}");
        }
    }
    let mut bash = user.interactive_bash(&format!("{aliases}\n\\source ~/co/shell/tsm.sh"));
    for (keys, line) in
        [("tsm resta\t", "tsm restart |"), ("tsm start cat my\t", "tsm start cat my\\ data.txt |")]
    {
        assert_eq!(bash.line(keys), line, "{keys:?} with aliases");
    }
}

#[test]
fn several_candidates_are_shown_with_what_they_are_and_nothing_of_that_is_inserted() {
    let user = user();
    let mut bash = user.interactive_bash(LAYER);
    let shown = bash.list("tsm logs \t\t");
    let rows: Vec<&str> = shown.lines().map(str::trim_end).collect();
    for (name, about) in [
        ("api", "(online, pid, "),
        ("worker-one", "(online, pid, "),
        ("old", "(stopped, pid)"),
        ("all", "(all 4 of them)"),
    ] {
        assert!(
            rows.iter().any(|row| row.starts_with(&format!("{name} ")) && row.contains(about)),
            "{name}: {shown}"
        );
    }
    assert_eq!(bash.line("tsm logs \t\t"), "tsm logs |");
    assert_eq!(bash.line("tsm logs w\t\t\t"), "tsm logs worker-|");
    assert!(bash.list("tsm st\t\t").contains("Start a command, a service, or what was stopped)"));
    // Where bash lists and inserts with one TAB.
    let mut bash = user.interactive_bash(&format!("{LAYER}\nbind 'set show-all-if-ambiguous on'"));
    assert!(bash.list("tsm logs w\t").contains("(online, pid, "));
    assert_eq!(bash.line("tsm logs w\t"), "tsm logs worker-|");
    let mut bash = user.interactive_bash(&format!("{LAYER}\nbind 'TAB:menu-complete'"));
    assert_eq!(bash.line("tsm logs w\t\t"), "tsm logs worker-two |");
}

#[test]
fn ports_are_completed_behind_their_colon() {
    let user = User::new();
    user.shell_layer();
    let port = free_port();
    let text = port.to_string();
    user.ok(&["start", "--port", &text, "--wait", "python3", "-m", "http.server", "--bind", "127.0.0.1"]);
    let mut bash = user.interactive_bash(LAYER);
    assert_eq!(bash.line(&format!("tsm logs port:{}\t", &text[..2])), format!("tsm logs port:{port} |"));
    assert_eq!(
        bash.line(&format!("tsm logs \"port:{}\t", &text[..2])),
        format!("tsm logs \"port:{port}\" |")
    );
}

#[test]
fn the_words_of_a_command_are_completed_by_its_own_completion() {
    let user = user();
    let loaded = "/usr/share/bash-completion/bash_completion";
    assert!(
        std::path::Path::new(loaded).exists(),
        "bash-completion is missing: apt-get install bash-completion"
    );
    let own = "_deploy() { [[ $3 == --to ]] && COMPREPLY=($(compgen -W 'production preview' -- \"$2\")); }; \
               complete -F _deploy deploy";
    for rc in [format!("source {loaded}\n{LAYER}\n{own}"), format!("{LAYER}\nsource {loaded}\n{own}")] {
        let mut bash = user.interactive_bash(&rc);
        for (keys, line) in [
            ("tsm start deploy --to pro\t", "tsm start deploy --to production |"),
            ("tsm start --env=dev deploy --to pre\t", "tsm start --env=dev deploy --to preview |"),
            ("tsm start --port 1 -- deploy --to pro\t", "tsm start --port 1 -- deploy --to production |"),
            ("tsm start --dir='a b' deploy --to pro\t", "tsm start --dir='a b' deploy --to production |"),
            ("tsm start cat my\t", "tsm start cat my\\ data.txt |"),
            ("tsm resta\t", "tsm restart |"),
        ] {
            assert_eq!(bash.line(keys), line, "{keys:?} with {rc}");
        }
    }
}

#[test]
fn the_file_works_alone_where_bash_completion_finds_it() {
    let user = user();
    let rc = "source /usr/share/bash-completion/bash_completion";
    let dir = user.home().join(".local/share/bash-completion/completions");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("tsm"), user.ok(&["completions", "bash"]).stdout).unwrap();
    let mut bash = user.interactive_bash(rc);
    assert_eq!(bash.line("tsm resta\t"), "tsm restart |");
    assert_eq!(bash.line("tsm stop ap\t"), "tsm stop api |");
    let mut bash = user.interactive_bash("source <(tsm completions bash)");
    assert_eq!(bash.line("tsm stop ap\t"), "tsm stop api |");
}

#[test]
fn a_tab_leaves_nothing_behind_and_unloading_takes_it_away() {
    let user = user();
    let state = "state() { compgen -v | grep -v '^\\(_\\|BASH.*\\|LINENO\\|FUNCNAME\\|PIPESTATUS\\|RANDOM\\|SRANDOM\\|COLUMNS\\|LINES\\)$' | sort; \
                 set -o; shopt; alias; trap -p; complete -p | grep -v ' tsm$'; pwd; }";
    let mut bash = user.interactive_bash(&format!("{state}\n{LAYER}"));
    bash.runs("x= i=; state >before; declare -F >functions; echo do''ne");
    for keys in
        ["tsm resta\t", "tsm stop \t\t", "tsm start --env=\t", "tsm start cat my\t", "tsm start py\t\t"]
    {
        bash.line(keys);
    }
    bash.runs("state >after; declare -F >functions-after; echo do''ne");
    let read = |name: &str| std::fs::read_to_string(user.cwd().join(name)).unwrap();
    assert_eq!(read("before"), read("after"));
    let before = read("functions");
    let after = read("functions-after");
    let new: Vec<&str> = after.lines().filter(|line| before.lines().all(|old| old != *line)).collect();
    assert_eq!(new, ["declare -f _tsm_complete", "declare -f _tsm_complete_inside"]);
    let left = bash.runs("tsm_unload; complete -p tsm; declare -F | grep -c tsm; echo do''ne");
    assert!(left.contains("tsm: no completion specification\n") || left.contains("no completion"), "{left}");
    assert!(left.contains("\n0\n"), "{left}");

    // Not loaded at all yet, and what somebody else has set stays.
    let mut bash = user.interactive_bash(LAYER);
    let left = bash.runs("tsm_unload; complete -p tsm; declare -F | grep -c tsm; echo do''ne");
    assert!(left.contains("no completion") && left.contains("\n0\n"), "{left}");
    let mut bash = user.interactive_bash(&format!("{LAYER}\ncomplete -W theirs tsm"));
    let left = bash.runs("tsm_unload; complete -p tsm; echo do''ne");
    assert!(left.contains("complete -W 'theirs' tsm"), "{left}");
}

#[test]
fn a_tab_writes_nothing_and_complains_of_nothing() {
    let user = User::new();
    user.shell_layer();
    let mut bash = user.interactive_bash(LAYER);
    assert_eq!(bash.line("tsm stop \t"), "tsm stop |");
    assert!(!user.tsm_dir().exists(), "a TAB made {}", user.tsm_dir().display());
    // Without a binary, too.
    let mut bash = user.interactive_bash(&format!("PATH=/usr/bin:/bin\n{LAYER}"));
    let shown = bash.list("tsm stop a\t");
    assert!(!shown.contains("no tsm binary"), "{shown}");
}
