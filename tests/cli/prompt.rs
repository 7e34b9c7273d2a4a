//! What `tsm_prompt` counts, and that it does no more than that.

use std::fs;

use crate::kit::{User, eventually, is_alive, kill};
use crate::layer::{SHELLS, SOURCE};
use crate::terminal::Terminal;

/// What the segment says, in brackets.
fn prompt(user: &User) -> String {
    let ran = user.bash("tsm_prompt; printf '[%s]' \"$TSM_PROMPT\"").code(0);
    assert!(ran.stderr.is_empty(), "{ran:?}");
    ran.stdout
}

/// Two processes that run, one that failed for good, one that has ended, and one that was stopped.
fn user() -> User {
    let user = User::with_layer();
    for name in ["a", "b", "stopped"] {
        user.ok(&["start", "--name", name, "sleep", "1000"]);
    }
    user.ok(&["stop", "stopped"]);
    user.ok(&["start", "--name", "done", "true"]);
    user.ok(&["start", "--name", "failed", "--max-restarts", "0", "false"]);
    user.until_state("done", "exited");
    user.until_state("failed", "errored");
    for name in ["a", "b"] {
        user.until_state(name, "online");
    }
    user
}

#[test]
fn it_counts_what_runs_and_what_has_failed() {
    let user = User::with_layer();
    assert_eq!(prompt(&user), "[]");
    drop(user);

    let user = self::user();
    assert_eq!(prompt(&user), "[⚙2 ✗1]");
    user.ok(&["delete", "failed"]);
    assert_eq!(prompt(&user), "[⚙2]");
    user.ok(&["start", "--name", "starting", "--kind", "port", "sleep", "1000"]);
    user.ok(&["start", "--name", "back-off", "sh", "-c", "sleep 0.05; exit 1"]);
    user.until_state("back-off", "backoff");
    assert_eq!(prompt(&user), "[⚙4]");
    user.ok(&["stop", "all"]);
    assert_eq!(prompt(&user), "[]");
    user.ok(&["delete", "all"]);
    assert_eq!(prompt(&user), "[]");
}

#[test]
fn what_is_dead_or_is_another_process_by_now_is_not_counted() {
    let user = self::user();
    let (pid, supervisor) = (user.pid("a"), user.supervisor("a"));
    kill(supervisor, "KILL");
    eventually("its supervisor is gone", || !is_alive(supervisor));
    assert_eq!(prompt(&user), "[⚙2 ✗1]");
    kill(pid, "KILL");
    eventually("it is gone", || !is_alive(pid));
    assert!(fs::read_to_string(user.process_dir("a").join("status.json")).unwrap().contains("\"online\""));
    assert_eq!(prompt(&user), "[⚙1 ✗1]");

    // The numbers of a living process, which began at another time or in another boot.
    let status = user.process_dir("a").join("status.json");
    let text = fs::read_to_string(&status).unwrap();
    let living = text.replace(&format!("\"pid\": {pid},"), &format!("\"pid\": {},", user.pid("b")));
    assert_ne!(living, text);
    fs::write(&status, &living).unwrap();
    assert_eq!(prompt(&user), "[⚙1 ✗1]");
    let of_other = user.supervisor("b");
    let living = text.replace(&format!("\"pid\": {supervisor},"), &format!("\"pid\": {of_other},"));
    assert_ne!(living, text);
    fs::write(&status, &living).unwrap();
    assert_eq!(prompt(&user), "[⚙1 ✗1]");
    let other = fs::read_to_string(user.process_dir("b").join("status.json")).unwrap();
    // Fields are found by their names.
    for (before, add) in
        [("  \"kind\"", "  \"more\": {\n    \"pid\": 1\n  },\n"), ("  \"supervisor\"", "  \"new\": 1,\n")]
    {
        fs::write(&status, other.replace(before, &format!("{add}{before}"))).unwrap();
        assert_eq!(prompt(&user), "[⚙2 ✗1]");
    }
    fs::write(&status, other.replace("\"boot_id\": \"", "\"boot_id\": \"0")).unwrap();
    assert_eq!(prompt(&user), "[⚙1 ✗1]");
    fs::write(&status, other).unwrap();
    assert_eq!(prompt(&user), "[⚙2 ✗1]");

    // Nothing in a file or a name is code, or more than it says.
    let dirs = user.tsm_dir().join("runtime/processes");
    for (name, text) in [
        ("empty", ""),
        ("half", "{\n  \"state\": \"online\",\n  \"main\": {\n    \"pid\": "),
        (
            "code",
            "{\n  \"state\": \"online\",\n  \"main\": {\n    \"pid\": a[$(touch /tmp/tsm-prompt)],\n    \"start\": 1\n  },",
        ),
        ("$(touch x) ; *\n", "{\n  \"state\": \"errored\",\n"),
        ("said", "{\n  \"command\": \"echo \\\"state\\\": \\\"online\\\"\",\n  \"state\": \"stopped\","),
        (".new-gone-b", "{\n  \"state\": \"errored\",\n"),
    ] {
        fs::create_dir(dirs.join(name)).unwrap();
        fs::write(dirs.join(name).join("status.json"), text).unwrap();
    }
    fs::create_dir(dirs.join("without")).unwrap();
    fs::create_dir_all(dirs.join("dir/status.json")).unwrap();
    assert_eq!(prompt(&user), "[⚙2 ✗2]");
    assert!(!user.cwd().join("x").exists());
    // What the kit asks for is to be right again.
    for item in fs::read_dir(&dirs).unwrap().flatten() {
        if !["a", "b", "done", "failed", "stopped"].contains(&item.file_name().to_str().unwrap_or_default()) {
            fs::remove_dir_all(item.path()).unwrap();
        }
    }
    fs::write(&status, text).unwrap();
}

