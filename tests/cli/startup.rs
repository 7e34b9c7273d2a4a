//! `tsm startup`: all enabled services, each once, and what fails stops no other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::json;

use crate::kit::{User, eventually, free_port, kill, text};

fn define(user: &User, name: &str, body: &str) -> PathBuf {
    let dir = user.tsm_dir().join("services-available");
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join(format!("{name}.tsm"));
    fs::write(&file, body).unwrap();
    file
}

/// Services that run and say so.
fn enabled(user: &User, names: &[&str]) {
    for name in names {
        define(user, name, "SERVICE_COMMAND='echo run; exec sleep 1000'\nSERVICE_TYPE=pid\n");
        user.ok(&["enable", name]);
    }
}

fn runs(user: &User, name: &str) -> usize {
    eventually(&format!("{name} says something"), || text(&user.log(name)).contains("run"));
    text(&user.log(name)).lines().filter(|line| *line == "run").count()
}

#[test]
fn nothing_enabled_is_said_with_what_to_type_and_is_no_failure() {
    let user = User::new();
    define(&user, "web", "SERVICE_COMMAND='sleep 1000'\n");
    let none = user.ok(&["startup"]).complains("tsm enable NAME");
    assert_eq!(none.stdout, "no service is enabled\n");
    assert_eq!(user.json(&["startup"]), json!([]));
    assert_eq!(user.json(&["list", "all"]), json!([]));
}

#[test]
fn all_enabled_services_are_started_once_and_told_in_their_order() {
    let user = User::new();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
    enabled(&user, &names);
    define(&user, "off", "SERVICE_COMMAND='sleep 1000'\n");
    let ran = user.ok(&["startup"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), names.len() + 1, "{ran:?}");
    for (name, line) in names.iter().zip(&lines) {
        assert!(line.starts_with(&format!("Started: {name} (TSM ID: ")), "{line}");
        assert!(line.contains("PID: "), "{line}");
    }
    assert_eq!(lines[names.len()], "11 services: 11 started");
    let pids = names.map(|name| user.pid(name));
    let again = user.ok(&["startup"]);
    assert!(again.stdout.starts_with("Already running: a (TSM ID: "), "{again:?}");
    assert!(again.stdout.ends_with("\n11 services: 11 already running\n"), "{again:?}");
    assert_eq!(names.map(|name| user.pid(name)), pids);
    // A stopped one is started, wherever that is typed, and one that was changed since is left alone.
    user.ok(&["stop", "c"]);
    define(&user, "d", "SERVICE_COMMAND='echo other; exec sleep 1000'\nSERVICE_TYPE=pid\n");
    let mut elsewhere = user.tsm_command(&["startup"]);
    elsewhere.current_dir("/");
    let ran = crate::kit::run(elsewhere).code(0).says("\n11 services: 1 started, 10 already running\n");
    assert!(ran.stdout.contains("\nStarted: c ("), "{ran:?}");
    assert_eq!(user.pid("d"), pids[3]);
    // One that was started by hand in another directory is the same service.
    user.ok(&["stop", "e"]);
    user.ok(&["start", "e"]);
    user.ok(&["startup"]).says("11 services: 11 already running\n");
    assert_eq!(user.view("a")["cwd"], user.home().display().to_string());
    assert_eq!(user.json(&["list", "all"]).as_array().unwrap().len(), names.len());
}

#[test]
fn what_fails_is_told_and_stops_no_other() {
    let user = User::new();
    enabled(&user, &["a", "z"]);
    for name in ["broken", "gone"] {
        enabled(&user, &[name]);
    }
    define(&user, "broken", "SERVICE_COMMAND=x\nrm -rf x\n");
    fs::remove_file(user.tsm_dir().join("services-available/gone.tsm")).unwrap();
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    define(&user, "busy", &format!("SERVICE_COMMAND='sleep 1000'\nSERVICE_PORT={port}\n"));
    define(&user, "nodir", "SERVICE_COMMAND='sleep 1000'\nSERVICE_DIR=/nowhere/at/all\n");
    define(&user, "noprog", "SERVICE_COMMAND='/nowhere/at/all x'\nSERVICE_COMAND=y\n");
    for name in ["busy", "nodir", "noprog"] {
        user.ok(&["enable", name]);
    }
    symlink("/nowhere", user.tsm_dir().join("services-enabled/bad name.tsm")).unwrap();
    let ran = user.tsm(&["startup"]).code(6);
    for (name, why) in [
        ("bad name", "is a link to /nowhere, which does not exist"),
        ("broken", "broken.tsm:2: \"rm\" is not NAME=value"),
        ("busy", "(SERVICE_PORT of the definition) is taken by"),
        ("gone", "which does not exist"),
        ("nodir", "no directory /nowhere/at/all"),
        ("noprog", "/nowhere/at/all"),
    ] {
        let failed = format!("Failed: {name}: ");
        assert!(
            ran.stdout.lines().any(|line| line.starts_with(&failed) && line.contains(why)),
            "{name}: {ran:?}"
        );
    }
    assert!(ran.stdout.starts_with("Started: a ("), "{ran:?}");
    assert!(ran.stdout.contains("\nStarted: z (") && ran.stdout.contains("\n  try: "), "{ran:?}");
    assert!(ran.stdout.ends_with("\n8 services: 2 started, 6 failed\n"), "{ran:?}");
    assert!(ran.stderr.contains("tsm: noprog: line 2: SERVICE_COMAND is not a setting"), "{ran:?}");
    assert_eq!(user.json(&["list", "all"]).as_array().unwrap().len(), 2, "what failed left nothing");
    drop(held);
    let all = user.json(&["startup"]);
    let of = |name: &str| all.as_array().unwrap().iter().find(|one| one["service"] == name).unwrap();
    assert_eq!((&of("a")["result"], &of("a")["process"]["name"]), (&json!("already-running"), &json!("a")));
    assert_eq!((&of("busy")["result"], &of("busy")["error"]), (&json!("started"), &json!(null)));
    assert_eq!(of("gone")["result"], "failed");
    assert!(of("gone")["error"]["message"].as_str().unwrap().contains("which does not exist"));
}

