//! The command of `tsm with`: its words, its codes, its signals and its terminal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::callers::typed;
use crate::kit::{User, eventually, kill, run, text};
use crate::terminal::Terminal;
use crate::with::{Beside, tasks};

const TSM: &str = env!("CARGO_BIN_EXE_tsm");

/// A mask of `/proc/PID/status`, without the two signals that the C library keeps for itself.
fn signals(status: &str, mask: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{mask}:"))).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & !(0b11 << 31)
}

/// What whoever runs these tests has ignored, as tmux does some; but for PIPE, which a program that is started gets back.
fn ignored_here() -> u64 {
    signals(&std::fs::read_to_string("/proc/self/status").unwrap(), "SigIgn") & !(1 << 12)
}

#[test]
fn the_code_is_the_commands_for_every_code_and_signal() {
    let user = User::new();
    user.ok(&["start", "--name", "s", "sleep", "1000"]);
    user.until_state("s", "online");
    for code in (0..=255).step_by(15).chain([1, 2, 3, 124, 126, 127, 128, 254]) {
        user.tsm(&["with", "s", "--", "sh", "-c", &format!("exit {code}")]).code(code);
    }
    for (signal, code) in
        [("TERM", 143), ("KILL", 137), ("INT", 130), ("HUP", 129), ("SEGV", 139), ("USR1", 138)]
    {
        user.tsm(&["with", "s", "--", "sh", "-c", &format!("kill -{signal} $$")]).code(code);
    }
    // Nothing of a signal's handling is left in the command, and PIPE is as a shell leaves it.
    let ran = user.ok(&["with", "s", "--", "cat", "/proc/self/status"]);
    for (mask, left) in [("SigBlk", 0), ("SigIgn", ignored_here()), ("SigCgt", 0)] {
        assert_eq!(signals(&ran.stdout, mask), left, "{mask}");
    }
}

#[test]
fn a_command_that_cannot_be_executed_has_a_shells_code_and_its_services_are_stopped() {
    let user = tasks();
    user.file("data", "no program");
    user.file("bad", "#!/does/not/exist\n");
    user.program("script", "echo run by sh $1\n");
    run({
        let mut command = user.command("chmod");
        command.args(["755", "bad"]);
        command
    })
    .code(0);
    for (words, code, why) in [
        (&["nonesuch"][..], 127, "cannot run nonesuch: command not found"),
        (&["./nonesuch"], 127, "cannot run ./nonesuch: command not found"),
        (&["./data"], 126, "cannot run ./data: permission denied"),
        (&["/"], 126, "cannot run /: permission denied"),
        (&["./bad"], 127, "its interpreter does not exist"),
    ] {
        let mut all = vec!["with", "one", "--"];
        all.extend(words);
        user.tsm(&all).code(code).complains(why);
        assert_eq!(user.state("one"), "stopped");
    }
    user.ok(&["with", "one", "--", "./script", "x"]).says("run by sh x\n");
}

#[test]
fn the_words_are_exact_and_one_line_is_read_as_start_reads_it() {
    let user = User::new();
    user.ok(&["start", "--name", "s", "--env-var", "MODE=m", "sleep", "1000"]);
    user.ok(&["with", "s", "--", "printf", "<%s>", "a  b", "$HOME", "*", ""]).says("<a  b><$HOME><*><>");
    user.ok(&["with", "s", "--", "printf '<%s>' \"a  b\" c"]).says("<a  b><c>");
    user.ok(&["with", "s", "--", "echo $MODE && echo \"$MODE\" | tr m n"]).says("m\nn\n");
    user.ok(&["with", "s", "--", "sh", "-c", "echo \"$0\"", "--json"]).says("--json\n");
    let mut command = user.tsm_command(&["with", "s", "--", "printf", "%s"]);
    command.arg(OsStr::from_bytes(b"\xff\xfe")).stdout(fs::File::create(user.cwd().join("raw")).unwrap());
    assert!(command.status().unwrap().success());
    assert_eq!(fs::read(user.cwd().join("raw")).unwrap(), b"\xff\xfe");
    // The shell of the caller is the caller's: what the command starts is bound to its own parent.
    let mut command = user.tsm_command(&["with", "s", "--", "printenv", "TSM_SHELL_PID"]);
    command.env("TSM_SHELL_PID", "4242");
    run(command).code(1);

    user.tsm(&["with", "s", "--"]).code(2).complains("with needs a command behind --");
    user.tsm(&["with", "s", "npm", "test"]).code(2).complains("try: tsm with s -- npm test");
    user.tsm(&["with", "--", "true"]).code(2);
    user.tsm(&["with", "s", "--", "printf 'x"]).code(2).complains("a quote is not closed");
}

