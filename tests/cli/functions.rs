//! Functions and aliases of the calling shell, started as services.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::kit::{User, eventually, free_port, is_alive, kill, run, text};
use crate::layer::{SHELLS, SOURCE};
use crate::terminal::Terminal;

/// A service that prints its arguments and goes on through a helper.
const MYDEV: &str = "helper() { exec sleep 1000; }\n\
    mydev() { printf '<%s>' \"$@\"; echo \" $#\"; helper; }\n";

const NAME: &str = "my-api-mydev";

/// Waits until the log of `name` is `expected`.
#[track_caller]
fn until_log(user: &User, name: &str, expected: &str) {
    let log = user.log(name);
    eventually(&format!("the log of {name} is {expected:?}"), || text(&log) == expected);
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for item in fs::read_dir(dir).into_iter().flatten().flatten() {
        match item.file_type().unwrap() {
            kind if kind.is_dir() => all.extend(files(&item.path())),
            kind if kind.is_file() => drop(all.insert(item.path(), fs::read(item.path()).unwrap())),
            _ => {}
        }
    }
    all
}

#[test]
fn a_function_is_a_service_whatever_the_shell_and_its_arguments() {
    let user = User::with_layer();
    for (shell, options, prelude) in SHELLS {
        let ran = user.bash_with(
            options,
            &format!(
                "{MYDEV}{prelude}{SOURCE}tsm start --name x mydev 'a  b' '*' '' $'x\\ny' '\"q\" '\\''' '$HOME' -- --port '~'\n\\builtin trap - DEBUG\n"
            ),
        );
        let ran = ran.code(0).says("Started: x (TSM ID: 0, PID: ");
        assert!(shell == "hostile" || ran.stderr.is_empty(), "{shell}: {ran:?}");
        until_log(&user, "x", "<a  b><*><><x\ny><\"q\" '><$HOME><--><--port><~> 9\n");
        user.ok(&["delete", "--purge", "x"]);
    }
}

#[test]
fn the_name_the_port_and_the_kind_are_as_for_any_command() {
    let user = User::with_layer();
    let serve = "serve-it() { echo \"on $PORT\"; exec python3 -m http.server \"$PORT\" --bind 127.0.0.1; }\n";
    let port = free_port();
    user.bash(&format!("{serve}tsm start --port {port} --wait serve-it now")).code(0);
    let name = format!("my-api-serve-it-{port}");
    let view = user.view(&name);
    assert_eq!(
        (&view["kind"], &view["port"], &view["command"]),
        (&"port".into(), &port.into(), &"serve-it now".into())
    );
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(text(&user.log(&name)).starts_with(&format!("on {port}\n")));

    user.bash(&format!("{MYDEV}tsm start mydev")).code(0).says("Started: my-api-mydev (TSM ID: 1");
    assert_eq!(user.view(NAME)["kind"], "pid");
}

#[test]
fn a_definition_a_tracked_process_and_a_function_are_looked_up_before_a_program() {
    let user = User::with_layer();
    let functions = "sleep() { echo \"mine $1\"; command sleep 1000; }\n";
    user.bash(&format!("{functions}tsm start sleep 5")).code(0).says("my-api-sleep");
    until_log(&user, "my-api-sleep", "mine 5\n");
    user.ok(&["stop", "all"]);

    // A tracked process of that name is what one word means; with more words it is the function again.
    user.ok(&["start", "--name", "web", "tail", "-f", "/dev/null"]);
    user.ok(&["stop", "web"]);
    let functions = "web() { echo function; exec sleep 1000; }\n";
    user.bash(&format!("{functions}tsm start web")).code(0).says("Started: web (TSM ID: 1");
    assert_eq!(user.view("web")["command"], "tail -f /dev/null");
    user.bash(&format!("{functions}tsm start web now")).code(0).says("Started: my-api-web (");
    until_log(&user, "my-api-web", "function\n");
    // With an option the tracked process cannot be meant.
    user.ok(&["delete", "web"]);
    let start = format!("{functions}tsm start --name web web");
    user.bash(&start).code(0).says("Started: web");
    user.bash(&start).code(0).says("Already running: web");

    user.ok(&["delete", "all"]);
    let definitions = user.tsm_dir().join("services-available");
    fs::create_dir_all(&definitions).unwrap();
    fs::write(definitions.join("web.tsm"), "SERVICE_COMMAND='sleep 2000'\n").unwrap();
    // Its command is the same in every shell.
    user.bash(&format!("{functions}sleep() {{ exit 9; }}\ntsm start web")).code(0).says("Started: web");
    assert_eq!(user.json(&["info", "web"])["argv"], serde_json::json!(["sleep", "2000"]));
}