#[test]
fn it_leaves_the_shell_as_it_is_whatever_that_is() {
    let user = self::user();
    let state = "state() { compgen -v | grep -v '^_$\\|PIPESTATUS\\|BASH_\\|FUNCNAME'; declare -F; set -o; shopt; trap -p; alias; echo \"$! $# $*\" \"$PWD\"; }\n";
    for (shell, options, prelude) in SHELLS {
        let ran = user.bash_with(
            options,
            &format!(
                "{state}before='' after='' TSM_PROMPT='' MINE='' REPLY=r MAPFILE=m\n{prelude}\\builtin trap - DEBUG\n{SOURCE}: & set -- a 'b c'; [[ xay =~ a ]]\n\
                 before=$(state \"$@\")\ntsm_prompt\ntsm_prompt MINE\nafter=$(state \"$@\")\n\
                 [[ $before == \"$after\" ]] && echo same\necho \"$TSM_PROMPT|$MINE|${{BASH_REMATCH[0]}}|$REPLY|$MAPFILE\""
            ),
        );
        let ran = ran.code(0).says("same\n").says("⚙2 ✗1|⚙2 ✗1|a|r|m\n");
        assert!(ran.stderr.lines().all(|line| line == "D"), "{shell}: {ran:?}");
    }
    for (prelude, said) in [
        ("set -f", "⚙2 ✗1"),
        ("shopt -s nullglob dotglob nocaseglob extglob globstar", "⚙2 ✗1"),
        ("IFS=; set -u", "⚙2 ✗1"),
        ("IFS=0123456789", "⚙2 ✗1"),
        ("read() { echo x; }; kill() { echo x; }; printf() { echo x; }; shopt() { echo x; }", "⚙2 ✗1"),
        ("TSM_PROMPT_ASCII=1", "*2 !1"),
        ("LC_ALL=C", "*2 !1"),
        ("LC_ALL= LANG=C.utf8 LC_CTYPE=", "⚙2 ✗1"),
        ("unset LC_ALL LANG LC_CTYPE; set -u", "*2 !1"),
        ("TSM_DIR=/nowhere; shopt -s failglob", ""),
        ("unset TSM_DIR; set -u", ""),
        ("set -E; trap 'echo ERR; exit 9' ERR", "⚙2 ✗1"),
        ("PATH=", "⚙2 ✗1"),
    ] {
        let ran = user.bash(&format!("{prelude}\ntsm_prompt\n\\builtin printf %s \"$TSM_PROMPT\"")).code(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (said, ""), "{prelude}");
    }
    // The exit code of the command before; but the prompt ends no shell.
    let ran = user.bash("(exit 7); tsm_prompt; echo $?; set -e; ! :; tsm_prompt; echo on").code(0);
    assert_eq!(ran.stdout, "7\non\n");
    for name in ["''", "'a b'", "1x", "'a[$(touch x)]'", "-v"] {
        user.bash(&format!("tsm_prompt {name}")).code(2).complains("is not the name of a variable");
    }
    assert!(!user.cwd().join("x").exists());
}

