//! `tsm daemon`: one of each user, from its start to its end, and what is made of one that hangs or is of another age.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::control::{Client, mode};
use crate::kit::{Ran, User, eventually, is_alive, kill, run, text};

impl User {
    /// A file of the daemon's directory.
    pub(crate) fn daemon_file(&self, name: &str) -> PathBuf {
        self.tsm_dir().join("daemon").join(name)
    }

    /// Starts the daemon; its PID.
    pub(crate) fn daemon(&self) -> i32 {
        let ran = self.ok(&["daemon", "start", "--json"]);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["pid"].as_i64().unwrap() as i32
    }

    /// A connection to the daemon.
    pub(crate) fn api(&self) -> Client {
        Client::connect(&self.daemon_file("daemon.sock"))
    }

    /// The daemons of this user that live.
    fn daemons(&self) -> Vec<i32> {
        let all = self.alive().into_iter().filter(|(_, command)| command.starts_with("tsm daemon run"));
        all.map(|(pid, _)| pid).collect()
    }

    fn status(&self) -> (i32, Value) {
        let ran = self.tsm(&["daemon", "status", "--json"]);
        (ran.code, serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}")))
    }
}

/// A program that takes a second to stop.
const SLOW: [&str; 3] = ["bash", "-c", "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done"];

