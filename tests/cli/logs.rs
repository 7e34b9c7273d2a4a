//! `tsm logs`: the last lines, one run, several processes, following, and logs that outlive their process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::kit::{User, eventually, is_alive, kill};

/// A process that says `count` numbered lines and stays.
fn talker(user: &User, name: &str, count: usize) {
    let script = format!("for i in $(seq {count}); do echo \"{name} $i\"; done; exec sleep 1000");
    user.ok(&["start", "--name", name, "sh", "-c", &script]);
    eventually("it has said it", || fs::read_to_string(user.log(name)).unwrap().lines().count() == count);
}

/// A `tsm logs -f` that is read line by line.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn new(user: &User, args: &[&str]) -> Self {
        let mut words = vec!["logs", "-f"];
        words.extend(args);
        let mut child = user.tsm_command(&words).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                if send.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Follower { child, lines }
    }

    #[track_caller]
    fn reads(&self, line: &str) {
        match self.lines.recv_timeout(Duration::from_secs(30)) {
            Ok(read) => assert_eq!(read, line),
            Err(why) => panic!("{line:?} did not come: {why}"),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        kill(self.child.id() as i32, "KILL");
        let _ = self.child.wait();
    }
}

#[test]
fn the_last_fifty_lines_or_as_many_as_asked() {
    let user = User::new();
    talker(&user, "talk", 120);
    let of = |args: &[&str]| -> Vec<String> {
        let mut words = vec!["logs", "talk"];
        words.extend(args);
        let ran = user.ok(&words);
        assert!(ran.stderr.is_empty(), "{ran:?}");
        ran.stdout.lines().map(str::to_owned).collect()
    };
    let last = |count: usize| -> Vec<String> { (121 - count..=120).map(|i| format!("talk {i}")).collect() };
    assert_eq!(of(&[]), last(50));
    assert_eq!(of(&["-n", "3"]), last(3));
    assert_eq!(of(&["--lines", "1000"]), last(120));
    assert_eq!(of(&["-n0"]), last(0));
    for bad in ["x", "", "1.5"] {
        user.tsm(&["logs", "talk", "-n", bad]).code(2);
    }
}

#[test]
fn run_shows_the_current_run_and_json_says_which_is_which() {
    let user = User::new();
    user.ok(&["start", "--name", "app", "sh", "-c", "echo one; echo two; exec sleep 1000"]);
    let logged = |lines: usize| {
        eventually("it has logged", || {
            fs::read_to_string(user.log("app")).unwrap_or_default().lines().count() == lines
        });
    };
    logged(2);
    user.ok(&["restart", "app"]);
    logged(4);
    assert_eq!(user.ok(&["logs", "app"]).stdout, "one\ntwo\none\ntwo\n");
    assert_eq!(user.ok(&["logs", "--run", "app"]).stdout, "one\ntwo\n");
    assert_eq!(user.ok(&["logs", "--run", "-n", "1", "app"]).stdout, "two\n");
    let ran = user.ok(&["logs", "--json", "-n", "3", "app"]);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            serde_json::json!({"name": "app", "run": null, "line": "two"}),
            serde_json::json!({"name": "app", "run": 2, "line": "one"}),
            serde_json::json!({"name": "app", "run": 2, "line": "two"}),
        ]
    );
}

#[test]
fn several_logs_are_told_apart_by_a_prefix() {
    let user = User::new();
    talker(&user, "web", 2);
    talker(&user, "worker", 1);
    let ran = user.ok(&["logs", "web", "worker"]);
    assert_eq!(ran.stdout, "web    | web 1\nweb    | web 2\nworker | worker 1\n");
    assert_eq!(user.ok(&["logs", "w*", "-n1"]).stdout, "web    | web 2\nworker | worker 1\n");
    let ran = user.tsm(&["logs", "nix", "web", "worker", "-n1"]).code(4);
    assert_eq!(ran.stdout, "web    | web 2\nworker | worker 1\n");
    let ran = user.ok(&["logs", "--color", "always", "all"]);
    assert!(ran.stdout.contains("\x1b[36mweb    |\x1b[0m web 1\n"), "{ran:?}");
}

#[test]
fn bytes_pass_through_as_they_are() {
    let user = User::new();
    user.ok(&["start", "--name", "raw", "sh", "-c", "printf 'a\\033[1mb\\377\\r\\n'; exec sleep 1000"]);
    eventually("it has logged", || fs::metadata(user.log("raw")).unwrap().len() > 0);
    let output = user.tsm_command(&["logs", "raw"]).output().unwrap();
    assert_eq!(output.stdout, b"a\x1b[1mb\xff\r\n");
    let line: Value = serde_json::from_str(&user.ok(&["logs", "--json", "raw"]).stdout).unwrap();
    assert_eq!(line["line"], "a\x1b[1mb\u{fffd}\r");
}

