//! `tsm start` of what is there already: running, stopped, one of several, or waiting for its next try.

use std::net::TcpListener;

use crate::kit::{User, eventually, free_port, text};

#[test]
fn the_same_twice_is_one_process_and_another_command_under_its_name_is_a_conflict() {
    let user = User::new();
    user.ok(&["start", "sleep", "1000"]).says("Started");
    let pid = user.pid("my-api-sleep");
    user.ok(&["start", "sleep", "1000"]).says("Already running: my-api-sleep (TSM ID: 0");
    user.ok(&["start", "sleep 1000 "]).says("Already running");
    user.ok(&["start", "my-api-sleep"]).says("Already running");
    user.ok(&["start", "0"]).says("Already running");
    user.tsm(&["start", "sleep", "2000"])
        .code(6)
        .complains("runs another command already: sleep 1000")
        .complains("tsm stop my-api-sleep");
    user.tsm(&["start", "--restart", "always", "sleep", "1000"]).code(6);
    user.ok(&["start", "--name", "second", "sleep", "2000"]).says("Started: second (TSM ID: 1");
    assert_eq!(user.pid("my-api-sleep"), pid);
    // Another command may take the name of one that does not run; it is the same entry then.
    user.ok(&["stop", "my-api-sleep"]);
    user.ok(&["start", "sleep", "3000"]).says("Started: my-api-sleep (TSM ID: 0");
    assert_eq!(user.view("my-api-sleep")["command"], "sleep 3000");
}

#[test]
fn a_stopped_process_is_started_again_by_name_and_id_and_keeps_them_and_its_port() {
    let user = User::new();
    let port = free_port().to_string();
    user.ok(&["start", "sleep", "1000"]);
    user.ok(&["start", "--name", "web", "--port", &port, "--wait", "python3", "-m", "http.server"]);
    let name = format!("web-{port}");
    for word in [name.as_str(), "1", "web"] {
        let before = user.pid(&name);
        user.ok(&["stop", &name]);
        assert_eq!(user.state(&name), "stopped");
        user.ok(&["start", "--wait", word])
            .says(&format!("Started: {name} (TSM ID: 1"))
            .says(&format!("Port: {port})"));
        assert_ne!(user.pid(&name), before, "{word}");
    }
    user.ok(&["stop", &name]);
    let _held = TcpListener::bind(("127.0.0.1", port.parse::<u16>().unwrap())).unwrap();
    user.tsm(&["start", &name])
        .code(6)
        .complains(&format!("port {port} of {name} is taken by"))
        .complains("PID");
    assert_eq!(user.state(&name), "stopped");
    // What it keeps cannot be changed in passing.
    for option in
        [&["--port", "4000"][..], &["--env-var", "A=1"], &["--restart", "no"], &["--stop-timeout", "1s"]]
    {
        user.tsm(&[&["start"][..], option, &[&name]].concat()).code(2).complains(option[0]);
    }
}

#[test]
fn a_base_name_of_several_is_a_conflict_that_lists_them() {
    let user = User::new();
    for port in ["18731", "18732"] {
        user.ok(&["start", "--name", "pair", "--port", port, "sleep", "600"]);
    }
    user.ok(&["stop", "all"]);
    user.tsm(&["start", "pair"]).code(6).complains("pair-18731 (TSM ID: 0), pair-18732 (TSM ID: 1)");
    assert_eq!(user.alive(), []);
    user.ok(&["start", "pair-18732"]).says("Started: pair-18732 (TSM ID: 1");
}

#[test]
fn what_waits_for_its_next_try_is_not_said_to_run() {
    let user = User::new();
    user.ok(&["start", "--name", "p", "sh", "-c", "exit 3"]);
    user.until_state("p", "backoff");
    eventually("the answer is about a failure", || {
        let ran = user.tsm(&["start", "p"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout.starts_with("It failed and is about to be started again: p (TSM ID: 0)")
    });
}

#[test]
fn it_runs_again_where_the_logs_and_their_directory_were_thrown_away() {
    let user = User::new();
    let throw_away =
        || ["logs", "pids"].map(|dir| std::fs::remove_dir_all(user.tsm_dir().join(dir)).unwrap());
    let hello = || eventually("it writes its log", || text(&user.log("p")) == "hello\n");
    user.ok(&["start", "--name", "p", "sh", "-c", "echo hello; exec sleep 600"]);
    hello();
    throw_away();
    user.ok(&["restart", "p"]).says("Restarted: p (TSM ID: 0");
    hello();
    user.ok(&["stop", "p"]);
    throw_away();
    user.ok(&["start", "p"]).says("Started: p (TSM ID: 0");
    hello();
}
