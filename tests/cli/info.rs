//! `tsm info`: what it tells, of what runs and of what does not.

use std::fs;

use crate::kit::{User, free_port};
use crate::list::{KEYS, two};
use crate::terminal::plain;

#[test]
fn it_tells_what_runs_why_and_on_what() {
    let user = User::new();
    let port = free_port();
    user.ok(&["start", "--wait", "--port", &port.to_string(), "python3", "-m", "http.server"]);
    let name = format!("my-api-http-{port}");
    let pid = user.pid(&name);
    let ran = user
        .ok(&["info", "0"])
        .says(&format!("{name} (TSM ID: 0)\n  status      online\n  command     python3 -m http.server\n"))
        .says(&format!("  runs        python3 -m http.server {port}\n"))
        .says(&format!("  port        {port} (listening)\n"))
        .says(&format!("  pid         {pid} (supervisor {})\n", user.supervisor(&name)))
        .says("  restarts    0 (policy on-failure, at most 10 in a row)\n")
        .says(&format!("  log         {} (", user.log(&name).display()))
        .says(&format!("  tree        {pid} "))
        .says(&format!("port {port}: given with --port"));
    assert!(ran.stderr.is_empty() && !ran.stdout.contains('\x1b'), "{ran:?}");
    user.ok(&["start", "--restart", "no", "--name", "plain", "sleep", "1000"]);
    user.ok(&["info", "plain"]).says("  restarts    0 (policy no)\n");
}

#[test]
fn its_json_is_that_of_list_with_more() {
    let user = two();
    for name in ["up", "down"] {
        let one = user.json(&["info", name]);
        for key in KEYS {
            assert!(one.get(key).is_some(), "no {key} in {one:#}");
        }
        assert_eq!(one["argv"], serde_json::json!(["sleep", "1000"]));
        assert!(one["reasons"].as_array().unwrap().iter().all(|why| why["why"].is_string()), "{one:#}");
        for key in ["service", "log_bytes", "started", "exit", "note", "socket", "tree", "env_vars"] {
            assert!(one.get(key).is_some(), "no {key} in {one:#}");
        }
        assert_eq!(one["service"], serde_json::Value::Null);
    }
    let tree = &user.json(&["info", "up"])["tree"];
    assert_eq!((&tree[0]["pid"], &tree[0]["command"]), (&user.pid("up").into(), &"sleep 1000".into()));
    assert_eq!(user.json(&["info", "down"])["tree"], serde_json::json!([]));
}

#[test]
fn code_3_is_for_what_does_not_run() {
    let user = two();
    user.tsm(&["info", "down"]).code(3).says("  status      stopped\n");
    user.tsm(&["info", "--json", "down"]).code(3);
    user.tsm(&["info", "up", "down"]).code(3).says("up (TSM ID: 0)").says("\n\ndown (TSM ID: 1)");
    user.tsm(&["info", "down", "nix"]).code(4).says("down (TSM ID: 1)");
    user.ok(&["info", "up"]);
    user.ok(&["list", "all"]);
    user.ok(&["start", "--restart", "no", "--name", "failed", "sh", "-c", "exit 7"]);
    user.until_state("failed", "exited");
    user.tsm(&["info", "failed"]).code(3).says("  last exit   exit code 7, ");
}

#[test]
fn broken_files_leave_what_is_known() {
    let user = two();
    fs::write(user.process_dir("down").join("status.json"), "{").unwrap();
    let ran = user.tsm(&["info", "down"]).code(3);
    assert!(ran.stdout.contains("status.json is broken") && ran.stdout.contains("sleep 1000"), "{ran:?}");
    fs::write(user.process_dir("down").join("spec.json"), "").unwrap();
    let one = user.json(&["info", "down"]);
    assert_eq!((&one["id"], &one["name"], &one["argv"]), (&().into(), &"down".into(), &().into()));
}

#[test]
fn secrets_are_masked() {
    let user = User::new();
    user.ok(&[
        "start",
        "--name",
        "app",
        "--env-var",
        "API_TOKEN=hunter2secret",
        "--env-var",
        "MODE=fast",
        "--env-var",
        "DATABASE_URL=postgres://me:hunter2secret@db/x",
        "sleep",
        "1000",
    ]);
    let ran = user.ok(&["info", "app"]).says("MODE=fast").says("API_TOKEN=").says("DATABASE_URL=");
    let json = user.ok(&["info", "--json", "app"]);
    let list = user.ok(&["list", "--json"]);
    for ran in [ran, json, list] {
        assert!(!ran.stdout.contains("hunter2secret"), "{ran:?}");
    }
    user.ok(&["env", "app", "--show"]).says("API_TOKEN=hunter2secret");
}

#[test]
fn control_characters_of_others_do_not_reach_the_terminal() {
    let user = User::new();
    let evil = "sleep 1000; : \x1b[2J\x07\u{9b}31m\u{202e}";
    user.ok(&["start", "--name", "evil", "sh", "-c", evil]);
    user.until_state("evil", "online");
    let (shown, code) = user.at_terminal(200, &["info", "evil"]);
    // What is left of the escapes are our own colours.
    let shown = plain(&shown);
    assert_eq!(code, 0);
    assert!(shown.contains("\\x1b[2J\\x07\\u{9b}31m\\u{202e}"), "{shown:?}");
    for args in
        [&["list", "all"] as &[&str], &["info", "--json", "evil"], &["info", "\x1b[2Jnix"], &["\x1b[2J"]]
    {
        let (shown, _) = user.at_terminal(200, args);
        let shown = plain(&shown);
        let bad = shown.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{args:?}: {shown:?}");
    }
}
