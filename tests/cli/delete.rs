//! `tsm delete` and `tsm cleanup`: what is forgotten, and what stays.

use std::fs;

use crate::kit::{User, eventually, is_alive};
use crate::list::two;

#[test]
fn a_running_process_is_stopped_first_and_its_log_stays() {
    let user = User::new();
    user.ok(&["start", "--name", "app", "sh", "-c", "echo said; exec sleep 1000"]);
    eventually("it has logged", || fs::metadata(user.log("app")).unwrap().len() > 0);
    let pid = user.pid("app");
    let ran = user.ok(&["delete", "app"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("Deleted: app (TSM ID: 0)\n", ""));
    assert!(!is_alive(pid));
    assert!(!user.process_dir("app").exists() && user.alive().is_empty());
    assert_eq!(fs::read_to_string(user.log("app")).unwrap(), "said\n");
    user.tsm(&["delete", "app"]).code(4);
    // Its ID is free again.
    user.ok(&["start", "--name", "next", "sleep", "1000"]).says("(TSM ID: 0,");
}

#[test]
fn purge_removes_the_logs_of_that_process_alone() {
    let user = User::new();
    for name in ["app", "app.log.1", "app-2"] {
        user.ok(&["start", "--name", name, "sleep", "1000"]);
    }
    fs::write(user.log("app").with_extension("log.2"), "old").unwrap();
    fs::write(user.log("app").with_extension("log.txt"), "mine").unwrap();
    user.ok(&["delete", "--purge", "app"]);
    let mut left: Vec<String> = fs::read_dir(user.tsm_dir().join("logs"))
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["app-2.log", "app.log.1.log", "app.log.txt"]);
}

#[test]
fn purge_also_takes_a_log_that_an_earlier_delete_left() {
    let user = two();
    user.ok(&["delete", "down"]);
    assert!(user.log("down").exists());
    user.ok(&["delete", "--purge", "down"]).says("Deleted: the log of down\n");
    assert!(!user.log("down").exists());
    user.tsm(&["delete", "--purge", "down"]).code(4);
    assert!(is_alive(user.pid("up")));
}

#[test]
fn cleanup_forgets_what_does_not_run() {
    let user = two();
    user.ok(&["start", "--restart", "no", "--name", "failed", "sh", "-c", "exit 1"]);
    user.until_state("failed", "exited");
    let ran = user.ok(&["cleanup"]);
    assert_eq!(
        ran.stdout,
        "Removed: down (TSM ID: 1) (stopped)\nRemoved: failed (TSM ID: 2) (exited)\n\
         Checked 3 processes, removed 2\n"
    );
    assert!(is_alive(user.pid("up")));
    assert!(user.log("down").exists());
    assert_eq!(user.ok(&["cleanup"]).stdout, "Checked 1 process, removed 0\n");
    user.ok(&["stop", "up"]);
    let done = user.json(&["cleanup", "--purge"]);
    assert_eq!(done, serde_json::json!([{"name": "up", "id": 0, "done": "removed", "killed": []}]));
    assert!(!user.log("up").exists());
}

#[test]
fn aliases_delete_too() {
    let user = two();
    user.ok(&["rm", "up"]).says("Deleted: up");
    user.ok(&["del", "down"]).says("Deleted: down");
}
