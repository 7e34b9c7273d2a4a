//! `tsm doctor orphans`: what was left behind is found, told apart, and ended only when it is meant.
//!
//! Other tests leave orphans of their own at the same time, so nothing here looks at more than what it has made.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::doctor_clean::parsed;
use crate::kit::{User, eventually, free_port, is_alive, kill, text};
use crate::unsupervised::{FAMILY, orphan, sleeps, start};

/// A free port of those that development servers use, away from the ones that TSM gives out.
fn development_port() -> u16 {
    let first = 2_000 + (std::process::id() % 900) as u16 * 6;
    let mut all = (first..7_900).chain(2_000..first);
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    all.find(free).unwrap()
}

fn report(user: &User) -> Value {
    parsed(&user.ok(&["doctor", "orphans", "--json"]))
}

/// The row of the process `pid` in one group of the report.
fn row(user: &User, group: &str, pid: i32) -> Option<Value> {
    report(user)[group].as_array().unwrap().iter().find(|row| row["pid"] == pid).cloned()
}

/// True when any group names that process, be it as a part of a tree.
fn is_listed(user: &User, pid: i32) -> bool {
    let report = report(user);
    ["exact", "probable"].iter().any(|group| {
        report[group]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["tree"].as_array().unwrap().contains(&pid.into()))
    })
}

const SERVER: &str = "import os, socket, sys, time\n\
    if sys.argv[2] == 'left' and os.fork(): os._exit(0)\n\
    if sys.argv[2] == 'left': os.setsid()\n\
    if sys.argv[2] == 'left' and os.fork(): os._exit(0)\n\
    s = socket.socket()\n\
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    s.bind(('127.0.0.1', int(sys.argv[1])))\n\
    s.listen()\n\
    open('serving.new', 'w').write(str(os.getpid()))\n\
    os.rename('serving.new', 'serving')\n\
    time.sleep(600)\n";

/// A server that TSM has not started and whose starter is gone; ended when dropped.
struct Left {
    pid: i32,
    port: u16,
}

impl Left {
    fn start(user: &User) -> Self {
        user.file("package.json", "{}");
        let port = development_port();
        serve(user, port, "left").wait().unwrap();
        let path = user.cwd().join("serving");
        eventually("it serves", || path.exists());
        Left { pid: text(&path).parse().unwrap(), port }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        kill(self.pid, "KILL");
    }
}