#[test]
fn of_fifty_starts_at_once_one_is_left_and_all_succeed() {
    let user = User::new();
    let start = |_| {
        let mut command = user.tsm_command(&["daemon", "start", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<Child> = (0..50).map(start).collect();
    let mut pids: Vec<i64> = Vec::new();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        pids.push(serde_json::from_slice::<Value>(&output.stdout).unwrap()["pid"].as_i64().unwrap());
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 1, "{pids:?}");
    // Those that came second are gone as soon as they have seen the lock.
    eventually("one is left", || user.daemons() == [pids[0] as i32]);
    assert_eq!(text(&user.daemon_file("daemon.pid")).trim(), pids[0].to_string());
}

/// Starts the daemon in a shell at a terminal, and closes that terminal under the shell.
const HANG_UP: &str = r#"
import os, pty, sys
shell, terminal = pty.fork()
if shell == 0:
    os.execvp("bash", ["bash", "--norc", "-c", '"$0" daemon start; read line', sys.argv[1]])
said = b""
while b"Started the daemon" not in said:
    said += os.read(terminal, 1000)
os.close(terminal)
_, status = os.waitpid(shell, 0)
print(os.WTERMSIG(status))
"#;

#[test]
fn it_survives_its_terminal() {
    let user = User::new();
    let mut python = user.command("python3");
    python.args(["-c", HANG_UP, env!("CARGO_BIN_EXE_tsm")]);
    let hung_up = run(python).code(0);
    assert_eq!(hung_up.stdout.trim(), "1", "the shell has died of it");
    let (code, status) = user.status();
    assert_eq!(code, 0, "{status}");
    // tty_nr of proc_pid_stat(5), the fifth word behind the name: no terminal can hang it up.
    let stat = text(&PathBuf::from(format!("/proc/{}/stat", status["pid"])));
    assert_eq!(stat.rsplit(") ").next().unwrap().split(' ').nth(4), Some("0"), "{stat}");
}

#[test]
fn a_second_start_says_so_with_the_status() {
    let user = User::new();
    let pid = user.daemon();
    let again = user.ok(&["daemon", "start"]).says(&format!("Already running (PID: {pid}, version "));
    assert_eq!(again.stderr, "");
    user.tsm(&["daemon", "run"]).code(6).complains("the daemon runs already");
    assert_eq!(user.daemons(), [pid]);
}

#[test]
fn its_files_are_private_and_go_with_it() {
    let user = User::new();
    let dir = user.tsm_dir().join("daemon");
    fs::create_dir_all(&dir).unwrap();
    run({
        let mut chmod = user.command("chmod");
        chmod.arg("755").arg(&dir);
        chmod
    })
    .code(0);
    let pid = user.daemon();
    assert_eq!(mode(&dir), 0o700, "also a directory that was there");
    for name in ["daemon.sock", "daemon.pid", "daemon.state", "daemon.log", "daemon.lock"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    let state: Value = serde_json::from_str(&text(&dir.join("daemon.state"))).unwrap();
    assert_eq!((&state["pid"], &state["version"]), (&pid.into(), &env!("CARGO_PKG_VERSION").into()));
    assert_eq!(state["socket"], dir.join("daemon.sock").display().to_string());
    assert!(state["started_ms"].is_u64() && state["schema"].is_u64(), "{state}");
    user.ok(&["daemon", "stop"]).says("Stopped the daemon");
    assert!(!is_alive(pid));
    for name in ["daemon.sock", "daemon.pid", "daemon.state"] {
        assert!(!dir.join(name).exists(), "{name} was left");
    }
    user.ok(&["daemon", "logs"]).says("started, version").says("ended");
    user.ok(&["daemon", "stop"]).says("The daemon does not run");
}

#[test]
fn what_a_dead_one_has_left_is_replaced() {
    let user = User::new();
    let first = user.daemon();
    kill(first, "KILL");
    eventually("it is dead", || !is_alive(first));
    for name in ["daemon.sock", "daemon.pid", "daemon.state"] {
        assert!(user.daemon_file(name).exists(), "{name}");
    }
    assert_eq!(user.status().0, 3, "a file is no daemon");
    let second = user.daemon();
    assert!(second != first && is_alive(second));
    user.ok(&["daemon", "ping"]).says("pong");
    user.ok(&["daemon", "stop"]);

    // Whatever stands in these files, nobody is taken for the daemon, and nobody is ended.
    user.ok(&["start", "--name", "other", "sleep", "1000"]);
    let other = user.pid("other");
    fs::write(user.daemon_file("daemon.pid"), format!("{other}\n")).unwrap();
    fs::write(user.daemon_file("daemon.state"), format!("{{\"pid\":{other},\"version\":\"9.9.9\"")).unwrap();
    fs::write(user.daemon_file("daemon.sock"), "no socket").unwrap();
    user.tsm(&["daemon", "status"]).code(3).says("does not run");
    user.ok(&["daemon", "stop"]).says("does not run");
    user.ok(&["daemon", "restart"]).says("Started the daemon");
    assert_eq!(user.pid("other"), other);
    user.ok(&["daemon", "ping"]).says("pong");
}

#[test]
fn it_ends_after_the_requests_under_way_and_leaves_the_processes() {
    for how in ["stop", "TERM", "INT"] {
        let user = User::new();
        user.ok(&["start", "--name", "stays", "sleep", "1000"]);
        user.ok(&[&["start", "--name", "slow"], &SLOW[..]].concat());
        let (stays, slow) = (user.pid("stays"), user.pid("slow"));
        let pid = user.daemon();
        let mut api = user.api();
        api.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stop\",\"params\":{\"refs\":[\"slow\"]}}\n");
        // On a busy machine it may be over before somebody looks.
        eventually("the stop is under way", || ["stopping", "stopped"].contains(&&*user.state("slow")));
        match how {
            "stop" => drop(user.ok(&["daemon", "stop"]).says("Stopped the daemon")),
            signal => kill(pid, signal),
        }
        let reply = api.hear().unwrap_or_else(|| panic!("{how}: the request was dropped"));
        assert_eq!(
            (&reply["id"], &reply["result"][0]["name"]),
            (&1.into(), &"slow".into()),
            "{how}: {reply}"
        );
        eventually("it has ended", || !is_alive(pid));
        assert!(!is_alive(slow), "{how}");
        assert_eq!(user.pid("stays"), stays, "{how}");
        for name in ["daemon.sock", "daemon.pid", "daemon.state"] {
            assert!(!user.daemon_file(name).exists(), "{how}: {name} was left");
        }
        assert_eq!(api.hear(), None);
    }
}

#[test]
fn with_processes_stops_them_with_and_without_a_daemon() {
    let user = User::new();
    for runs in [true, false] {
        user.ok(&["start", "--name", "web", "sleep", "1000"]);
        let (pid, daemon) = (user.pid("web"), if runs { user.daemon() } else { 0 });
        let ran = user.ok(&["daemon", "stop", "--with-processes"]).says("Stopped: web");
        ran.says(if runs { "Stopped the daemon" } else { "The daemon does not run" });
        assert!(!is_alive(pid) && (!runs || !is_alive(daemon)));
        assert_eq!(user.state("web"), "stopped");
    }
    user.ok(&["start", "web"]);
    user.daemon();
    let ran = user.ok(&["daemon", "stop", "--with-processes", "--json"]);
    let done: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&done["stopped"], &done["processes"][0]["name"]), (&true.into(), &"web".into()), "{done}");
}

