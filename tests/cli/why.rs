//! `tsm why`: one answer to "why is it not up?", for each way of not being up.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::doctor_clean::parsed;
use crate::kit::{Ran, User, eventually, free_port, is_alive, kill, text};
use crate::list::two;
use crate::terminal::plain;

fn why(user: &User, name: &str, code: i32) -> Value {
    parsed(&user.tsm(&["why", "--json", name]).code(code))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

/// The one cause that the log shows: in words.
#[track_caller]
fn cause(answer: &Value) -> &str {
    let all = answer["causes"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{answer:#}");
    all[0]["what"].as_str().unwrap()
}

/// Starts `words` as `app`, which ends for good.
fn ended(user: &User, flags: &[&str], words: &[&str]) -> Ran {
    let ran = user.tsm(&[&["start", "--name", "app", "--restart", "no"], flags, words].concat());
    user.until_state("app", "exited");
    ran
}

#[test]
fn what_is_up_is_said_to_be_up() {
    let user = two();
    let ran =
        user.ok(&["why", "up"]).says("up (TSM ID: 0) is online since ").says("  why           it is up\n");
    assert!(!ran.stdout.contains("What to do"), "{ran:?}");
    let answer = why(&user, "0", 0);
    assert_eq!((&answer["up"], &answer["status"]), (&json!(true), &json!("online")));
    user.tsm(&["why", "down"])
        .code(3)
        .says("it was stopped by the user")
        .says("What to do:\n  tsm start down\n");
    user.ok(&["start", "down"]);
    eventually("it is up", || user.tsm(&["why", "down"]).code == 0);
}

#[test]
fn an_end_is_told_with_its_code_its_time_and_its_last_lines() {
    let user = User::new();
    let script = "for i in $(seq 1 15); do echo line $i; done; exit 7";
    ended(&user, &[], &["sh", "-c", script]);
    let answer = why(&user, "app", 3);
    assert!(texts(&answer["log"]).ends_with(&["line 14", "line 15"]), "{answer:#}");
    assert_eq!((texts(&answer["log"]).len(), &answer["exit"]["code"]), (10, &json!(7)));
    let sentence = answer["why"].as_str().unwrap();
    assert!(
        sentence.starts_with("it ended with exit code 7 after ") && sentence.ends_with("policy is no"),
        "{sentence}"
    );
    assert_eq!(texts(&answer["todo"]), ["tsm logs --run app", "tsm start app"]);
    // Only the last run's lines, and in another way.
    user.file("script.sh", "echo again; kill -SEGV $$");
    ended(&user, &[], &["bash", "script.sh"]);
    let answer = why(&user, "app", 3);
    assert_eq!(texts(&answer["log"]), ["again"]);
    assert!(answer["last_exit"].as_str().unwrap().starts_with("signal 11 (SIGSEGV)"), "{answer:#}");
    ended(&user, &[], &["true"]);
    assert!(why(&user, "app", 3)["why"].as_str().unwrap().starts_with("it ended by itself with exit code 0"));
}

#[test]
fn restarts_that_wait_and_restarts_that_are_over() {
    let user = User::new();
    user.ok(&["start", "--name", "app", "--max-restarts", "2", "sh", "-c", "exit 3"]);
    user.until_state("app", "errored");
    let ran = user.tsm(&["why", "app"]).code(3).says("app (TSM ID: 0) is errored since ");
    ran.says("its supervisor gave up after 2 restarts in a row; the last run ended with exit code 3 after ");
    user.ok(&["start", "--name", "again", "--max-restarts", "1000", "sh", "-c", "exit 3"]);
    // The pauses grow, so that one is seen.
    let mut answer = Value::Null;
    eventually("it waits", || {
        answer = why(&user, "again", 3);
        answer["status"] == "backoff"
    });
    let sentence = answer["why"].as_str().unwrap();
    assert!(sentence.starts_with("it ended with exit code 3"), "{sentence}");
    assert!(sentence.contains("; it waits and is tried again "), "{sentence}");
    assert_eq!(texts(&answer["todo"]), ["tsm logs --run again", "tsm restart again"]);
}

#[test]
fn what_stands_in_the_way_of_a_start_is_named_with_what_to_type() {
    let user = User::new();
    let dir = user.cwd().join("short-lived");
    fs::create_dir_all(&dir).unwrap();
    let port = free_port();
    let env = user.file("env/other.env", "A=1\n");
    let program = user.program("run-it", "#!/bin/sh\nexec sleep 1000\n");
    user.ok(&["start", "--name", "a", "--dir", dir.to_str().unwrap(), "sleep", "1000"]);
    user.ok(&["start", "--name", "b", "--port", &port.to_string(), "sleep", "1000"]);
    user.ok(&["start", "--name", "c", "--env", "other", "sleep", "1000"]);
    user.ok(&["start", "--name", "d", program.to_str().unwrap()]);
    user.ok(&["stop", "all"]);
    fs::remove_dir(&dir).unwrap();
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    fs::remove_file(&env).unwrap();
    fs::remove_file(&program).unwrap();
    let b = format!("b-{port}");
    for (name, what) in [
        ("a", format!("there is no directory {}", dir.canonicalize().unwrap_or(dir.clone()).display())),
        (b.as_str(), format!("port {port} is taken by ")),
        ("c", "env/other.env does not exist".to_owned()),
        ("d", "there is no ".to_owned()),
    ] {
        let answer = why(&user, name, 3);
        let obstacles = answer["obstacles"].as_array().unwrap();
        let said = obstacles.iter().any(|one| one["what"].as_str().unwrap().contains(&what));
        assert!(said, "no {what:?} in {answer:#}");
        assert_eq!(texts(&answer["todo"]).last(), Some(&format!("tsm start {name}").as_str()));
        // It does not start, for that very reason.
        assert_ne!(user.tsm(&["start", name]).code, 0);
    }
    let ran = user.tsm(&["why", &b]).code(3).says("  in the way    port ");
    assert!(why(&user, &b, 3)["port_holder"].is_string(), "{ran:?}");
    drop(held);
    fs::create_dir_all(&dir).unwrap();
    user.file("env/other.env", "export A='open\n");
    user.tsm(&["why", "c"]).code(3).says("env/other.env:1: ");
    assert_eq!(why(&user, "a", 3)["obstacles"], json!([]));
    assert_eq!(why(&user, &b, 3)["obstacles"], json!([]));
}

#[test]
fn a_port_that_was_taken_when_the_program_wanted_it() {
    let user = User::new();
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    user.file("server.js", &format!("require('http').createServer().listen({port}, '127.0.0.1')"));
    ended(&user, &["--kind", "pid"], &["node", "server.js"]);
    let answer = why(&user, "app", 3);
    assert_eq!(cause(&answer), format!("port {port} was taken when it wanted to listen"));
    assert!(
        answer["causes"][0]["holder"].as_str().unwrap().contains(&format!("(PID {})", std::process::id()))
    );
    assert_eq!(texts(&answer["todo"])[0], format!("tsm doctor port {port}"));
    user.file("server.py", &format!("import socket\nsocket.create_server(('127.0.0.1', {port}))\n"));
    ended(&user, &["--kind", "pid"], &["python3", "server.py"]);
    assert!(cause(&why(&user, "app", 3)).contains("was taken"), "{}", text(&user.log("app")));
    drop(held);
    user.tsm(&["why", "app"]).code(3).says("  the log says  ");
}

#[test]
fn what_python_node_and_bash_say_of_what_is_missing() {
    let user = User::new();
    let closed = free_port();
    for (file, program, what, todo) in [
        (
            "import no_such_module_x\n",
            "python3",
            "the Python module no_such_module_x is not installed".to_owned(),
            "pip install",
        ),
        (
            "require('no-such-module-x')\n",
            "node",
            "the Node module no-such-module-x is not installed".to_owned(),
            "npm install",
        ),
        (
            "import os\nos.environ['NO_SUCH_VARIABLE']\n",
            "python3",
            "the variable NO_SUCH_VARIABLE is not set".to_owned(),
            "NO_SUCH_VARIABLE=",
        ),
        (
            "set -u\necho $NO_SUCH_VARIABLE\n",
            "bash",
            "the variable NO_SUCH_VARIABLE is not set".to_owned(),
            "NO_SUCH_VARIABLE=",
        ),
        (
            "no-such-command-x\n",
            "bash",
            "the command no-such-command-x is not found on its PATH".to_owned(),
            "type -a",
        ),
        (
            &format!("require('net').connect({closed}, '127.0.0.1')\n"),
            "node",
            format!("nothing answered at port {closed}, which it connects to"),
            "tsm doctor port",
        ),
    ] {
        user.file("script", file);
        ended(&user, &["--kind", "pid"], &[program, "./script"]);
        let answer = why(&user, "app", 3);
        assert_eq!(cause(&answer), what, "{}", text(&user.log("app")));
        assert!(texts(&answer["todo"])[0].contains(todo), "{answer:#}");
        let missing = what.contains("variable");
        assert_eq!(texts(&answer["missing_env"]), if missing { vec!["NO_SUCH_VARIABLE"] } else { vec![] });
    }
    // What is set is not missing: another dictionary was meant.
    user.file("dev.env", "A_KEY=1\n");
    user.file("script", "import os\nprint(os.environ['PATH'] and 'os.environ')\n{}['A_KEY']\n");
    ended(&user, &["--kind", "pid", "--env", "dev.env"], &["python3", "./script"]);
    assert_eq!(why(&user, "app", 3)["causes"], json!([]));
}

#[test]
fn a_killed_supervisor_and_a_lost_process() {
    let user = two();
    let (supervisor, pid) = (user.supervisor("up"), user.pid("up"));
    kill(supervisor, "KILL");
    eventually("it is dead", || !is_alive(supervisor));
    user.ok(&["why", "up"])
        .says("is unsupervised")
        .says("its supervisor was killed")
        .says("  tsm restart up\n");
    kill(pid, "KILL");
    eventually("it is dead, too", || !is_alive(pid));
    let answer = why(&user, "up", 3);
    assert!(answer["why"].as_str().unwrap().starts_with("it is gone, and nobody saw it end"), "{answer:#}");
    assert_eq!((texts(&answer["todo"]), &answer["since_ms"]), (vec!["tsm start up"], &Value::Null));
    // After a reboot.
    let status = user.process_dir("up").join("status.json");
    let mut written: Value = serde_json::from_str(&text(&status)).unwrap();
    written["boot_id"] = json!("another");
    fs::write(&status, written.to_string()).unwrap();
    user.tsm(&["why", "up"]).code(3).says("the machine was started anew since");
}

#[test]
fn what_runs_but_not_as_planned() {
    let user = User::new();
    let (planned, real) = (free_port(), free_port());
    let serve = format!(
        "import http.server as h; h.HTTPServer(('127.0.0.1', {real}), h.SimpleHTTPRequestHandler).serve_forever()"
    );
    user.file("server.py", &serve);
    user.ok(&["start", "--wait", "--name", "web", "--port", &planned.to_string(), "python3", "server.py"]);
    user.ok(&["why", "web"]).says(&format!("but listens on {real} instead of its planned port {planned}\n"));
    user.file("deaf.py", "import time\ntime.sleep(1000)\n");
    user.ok(&["start", "--name", "deaf", "--port", &free_port().to_string(), "python3", "deaf.py"]);
    let answer = why(&user, "deaf", 3);
    assert!(answer["why"].as_str().unwrap().contains("does not listen on port"), "{answer:#}");
}

#[test]
fn a_service_that_was_never_started_and_names_that_nobody_knows() {
    let user = two();
    let available = user.tsm_dir().join("services-available");
    fs::create_dir_all(&available).unwrap();
    fs::write(available.join("myapp.tsm"), "SERVICE_COMMAND='sleep 1000'\nSERVICE_NAME=other\n").unwrap();
    user.ok(&["start", "--name", "not-myapp-at-all", "sleep", "1000"]);
    let answer = why(&user, "myapp", 3);
    assert_eq!(answer["why"], "it is a service definition that was never started");
    assert_eq!((texts(&answer["todo"]), &answer["status"]), (vec!["tsm start myapp"], &Value::Null));
    user.ok(&["start", "myapp"]);
    eventually("it is up", || user.tsm(&["why", "myapp"]).code == 0);
    assert_eq!(why(&user, "myapp", 0)["name"], "other");
    fs::write(available.join("broken.tsm"), "SERVICE_COMMAND=x\nrm x\n").unwrap();
    user.tsm(&["why", "broken"]).code(3).says("cannot be started: ").says("broken.tsm:2: ");

    user.tsm(&["why", "dwon"]).code(4).complains("did you mean down?");
    user.tsm(&["why", "myap1"]).code(4).complains("did you mean the service myapp?");
    user.tsm(&["why", "zzz"]).code(4).complains("no such process: zzz");
    user.ok(&["delete", "not-myapp-at-all"]);
    fs::write(user.log("old"), "x").unwrap();
    user.tsm(&["why", "old"]).code(4).complains("try: it was deleted, and left a log: tsm logs old");
    user.tsm(&["why"]).code(2);
}

#[test]
fn what_a_program_printed_does_not_reach_the_terminal_as_it_is() {
    let user = User::new();
    ended(&user, &[], &["printf", "\\033[31mred\\033[0m \\033]0;title\\007\\n"]);
    assert_eq!(why(&user, "app", 3)["log"][0], "red \x1b]0;title\x07");
    let (shown, code) = user.at_terminal(120, &["why", "app"]);
    assert_eq!(code, 3);
    assert!(plain(&shown).contains("| red \\x1b]0;title\\x07\n"), "{shown:?}");
}