#[test]
fn only_the_command_word_counts_and_the_bare_binary_has_no_functions() {
    let user = User::with_layer();
    let functions = "all() { exit 9; }\nalias now='exit 9'\n";
    user.bash(&format!("{functions}tsm start --name all2 -- sleep 1000 all now")).code(0);
    let argv = user.json(&["info", "all2"])["argv"].clone();
    assert_eq!(argv, serde_json::json!(["sleep", "1000", "all", "now"]));
    assert!(!user.process_dir("all2").join("function.bash").exists());
    // Its own functions are none that could be started.
    user.bash("tsm start tsm_unload").code(0);
    user.bash("tsm start _tsm_code").code(4).complains("command not found: _tsm_code");
    user.bash(&format!("{MYDEV}\\command env ~/co/target/release/tsm start mydev"))
        .code(4)
        .complains("command not found: mydev");
    // A shell that only has the exported functions is as good as the binary.
    user.bash(&format!("{MYDEV}export -f mydev; bash -c 'tsm start mydev'")).code(4);
}

#[test]
fn aliases_are_expanded_as_bash_does() {
    let user = User::with_layer();
    let aliases = "shopt -s expand_aliases\n\
        alias dev='mydev one' d='dev \"t w o\"' ls='ls --color'\n\
        alias line='cd / && mydev \"$PWD\"' sudo='env ' nap='sleep 1000'\n";
    for (words, name, log) in [
        ("d 3", NAME, "<one><t w o><3> 3\n"),
        ("-- dev", NAME, "<one> 1\n"),
        ("'d  4'", NAME, "<one><t w o><4> 3\n"),
        ("line 'a  b' '$x' d", NAME, "</><a  b><$x><d> 4\n"),
        ("'cd / && mydev 1'", NAME, "<1> 1\n"),
        ("'mydev 1 2>&1'", NAME, "<1> 1\n"),
        ("nap", "my-api-sleep", ""),
        ("sudo nap", "my-api-sleep", ""),
    ] {
        let ran = user.bash(&format!("{MYDEV}{aliases}tsm start {words}")).code(0);
        assert!(
            ran.stdout.starts_with(&format!("Started: {name} (")) && ran.stderr.is_empty(),
            "{words}: {ran:?}"
        );
        until_log(&user, name, log);
        user.ok(&["delete", "--purge", name]);
    }
}

#[test]
fn the_text_is_private_and_shown_and_in_no_command_line() {
    let user = User::with_layer();
    let functions =
        "quiet() { export API_KEY=hunter2; fetch & wait; }\nfetch() { sleep 1000; }\nother() { :; }\n";
    user.bash(&format!("{functions}tsm start quiet")).code(0);
    let name = "my-api-quiet";
    let file = user.process_dir(name).join("function.bash");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text(&file).contains("API_KEY=hunter2") && !text(&file).contains("other"));
    eventually("the helper runs", || user.alive().len() >= 3);
    for (_, line) in user.alive() {
        assert!(!line.contains("hunter2") && !line.contains("fetch"), "{line}");
    }
    for (path, content) in files(&user.tsm_dir()) {
        let told = String::from_utf8_lossy(&content).contains("hunter2");
        assert_eq!(told, path == file, "{}", path.display());
    }

    let shown = user.ok(&["info", name]).says("  function    quiet (with fetch)\n").says("API_KEY=********");
    assert!(!shown.stdout.contains("hunter2"), "{shown:?}");
    let json = user.json(&["info", name]);
    assert_eq!(json["function"]["name"], "quiet");
    assert_eq!(json["function"]["helpers"], serde_json::json!(["fetch"]));
    assert_eq!(json["function"]["file"], file.to_str().unwrap());
    assert!(json["function"]["text"].as_str().unwrap().contains("fetch () "), "{json}");

    let long = format!("long() {{\n{}}}\n", "true\n".repeat(100));
    user.bash(&format!("{long}tsm start --restart no long")).code(0);
    let shown = user.tsm(&["info", "my-api-long"]).says("more lines: ");
    assert_eq!(shown.stdout.matches("true").count(), 18, "{shown:?}");
}

