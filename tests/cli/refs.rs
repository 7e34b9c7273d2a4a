//! How processes are named on the command line, and what several of them give.

use crate::kit::{User, free_port, is_alive};
use crate::list::two;

/// What `tsm info REF` is about.
fn found(user: &User, text: &str) -> String {
    user.json(&["info", text])["name"].as_str().unwrap_or_else(|| panic!("{text}: nothing")).to_owned()
}

#[test]
fn a_process_is_found_by_each_of_its_names() {
    let user = User::new();
    let port = free_port().to_string();
    user.ok(&["start", "--wait", "--port", &port, "--name", "web", "python3", "-m", "http.server"]);
    user.ok(&["start", "--name", "worker", "sleep", "1000"]);
    let web = format!("web-{port}");
    let pid = user.pid(&web).to_string();
    for text in [
        web.as_str(),
        "0",
        "web",
        &port,
        &pid,
        "we",
        "id:0",
        &format!("port:{port}"),
        &format!(":{port}"),
        &format!("pid:{pid}"),
        &format!("name:{web}"),
    ] {
        assert_eq!(found(&user, text), web, "{text}");
    }
    assert_eq!(found(&user, "orke"), "worker");
}

#[test]
fn a_port_that_nobody_planned_names_its_process_too() {
    let user = User::new();
    let port = free_port();
    let serve = format!("exec python3 -m http.server {port}");
    user.ok(&["start", "--kind", "pid", "--name", "quiet", "sh", "-c", &serve]);
    crate::kit::eventually("it listens", || user.view("quiet")["ports"] == serde_json::json!([port]));
    assert_eq!(found(&user, &port.to_string()), "quiet");
    assert_eq!(user.view("quiet")["kind"], "port");
}

#[test]
fn unknown_is_4_ambiguous_is_6_and_nonsense_is_2() {
    let user = User::new();
    for name in ["api-one", "api-two"] {
        user.ok(&["start", "--name", name, "sleep", "1000"]);
    }
    let pids = ["api-one", "api-two"].map(|name| user.pid(name));
    for verb in ["info", "stop", "restart", "delete", "kill", "logs", "env"] {
        for (text, code, said) in [
            ("nix", 4, "tsm: no such process: nix\n  try: tsm list all\n"),
            ("nix*", 4, "tsm: no such process: nix*"),
            ("api-twi", 4, "did you mean api-two?"),
            ("api", 6, "tsm: \"api\" is ambiguous: api-one (TSM ID: 0), api-two (TSM ID: 1)\n  try: "),
            ("pid:1", 2, "PID 1 is never a target"),
            ("pid:0", 2, "PID 0 is never a target"),
            ("pid:-5", 2, "\"-5\" in \"pid:-5\" is not a PID"),
            ("port:x", 2, "is not a port"),
            ("colour:red", 2, "is not a kind of ref"),
            ("", 2, "cannot be named by nothing"),
        ] {
            let ran = user.tsm(&[verb, text]).code(code).complains(said);
            assert_eq!(ran.stdout, "", "{verb} {text}");
        }
    }
    assert_eq!(["api-one", "api-two"].map(|name| user.pid(name)), pids, "nothing was touched");
}

#[test]
fn globs_and_all_mean_every_process_that_fits() {
    let user = User::new();
    for name in ["web-a", "web-b", "worker"] {
        user.ok(&["start", "--name", name, "sleep", "1000"]);
    }
    assert_eq!(user.json(&["info", "web-*"]).as_array().unwrap().len(), 2);
    assert_eq!(user.json(&["info", "*"]).as_array().unwrap().len(), 3);
    assert_eq!(user.json(&["info", "web-[b-z]"])[0]["name"], "web-b");
    let ran = user.ok(&["stop", "web-*"]);
    assert_eq!(ran.stdout, "Stopped: web-a (TSM ID: 0)\nStopped: web-b (TSM ID: 1)\n");
    assert!(is_alive(user.pid("worker")));
    user.ok(&["restart", "web-?"]).says("Restarted: web-a (").says("Restarted: web-b (");
    let done = user.json(&["stop", "all"]);
    assert_eq!(done.as_array().unwrap().len(), 3);
    assert_eq!(done[2], serde_json::json!({"name": "worker", "id": 2, "done": "stopped", "killed": []}));
    user.ok(&["delete", "all"]).says("Deleted: worker");
    assert_eq!(user.json(&["list", "all"]), serde_json::json!([]));
}

#[test]
fn a_glob_with_one_hit_still_gives_an_array() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    for text in ["all", "*", "w*"] {
        assert_eq!(user.json(&["info", text]).as_array().unwrap().len(), 1, "{text}");
    }
    assert!(user.json(&["info", "web"]).is_object());
}

#[test]
fn several_refs_are_all_done_and_the_worst_code_is_told() {
    let user = User::new();
    let start = || {
        for name in ["api-one", "api-two", "other"] {
            user.ok(&["start", "--name", name, "sleep", "1000"]);
        }
    };
    for (refs, code) in [
        (&["nix", "other"] as &[&str], 4),
        (&["other", "nix"], 4),
        (&["nix", "other", "api"], 6),
        (&["api", "nix", "other"], 6),
        (&["port:x", "other", "nix"], 4),
        (&["other", "other", "2", "id:2"], 0),
    ] {
        start();
        let mut words = vec!["stop"];
        words.extend(refs);
        let ran = user.tsm(&words).code(code);
        assert_eq!(ran.stdout, "Stopped: other (TSM ID: 2)\n", "{refs:?}");
        assert_eq!(user.state("other"), "stopped");
        assert!(is_alive(user.pid("api-one")));
    }
}

#[test]
fn several_refs_with_json_are_one_document_whatever_fails() {
    let user = two();
    for verb in ["restart", "stop", "kill", "delete"] {
        let done = user.tsm(&[verb, "--json", "nix", "up"]).code(4).complains("no such process: nix");
        let done: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((done.as_array().unwrap().len(), &done[0]["name"]), (1, &"up".into()), "{verb}");
    }
    let both = user.json(&["info", "nix", "down"]);
    assert_eq!(both[0]["name"], "down");
}

#[test]
fn what_is_done_already_is_done() {
    let user = two();
    user.ok(&["stop", "down"]).says("Already stopped: down (TSM ID: 1)");
    user.ok(&["stop", "all"]).says("Stopped: up").says("Already stopped: down");
    user.ok(&["kill", "down"]).says("Already stopped: down");
    user.ok(&["delete", "down", "up"]);
    for verb in ["stop", "kill"] {
        user.ok(&[verb, "all"]).says("nothing is running\n");
    }
    user.ok(&["delete", "all"]).says("nothing to delete\n");
    user.ok(&["restart", "all"]).says("nothing to restart\n");
    user.ok(&["info", "all"]).says("nothing is tracked\n");
}
