//! `tsm repl`, at a terminal and from a script.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::kit::{Ran, User, eventually, free_port, kill, text};
use crate::terminal::Terminal;

impl User {
    /// A REPL at a terminal, which has shown its prompt.
    fn repl(&self) -> Terminal {
        let mut repl = self.terminal(100, &["repl"]);
        repl.shows("tsm> ");
        repl
    }

    /// A REPL that reads these lines.
    fn script(&self, lines: &str) -> Ran {
        let file = self.file("script", lines);
        let mut command = self.tsm_command(&["repl"]);
        command.stdin(fs::File::open(file).unwrap());
        crate::kit::run(command)
    }

    /// The PIDs of this user's processes whose command line contains `part`.
    fn running(&self, part: &str) -> Vec<i32> {
        self.alive().into_iter().filter(|(_, command)| command.contains(part)).map(|(pid, _)| pid).collect()
    }
}

impl Terminal {
    /// What a line prints, as far as the next prompt.
    #[track_caller]
    fn answers(&mut self, line: &str) -> String {
        self.types(line);
        // The line as it stands when return was pressed, after whatever was shown of it while it was typed.
        self.until("\n");
        self.until("tsm> ")
    }
}

/// `text` without what moves the cursor or colours.
fn bare(text: &str) -> String {
    let mut shown = String::new();
    let mut parts = text.split("\x1b[");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        shown.push_str(part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    }
    shown
}

#[test]
fn the_session_of_the_tour() {
    let user = User::new();
    let port = free_port();
    user.file("server.py", "import http.server, os\nhttp.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n");
    let mut repl = user.repl();
    let started = repl.answers(&format!("start --port {port} python3 server.py"));
    assert!(started.contains(&format!("Started: my-api-server-{port} (TSM ID: 0, PID: ")), "{started}");
    let list = repl.answers("list");
    assert!(list.contains("ID") && list.contains(&format!("my-api-server-{port}")), "{list}");
    let tolerated = repl.answers("tsm list --json");
    assert!(tolerated.contains("\"online\""), "{tolerated}");
    let help = repl.answers("help");
    for part in ["!COMMAND", "/history", "Ctrl-C", "  start", "  doctor"] {
        assert!(help.contains(part), "no {part} in {help}");
    }
    let wrong = repl.answers("lst");
    assert!(bare(&wrong).contains("tsm: there is no verb \"lst\""), "{wrong}");
    repl.answers("stop all");
    let typed = repl.answers("/history");
    for line in ["1  start --port", "2  list", "6  stop all", "7  /history"] {
        assert!(typed.contains(line), "no {line} in {typed}");
    }
    repl.types("exit");
    assert_eq!(repl.end().1, 0);
}

#[test]
fn the_prompt_counts_what_runs() {
    let user = User::new();
    let mut repl = user.terminal(100, &["--color=never", "repl"]);
    repl.shows("[0] tsm> ");
    user.ok(&["start", "--name", "a", "sleep", "600"]);
    // Nothing is said until there is a prompt again.
    repl.types("");
    repl.shows("[1] tsm> ");
    let (program, supervisor) = (user.pid("a"), user.supervisor("a"));
    kill(supervisor, "KILL");
    kill(program, "KILL");
    eventually("both are gone", || user.running("sleep").is_empty());
    repl.types("list all");
    repl.shows("lost");
    repl.shows("[0] tsm> ");
    repl.types("restart a");
    repl.shows("[1] tsm> ");
    for (name, colour) in
        [("b", "\x1b[33m[2]"), ("c", "\x1b[33m[3]"), ("d", "\x1b[33m[4]"), ("e", "\x1b[32m[5]")]
    {
        user.ok(&["start", "--name", name, "sleep", "600"]);
        user.terminal(100, &["repl"]).shows(colour);
    }
    user.ok(&["stop", "all"]);
    let mut coloured = user.terminal(100, &["repl"]);
    coloured.shows("\x1b[1m\x1b[31m[0]\x1b[0m tsm> ");
}

