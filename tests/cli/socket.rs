//! `tsm socket` and `tsm ipc`: what the control sockets answer, through the command line.

use std::fs;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::kit::{User, eventually, free_port, is_alive, kill};

/// A worker called `myservice-worker`, and another process whose name only holds the word.
fn workers() -> User {
    let user = User::new();
    user.ok(&["start", "--name", "coworkers", "sleep", "1000"]);
    user.ok(&["start", "--name", "myservice-worker", "--kind", "socket", "sleep", "1000"]);
    user.until_state("myservice-worker", "online");
    user
}

fn reply(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_worker_is_asked_by_the_last_part_of_its_name_and_the_reply_is_the_protocols() {
    let user = workers();
    for name in ["worker", "myservice-worker", "1"] {
        let status = reply(&user.ok(&["socket", "status", name]).stdout);
        assert_eq!((&status["ok"], &status["name"]), (&json!(true), &json!("myservice-worker")), "{name}");
        assert_eq!(
            (&status["kind"], &status["pid"]),
            (&json!("socket"), &json!(user.pid("myservice-worker")))
        );
        let health = user.ok(&["socket", "health", name]);
        assert_eq!(reply(&health.stdout), json!({"ok": true, "health": "healthy", "pong": true}));
        assert_eq!(health.stderr, "");
    }
    for words in [
        &["socket", "send", "worker"][..],
        &["socket", "send", "worker", "STATUS"],
        &["ipc", "send", "worker", "status"],
        &["ipc", "send", "worker", r#"{"command":"status"}"#],
        &["socket", "--json", "status", "worker"],
    ] {
        assert_eq!(reply(&user.ok(words).stdout)["name"], "myservice-worker", "{words:?}");
    }
    let test = user.ok(&["ipc", "test", "worker"]);
    let ms = test.stdout.strip_prefix("myservice-worker answers in ").unwrap().strip_suffix(" ms\n").unwrap();
    assert!(ms.parse::<f64>().unwrap() < 5000.0, "{test:?}");
    let test: Value = user.json(&["ipc", "test", "worker"]);
    assert_eq!((&test["name"], &test["answers"]), (&json!("myservice-worker"), &json!(true)));
}

#[test]
fn reload_and_stop_do_what_they_say() {
    let user = User::new();
    let script = "trap 'echo reloaded' HUP; echo ready; while :; do sleep 0.05; done";
    user.ok(&["start", "--name", "p", "bash", "-c", script]);
    eventually("the trap is set", || crate::kit::text(&user.log("p")).contains("ready"));
    assert_eq!(reply(&user.ok(&["socket", "reload", "p"]).stdout), json!({"ok": true, "reloading": true}));
    eventually("it has heard HUP", || crate::kit::text(&user.log("p")).contains("reloaded"));
    assert_eq!(reply(&user.ok(&["socket", "stop", "p"]).stdout), json!({"ok": true, "stopping": true}));
    user.until_state("p", "stopped");
}

#[test]
fn each_failure_has_its_code() {
    let user = workers();
    let port = free_port().to_string();
    user.ok(&["start", "--name", "deaf", "--port", &port, "sleep", "1000"]);
    let deaf = format!("deaf-{port}");
    // Unhealthy: the reply says why, and so does the error.
    let ran = user.tsm(&["socket", "health", &deaf]).code(1).complains("is unhealthy: it does not listen");
    assert_eq!(reply(&ran.stdout)["health"], "unhealthy");
    // Verbs are not judged here: what the supervisor does not know, it says itself.
    let ran = user.tsm(&["socket", "send", "worker", "FLY"]).code(2).complains("unknown verb \"FLY\"");
    assert_eq!(reply(&ran.stdout)["ok"], false);
    user.tsm(&["ipc", "send", "worker", "{}"]).code(2).complains("no \"command\"");
    user.tsm(&["ipc", "send", "worker", "STATUS\nSTOP"]).code(2).complains("a request is one line");
    assert!(is_alive(user.pid("myservice-worker")));
    for verb in [&["socket", "status"][..], &["socket", "health"], &["ipc", "test"], &["ipc", "send"]] {
        let with = |name| [verb, &[name]].concat();
        user.tsm(&with("nobody")).code(4).complains("no such process: nobody");
        user.tsm(&with("*work*")).code(6);
        assert_eq!(user.tsm(verb).code(2).stdout, "");
    }
    user.ok(&["stop", "worker"]);
    for verb in [&["socket", "status"][..], &["socket", "health"], &["socket", "reload"], &["ipc", "test"]] {
        let ran = user.tsm(&[verb, &["worker"]].concat()).code(3).complains("is not running: it is stopped");
        assert_eq!(ran.stdout, "");
    }
    // A program of its own without supervisor.
    kill(user.supervisor("coworkers"), "KILL");
    user.until_state("coworkers", "unsupervised");
    user.tsm(&["socket", "health", "coworkers"]).code(5).complains("runs without its supervisor");
    user.tsm(&["socket", "stat"]).code(2);
}

#[test]
fn a_halted_supervisor_is_unreachable_in_time_and_hides_no_other() {
    let user = workers();
    let halted = user.supervisor("coworkers");
    kill(halted, "STOP");
    std::thread::scope(|scope| {
        let ask = |words: &'static [&'static str]| {
            let user = &user;
            scope.spawn(move || user.tsm(words))
        };
        let (test, health) = (ask(&["ipc", "test", "coworkers"]), ask(&["socket", "health", "coworkers"]));
        let list = ask(&["socket", "list"]);
        for ran in [test.join().unwrap(), health.join().unwrap()] {
            let ran = ran.code(5).complains("the supervisor of coworkers does not answer within 5 s");
            assert_eq!(ran.stdout, "");
        }
        let list = list.join().unwrap().code(0);
        let answers = |name: &str| {
            let line = list.stdout.lines().find(|line| line.starts_with(name)).unwrap();
            line.trim_end().rsplit("  ").next().unwrap().to_owned()
        };
        assert_eq!(
            (answers("coworkers"), answers("myservice-worker")),
            ("no response".into(), "healthy".into())
        );
    });
    kill(halted, "CONT");
    user.ok(&["socket", "health", "coworkers"]);
    // A wait that does not come true is no silence of the supervisor's.
    user.tsm(&["socket", "send", "coworkers", "WAIT-ENDED"]).code(124).complains("has not come true");
}

#[test]
fn the_list_shows_who_answers_and_an_empty_one_says_so() {
    let user = User::new();
    for words in [&["socket"][..], &["socket", "list"], &["ipc", "list"]] {
        let none = user.ok(words).complains("no process has a socket");
        assert_eq!(none.stdout, "");
    }
    assert_eq!(user.json(&["ipc", "list"]), json!([]));
    let port = free_port().to_string();
    user.ok(&["start", "--name", "deaf", "--port", &port, "sleep", "1000"]);
    user.ok(&["start", "--name", "worker", "--kind", "socket", "sleep", "1000"]);
    user.ok(&["start", "--name", "gone", "sleep", "1000"]);
    user.ok(&["stop", "gone"]);
    let list = user.ok(&["socket", "list"]).complains("it does not listen on port");
    assert!(list.stdout.starts_with("NAME"), "{list:?}");
    let all = user.json(&["socket", "list"]);
    let rows: Vec<_> = all.as_array().unwrap().iter().map(|one| (&one["name"], &one["answers"])).collect();
    let deaf = json!(format!("deaf-{port}"));
    let expected = [(&deaf, &json!("unhealthy")), (&json!("worker"), &json!("healthy"))];
    assert_eq!(rows, expected);
    let socket = user.process_dir("worker").join("control.sock");
    assert_eq!(all[1]["socket"], socket.display().to_string());
}

#[test]
fn cleanup_removes_the_sockets_of_dead_supervisors_and_no_others() {
    let user = workers();
    user.ok(&["start", "--name", "dead", "sleep", "1000"]);
    user.ok(&["start", "--name", "halted", "sleep", "1000"]);
    let (dead, halted) = (user.supervisor("dead"), user.supervisor("halted"));
    let socket = |name: &str| user.process_dir(name).join("control.sock");
    user.ok(&["socket", "cleanup"]).says("no stale sockets\n");
    kill(dead, "KILL");
    eventually("it is dead", || !is_alive(dead));
    kill(halted, "STOP");
    assert!(socket("dead").exists());
    assert_eq!(user.json(&["socket", "list"])[2]["answers"], "no response");
    user.ok(&["ipc", "cleanup"]).says("Removed 1 stale socket: dead\n");
    assert!(!socket("dead").exists() && !user.process_dir("dead").join("notify.sock").exists());
    for name in ["halted", "coworkers", "myservice-worker"] {
        assert!(socket(name).exists(), "{name}");
    }
    kill(halted, "CONT");
    user.ok(&["socket", "health", "halted"]);
    // Its program was left alone.
    assert_eq!(user.state("dead"), "unsupervised");
    // One that nobody listens at beside one that a start holds: the lock alone decides.
    user.ok(&["stop", "dead"]);
    drop(UnixListener::bind(socket("dead")).unwrap());
    assert_eq!(user.json(&["socket", "cleanup"]), json!({"removed": ["dead"]}));
    assert_eq!(user.json(&["socket", "cleanup"]), json!({"removed": []}));
    // A folder that cannot be emptied is named, and the others are done.
    fs::create_dir(socket("dead")).unwrap();
    user.tsm(&["socket", "cleanup"]).code(1).complains("cannot remove").complains("dead/control.sock");
    fs::remove_dir(socket("dead")).unwrap();
}
