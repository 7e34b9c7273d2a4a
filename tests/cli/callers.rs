//! Who calls `tsm start`: scripts, ssh, cron, terminals that are closed, and what each of them sees.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::kit::{Ran, User, eventually, free_port, is_alive, run, text};

const TSM: &str = env!("CARGO_BIN_EXE_tsm");

/// Runs a line of bash in which `$TSM` is the program.
fn bash(user: &User, line: &str) -> Ran {
    let mut command = user.command("bash");
    command.args(["-c", line]).env("TSM", TSM);
    run(command)
}

/// A python program that types `sys.argv[2:]` into an interactive bash on a terminal of its own, prints all that came
/// back and then ends as `sys.argv[1]` says.
const TERMINAL: &str = r"
import os, pty, select, signal, sys, time
how, lines = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
seen = b''
def until(mark, limit=30):
    global seen
    end = time.monotonic() + limit
    while mark not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        if not ready:
            sys.exit('nothing like %r in %r' % (mark, seen))
        seen += os.read(terminal, 65536)
for at, line in enumerate(lines):
    # The mark is not what is typed, so that the echo is not taken for the answer.
    os.write(terminal, (line + '; echo done-$((%d+0))-\n' % at).encode())
    until(b'done-%d-' % at)
if how == 'close':
    os.close(terminal)
elif how == 'kill':
    os.kill(pid, signal.SIGKILL)
    os.close(terminal)
else:
    os.write(terminal, b'exit\n')
os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
";

/// What a person sees who types these lines in a terminal.
pub(crate) fn typed(user: &User, how: &str, vars: &[(&str, &str)], lines: &[&str]) -> String {
    let mut command = user.command("python3");
    command.args(["-c", TERMINAL, how]).args(lines).env("TSM", TSM).env("TERM", "xterm").env("PS1", "$ ");
    command.envs(vars.iter().copied());
    run(command).code(0).stdout
}

#[test]
fn a_substitution_a_pipe_and_a_caller_without_terminal_or_descriptors_get_their_answer_at_once() {
    let user = User::new();
    // `run` waits until nobody has the output open any more: a program that kept it would be a hang.
    for (name, line) in [
        ("subst", "out=$(\"$TSM\" start --name subst sleep 1000 2>&1); echo \"[$out]\""),
        ("pipe", "\"$TSM\" start --name pipe sleep 1000 | cat"),
        ("setsid", "setsid -w \"$TSM\" start --name setsid sleep 1000"),
        ("nohup", "nohup \"$TSM\" start --name nohup sleep 1000"),
        ("stdin", "\"$TSM\" start --name stdin sleep 1000 <&-"),
        ("fd", "exec 9>&1; \"$TSM\" start --name fd sleep 1000"),
    ] {
        bash(&user, line).code(0).says(&format!("Started: {name} (TSM ID: "));
        assert!(is_alive(user.pid(name)), "{name}");
    }
    bash(&user, "\"$TSM\" start --name none sleep 1000 <&- >&- 2>&-").code(0);
    assert!(is_alive(user.pid("none")));
    bash(&user, "\"$TSM\" start --name gone sleep 1000 | true; exit ${PIPESTATUS[0]}").code(0);
    assert!(is_alive(user.pid("gone")));
    // What the program gets: its own input, output to its log, and no other descriptor.
    for name in ["fd", "none"] {
        let mut open: Vec<(String, String)> = fs::read_dir(format!("/proc/{}/fd", user.pid(name)))
            .unwrap()
            .flatten()
            .map(|item| {
                let target = fs::read_link(item.path()).unwrap_or_default();
                // The pipe of its input has no name any more.
                let target = target.display().to_string().replace(" (deleted)", "");
                (item.file_name().to_string_lossy().into_owned(), target)
            })
            .collect();
        open.sort();
        let log = user.log(name).display().to_string();
        let input = user.process_dir(name).join("stdin").display().to_string();
        let want = [("0", &input), ("1", &log), ("2", &log)].map(|(fd, path)| (fd.to_owned(), path.clone()));
        assert_eq!(open, want);
    }
}