#[test]
fn ctrl_c_is_the_commands_and_the_services_are_stopped() {
    for (script, code) in [
        ("echo up; exec sleep 1000", 130),
        ("trap 'exit 7' INT; echo up; while :; do sleep 0.01; done", 7),
        ("trap '' INT; echo up; read -r line; exit 9", 9),
    ] {
        let user = tasks();
        let mut terminal = user.terminal(80, &["with", "one", "--", "sh", "-c", script]);
        terminal.shows("up");
        terminal.interrupt();
        if code == 9 {
            assert_eq!(user.state("one"), "online", "the command goes on, and so does the service");
            terminal.types("go");
        }
        let (said, ended) = terminal.end();
        assert_eq!(ended, code, "{said}");
        assert!(said.contains("tsm: stopped one"), "{said}");
        assert_eq!(user.state("one"), "stopped");
    }
}

#[test]
fn term_and_hup_are_passed_on_and_int_alone_is_not() {
    let user = tasks();
    let script = "trap 'echo T >>got; exit 5' TERM; trap 'echo H >>got; exit 6' HUP; trap 'echo I >>got' INT; \
                  touch up; while :; do sleep 0.01; done";
    for (signal, code, got) in [("TERM", 5, "T\n"), ("HUP", 6, "H\n")] {
        let _ = fs::remove_file(user.cwd().join("up"));
        let _ = fs::remove_file(user.cwd().join("got"));
        let with = Beside::run(&user, &["with", "one", "--", "sh", "-c", script]);
        eventually("it is up", || user.cwd().join("up").exists());
        kill(with.pid(), "INT");
        kill(with.pid(), signal);
        assert_eq!(with.code(), code, "{signal}");
        assert_eq!(text(&user.cwd().join("got")), got);
        assert_eq!(user.state("one"), "stopped");
    }
    // A terminal that is closed hangs up its shell, which hangs up its jobs.
    let _ = fs::remove_file(user.cwd().join("up"));
    let line =
        "\"$TSM\" with one -- sh -c 'touch up; exec sleep 1000' & until test -e up; do sleep 0.01; done";
    typed(&user, "close", &[], &[line]);
    eventually("nothing is left", || user.alive().is_empty());
    assert_eq!(user.state("one"), "stopped");
}

#[test]
fn what_is_ignored_stays_ignored_for_the_command() {
    let user = tasks();
    let mut command = user.command("sh");
    let line = "trap '' HUP; exec \"$0\" with one -- sh -c 'kill -HUP $PPID $$; grep SigIgn /proc/$$/status'";
    command.args(["-c", line, TSM]);
    assert_eq!(signals(&run(command).code(0).stdout, "SigIgn"), ignored_here() | 1);
}

#[test]
fn the_terminal_is_the_commands() {
    let user = tasks();
    let mut command = user.command("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("TERM", "dumb").env("PS1", "$ ").env("TSM", TSM);
    let mut terminal = Terminal::open(command);
    terminal.types(
        "\"$TSM\" with one -- bash -c 'read -r -p \"say:\" x </dev/tty; echo \"got-$x-\"'; echo code-$?-",
    );
    terminal.shows("say:");
    terminal.types("hello");
    terminal.shows("got-hello-");
    terminal.shows("code-0-");
    terminal.control_d();
    terminal.end();
}