#[test]
fn the_same_is_one_process_and_another_text_is_a_conflict_until_it_is_stopped() {
    let user = User::with_layer();
    let one = "mydev() { echo one; exec sleep 1000; }\n";
    let two = "mydev() { echo two; exec sleep 1000; }\n";
    user.bash(&format!("{one}tsm start mydev")).code(0);
    user.bash(&format!("{one}tsm start mydev")).code(0).says("Already running: my-api-mydev");
    for start in ["start", "start --dry-run"] {
        user.bash(&format!("{two}tsm {start} mydev"))
            .code(6)
            .complains("my-api-mydev (TSM ID: 0) runs, but with another text of mydev")
            .complains("try: tsm stop my-api-mydev && tsm start mydev");
    }
    until_log(&user, NAME, "one\n");

    // Restarted, and started again by its name, it is the text that was kept.
    user.bash(&format!("{two}tsm restart {NAME}")).code(0);
    until_log(&user, NAME, "one\none\n");
    user.ok(&["stop", NAME]);
    user.bash(&format!("{two}tsm start {NAME}")).code(0);
    until_log(&user, NAME, "one\none\none\n");

    // The hint is what helps.
    user.bash(&format!("{two}tsm stop {NAME} && tsm start mydev"))
        .code(0)
        .says("Started: my-api-mydev (TSM ID: 0");
    until_log(&user, NAME, "one\none\none\ntwo\n");

    // Another command takes its place, and nothing is left of the text.
    user.ok(&["stop", NAME]);
    user.program("mydev", "#!/bin/sh\necho program\nexec sleep 1000\n");
    user.ok(&["start", "./mydev"]).says("Started: my-api-mydev (TSM ID: 0");
    assert!(!user.process_dir(NAME).join("function.bash").exists());
    assert!(user.json(&["info", NAME])["function"].is_null());
}

#[test]
fn it_outlives_its_shell_and_its_supervisor_and_is_restarted_after_a_crash() {
    let user = User::with_layer();
    let functions = "helper() { sleep 1000 & sleep 1001 & wait; }\nmydev() { echo up; helper; }\n";
    user.bash(&format!("{functions}tsm start mydev")).code(0);
    until_log(&user, NAME, "up\n");
    let first = user.pid(NAME);
    eventually("its children run", || user.alive().len() == 4);

    kill(first, "KILL");
    eventually("it was started again", || user.view(NAME)["restarts"] == 1 && user.state(NAME) == "online");
    until_log(&user, NAME, "up\nup\n");

    let (pid, supervisor) = (user.pid(NAME), user.supervisor(NAME));
    kill(supervisor, "KILL");
    eventually("its supervisor is gone", || !is_alive(supervisor));
    assert!(is_alive(pid));
    user.ok(&["restart", NAME]);
    until_log(&user, NAME, "up\nup\nup\n");
    eventually("one tree runs", || user.alive().len() == 4);

    user.ok(&["stop", NAME]);
    assert_eq!(user.alive(), []);
    user.ok(&["start", NAME]);
    until_log(&user, NAME, "up\nup\nup\nup\n");
}

#[test]
fn what_cannot_be_started_leaves_everything_as_it_was() {
    let user = User::with_layer();
    user.bash(&format!("{MYDEV}tsm start mydev")).code(0);
    user.program("other", "#!/bin/sh\nexec sleep 1000\n");
    user.ok(&["start", "./other"]);
    user.ok(&["stop", "all"]);
    fs::remove_file(user.cwd().join("other")).unwrap();
    let before = files(&user.tsm_dir());
    let broken = |options: &str, functions: &str, code, said| {
        user.bash(&format!("{functions}tsm start {options}")).code(code).complains(said);
        assert_eq!(files(&user.tsm_dir()), before, "{options} {functions}");
    };
    let changed = "mydev() { echo changed; }\nother() { :; }\n";
    broken("mydev", &format!("{changed}PATH=/nowhere\n"), 4, "command not found: bash");
    broken("other", &format!("{changed}PATH=/nowhere\n"), 4, "command not found: bash");
    broken("--env missing mydev", changed, 4, "missing");
    // Found out by the supervisor, when everything has been written: another text, the first text, and none any more.
    broken("--env-var PATH=/nowhere mydev", changed, 4, "command not found: bash");
    broken("--env-var PATH=/nowhere other", changed, 4, "command not found: bash");
    broken("--env-var PATH=/nowhere --name new other", changed, 4, "command not found: bash");
    broken("./mydev", "", 4, "command not found: ./mydev");
    broken(
        "mydev",
        "eval \"mydev() { : $(head -c 1100000 /dev/zero | tr '\\0' x); }\"\n",
        1,
        "at most 1048576 are kept",
    );
    // The shell ends before it has said everything.
    broken(
        "--shell-fd 9 mydev 9< <(printf '\\0tsm-code\\0-f mydev\\0mydev () ')",
        changed,
        1,
        "did not arrive whole",
    );
    broken(
        "--shell-fd 9 mydev 9< <(printf '\\0tsm-code\\0-f mydev\\0mydev () {\\n\\0end\\0')",
        changed,
        1,
        "bash cannot read",
    );
    broken("--shell-fd 9 mydev", changed, 1, "cannot read the functions of the calling shell");
    broken("--shell-fd 0 mydev", changed, 2, "--shell-fd");

    // The supervisor cannot start it: the working directory is gone.
    let gone = user.cwd().join("gone");
    fs::create_dir(&gone).unwrap();
    let start = format!("{MYDEV}cd gone; tsm start --name x mydev; tsm stop x");
    user.bash(&start).code(0);
    fs::remove_dir(&gone).unwrap();
    let before = files(&user.tsm_dir());
    user.tsm(&["start", "x"]).code(4).complains("no directory");
    assert_eq!(files(&user.tsm_dir()), before);

    // The text is gone: said before anything is stopped.
    user.ok(&["start", NAME]);
    let pid = user.pid(NAME);
    fs::remove_file(user.process_dir(NAME).join("function.bash")).unwrap();
    user.tsm(&["restart", NAME]).code(4).complains("cannot read the text of mydev");
    assert_eq!(user.pid(NAME), pid);
}