#[test]
fn ctrl_c_ends_what_runs_and_clears_what_is_typed() {
    let user = User::new();
    user.ok(&["start", "--name", "ticker", "sh", "-c", "echo tick; exec sleep 600"]);
    let mut repl = user.repl();
    repl.types("logs -f ticker");
    repl.shows("tick");
    let followers = || user.running("logs");
    eventually("it follows", || followers().len() == 1);
    repl.interrupt();
    repl.shows("tsm> ");
    eventually("the follower is gone", || followers().is_empty());
    // What is typed is shown anew with each key, behind the prompt.
    repl.presses("stop al");
    repl.interrupt();
    repl.until("\n");
    repl.shows("tsm> ");
    let list = repl.answers("list");
    assert!(list.contains("ticker"), "the line was not thrown away: {list}");
    // A shell command that does not mind it ends by itself.
    repl.types("!trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done");
    repl.shows("ready\r\n");
    repl.interrupt();
    repl.shows("caught");
    repl.shows("tsm> ");
    repl.presses("\x04");
    assert_eq!(repl.end().1, 0, "Ctrl-D leaves");
    user.until_state("ticker", "online");
}

#[test]
fn nothing_that_dies_takes_it_down() {
    let user = User::new();
    user.ok(&["start", "--name", "ticker", "sh", "-c", "echo tick; exec sleep 600"]);
    let mut repl = user.repl();
    repl.types("logs -f ticker");
    repl.shows("tick");
    eventually("it follows", || user.running("logs").len() == 1);
    kill(user.running("logs")[0], "KILL");
    repl.shows("logs was ended by signal 9");
    repl.shows("tsm> ");
    // A program that leaves the terminal raw, and one that leaves with its foreground.
    repl.types("!stty raw -echo; kill -9 $$");
    repl.shows("tsm> ");
    let modes = repl.answers("!stty -a");
    assert!(modes.contains(" icanon") && modes.contains("opost"), "{modes}");
    repl.types("!exec bash --norc -i");
    repl.shows("bash");
    let bash = || user.running("bash --norc -i");
    eventually("bash runs", || bash().len() == 1);
    repl.types("kill -9 $$");
    repl.shows("signal 9");
    repl.shows("tsm> ");
    assert!(repl.answers("list").contains("ticker"));
    repl.types("quit");
    assert_eq!(repl.end().1, 0);
}

#[test]
fn it_takes_what_runs_along_when_it_is_ended() {
    for (signal, code) in [("TERM", 15), ("HUP", 1)] {
        let user = User::new();
        user.ok(&["start", "--name", "ticker", "sh", "-c", "echo tick; exec sleep 600"]);
        let mut repl = user.repl();
        repl.types("logs -f ticker");
        repl.shows("tick");
        eventually("it follows", || user.running("logs").len() == 1);
        let own = user.running(" repl").first().copied().unwrap();
        kill(own, signal);
        eventually("the REPL and its follower are gone", || {
            user.running("logs").is_empty() && user.running(" repl").is_empty()
        });
        user.until_state("ticker", "online");
        drop(repl);
        // At the prompt, too.
        let repl = user.repl();
        kill(user.running(" repl")[0], signal);
        let (_, ended) = repl.end();
        assert_eq!(ended, 128 + code);
    }
}