#[test]
fn a_bare_environment_is_enough() {
    let user = User::new();
    let home = user.home().display().to_string();
    let bare = |vars: &[(&str, &str)]| {
        let mut command = user.command(TSM);
        command.env_clear().envs(vars.iter().copied()).args(["start", "--json", "sleep", "1000"]);
        run(command)
    };
    // cron's, and less than that.
    let root = user.tsm_dir().display().to_string();
    bare(&[("TSM_DIR", &root), ("PATH", "/usr/bin:/bin"), ("HOME", &home)]).code(0);
    let first = user.pid("my-api-sleep");
    bare(&[("TSM_DIR", &root)]).code(0).says(&first.to_string());
    let mut command = user.command(TSM);
    command.env_clear().env("TSM_DIR", &root).args(["start", "--name", "no-path", "sleep", "1000"]);
    run(command).code(0).says("Started: no-path");
    bare(&[("PATH", "/usr/bin:/bin")])
        .code(2)
        .complains("neither TSM_DIR nor HOME")
        .complains("export TSM_DIR");
    let mut help = user.command(TSM);
    help.env_clear().arg("--help");
    run(help).code(0).says("start");
    // Only HOME: the state is where the XDG specification wants it.
    let mut command = user.command(TSM);
    command.env_clear().env("HOME", &home).env("PATH", "/usr/bin:/bin");
    command.args(["start", "--env-var", &format!("TSM_DIR={root}"), "--name", "home", "sleep", "1000"]);
    run(command).code(0);
    let state = user.home().join(".local/state/tsm");
    assert!(state.join("runtime/processes/home/spec.json").is_file());
    for dir in [state.clone(), state.join("runtime/processes/home")] {
        assert_eq!(fs::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let mut command = user.command(TSM);
    command.env("TSM_DIR", &state).args(["delete", "all"]);
    run(command).code(0);
}

#[test]
fn a_working_directory_that_is_gone_is_an_error_and_stops_no_other_verb() {
    let user = User::new();
    user.ok(&["start", "sleep", "1000"]);
    let gone = |words: &str| {
        bash(&user, &format!("mkdir -p ../gone && cd ../gone && rmdir ../gone && \"$TSM\" {words}"))
    };
    gone("start sleep 2000").code(1).complains("current directory").complains("  try: cd ");
    gone("list").code(0).says("my-api-sleep");
    gone("start 0").code(0).says("Already running");
    gone(&format!("start --dir {} --name other sleep 1000", user.cwd().display()))
        .code(0)
        .says("Started: other");
    gone("stop all").code(0);
}

#[test]
fn a_program_outlives_its_terminal_however_that_ends() {
    let user = User::new();
    for how in ["exit", "close", "kill"] {
        let start = format!("\"$TSM\" start --name {how} bash -c 'trap \"\" TTOU; echo up; exec sleep 1000'");
        let seen = typed(&user, how, &[], &[&start]);
        assert!(seen.contains(&format!("Started: {how} (TSM ID: ")), "{seen}");
        let pid = user.pid(how);
        assert!(is_alive(pid));
        assert!(is_alive(user.supervisor(how)));
        eventually("its first line is in its log", || text(&user.log(how)).contains("up"));
        let terminal = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let terminal = terminal.rsplit(')').next().unwrap().split_whitespace().nth(4).unwrap().to_owned();
        assert_eq!(terminal, "0", "it has no terminal");
    }
    assert_eq!(user.json(&["list"]).as_array().unwrap().len(), 3);
}

#[test]
fn colours_are_for_terminals_without_no_color_and_never_in_a_pipe() {
    let user = User::new();
    user.ok(&["start", "sleep", "1000"]);
    let lines = ["\"$TSM\" list", "\"$TSM\" stop nope"];
    let color =
        |seen: &str| seen.contains("\u{1b}[3") || seen.contains("\u{1b}[1m") || seen.contains("\u{1b}[9");
    let seen = typed(&user, "exit", &[], &lines);
    assert!(color(&seen), "{seen:?}");
    let seen = typed(&user, "exit", &[("NO_COLOR", "1")], &lines);
    assert!(!color(&seen) && seen.contains("my-api-sleep"), "{seen:?}");
    let seen = typed(&user, "exit", &[("TERM", "dumb")], &lines);
    assert!(!color(&seen), "{seen:?}");
    for words in [&["list"][..], &["info", "0"], &["start", "no-such-command"], &["--help"], &[]] {
        let ran = user.tsm(words);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{ran:?}");
    }
}

#[test]
fn a_person_sees_a_crash_at_start_up_at_once_and_a_script_is_not_kept_waiting() {
    let user = User::new();
    user.file("dies.py", "import sys\nprint('no flux capacitor')\nsys.exit(3)\n");
    let seen = typed(
        &user,
        "exit",
        &[],
        &["\"$TSM\" start --restart no --kind pid python3 dies.py; echo \"code=$?\""],
    );
    assert!(seen.contains("no flux capacitor") && seen.contains("code=1"), "{seen}");
    // Without a terminal the same start has done its duty when the program runs.
    user.ok(&["start", "--name", "script", "--restart", "no", "--kind", "pid", "python3", "dies.py"])
        .says("Started: script");
    user.until_state("script", "exited");
}

#[test]
fn words_and_directories_that_are_no_utf8_are_refused_in_words() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let user = User::new();
    let odd = OsStr::from_bytes(b"odd-\xff");
    let mut command = user.tsm_command(&["start", "echo"]);
    command.arg(odd);
    run(command).code(2).complains("UTF-8");
    let dir = user.home().join(odd);
    fs::create_dir(&dir).unwrap();
    let mut command = user.tsm_command(&["start", "sleep", "1000"]);
    command.current_dir(&dir).stdin(Stdio::null());
    run(command).code(1).complains("UTF-8");
    assert_eq!(user.json(&["list", "all"]), json!([]));
}

#[test]
fn every_verb_serves_cron_without_a_question_or_a_colour_and_with_its_code() {
    let user = User::new();
    let home = user.home().display().to_string();
    let port = free_port();
    user.program("nap.sh", "#!/bin/sh\nexec sleep 1000\n");
    user.file("env/dev.env", "A=1\n");
    let foreign = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let busy = foreign.local_addr().unwrap().port().to_string();
    let nap = format!("{}/nap.sh", user.cwd().display());
    let (port, pid) = (port.to_string(), std::process::id().to_string());
    for (words, code) in [
        (&["start", "--wait", "--name", "nap", &nap][..], 0),
        (&["start", "--name", "nap", &nap], 0),
        (&["start", "--dry-run", &nap], 0),
        (&["start", "--port", &busy, &nap], 6),
        (&["start", "no-such-program"], 4),
        (&["list"], 0),
        (&["list", "available"], 0),
        (&["logs", "nap"], 0),
        (&["logs", "nobody"], 4),
        (&["info", "nap"], 0),
        (&["why", "nap"], 0),
        (&["why", "nobody"], 4),
        (&["cd", "nap"], 0),
        (&["env"], 0),
        (&["env", "nap"], 0),
        (&["env", "init", "dev"], 6),
        (&["ports"], 0),
        (&["ports", &busy], 1),
        (&["ports", "--range"], 0),
        (&["doctor", "--all"], 0),
        (&["doctor", "port", &port], 0),
        (&["doctor", "port", &busy], 1),
        (&["doctor", "kill", &port], 0),
        (&["doctor", "kill", &busy], 6),
        (&["kill", &format!("pid:{pid}")], 6),
        (&["doctor", "healthcheck"], 0),
        (&["doctor", "orphans"], 0),
        (&["doctor", "clean"], 0),
        (&["doctor", "env", "env/dev.env"], 0),
        (&["doctor", "validate", &nap], 0),
        (&["patterns"], 0),
        (&["save", "dozer", "nap"], 0),
        (&["save", "dozer", "sleep", "1"], 6),
        (&["enable", "dozer"], 0),
        (&["startup"], 0),
        (&["disable", "dozer"], 0),
        (&["show", "dozer"], 0),
        (&["show", "nobody"], 4),
        (&["socket", "health", "nap"], 0),
        (&["ipc", "list"], 0),
        (&["with", "nap", "--", "sh", "-c", "exit 7"], 7),
        (&["repl"], 0),
        (&["completions", "bash"], 0),
        (&["restart", "nap"], 0),
        (&["stop", "nap"], 0),
        (&["info", "nap"], 3),
        (&["env", "nap"], 3),
        (&["socket", "health", "nap"], 3),
        (&["delete", "nap"], 0),
        (&["stop", "nap"], 4),
        (&["kill", "all"], 0),
        (&["cleanup"], 0),
        (&["nonsense"], 2),
    ] {
        let mut command = user.command("sh");
        command.env_clear().env("HOME", &home).env("PATH", "/usr/bin:/bin");
        // As cron does: no terminal, and here not even an input.
        let line = format!("TSM_DIR={} exec \"$0\" \"$@\" <&-", user.tsm_dir().display());
        command.args(["-c", &line, TSM]).args(words);
        let ran = run(command);
        assert_eq!(ran.code, code, "{words:?}: {ran:#?}");
        for said in [&ran.stdout, &ran.stderr] {
            assert!(!said.contains('\x1b') && !said.contains("[y/N]"), "{words:?}: {said}");
        }
        assert!(
            code == 0 || code == 1 || code == 3 || code == 7 || ran.stderr.starts_with("tsm: "),
            "{words:?}: {ran:#?}"
        );
    }
}
