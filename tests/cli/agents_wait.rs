//! `tsm agents wait`: whom it waits for, what ends it, and with which exit code.

use std::fs;

use serde_json::Value;

use crate::agents::Running;
use crate::agents_kit::{Agent, ago, session_id};
use crate::kit::{User, eventually};

/// A `claude` in a directory of this name, whose registry says `status`.
fn claude(user: &User, dir: &str, status: &str) -> (Agent, String) {
    let path = user.cwd().join(dir);
    fs::create_dir_all(path.join(".git")).unwrap();
    let agent = user.agent("claude", &path, &[]);
    let comm = format!("/proc/{}/comm", agent.pid());
    eventually("it is called claude", || fs::read_to_string(&comm).unwrap() == "claude\n");
    let id = session_id();
    user.registry(&agent, &id, status, ago(30));
    (agent, id)
}

#[test]
fn it_ends_when_the_agent_asks_and_says_which_and_why() {
    let user = User::new();
    let (agent, id) = claude(&user, "api", "busy");
    let waiting = Running::begin(&user, &["agents", "wait", "api"]);
    user.registry(&agent, &id, "waiting", ago(0));
    let (code, out, err) = waiting.end();
    assert_eq!(code, 0, "{err}");
    assert!(
        out.starts_with(&format!("{} (PID {}, claude in api): needs-input", &id[..8], agent.pid())),
        "{out}"
    );
}

#[test]
fn what_is_so_already_counts_at_once() {
    let user = User::new();
    let (_asks, _) = claude(&user, "api", "waiting");
    let (_busy, _) = claude(&user, "shop", "busy");
    let (_idle, _) = claude(&user, "docs", "idle");
    for args in [
        &["api"][..],
        &["docs"],
        &["shop", "api"],
        &["--any"],
        &["--any", "--until", "working"],
        &["docs", "--until", "idle,working"],
    ] {
        let mut words = vec!["agents", "wait", "--timeout", "30s"];
        words.extend(args);
        user.ok(&words);
    }
    let one = user.ok(&["agents", "wait", "--any", "--until", "working", "--json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap()["state"], "working");
}

#[test]
fn it_gives_up_when_the_time_is_over() {
    let user = User::new();
    let (_busy, id) = claude(&user, "shop", "busy");
    let said = format!("waited 300ms in vain: {}", &id[..8]);
    user.tsm(&["agents", "wait", "shop", "--timeout", "300ms"])
        .code(124)
        .complains(&said)
        .complains("is still working");
    user.tsm(&["agents", "wait", "--any", "--timeout", "0"]).code(124);
    user.tsm(&["agents", "wait", "shop", "--until", "idle", "--timeout", "0"]).code(124);
}

#[test]
fn a_session_that_ends_meanwhile_is_said() {
    let user = User::new();
    let (one, _) = claude(&user, "api", "busy");
    let (two, _) = claude(&user, "shop", "busy");
    let (_asks, _) = claude(&user, "docs", "waiting");
    let waiting = Running::begin(&user, &["agents", "wait", "api", "shop"]);
    // What it noted of the other one says that it has looked.
    eventually("it waits", || user.tsm_dir().join("agents/waiting").exists());
    one.kill();
    two.kill();
    let (code, out, err) = waiting.end();
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("claude in api") && err.contains("claude in shop"), "{err}");
    assert!(err.contains("still waiting for the rest") || err.contains(" and "), "{err}");
    user.tsm(&["agents", "wait", "api"]).code(4).complains("no such session");
    let alone = User::new();
    alone.tsm(&["agents", "wait", "--any"]).code(3).complains("no coding agent runs");
    user.tsm(&["agents", "wait"]).code(2);
    user.tsm(&["agents", "wait", "--any", "api"]).code(2);
    user.tsm(&["agents", "wait", "--any", "--until", "asleep"]).code(2);
}

#[test]
fn who_cannot_be_seen_to_ask_is_not_waited_for_in_silence() {
    let user = User::new();
    let path = user.cwd().join("shop");
    fs::create_dir_all(path.join(".git")).unwrap();
    let codex = user.agent("codex", &path, &[]);
    let comm = format!("/proc/{}/comm", codex.pid());
    eventually("it is called codex", || fs::read_to_string(&comm).unwrap() == "codex\n");
    user.tsm(&["agents", "wait", "shop", "--timeout", "0"])
        .code(124)
        .complains("tsm cannot read its state, so that only its end is seen");
    let ran = user.ok(&["agents", "wait", "shop", "--until", "unknown"]);
    assert_eq!(ran.stderr, "");
}

#[test]
fn any_means_those_that_come_later_too() {
    let user = User::new();
    let (_busy, _) = claude(&user, "shop", "busy");
    let waiting = Running::begin(&user, &["agents", "wait", "--any"]);
    let (_asks, id) = claude(&user, "api", "waiting");
    let (code, out, err) = waiting.end();
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with(&id[..8]), "{out}");
}