fn serve(user: &User, port: u16, how: &str) -> Child {
    let script = user.file("server.py", SERVER);
    let mut command = user.command("python3");
    // Not even by its environment is it anything of TSM's.
    command.env_remove("TSM_DIR").arg(script).arg(port.to_string()).arg(how);
    command.stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_process_without_supervisor_is_listed_with_what_to_type() {
    let user = User::new();
    user.file("package.json", "{}");
    let port = free_port();
    let words = ["start", "--name", "web", "--port", &port.to_string(), "python3", "-m", "http.server"];
    user.ok(&[&words[..], &["--bind", "127.0.0.1"]].concat());
    let name = format!("web-{port}");
    user.until_state(&name, "online");
    let pid = user.pid(&name);
    assert!(!is_listed(&user, pid), "it is managed");
    orphan(&user, &name);

    let row = row(&user, "exact", pid).unwrap();
    assert_eq!((row["type"].as_str(), row["name"].as_str()), (Some("python"), Some(&*name)), "{row}");
    assert_eq!((&row["ports"][0], &row["adoptable"]), (&port.into(), &true.into()), "{row}");
    assert!(row["project"].as_str().unwrap().ends_with("/my-api"), "{row}");
    assert!(row["age_ms"].as_u64().is_some(), "{row}");
    let ran = user.ok(&["doctor", "orphans"]);
    let line = ran.stdout.lines().find(|line| line.starts_with(&pid.to_string())).unwrap().to_owned();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((cells[1], cells[2], cells[4]), ("python", &*port.to_string(), "my-api"), "{line}");
    let ran = ran.says("PID").says("TYPE").says("PORTS").says("AGE").says("PROJECT").says("COMMAND");
    ran.says("These processes were started by TSM and have no supervisor").says("tsm doctor orphans --adopt");

    user.ok(&["doctor", "orphans", "--adopt", &pid.to_string()]).says("Adopted");
    assert!(!is_listed(&user, pid));
    orphan(&user, &name);
    user.tsm(&["doctor", "orphans", "--kill", &name]).code(6).complains("--force");
    assert!(is_alive(pid));
    user.ok(&["doctor", "orphans", "--kill", &name, "--force"])
        .says(&format!("Ended: PID {pid} (python3 -m"));
    assert!(!is_alive(pid));
    assert_eq!(user.state(&name), "stopped");
    assert!(!user.tsm_dir().join(format!("pids/{name}.pid")).exists());
}

#[test]
fn all_of_this_tsm_are_adopted_or_ended_at_once_with_their_trees() {
    let user = User::new();
    start(&user, "family", &["--stop-timeout", "5s"], FAMILY);
    start(&user, "p", &[], "exec sleep 600");
    eventually("the family is complete", || sleeps(&user) == 4);
    for name in ["family", "p"] {
        user.until_state(name, "online");
        orphan(&user, name);
    }
    let pids = [user.pid("family"), user.pid("p")];
    let ran = user.tsm(&["doctor", "orphans", "--adopt", "--json"]).code(0);
    let names: Vec<Value> =
        parsed(&ran).as_array().unwrap().iter().map(|view| view["name"].clone()).collect();
    assert_eq!(names, ["family", "p"]);
    assert_eq!([user.pid("family"), user.pid("p")], pids);
    for name in ["family", "p"] {
        assert_eq!(user.state(name), "online");
        orphan(&user, name);
    }
    // As everywhere: by ID, and by a pattern.
    user.ok(&["doctor", "orphans", "--adopt", "1"]).says("Adopted: p (TSM ID: 1");
    user.ok(&["doctor", "orphans", "--adopt", "f*"]).says("Adopted: family");
    for name in ["family", "p"] {
        orphan(&user, name);
    }
    user.ok(&["doctor", "orphans", "--kill", "--force"]).says("Ended: PID");
    assert_eq!(user.alive(), []);
    assert_eq!((&*user.state("family"), &*user.state("p")), ("stopped", "stopped"));
    user.ok(&["doctor", "orphans", "--kill", "--force"]).says("No orphaned processes to end");
    user.ok(&["doctor", "orphans", "--adopt"]).says("No orphaned processes to adopt");
}

#[test]
fn a_listener_whose_starter_is_gone_is_probable_and_ended_only_by_name() {
    let user = User::new();
    let left = Left::start(&user);
    let row = row(&user, "probable", left.pid).unwrap();
    assert_eq!((&row["ports"][0], row["type"].as_str()), (&left.port.into(), Some("python")), "{row}");
    assert!(row["project"].as_str().unwrap().ends_with("/my-api"), "{row}");
    assert!(!report(&user)["exact"].to_string().contains(&format!("\"pid\":{},", left.pid)));
    let ran = user.ok(&["doctor", "orphans"]).says("These processes might be orphaned TSM processes");
    let (_, probable) = ran.stdout.rsplit_once("PID ").unwrap();
    assert!(probable.contains(&format!("{}", left.pid)), "in a table of its own: {ran:?}");
    assert!(probable.contains("Actions:\n  tsm doctor kill "), "{ran:?}");
    assert!(probable.contains("# Kill by port\n  tsm doctor orphans --kill "), "{ran:?}");

    let pid = left.pid.to_string();
    user.ok(&["doctor", "orphans", "--kill", "--force"]);
    assert!(is_alive(left.pid), "it was not named");
    user.tsm(&["doctor", "orphans", "--adopt", &pid]).code(1).complains("TSM has not started it");
    user.tsm(&["doctor", "orphans", "--kill", &pid]).code(6).complains("--force");
    assert!(is_alive(left.pid));
    let mut person = user.terminal(100, &["doctor", "orphans", "--kill", &pid]);
    person.shows("End with everything below them:");
    person.shows("[y/N]");
    person.types("n");
    assert_eq!(person.end().1, 1);
    assert!(is_alive(left.pid));
    user.ok(&["doctor", "orphans", "--kill", &pid, "--force"]).says(&format!("Ended: PID {pid} (python3"));
    eventually("it is gone", || !is_alive(left.pid));
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, left.port)).is_ok(), "its port is free");
}