#[test]
fn wait_returns_when_all_are_ready_and_a_slow_one_keeps_none_from_starting() {
    let user = User::new();
    let flag = user.cwd().join("flag");
    // More of them than are started at a time wait for the last one.
    let ports: Vec<u16> = (0..9).map(|_| free_port()).collect();
    for (at, port) in ports.iter().enumerate() {
        let command = format!(
            "until [ -e {} ]; do sleep 0.05; done; exec python3 -m http.server {port} --bind 127.0.0.1",
            flag.display()
        );
        define(&user, &format!("s{at}"), &format!("SERVICE_COMMAND='{command}'\nSERVICE_PORT={port}\n"));
        user.ok(&["enable", &format!("s{at}")]);
    }
    let last = format!("SERVICE_COMMAND='touch {}; exec sleep 1000'\nSERVICE_TYPE=pid\n", flag.display());
    define(&user, "z", &last);
    user.ok(&["enable", "z"]);
    user.ok(&["startup", "--wait=25"]).says("\n10 services: 10 started\n");
    for (at, port) in ports.iter().enumerate() {
        assert_eq!(user.view(&format!("s{at}-{port}"))["ports"], json!([port]));
    }
}

#[test]
fn one_that_dies_or_is_late_is_a_failure_where_it_is_waited_for() {
    let user = User::new();
    let port = free_port();
    let command = "SERVICE_COMMAND='echo last words; exit 3'";
    define(&user, "dies", &format!("{command}\nSERVICE_TYPE=pid\nSERVICE_RESTART=no\n"));
    define(&user, "late", &format!("SERVICE_COMMAND='sleep 1000'\nSERVICE_PORT={port}\n"));
    user.ok(&["enable", "late", "dies"]);
    let ran = user.tsm(&["startup", "--wait=1"]).code(124).complains("last words");
    let failed = format!("\nFailed: late: late-{port} is not ready after 1s\n");
    assert!(ran.stdout.starts_with("Failed: dies: dies died: exit code 3\n"), "{ran:?}");
    assert!(ran.stdout.contains(&failed), "{ran:?}");
    assert!(ran.stdout.ends_with("\n2 services: 2 failed\n"), "{ran:?}");
    user.ok(&["info", &format!("late-{port}")]);
}

#[test]
fn two_at_once_start_each_service_once() {
    let user = User::new();
    let names = ["a", "b", "c", "d", "e", "f"];
    enabled(&user, &names);
    let said: String = std::thread::scope(|scope| {
        let all: Vec<_> = (0..3).map(|_| scope.spawn(|| user.ok(&["startup"]).stdout)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for name in names {
        assert_eq!(said.matches(&format!("Started: {name} (")).count(), 1, "{said}");
        assert_eq!(said.matches(&format!("Already running: {name} (")).count(), 2, "{said}");
        assert_eq!(runs(&user, name), 1, "{name}");
    }
    let ids: Vec<_> = user.json(&["list"]).as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_killed_startup_leaves_nothing_half_made() {
    let user = User::new();
    enabled(&user, &["a", "b", "c", "d"]);
    let mut child = user.tsm_command(&["startup"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    kill(child.id() as i32, "KILL");
    child.wait().unwrap();
    user.ok(&["startup"]).says("\n4 services: ");
    for name in ["a", "b", "c", "d"] {
        user.until_state(name, "online");
        assert_eq!(runs(&user, name), 1, "{name}");
    }
}

#[test]
fn boot_leaves_alone_what_somebody_has_stopped_and_not_what_a_shutdown_has() {
    let user = User::new();
    let names = ["halted", "signalled", "undone"];
    enabled(&user, &names);
    user.ok(&["startup"]);
    for name in names {
        user.until_state(name, "online");
    }
    user.ok(&["stop", "halted"]);
    // The last word counts.
    kill(user.supervisor("undone"), "TERM");
    user.until_state("undone", "stopped");
    user.ok(&["start", "undone"]);
    user.ok(&["stop", "undone"]);
    kill(user.supervisor("signalled"), "TERM");
    user.until_state("signalled", "stopped");
    user.tsm(&["why", "signalled"]).says("told to end by a signal, as at a shutdown");
    let ran = user.ok(&["startup", "--boot"]);
    assert!(ran.stdout.starts_with("Started: signalled ("), "{ran:?}");
    assert!(ran.stdout.ends_with("\n1 service: 1 started\n"), "{ran:?}");
    assert_eq!([user.state("halted"), user.state("undone")], ["stopped", "stopped"]);
}