#[test]
fn a_dry_run_shows_the_text_and_writes_nothing() {
    let user = User::with_layer();
    let ran = user.bash(&format!("{MYDEV}tsm start --dry-run mydev x")).code(0);
    let ran = ran
        .says("a function of the calling shell, kept with helper")
        .says("function mydev:")
        .says("helper () ");
    assert!(ran.stdout.contains(&format!("{}/function.bash x", user.process_dir(NAME).display())), "{ran:?}");
    let ran = user.bash(&format!("{MYDEV}tsm start --dry-run --json mydev")).code(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(json["function"]["helpers"], serde_json::json!(["helper"]));
    assert!(!user.tsm_dir().exists());
}

#[test]
fn nothing_is_left_in_the_shell() {
    let user = User::with_layer();
    let state = "state() { compgen -v | grep -v '^_$\\|PIPESTATUS\\|BASH_\\|FUNCNAME'; declare -F; set -o; shopt; trap -p; alias; \
        echo \"$! $# $*\" \"$PWD\"; ls /dev/fd/ | wc -l; }\n";
    for (shell, options, prelude) in SHELLS {
        let ran = user.bash_with(
            options,
            &format!(
                "{MYDEV}{state}before='' after=''; alias start_it=mydev\n{prelude}\\builtin trap - DEBUG\n{SOURCE}set -- a 'b c'; sleep 0 & exec 9</dev/null\n\
                 tsm start start_it >|/dev/null\nbefore=$(state \"$@\")\n\
                 tsm start --name {shell} --env-var new=1 start_it 'x y' odd=1 >|/dev/null\ntsm start 'mydev <x' >|/dev/null 2>&1 || :\n\
                 after=$(state \"$@\")\n[[ $before == \"$after\" ]] && echo same\n! read -r -u 9 before\necho \"$after\""
            ),
        );
        ran.code(0).says("same\n").says("declare -f mydev");
        user.ok(&["delete", "all"]);
    }
}

#[test]
fn standard_input_and_the_exit_code_are_the_callers() {
    let user = User::with_layer();
    let said = user.bash(&format!(
        "set -o pipefail\n{MYDEV}printf 'one\\ntwo\\n' | {{ tsm start mydev >/dev/null; read -r x; echo \"$x\"; }}\n\
         tsm start --port x mydev 2>/dev/null; echo \"rc $?\"\ntrap '' PIPE\ntsm start --prot 1 mydev; echo \"rc $?\""
    ));
    let said = said.code(0);
    assert_eq!(said.stdout, "one\nrc 2\nrc 2\n", "{said:?}");
    assert_eq!(said.stderr.lines().count(), 2, "{said:?}");
    user.ok(&["delete", "all"]);

    // With no standard input at all, as cron may have it, and without one in a terminal's place.
    let mut command = user.command("bash");
    command.args(["--norc", "-c", &format!("exec 0<&-\n{SOURCE}{MYDEV}tsm start mydev")]);
    run(command).code(0).says("Started");
}

#[test]
fn an_interactive_shell_starts_one_and_goes() {
    let user = User::with_layer();
    let mut command = user.command("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("TERM", "dumb").env("PS1", "ready> ");
    let mut terminal = Terminal::open(command);
    for line in [
        SOURCE.trim_end(),
        "one() { echo \"got $1\"; two; }; two() { exec sleep 1000; }",
        "alias uno='one 1'",
    ] {
        terminal.shows("ready> ");
        terminal.types(line);
    }
    terminal.shows("ready> ");
    // At a terminal it waits until it has seen it run.
    terminal.types("tsm start uno; echo \"rc $? jobs $(jobs | wc -l)\"");
    terminal.shows("Started: my-api-one (TSM ID: 0");
    terminal.shows("rc 0 jobs 0");
    terminal.types("exit");
    terminal.end();
    until_log(&user, "my-api-one", "got 1\n");
    assert_eq!(user.state("my-api-one"), "online");
}
