//! The clients in `examples/`: they run as they stand, and are as short as they say.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::kit::{User, kill, text};

/// Runs an example: what it lists, then what it tells of a process that is started meanwhile.
fn try_out(program: &str, example: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example);
    let lines = text(&path).lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 22, "{example} has {lines} lines");
    let user = User::new();
    user.ok(&["start", "--wait", "--name", "web", "sleep", "1000"]);
    user.daemon();
    let mut command = user.command(program);
    let mut child = command.arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let list = lines.next().unwrap();
    assert!(list.starts_with("0 web online"), "{example}: {list}");
    // Both requests came in one go: who has the first answer is subscribed, or about to be.
    let mut told = user.told(&serde_json::json!({}));
    user.ok(&["start", "--name", "late", "sleep", "1000"]);
    let seq = told.until("late", "started")["seq"].to_string();
    let event = lines.find(|line| line.contains("late")).unwrap();
    assert_eq!(event.trim(), format!("{seq} late started"), "{example}");
    kill(child.id() as i32, "KILL");
    child.wait().unwrap();
}

#[test]
fn the_python_client_lists_and_follows() {
    try_out("python3", "events.py");
}

#[test]
fn the_node_client_lists_and_follows() {
    try_out("node", "list.mjs");
}