#[test]
fn what_has_a_starter_or_a_supervisor_is_none() {
    let user = User::new();
    // A child of somebody who lives: of an agent, a terminal, or this test.
    let port = development_port();
    let mut child = serve(&user, port, "here");
    eventually("it serves", || user.cwd().join("serving").exists());
    let listed = is_listed(&user, child.id() as i32);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!listed);
    fs::remove_file(user.cwd().join("serving")).unwrap();

    // One that TSM manages, and which has left everything behind that it came from.
    let port = development_port().to_string();
    user.ok(&["start", "--name", "daemon", "--kind", "pid", "--", "python3", "server.py", &port, "left"]);
    eventually("it serves", || user.cwd().join("serving").exists());
    let pid: i32 = text(&user.cwd().join("serving")).parse().unwrap();
    eventually("it is followed", || user.view("daemon")["pid"] == pid);
    assert!(!is_listed(&user, pid));
    user.tsm(&["doctor", "orphans", "--kill", &pid.to_string(), "--force"]).code(6).complains("daemon");
    assert!(is_alive(pid));
    // Adopted, it has init for a parent like an orphan, and is none.
    user.until_state("daemon", "online");
    orphan(&user, "daemon");
    user.ok(&["doctor", "orphans", "--adopt", "daemon"]);
    assert!(!is_listed(&user, pid));
    user.tsm(&["doctor", "orphans", "--kill", "daemon", "--force"]).code(6).complains("tsm stop daemon");
    assert_eq!((user.pid("daemon"), is_alive(pid)), (pid, true));

    // Not even where its environment does not tell.
    fs::remove_file(user.cwd().join("serving")).unwrap();
    let script = format!("exec env -i \"$(type -P python3)\" server.py {} here", development_port());
    start(&user, "bare", &[], &script);
    eventually("it serves", || user.cwd().join("serving").exists());
    user.until_state("bare", "online");
    let pid = user.pid("bare");
    orphan(&user, "bare");
    user.ok(&["doctor", "orphans", "--adopt", "bare"]);
    assert!(!is_listed(&user, pid));
}

#[test]
fn a_tree_whose_directory_was_removed_by_hand_can_only_be_ended() {
    for supervised in [true, false] {
        let user = User::new();
        start(&user, "family", &["--stop-timeout", "5s"], FAMILY);
        eventually("the family is complete", || sleeps(&user) == 3);
        user.until_state("family", "online");
        let pid = user.pid("family");
        if !supervised {
            orphan(&user, "family");
        }
        fs::remove_dir_all(user.process_dir("family")).unwrap();
        let row = row(&user, "exact", pid).unwrap();
        assert_eq!((row["name"].as_str(), &row["adoptable"]), (Some("family"), &false.into()), "{row}");
        let why = row["why"].as_str().unwrap();
        assert!(why.contains("was removed") && why.contains("cannot be asked") == supervised, "{why}");
        user.ok(&["doctor", "orphans"]).says(why);
        let pid = pid.to_string();
        user.tsm(&["doctor", "orphans", "--adopt", &pid])
            .code(1)
            .complains("was removed")
            .complains(&format!("tsm doctor orphans --kill {pid}"));
        user.ok(&["doctor", "orphans", "--kill", &pid, "--force"]).says("Ended");
        assert_eq!(user.alive(), [], "supervised: {supervised}");
    }
}

#[test]
fn what_belongs_to_another_tsm_is_told_of_and_ended_only_by_name() {
    let (user, other) = (User::new(), User::new());
    start(&other, "theirs", &[], "exec sleep 600");
    other.until_state("theirs", "online");
    let pid = other.pid("theirs");
    assert!(!is_listed(&user, pid), "another TSM manages it");
    orphan(&other, "theirs");
    let why = row(&user, "exact", pid).unwrap()["why"].as_str().unwrap().to_owned();
    assert!(why.contains(&format!("TSM_DIR={} tsm doctor orphans", other.tsm_dir().display())), "{why}");
    user.ok(&["doctor", "orphans", "--adopt"]);
    user.ok(&["doctor", "orphans", "--kill", "--force"]).complains(&format!("PID {pid} is of another TSM"));
    assert_eq!((other.pid("theirs"), &*other.state("theirs")), (pid, "unsupervised"));
    user.ok(&["doctor", "orphans", "--kill", &pid.to_string(), "--force"]);
    assert_eq!((is_alive(pid), &*other.state("theirs")), (false, "stopped"));

    // With a supervisor again, it has no parent that shows it, and is managed all the same.
    other.file("server.py", SERVER);
    let port = development_port().to_string();
    other.ok(&["start", "--name", "web", "--kind", "pid", "--", "python3", "server.py", &port, "here"]);
    eventually("it serves", || other.cwd().join("serving").exists());
    other.until_state("web", "online");
    let pid = other.pid("web");
    orphan(&other, "web");
    other.ok(&["doctor", "orphans", "--adopt", "web"]);
    assert!(!is_listed(&user, pid));
}
