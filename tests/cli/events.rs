//! `tsm events`: every change of a process, once, in its order, with and without somebody who looks.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::kit::{User, eventually, free_port, kill};

/// Everything that the journal says of one process.
fn journal(user: &User, name: &str) -> Vec<Value> {
    let ran = user.ok(&["events", "--json", "-n", "100000"]);
    let all: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = all.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>(), "a number for each, without a gap");
    all.into_iter().filter(|event| event["name"] == name).collect()
}

fn words(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn a_life_is_told_from_its_start_to_its_end() {
    let user = User::new();
    let port = free_port();
    let server = ["python3", "-m", "http.server"];
    user.ok(&[&["start", "--wait", "--port", &port.to_string(), "--name", "web"], &server[..]].concat());
    let name = format!("web-{port}");
    let first = user.pid(&name);
    user.ok(&["restart", &name]);
    user.ok(&["stop", &name]);
    let events = journal(&user, &name);
    let told: Vec<&str> = words(&events).into_iter().filter(|word| *word != "ready").collect();
    assert_eq!(told, ["started", "exited", "restarted", "exited", "stopped"], "{events:#?}");
    assert_eq!(
        (&events[0]["pid"], &events[0]["run"], &events[0]["port"]),
        (&first.into(), &1.into(), &port.into())
    );
    let exits: Vec<&Value> = events.iter().filter(|event| event["event"] == "exited").collect();
    assert_eq!((&exits[0]["pid"], &exits[0]["exit"]["signal"]), (&first.into(), &15.into()), "{events:#?}");
    assert!(exits[0]["time"].as_str().unwrap().starts_with("20"), "{events:#?}");
    user.ok(&["events", &name]).says(&format!("{name}  exited (signal 15 (SIGTERM), PID {first}"));
}

#[test]
fn a_crash_loop_is_told_to_its_end() {
    let user = User::new();
    user.ok(&["start", "--name", "bad", "--max-restarts", "1", "sh", "-c", "sleep 0.01; exit 7"]);
    eventually("it has given up", || user.state("bad") == "errored");
    let events = journal(&user, "bad");
    assert_eq!(words(&events), ["started", "exited", "restarted", "exited", "gave-up"], "{events:#?}");
    assert_eq!(events[3]["exit"]["code"], 7);
    assert!(events[4]["note"].as_str().unwrap().contains("1 restart is allowed"), "{events:#?}");
}

#[test]
fn a_follower_is_told_as_it_happens_and_since_gives_the_rest() {
    let user = User::new();
    user.ok(&["start", "--name", "early", "sleep", "1000"]);
    let mut child = user.tsm_command(&["events", "-f", "--json", "late"]);
    // Nothing of that name yet.
    let refused = user.tsm(&["events", "late"]).code(4);
    refused.complains("no such process: late");
    child.args(["--since", "0"]);
    user.ok(&["start", "--name", "late", "sleep", "1000"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["event"], "started");
    kill(user.pid("late"), "KILL");
    let exited = std::iter::repeat_with(&mut next).find(|event| event["event"] != "ready").unwrap();
    assert_eq!((&exited["event"], &exited["exit"]["signal"]), (&"exited".into(), &9.into()));
    assert_eq!(next()["event"], "restarted");
    kill(child.id() as i32, "TERM");
    child.wait().unwrap();

    let seq = exited["seq"].to_string();
    let rest = user.ok(&["events", "--json", "--since", &seq, "late"]);
    assert!(rest.stdout.starts_with("{\"time\":") && rest.stdout.contains("\"restarted\""), "{rest:#?}");
    assert!(!rest.stdout.contains("\"exited\""), "{rest:#?}");
    user.ok(&["events", "--since", "1h"]).says("early  started");
    user.tsm(&["events", "--since", "soon"]).code(2).complains("not a number or a time");
}

#[test]
fn a_deleted_process_has_left_its_events() {
    let user = User::new();
    user.ok(&["start", "--name", "gone", "sleep", "1000"]);
    user.ok(&["delete", "gone"]);
    user.ok(&["events", "gone"]).says("gone  stopped");
    user.ok(&["events", "g*"]).says("gone  started");
}

#[test]
fn supervisors_that_write_at_once_leave_no_gap() {
    let user = User::new();
    for at in 0..6 {
        user.ok(&["start", "--name", &format!("n{at}"), "sh", "-c", "sleep 0.0$((RANDOM % 5)); exit 1"]);
    }
    eventually("all have given up or wait long", || {
        (0..6).all(|at| journal(&user, &format!("n{at}")).len() >= 8)
    });
    user.ok(&["stop", "all"]);
    for at in 0..6 {
        let events = journal(&user, &format!("n{at}"));
        let runs: Vec<u64> = events
            .iter()
            .filter(|event| event["event"] == "restarted")
            .map(|event| event["run"].as_u64().unwrap())
            .collect();
        assert_eq!(runs, (2..2 + runs.len() as u64).collect::<Vec<_>>(), "{events:#?}");
    }
}