#[test]
fn it_starts_no_process() {
    let user = self::user();
    // The trap runs for every child of the shell; the last line proves that.
    let ran =
        user.bash("trap 'echo child' CHLD\ntsm_prompt\ntsm_prompt X\necho \"$X\"\n: \"$(:)\"\n:").code(0);
    assert_eq!(ran.stdout, "⚙2 ✗1\nchild\n");
}

#[test]
fn it_stands_in_the_prompt_of_an_interactive_shell() {
    let user = User::with_layer();
    let mut command = user.command("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("TERM", "dumb");
    let mut terminal = Terminal::open(command);
    terminal.types(
        &format!("PS1='<${{TSM_PROMPT-}}|$?> ' PROMPT_COMMAND=tsm_prompt; {SOURCE}")
            .trim_end()
            .replace('\n', ";"),
    );
    terminal.shows("<|0> ");
    terminal.types("tsm start --no-wait --name one sleep 1000; (exit 3)");
    terminal.shows("1|3> ");
    terminal.types("tsm stop one");
    terminal.shows("<|0> ");
    terminal.types("exit");
    terminal.end();
}

#[test]
fn agents_that_wait_are_shown_to_who_wants_it_as_long_as_somebody_looks() {
    let user = User::with_layer();
    let file = user.tsm_dir().join("agents/waiting");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let now = chrono::Utc::now().timestamp();
    let said = |text: &str, prelude: &str| {
        fs::write(&file, text).unwrap();
        let ran = user.bash(&format!("{prelude}; tsm_prompt; printf '[%s]' \"$TSM_PROMPT\"")).code(0);
        assert!(ran.stderr.is_empty(), "{ran:?}");
        ran.stdout
    };
    let wanted = "TSM_PROMPT_AGENTS=1";
    let fresh = format!("2 {now}\n");
    assert_eq!(said(&fresh, wanted), "[🤖2]");
    assert_eq!(said(&fresh, "TSM_PROMPT_AGENTS=1 TSM_PROMPT_ASCII=1"), "[?2]");
    assert_eq!(said(&fresh, ":"), "[]", "nobody has asked for it");
    assert_eq!(said(&fresh, "TSM_PROMPT_AGENTS=1; set -eu; IFS=0123456789"), "[🤖2]");
    // What was seen long ago may have changed; and what is no number is no code.
    for stale in [
        format!("2 {}\n", now - 120),
        format!("2 {}\n", now + 3600),
        format!("0 {now}\n"),
        "2\n".into(),
        String::new(),
        "\n".into(),
        format!("a[$(touch x)] {now}\n"),
        "2 a[$(touch x)]\n".into(),
        format!("2 {now} 3\n"),
        format!("99999999999999999999 {now}\n"),
    ] {
        assert_eq!(said(&stale, wanted), "[]", "{stale:?}");
    }
    assert!(!user.cwd().join("x").exists());
    fs::remove_file(&file).unwrap();
    let ran = user.bash("TSM_PROMPT_AGENTS=1; tsm_prompt; printf '[%s]' \"$TSM_PROMPT\"").code(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("[]", ""));
    user.ok(&["start", "--name", "a", "sleep", "1000"]);
    user.until_state("a", "online");
    assert_eq!(said(&fresh, wanted), "[⚙1 🤖2]");
}