#[test]
fn who_started_it_gets_the_terminal_back_as_it_was_and_nothing_that_writes_there() {
    let user = User::new();
    user.ok(&["start", "--name", "ticker", "sh", "-c", "echo tick; exec sleep 600"]);
    // This shell leads the session, so that no hangup of the kernel's ends anything.
    let script = format!("'{}' repl; stty -a; echo o''ver; read -r line", env!("CARGO_BIN_EXE_tsm"));
    let open = || {
        let mut command = user.command("sh");
        command.args(["-c", &script]).env("TERM", "xterm");
        let mut shell = Terminal::open(command);
        shell.shows("tsm> ");
        shell
    };
    let mut shell = open();
    kill(user.running(" repl ")[0], "TERM");
    let modes = shell.until("over");
    assert!(modes.contains(" icanon") && modes.contains(" icrnl"), "{modes}");
    shell.leave("");
    let mut shell = open();
    shell.types("logs -f ticker");
    shell.shows("tick");
    eventually("it follows", || user.running("logs").len() == 1);
    kill(user.running(" repl ")[0], "TERM");
    shell.shows("over");
    eventually("the follower is gone", || user.running("logs").is_empty());
    shell.leave("");
}

#[test]
fn words_are_never_mangled() {
    let user = User::new();
    let mut repl = user.repl();
    let line = r#"start --name odd python3 -c 'import sys,time; print(sys.argv[1:]); time.sleep(600)' "two  words" * '$HOME' it\'s ~ {a,b} """#;
    repl.answers(line);
    eventually("it has printed", || user.tsm(&["logs", "odd"]).stdout.contains(']'));
    assert_eq!(
        user.tsm(&["logs", "odd"]).stdout,
        "['two  words', '*', '$HOME', \"it's\", '~', '{a,b}', '']\n"
    );
    let open = repl.answers("start 'echo");
    assert!(bare(&open).contains("tsm: a quote is left open"), "{open}");
    assert!(!user.process_dir("my-api-echo").exists());
}

#[test]
fn the_shell_has_the_terminal_and_directories_are_the_repls() {
    let user = User::new();
    user.file("sub dir/file", "");
    user.ok(&["start", "--name", "there", "--dir", "sub dir", "sleep", "600"]);
    let mut repl = user.terminal_with(100, &["repl"], &[("SHELL", "/bin/bash")]);
    repl.shows("tsm> ");
    assert!(
        repl.answers("!test -t 0 && test -t 1 && echo \"bash ${BASH_VERSION:+yes} $((6 * 7))\"")
            .contains("bash yes 42")
    );
    assert!(repl.answers("cd 'sub dir'").contains("/my-api/sub dir"));
    assert!(repl.answers("!pwd; ls").contains("/my-api/sub dir\nfile"));
    assert!(repl.answers("cd -").contains("/my-api\n"));
    assert!(repl.answers("cd there").contains("/my-api/sub dir"));
    let started = repl.answers("start sleep 600");
    assert!(started.contains("Started: sub-dir-sleep"), "{started}");
    let hinted = repl.answers("!cd ..");
    assert!(bare(&hinted).contains("that was the shell's directory") && hinted.contains("cd .."), "{hinted}");
    assert!(repl.answers("!pwd").contains("/my-api/sub dir"));
    let wrong = repl.answers("cd nowhere");
    assert!(bare(&wrong).contains("no directory and no process \"nowhere\""), "{wrong}");
    assert!(repl.answers("cd").contains(&user.home().display().to_string()));
    // A shell that is not there.
    let mut repl = user.terminal_with(100, &["repl"], &[("SHELL", "/no/such/shell")]);
    repl.shows("tsm> ");
    assert!(bare(&repl.answers("!ls")).contains("cannot run /no/such/shell"));
}

#[test]
fn a_relative_directory_of_tsm_stays_where_it_was() {
    let user = User::new();
    user.file("sub/file", "");
    let script = user.file("script", "start --name far sleep 600\ncd sub\nlist --json\nstop far\n");
    let mut command = user.tsm_command(&["repl"]);
    command.env("TSM_DIR", "../state").stdin(fs::File::open(script).unwrap());
    let ran = crate::kit::run(command).code(0);
    assert!(ran.stdout.contains("\"name\": \"far\""), "{ran:?}");
    assert!(!user.cwd().join("state").exists());
    assert_eq!(user.alive(), []);
}

