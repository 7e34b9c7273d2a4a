//! Many starts at once, and starts that are killed half-way.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::kit::{User, eventually, is_alive, kill, text};

/// Begins `tsm` with these words; its output goes to files that are read with [`end`].
fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its exit code and what it said.
fn end(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// Every one must succeed; returns what they said.
#[track_caller]
fn all_fine(children: Vec<Child>) -> Vec<String> {
    let ended: Vec<(i32, String)> = children.into_iter().map(end).collect();
    let bad: Vec<_> = ended.iter().filter(|(code, _)| *code != 0).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    ended.into_iter().map(|(_, said)| said).collect()
}

/// The values of `key` of all tracked processes.
fn all(user: &User, key: &str) -> Vec<Value> {
    user.json(&["list", "all"]).as_array().unwrap().iter().map(|view| view[key].clone()).collect()
}

#[test]
fn a_hundred_starts_of_the_same_command_are_one_process() {
    let user = User::new();
    let children = (0..100).map(|_| begin(user.tsm_command(&["start", "sleep", "1000"]))).collect();
    let said = all_fine(children);
    assert_eq!(said.iter().filter(|said| said.starts_with("Started: my-api-sleep")).count(), 1, "{said:#?}");
    assert_eq!(said.iter().filter(|said| said.starts_with("Already running: my-api-sleep")).count(), 99);
    assert_eq!(all(&user, "id"), [json!(0)]);
    assert_eq!(user.alive().len(), 2, "its supervisor and itself: {:?}", user.alive());
}

#[test]
fn a_hundred_starts_of_other_names_are_a_hundred_processes() {
    let user = User::new();
    let begun = |n: usize| begin(user.tsm_command(&["start", "--name", &format!("p{n}"), "sleep", "1000"]));
    all_fine((0..100).map(begun).collect());
    let ids: BTreeSet<u64> = all(&user, "id").iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(ids, (0..100).collect());
    let names: BTreeSet<String> =
        all(&user, "name").iter().map(|name| name.as_str().unwrap().into()).collect();
    assert_eq!(names, (0..100).map(|n| format!("p{n}")).collect());
    let live = |status: &Value| status == "starting" || status == "online";
    assert!(all(&user, "status").iter().all(live), "{:?}", all(&user, "status"));
}

#[test]
fn parallel_starts_that_each_get_a_port_get_different_ones_and_listen() {
    let user = User::new();
    user.file(
        "serve.py",
        "import os, signal, socket\ns = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\nsignal.pause()\n",
    );
    let begun = |n: usize| {
        let name = format!("s{n}");
        let mut command =
            user.tsm_command(&["start", "--kind", "port", "--name", &name, "python3", "serve.py"]);
        command.env("TSM_PORT_RANGE", "18000-18999");
        begin(command)
    };
    all_fine((0..30).map(begun).collect());
    let ports: BTreeSet<u64> = all(&user, "port").iter().map(|port| port.as_u64().unwrap()).collect();
    assert_eq!(ports.len(), 30);
    for port in ports {
        eventually(&format!("something listens on {port}"), || {
            TcpStream::connect(("127.0.0.1", port as u16)).is_ok()
        });
    }
    let mut views = Vec::new();
    eventually("each listens on its own", || {
        views = user.json(&["list"]).as_array().unwrap().clone();
        views.iter().all(|view| view["ports"] == json!([view["port"]]))
    });
    assert_eq!(views.len(), 30);
}

#[test]
fn parallel_starts_of_a_stopped_process_are_one_run_of_it() {
    for words in [&["start", "again"][..], &["start", "--name", "again", "sleep", "1000"]] {
        let user = User::new();
        user.ok(&["start", "--name", "again", "sleep", "1000"]);
        for round in 2..5 {
            user.ok(&["stop", "again"]);
            all_fine((0..20).map(|_| begin(user.tsm_command(words))).collect());
            assert_eq!(user.view("again")["run"], round, "{words:?}");
            assert_eq!(user.alive().len(), 2, "{:?}", user.alive());
        }
    }
}

#[test]
fn a_port_is_reserved_while_its_stopped_process_is_started_again() {
    let user = User::new();
    // The file is read before anything is reserved: both are on their way at the same time.
    let start = |name: &str| {
        let mut command = user.tsm_command(&["start", "--kind", "port", "--name", name, "sleep", "1000"]);
        command.env("TSM_PORT_RANGE", "19500-19999");
        command
    };
    for round in 0..10 {
        let first = format!("a{round}");
        all_fine(vec![begin(start(&first))]);
        user.ok(&["stop", &first]);
        let others = (0..6).map(|n| begin(start(&format!("b{round}-{n}"))));
        let children: Vec<Child> =
            std::iter::once(begin(user.tsm_command(&["start", &first]))).chain(others).collect();
        let ended: Vec<(i32, String)> = children.into_iter().map(end).collect();
        // The first one may have lost its port to another, but then it says so.
        assert!(ended[1..].iter().all(|(code, _)| *code == 0), "{ended:#?}");
        assert!([0, 6].contains(&ended[0].0), "{ended:#?}");
        let views = user.json(&["list"]);
        let ports: Vec<&Value> = views.as_array().unwrap().iter().map(|view| &view["port"]).collect();
        let different: BTreeSet<String> = ports.iter().map(ToString::to_string).collect();
        assert_eq!(different.len(), ports.len(), "{views:#}");
        user.ok(&["delete", "all"]);
    }
}

#[test]
fn starts_that_are_killed_half_way_leave_what_runs_or_what_can_be_started_or_cleaned() {
    let user = User::new();
    user.file("env/slow.env", "A=1\n");
    // From the moment it is there to well after its end.
    for n in 0..50_u64 {
        let name = format!("k{n}");
        let child =
            begin(user.tsm_command(&[
                "start", "--name", &name, "--kind", "port", "--env", "slow", "sleep", "1000",
            ]));
        // Not to wait for anything: each is killed at another point of its way.
        std::thread::sleep(std::time::Duration::from_micros(n * 300));
        kill(child.id() as i32, "KILL");
        end(child);
    }
    let settled = |view: &Value| match view["status"].as_str().unwrap() {
        "starting" | "online" => view["pid"].is_i64() && view["supervisor_pid"].is_i64(),
        "stopped" => view["pid"].is_null(),
        _ => false,
    };
    let mut views = Vec::new();
    eventually("every entry runs under a supervisor or does not run", || {
        views = user.json(&["list", "all"]).as_array().unwrap().clone();
        views.iter().all(settled)
    });
    // Whatever is alive belongs to an entry.
    let mut known: BTreeSet<i64> = BTreeSet::new();
    for view in &views {
        known.extend(view["pid"].as_i64());
        known.extend(view["supervisor_pid"].as_i64());
    }
    eventually("nothing is alive but what the entries say", || {
        user.alive().iter().all(|(pid, _)| known.contains(&i64::from(*pid)))
    });
    let ids: BTreeSet<u64> = views.iter().map(|view| view["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), views.len(), "IDs are unique: {views:#?}");
    let live: Vec<&Value> = views.iter().filter(|view| view["pid"].is_i64()).collect();
    let ports: BTreeSet<u64> = live.iter().map(|view| view["port"].as_u64().unwrap()).collect();
    assert_eq!(ports.len(), live.len(), "so are the ports of what runs: {views:#?}");
    // The next start takes away what is unfinished, and one that did not come to be can be had again.
    user.ok(&["start", "sleep", "1000"]);
    assert_eq!(unfinished(&user), Vec::<String>::new());
    for view in views.iter().filter(|view| view["status"] == "stopped") {
        // Its port was not reserved for it: another may have it, and is named then.
        let ran = user.tsm(&["start", view["name"].as_str().unwrap()]);
        assert!(ran.code == 0 || ran.code == 6 && ran.stderr.contains("is taken by k"), "{ran:?}");
    }
    user.ok(&["stop", "all"]);
    user.ok(&["cleanup"]);
    assert_eq!(user.json(&["list", "all"]), json!([]));
    assert_eq!(user.alive(), []);
}

/// Names of unfinished files and directories below `runtime`.
fn unfinished(user: &User) -> Vec<String> {
    let mut found = Vec::new();
    let runtime = user.tsm_dir().join("runtime");
    for dir in [runtime.clone(), runtime.join("processes")] {
        for item in fs::read_dir(dir).unwrap().flatten() {
            let name = item.file_name().to_string_lossy().into_owned();
            if name.starts_with(".new-") {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn a_start_that_is_killed_before_its_supervisor_knows_what_to_do_costs_no_stopped_process() {
    let user = User::new();
    user.ok(&["start", "--name", "keep", "sleep", "1000"]);
    user.ok(&["stop", "keep"]);
    for n in 0..40_u64 {
        let child = begin(user.tsm_command(&["start", "keep"]));
        std::thread::sleep(std::time::Duration::from_micros(n * 200));
        kill(child.id() as i32, "KILL");
        end(child);
        let mut view = Value::Null;
        eventually("it runs or it does not", || {
            view = user.view("keep");
            view["status"] != "starting" || view["pid"].is_i64()
        });
        assert_eq!(view["id"], 0);
        if let Some(pid) = view["pid"].as_i64() {
            user.ok(&["stop", "keep"]);
            assert!(!is_alive(pid as i32));
        }
    }
    user.ok(&["start", "keep"]).says("TSM ID: 0");
    assert!(text(&user.process_dir("keep").join("spec.json")).contains("sleep"));
}

#[test]
fn a_supervisor_that_never_hears_its_order_leaves_a_stopped_process_and_takes_a_new_one_away() {
    // What the two tests above hit only now and then: here, the start is gone for certain.
    let user = User::new();
    user.ok(&["start", "--name", "old", "sleep", "1000"]);
    user.ok(&["stop", "old"]);
    user.ok(&["start", "--name", "new", "sleep", "1000"]);
    user.ok(&["stop", "new"]);
    fs::remove_file(user.process_dir("new").join("status.json")).unwrap();
    for (name, left) in [("old", true), ("new", false)] {
        // Descriptor 3 is the lock and 4 the socket to the start: one that is at its end at once.
        let dir = user.process_dir(name);
        let mut supervisor = user.command("python3");
        supervisor.args(["-c", SUPERVISE, env!("CARGO_BIN_EXE_tsm")]).arg(&dir);
        assert!(supervisor.status().unwrap().code().is_some_and(|code| code != 0));
        assert_eq!(dir.exists(), left, "{name}");
    }
    user.ok(&["start", "old"]);
}

/// Runs a supervisor whose other end is closed.
const SUPERVISE: &str = "\
import os, socket, sys
ours, theirs = socket.socketpair()
lock = os.open(os.path.join(sys.argv[2], 'supervisor.lock'), os.O_RDWR)
lock, talk = os.dup2(os.dup(lock), 30), os.dup2(theirs.fileno(), 31)
ours.close()
os.dup2(30, 3); os.dup2(31, 4)
os.execv(sys.argv[1], ['tsm', 'supervise', sys.argv[2]])
";
