//! Restarts: by policy after an end, and by hand with everything read anew.

use std::fs;
use std::process::Stdio;

use crate::kit::{Ran, User, eventually, free_port, is_alive, kill, run, text};

/// Writes what it was given into `seen` and stays; what it printed before is gone.
const SHOW: &str = "printf '%s %s %s\\n' \"${A-none}\" \"${B-none}\" \"${PORT-none}\" >seen.new; mv seen.new seen; \
    echo run; exec sleep 600";

fn start(user: &User, name: &str, options: &[&str], script: &str) -> Ran {
    user.ok(&[&["start", "--name", name, "--kind", "pid"], options, &["--", "bash", "-c", script]].concat())
}

/// Waits until the program has said that.
fn sees(user: &User, wanted: &str) {
    let path = user.cwd().join("seen");
    eventually(&format!("the program sees {wanted:?} and not {:?}", text(&path)), || text(&path) == wanted);
}

/// How many processes of this user have exactly that command line.
fn copies(user: &User, command: &str) -> usize {
    user.alive().iter().filter(|(_, line)| line.trim() == command).count()
}

/// Waits for the program, which the shell that spoke before it may be about to become, and counts it.
#[track_caller]
fn one_copy(user: &User, command: &str) {
    eventually("it runs", || copies(user, command) > 0);
    assert_eq!(copies(user, command), 1, "one copy of {command}");
}

#[test]
fn the_policy_decides_what_follows_an_exit() {
    for (policy, code, state, restarts) in [
        ("no", 3, "exited", 0),
        ("no", 0, "exited", 0),
        ("on-failure", 0, "exited", 0),
        ("on-failure", 7, "errored", 2),
        ("always", 0, "errored", 2),
    ] {
        let user = User::new();
        start(&user, "p", &["--restart", policy, "--max-restarts", "2"], &format!("echo ran; exit {code}"));
        user.until_state("p", state);
        let view = user.view("p");
        assert_eq!(view["restarts"], restarts, "{policy} {code}: {view}");
        assert_eq!(view["exit"]["code"], code, "{policy} {code}: {view}");
        assert_eq!(view["run"], restarts + 1, "{policy} {code}: {view}");
        assert_eq!(text(&user.log("p")), "ran\n".repeat(restarts + 1), "{policy} {code}");
        let listed = user.ok(&["list"]).stdout.contains("errored");
        assert_eq!(listed, state == "errored", "what should be up and is not is listed");
    }
}

#[test]
fn a_death_by_signal_is_a_failure() {
    let user = User::new();
    start(&user, "p", &[], "exec sleep 600");
    let first = user.pid("p");
    kill(first, "KILL");
    eventually("it runs again", || user.view("p")["pid"].as_i64().is_some_and(|pid| pid != i64::from(first)));
    let view = user.view("p");
    assert_eq!((view["restarts"].as_i64(), view["exit"]["signal"].as_i64()), (Some(1), Some(9)), "{view}");
}

#[test]
fn backoff_is_a_state_that_can_be_stopped_and_restarted() {
    let user = User::new();
    start(&user, "p", &["--max-restarts", "50"], "[[ -e good ]] && exec sleep 600; exit 1");
    // From the sixth failure on it waits for more than a second: long enough to be found there.
    eventually("it has failed a few times", || {
        let view = user.view("p");
        view["status"] == "backoff" && view["restarts"].as_i64() >= Some(5)
    });
    user.ok(&["stop", "p"]).says("Stopped: p");
    let stopped = user.view("p");
    assert_eq!((stopped["status"].as_str(), stopped["exit"]["code"].as_i64()), (Some("stopped"), Some(1)));
    assert_eq!(user.alive(), []);

    user.ok(&["start", "p"]);
    eventually("it waits again", || {
        let view = user.view("p");
        view["status"] == "backoff" && view["restarts"].as_i64() >= Some(5)
    });
    let supervisor = user.supervisor("p");
    user.file("good", "");
    user.ok(&["restart", "p"]).says("Restarted: p");
    user.until_state("p", "online");
    assert_eq!(user.supervisor("p"), supervisor);
    one_copy(&user, "sleep 600");
}