#[test]
fn the_status_tells_what_is() {
    let user = User::new();
    let (code, status) = user.status();
    assert_eq!((code, &status["state"]), (3, &"not-running".into()), "{status}");
    user.tsm(&["daemon", "ping"]).code(5).complains("cannot reach the daemon");
    let pid = user.daemon();
    let (code, status) = user.status();
    assert_eq!((code, &status["state"], &status["pid"]), (0, &"running".into(), &pid.into()), "{status}");
    assert_eq!(status["version"], status["cli_version"]);
    let text = user.ok(&["daemon", "status"]).says("The daemon runs").says(&format!("pid           {pid}"));
    assert_eq!(text.stderr, "");

    kill(pid, "STOP");
    let (code, status) = user.status();
    assert_eq!((code, &status["state"]), (5, &"unresponsive".into()), "{status}");
    for args in [&["daemon", "status"][..], &["daemon", "start"], &["rpc", "ping"]] {
        let ran = user.tsm(args).code(5).complains("does not answer");
        ran.complains("try: tsm daemon restart");
    }
    user.tsm(&["daemon", "ping"]).code(5);
    // What needs no daemon does not wait for one.
    user.ok(&["metrics"]).says("tsm_processes{state=\"online\"} 0");
    user.ok(&["list"]);
    kill(pid, "CONT");
    eventually("it answers again", || user.status().0 == 0);
}

#[test]
fn one_that_hangs_is_replaced_by_a_restart() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    let web = user.pid("web");
    let pid = user.daemon();
    kill(pid, "STOP");
    user.ok(&["daemon", "restart"]).complains("did not answer").says("Started the daemon");
    assert!(!is_alive(pid));
    assert_eq!(user.daemons().len(), 1);
    assert_eq!(user.pid("web"), web);
}

/// A daemon in Python: holds the lock, says who it is, and does as it is told.
const FAKE: &str = r#"
import fcntl, json, os, signal, socket, sys
version, manner, named = sys.argv[1], sys.argv[2], int(sys.argv[3])
home = os.environ["TSM_DIR"] + "/daemon/"
os.makedirs(home, exist_ok=True)
lock = open(home + "daemon.lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
start = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
if named:
    start += 1000
pid = named or os.getpid()
state = {"schema": 1, "pid": pid, "start": start, "socket": home + "daemon.sock", "version": version, "started_ms": 1}
open(home + "daemon.state", "w").write(json.dumps(state))
listener = socket.socket(socket.AF_UNIX)
if os.path.exists(home + "daemon.sock"):
    os.unlink(home + "daemon.sock")
listener.bind(home + "daemon.sock")
listener.listen(64)
if manner == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while manner == "deaf":
    signal.pause()
while True:
    client, _ = listener.accept()
    for line in client.makefile():
        request = json.loads(line)
        result = {"pong": True, "fake": True}
        if request["method"] == "status":
            result = {"running": True, "pid": pid, "version": version, "uptime_ms": 1, "socket": home, "requests": 0}
        client.sendall((json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}) + "\n").encode())
        if request["method"] == "shutdown":
            sys.exit()
"#;

/// A fake daemon; it is ended with the test.
struct Fake(Child);

