//! TAB in real interactive zsh.

use std::fs;

use crate::kit::User;

/// A user with two processes that run and one that was stopped, an environment and files.
pub(crate) fn user() -> User {
    let user = User::new();
    user.file("env/dev.env", "A=1\n");
    user.file("my data.txt", "");
    user.file("sub dir/inner", "");
    for name in ["api", "worker-one", "worker-two", "old"] {
        user.ok(&["start", "--name", name, "sleep", "600"]);
    }
    user.ok(&["stop", "old"]);
    user.until_state("worker-two", "online");
    user
}

/// Keys, and the line that they make; also of fish.
pub(crate) const TYPED: &[(&str, &str)] = &[
    ("tsm resta\t", "tsm restart |"),
    ("tsm stop --js\t", "tsm stop --json |"),
    ("tsm list av\t", "tsm list available |"),
    ("tsm stop ap\t", "tsm stop api |"),
    ("tsm stop worker-one wo\t", "tsm stop worker-one worker-two |"),
    ("tsm logs ol\t", "tsm logs old |"),
    ("tsm logs id:0\t", "tsm logs id:0 |"),
    ("tsm start --env d\t", "tsm start --env dev |"),
    ("tsm start --env=d\t", "tsm start --env=dev |"),
    ("tsm start ./my\t", "tsm start ./my\\ data.txt |"),
    ("tsm start cat my\t", "tsm start cat my\\ data.txt |"),
    ("tsm start --no-env -- cat my\t", "tsm start --no-env -- cat my\\ data.txt |"),
    ("tsm start --dir su\t", "tsm start --dir sub\\ dir/|"),
    ("tsm start --dir=su\t", "tsm start --dir=sub\\ dir/|"),
    ("tsm start --dir=su\t", "tsm start --dir=sub\\ dir/|"),
];

const COMPINIT: &str = "autoload -Uz compinit\ncompinit -u -d ~/.zcompdump\n";

#[test]
fn a_tab_completes_what_stands_at_the_cursor() {
    let user = user();
    fs::create_dir(user.home().join("functions")).unwrap();
    fs::write(user.home().join("functions/_tsm"), user.ok(&["completions", "zsh"]).stdout).unwrap();
    for rc in [
        format!("{COMPINIT}source <(tsm completions zsh)"),
        format!("fpath=(~/functions $fpath)\n{COMPINIT}"),
        format!(
            "fpath=(~/functions $fpath)\n{COMPINIT}setopt ksh_arrays sh_word_split no_unset warn_create_global"
        ),
    ] {
        let mut zsh = user.zsh(&rc);
        for (keys, line) in TYPED {
            assert_eq!(zsh.line(keys), *line, "{keys:?} with {rc}");
        }
        assert_eq!(zsh.line("tsm logs 'ap\t"), "tsm logs 'api' |");
        assert_eq!(zsh.line("tsm logs ap --json\x02\x02\x02\x02\x02\x02\x02\t"), "tsm logs api | --json");
    }
}

#[test]
fn several_candidates_are_shown_with_what_they_are() {
    let user = user();
    let mut zsh = user.zsh(&format!("{COMPINIT}source <(tsm completions zsh)"));
    let shown = zsh.list("tsm logs \t\t");
    for row in ["api         -- online, pid, ", "old         -- stopped, pid", "all         -- all 4 of them"]
    {
        assert!(shown.contains(row), "{row}: {shown}");
    }
}