#[test]
fn a_manual_restart_forgives_the_failures() {
    let user = User::new();
    start(&user, "p", &["--max-restarts", "1"], "exec sleep 600");
    let crash = || {
        let before = user.pid("p");
        kill(before, "KILL");
        eventually("it was started again, or not", || {
            let view = user.view("p");
            view["status"] == "errored" || view["pid"].as_i64().is_some_and(|pid| pid != i64::from(before))
        });
        user.state("p")
    };
    assert_ne!(crash(), "errored");
    user.ok(&["restart", "p"]);
    assert_ne!(crash(), "errored", "the count of failures began anew");
    assert_eq!(user.view("p")["restarts"], 3);
    assert_eq!(crash(), "errored", "two failures in a row, one restart allowed");
    user.ok(&["restart", "p"]).says("Restarted: p");
    user.until_state("p", "online");
}

#[test]
fn a_restart_keeps_id_name_and_port_and_reads_the_named_env_file_anew() {
    let user = User::new();
    let port = free_port().to_string();
    start(&user, "first", &[], "exec sleep 601");
    user.file("env/dev.env", "A=1\nB=old\n");
    start(&user, "web", &["--env", "dev", "--port", &port], SHOW);
    let name = format!("web-{port}");
    sees(&user, &format!("1 old {port}\n"));
    let before = user.view(&name);

    user.file("env/dev.env", "A=2\n");
    user.ok(&["restart", &name]).says("Restarted");
    sees(&user, &format!("2 none {port}\n"));
    let after = user.view(&name);
    for same in ["id", "name", "port", "supervisor_pid", "env_file", "command"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_ne!(before["pid"], after["pid"]);
    assert_eq!(after["restarts"], 1, "one restart is one restart");
    one_copy(&user, "sleep 600");

    // After a crash too.
    user.file("env/dev.env", "A=3\nB=new\n");
    kill(user.pid(&name), "KILL");
    sees(&user, &format!("3 new {port}\n"));
    one_copy(&user, "sleep 600");
    assert_eq!(user.view(&name)["restarts"], 2);
}

#[test]
fn an_env_file_that_was_found_is_read_anew_as_well() {
    let user = User::new();
    user.file(".env", "A=1\nB=old\n");
    start(&user, "p", &[], SHOW);
    sees(&user, "1 old none\n");
    user.file(".env", "A=2\n");
    user.ok(&["restart", "p"]);
    sees(&user, "2 none none\n");
}

#[test]
fn a_restart_by_hand_from_every_state() {
    for state in ["online", "stopped", "exited", "errored"] {
        let user = User::new();
        user.file("mode", state);
        let script = "case $(<mode) in errored) exit 1;; exited) exit 0;; esac; exec sleep 600";
        start(&user, "p", &["--max-restarts", "1"], script);
        if state == "stopped" {
            user.ok(&["stop", "p"]);
        }
        user.until_state("p", state);
        user.file("mode", "good");
        user.ok(&["restart", "p"]).says("Restarted: p");
        user.until_state("p", "online");
        one_copy(&user, "sleep 600");
        assert_eq!(user.view("p")["id"], 0);
    }
}

#[test]
fn a_restart_reads_the_definition_anew() {
    let user = User::new();
    let define = |command: &str, extra: &str| {
        let path = user.tsm_dir().join("services-available/web.tsm");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let dir = user.cwd();
        let text = format!("SERVICE_COMMAND=\"{command}\"\nSERVICE_DIR=\"{}\"\n{extra}", dir.display());
        fs::write(path, text).unwrap();
    };
    define("sleep 601", "");
    user.ok(&["start", "web"]);
    assert_eq!(user.view("web")["command"], "sleep 601");
    define("sleep 602", "SERVICE_STOP_TIMEOUT=3s\n");
    user.ok(&["restart", "web"]);
    assert_eq!(user.view("web")["command"], "sleep 602");
    assert_eq!((copies(&user, "sleep 601"), copies(&user, "sleep 602")), (0, 1));
    assert_eq!(user.view("web")["id"], 0);

    define("sleep", "THIS IS NO ASSIGNMENT\n");
    let pid = user.pid("web");
    user.tsm(&["restart", "web"]).code(1).complains("web.tsm");
    assert!(is_alive(pid), "a broken definition leaves alone what runs");
}

#[test]
fn update_env_takes_the_callers_environment_and_a_plain_restart_does_not() {
    let user = User::new();
    let with = |value: &str, args: &[&str]| {
        let mut command = user.tsm_command(args);
        command.env("A", value);
        run(command).code(0)
    };
    with("at start", &["start", "--name", "p", "--kind", "pid", "--", "bash", "-c", SHOW]);
    sees(&user, "at start none none\n");
    fs::remove_file(user.cwd().join("seen")).unwrap();
    with("ignored", &["restart", "p"]);
    sees(&user, "at start none none\n");
    with("taken", &["restart", "--update-env", "p"]);
    sees(&user, "taken none none\n");
    assert_eq!(user.view("p")["restarts"], 2, "the count goes on under the new supervisor");
    kill(user.pid("p"), "KILL");
    fs::remove_file(user.cwd().join("seen")).unwrap();
    sees(&user, "taken none none\n");
    user.ok(&["stop", "p"]);
    with("after a stop", &["start", "p"]);
    sees(&user, "after a stop none none\n");
}

#[test]
fn a_broken_env_file_fails_the_restart_with_file_and_line() {
    for alive in [true, false] {
        let user = User::new();
        let path = user.file("env/dev.env", "A=1\n");
        start(&user, "p", &["--env", "dev"], SHOW);
        sees(&user, "1 none none\n");
        let before = user.pid("p");
        if !alive {
            user.ok(&["stop", "p"]);
        }
        user.file("env/dev.env", "A=1\nif then\n");
        let failed = user.tsm(&["restart", "p"]).code(1).complains(path.to_str().unwrap());
        assert!(failed.stderr.contains("dev.env:2") || failed.stderr.contains("line 2"), "{failed:?}");
        assert!(!alive || user.pid("p") == before, "what ran goes on");
        // What shows only when the file is sourced ends it, and says so too.
        user.file("env/dev.env", "A=1\nfalse\n");
        user.tsm(&["restart", "p"]).code(1).complains("dev.env:2");
        user.file("env/dev.env", "A=4\n");
        user.ok(&["restart", "p"]);
        sees(&user, "4 none none\n");
        eventually("one copy of it runs", || copies(&user, "sleep 600") == 1);
    }
}

#[test]
fn an_env_file_that_never_ends_leaves_nothing_behind() {
    let user = User::new();
    user.file("env/dev.env", "A=1\n");
    start(&user, "p", &["--env", "dev"], SHOW);
    sees(&user, "1 none none\n");
    user.file("env/dev.env", "sleep 700\n");
    kill(user.pid("p"), "KILL");
    eventually("the file is being sourced", || copies(&user, "sleep 700") == 1);
    user.ok(&["stop", "p"]);
    assert_eq!(user.alive(), []);
    assert_eq!(user.state("p"), "stopped");
}

#[test]
fn a_restart_of_a_program_that_is_gone_says_so() {
    for policy in ["no", "on-failure"] {
        let user = User::new();
        let program = user.program("server", "#!/bin/sh\nexec sleep 600\n");
        user.ok(&["start", "--name", "p", "--restart", policy, "--kind", "pid", "./server"]);
        // A script is opened once more by its interpreter.
        one_copy(&user, "sleep 600");
        fs::remove_file(program).unwrap();
        user.tsm(&["restart", "p"])
            .code(1)
            .complains("cannot restart p: cannot start p: command not found: ./server");
        user.program("server", "#!/bin/sh\nexec sleep 600\n");
        user.ok(&["restart", "p"]);
        one_copy(&user, "sleep 600");
    }
}

#[test]
fn many_restarts_at_once_leave_one_copy() {
    let user = User::new();
    user.file("env/dev.env", "A=1\n");
    start(
        &user,
        "p",
        &["--env", "dev"],
        "trap 'sleep 0.1; exit 0' TERM; echo up; while :; do sleep 0.0600; done",
    );
    let many: Vec<_> =
        (0..8).map(|_| user.tsm_command(&["restart", "p"]).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut one in many {
        assert!(one.wait().unwrap().success());
    }
    user.until_state("p", "online");
    let shells = user.alive().iter().filter(|(_, line)| line.starts_with("bash -c trap")).count();
    assert_eq!(shells, 1, "{:?}", user.alive());
}

#[test]
fn a_process_whose_socket_was_removed_is_restarted_all_the_same() {
    let user = User::new();
    let mut command =
        user.tsm_command(&["start", "--name", "x", "sh", "-c", "echo mine=$MINE; exec sleep 1000"]);
    command.env("MINE", "kept");
    crate::kit::run(command).code(0);
    let pid = user.pid("x");
    fs::remove_file(user.process_dir("x").join("control.sock")).unwrap();
    user.ok(&["restart", "x"]).says("Restarted: x (TSM ID: 0, PID: ");
    assert_ne!(user.pid("x"), pid);
    eventually("it has the same environment", || text(&user.log("x")) == "mine=kept\nmine=kept\n");
    user.ok(&["socket", "health", "x"]);
}