impl Fake {
    fn start(user: &User, version: &str, manner: &str, named: i32) -> Self {
        use std::io::{BufRead, BufReader};
        let path = user.file("fake.py", FAKE);
        let mut python: Command = user.command("python3");
        python.arg(path).args([version, manner, &named.to_string()]).stdout(Stdio::piped());
        let mut child = python.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Fake(child)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_newer_tsm_replaces_an_older_daemon_and_uses_a_newer_one() {
    let user = User::new();
    let mut old = Fake::start(&user, "0.0.1", "kind", 0);
    user.ok(&["daemon", "status"])
        .complains("it is older than this tsm")
        .complains("try: tsm daemon restart");
    let mut never = user.tsm_command(&["rpc", "ping"]);
    never.env("TSM_DAEMON", "never");
    run(never).code(0).says("fake");
    let ran = user.ok(&["rpc", "ping"]).complains("older tsm; it is replaced");
    assert!(!ran.stdout.contains("fake"), "{ran:#?}");
    old.0.wait().unwrap();
    assert_eq!(user.status().1["version"], env!("CARGO_PKG_VERSION"));
    user.ok(&["daemon", "stop"]);

    let _old = Fake::start(&user, "0.0.9", "kind", 0);
    user.ok(&["daemon", "start"]).says("Replaced the daemon of version 0.0.9");
    user.ok(&["daemon", "stop"]);

    let _new = Fake::start(&user, "99.0.0", "kind", 0);
    user.ok(&["daemon", "status"]).complains("it is newer than this tsm");
    user.ok(&["rpc", "ping"]).says("fake");
    user.ok(&["daemon", "start"]).says("Already running");
}

#[test]
fn one_that_ignores_all_is_killed_but_nobody_in_its_stead() {
    let user = User::new();
    let mut deaf = Fake::start(&user, "0.1.0", "deaf", 0);
    user.ok(&["daemon", "restart"]).complains("ended by a signal").says("Started the daemon");
    assert!(!deaf.0.wait().unwrap().success());
    user.ok(&["daemon", "stop"]);

    // Its file names a PID that is another process by now: the start time is not that one's.
    user.ok(&["start", "--name", "other", "sleep", "1000"]);
    let other = user.pid("other");
    let mut deaf = Fake::start(&user, "0.1.0", "deaf", other);
    user.tsm(&["daemon", "restart"]).code(124).complains("does not end");
    assert!(is_alive(other) && deaf.0.try_wait().unwrap().is_none());
}

#[test]
fn a_verb_that_needs_it_starts_it_and_says_so_once() {
    let user = User::new();
    let never = |args: &[&str]| -> Ran {
        let mut command = user.tsm_command(args);
        command.env("TSM_DAEMON", "never");
        run(command)
    };
    let refused = never(&["rpc", "ping"]).code(5).complains("TSM_DAEMON=never forbids");
    refused.complains("try: tsm daemon start");
    assert!(user.daemons().is_empty());
    let first = user.ok(&["rpc", "ping"]).complains("starting the daemon");
    assert_eq!(serde_json::from_str::<Value>(&first.stdout).unwrap()["pong"], true);
    let second = user.ok(&["rpc", "ping"]);
    assert_eq!(second.stderr, "", "said once");
    never(&["rpc", "ping"]).code(0);
    // Asking for it by name is no starting of its own accord.
    user.ok(&["daemon", "stop"]);
    never(&["daemon", "start"]).code(0).says("Started the daemon");
}

#[test]
fn a_directory_of_any_length_will_do() {
    const LONG: &str = concat!(
        "state-",
        "a-directory-with-a-name-that-is-much-longer-than-anybody-would-want-to-type-into-a-terminal/",
        "and-another-one-of-the-same-kind-below-it"
    );
    let user = User::within(&std::env::temp_dir(), LONG);
    let pid = user.daemon();
    user.ok(&["daemon", "ping"]).says("pong");
    kill(pid, "KILL");
    user.ok(&["daemon", "start"]);
    user.ok(&["rpc", "ping"]);
}

#[test]
fn its_log_is_capped_and_no_terminal_is_at_its_mercy() {
    let user = User::new();
    fs::create_dir_all(user.tsm_dir().join("daemon")).unwrap();
    fs::write(user.daemon_file("daemon.log"), "old \x1b[31mline\n".repeat(100_000)).unwrap();
    user.daemon();
    user.ok(&["daemon", "stop"]);
    assert!(fs::metadata(user.daemon_file("daemon.log")).unwrap().len() < 1000);
    assert!(fs::metadata(user.daemon_file("daemon.log.1")).unwrap().len() > 1 << 20);
    fs::copy(user.daemon_file("daemon.log.1"), user.daemon_file("daemon.log")).unwrap();
    let (shown, code) = user.at_terminal(80, &["daemon", "logs", "-n", "3"]);
    assert_eq!(code, 0);
    assert!(shown.contains("line") && !shown.contains('\x1b'), "{shown:?}");
}