#[test]
fn follow_goes_on_across_restarts() {
    let user = User::new();
    user.ok(&["start", "--name", "app", "sh", "-c", "echo started; exec sleep 1000"]);
    let follower = Follower::new(&user, &["app"]);
    follower.reads("started");
    user.ok(&["restart", "app"]);
    follower.reads("started");
    user.ok(&["stop", "app"]);
    user.ok(&["start", "app"]);
    follower.reads("started");
}

#[test]
fn follow_shows_several_as_they_come_and_json_counts_the_runs() {
    let user = User::new();
    let echo = "while read -r line; do echo \"$line\"; done <\"$0\"";
    for name in ["a", "bb"] {
        let fifo = user.cwd().join(format!("{name}.fifo"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let fifo = fifo.to_str().unwrap();
        user.ok(&["start", "--restart", "always", "--name", name, "bash", "-c", echo, fifo]);
    }
    let fifo = |name: &str| {
        fs::OpenOptions::new().write(true).open(user.cwd().join(format!("{name}.fifo"))).unwrap()
    };
    let text = Follower::new(&user, &["a", "bb"]);
    let json = Follower::new(&user, &["--json", "a"]);
    // A run is as long as its FIFO is open.
    let (mut first, mut other) = (fifo("a"), fifo("bb"));
    writeln!(other, "hello").unwrap();
    text.reads("bb | hello");
    writeln!(first, "first").unwrap();
    text.reads("a  | first");
    json.reads("{\"line\":\"first\",\"name\":\"a\",\"run\":1}");
    drop(first);
    eventually("it runs again", || user.view("a")["run"] == 2);
    writeln!(fifo("a"), "second").unwrap();
    text.reads("a  | second");
    json.reads("{\"line\":\"second\",\"name\":\"a\",\"run\":2}");
}

#[test]
fn follow_ends_when_its_reader_goes_away() {
    let user = User::new();
    talker(&user, "talk", 1);
    let mut child = user.tsm_command(&["logs", "-f", "talk"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut line = [0; 7];
    out.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"talk 1\n");
    assert!(is_alive(child.id() as i32));
    // Nothing more is ever logged: a write would not tell it.
    drop(out);
    let mut code = None;
    eventually("it ends", || {
        code = child.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
}

#[test]
fn ctrl_c_ends_following_and_leaves_the_process_alone() {
    let user = User::new();
    talker(&user, "talk", 1);
    let mut terminal = user.terminal(80, &["logs", "-f", "talk"]);
    terminal.shows("talk 1");
    terminal.interrupt();
    let (rest, code) = terminal.end();
    assert_eq!(code, 130);
    assert!(!rest.contains("tsm:"), "{rest:?}");
    assert!(is_alive(user.pid("talk")));
}

#[test]
fn the_log_of_a_deleted_process_is_still_shown() {
    let user = User::new();
    talker(&user, "talk", 3);
    user.ok(&["delete", "talk"]);
    let ran =
        user.ok(&["logs", "talk", "-n2"]).complains("tsm: talk was deleted; this is the log that it left\n");
    assert_eq!(ran.stdout, "talk 2\ntalk 3\n");
    let ran = user.ok(&["logs", "talk", "--json", "-n1"]);
    assert_eq!(ran.stdout, "{\"line\":\"talk 3\",\"name\":\"talk\",\"run\":null}\n");
    // Only by its name in full, and not where there is another meaning.
    user.tsm(&["logs", "tal"]).code(4);
    user.tsm(&["info", "talk"]).code(4);
    talker(&user, "other", 1);
    assert_eq!(user.ok(&["logs", "other", "talk", "-n1"]).stdout, "other | other 1\ntalk  | talk 3\n");
    // A name that climbs out of the folder is none.
    fs::write(user.tsm_dir().join("x.log"), "secret").unwrap();
    user.tsm(&["logs", "../x"]).code(4);
}

#[test]
fn a_log_that_is_gone_or_empty_is_no_failure() {
    let user = User::new();
    user.ok(&["start", "--name", "quiet", "sleep", "1000"]);
    let ran = user.ok(&["logs", "quiet"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let (shown, code) = user.at_terminal(80, &["logs", "quiet"]);
    assert_eq!((shown.as_str(), code), ("tsm: quiet has logged nothing yet\n", 0));
    fs::remove_file(user.log("quiet")).unwrap();
    assert_eq!(user.ok(&["logs", "quiet"]).stdout, "");
    assert_eq!(user.json(&["info", "quiet"])["log_bytes"], Value::Null);
}