#[test]
fn history_is_kept_for_the_next_one_and_secrets_are_not() {
    let user = User::new();
    let file = user.tsm_dir().join("repl_history");
    let mut first = user.repl();
    let mut second = user.repl();
    first.answers("list all");
    second.answers("list available");
    first.answers("start --env-var API_TOKEN=hunter2 --dry-run sleep 1");
    first.types("exit");
    first.end();
    second.types("exit");
    second.end();
    assert_eq!(text(&file), "list all\nlist available\nexit\nexit\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let mut third = user.repl();
    let typed = third.answers("/history");
    assert!(typed.contains("list all") && typed.contains("list available"), "{typed}");
    // Up, up, up: over `/history` and `exit` to `list available`.
    third.presses("\x1b[A\x1b[A\x1b[A\r");
    third.shows("NAME");
    third.shows("tsm> ");
}

#[test]
fn a_history_that_cannot_be_written_is_said_once() {
    let user = User::new();
    fs::create_dir_all(user.tsm_dir().join("repl_history")).unwrap();
    let mut repl = user.repl();
    let said = repl.answers("list");
    assert!(said.contains("this history is not kept: cannot write"), "{said}");
    assert!(!repl.answers("list all").contains("not kept"));
}

#[test]
fn tab_completes_as_in_a_shell() {
    let user = User::new();
    user.file("my data.txt", "");
    for name in ["worker-one", "worker-two"] {
        user.ok(&["start", "--wait", "--name", name, "sleep", "600"]);
    }
    let mut repl = user.repl();
    repl.presses("inf\tworker-o\t--js\t\r");
    repl.shows("\"worker-one\"");
    repl.shows("tsm> ");
    repl.presses("logs wor\t\t");
    repl.shows("worker-one  (online, pid, ");
    repl.shows("worker-two  (online, pid, ");
    repl.presses("tw\t\r");
    repl.shows("worker-two has logged nothing yet");
    repl.shows("tsm> ");
    // In the middle of a line, and in quotes.
    repl.presses("info  --json\x01\x1bf\x06worker-t\t\r");
    repl.shows("\"worker-two\"");
    repl.shows("tsm> ");
    repl.presses("start --name c --dry-run cat my\t\r");
    repl.shows("my data.txt");
    repl.shows("tsm> ");
    repl.presses("exi\t\r");
    assert_eq!(repl.end().1, 0);
}

#[test]
fn a_script_runs_every_line_and_ends_with_the_worst_code() {
    let user = User::new();
    let ran =
        user.script("# a comment\n\nstart --name a sleep 600\n tsm info nope\nlist --json\nstop a\n").code(4);
    assert!(ran.stdout.starts_with("Started: a "), "{ran:?}");
    assert!(ran.stdout.contains("\"name\": \"a\"") && ran.stdout.contains("Stopped: a"), "{ran:?}");
    assert!(!ran.stdout.contains("tsm> ") && !ran.stdout.contains('\x1b'), "{ran:?}");
    assert!(ran.stderr.contains("no such process: nope") || ran.stderr.contains("nope"), "{ran:?}");
    user.script("list\n").code(0);
    user.script("start 'x\nlist").code(2).complains("left open");
    user.script("exit\nnonsense\n").code(0);
    user.script("!exit 7\n!kill -9 $$").code(137);
    // What a verb would read are not the next lines, and no program gets them.
    let ran = user.script("!cat\n!echo next\n").code(0);
    assert_eq!(ran.stdout, "next\n");
    assert!(!user.tsm_dir().join("repl_history").exists(), "nobody typed that");
}

#[test]
fn a_script_is_obeyed_line_by_line() {
    let user = User::new();
    let mut command = user.tsm_command(&["repl"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "start --name a sleep 600").unwrap();
    eventually("the first line was obeyed", || user.process_dir("a").join("status.json").exists());
    // It reads nothing, and would otherwise wait for the next line, and take it.
    writeln!(input, "!cat; touch over").unwrap();
    eventually("cat has ended", || user.cwd().join("over").exists());
    writeln!(input, "stop a").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Stopped: a"));
}
