//! Agents over the daemon's socket: in the words of `vmuxd`, by JSON-RPC, and as they change.

use std::fs;

use serde_json::{Value, json};

use crate::agents_kit::{Agent, Transcript, ago, session_id};
use crate::kit::{User, eventually, is_alive, kill, text};

impl User {
    /// The session of a process, as a look right now finds it.
    fn agent_now(&self, pid: i32) -> Option<Value> {
        // A client may ask a hundred times a second; nobody counts over several.
        let all = self.api().call("agents.list", &json!({"fresh": true})).unwrap();
        all.as_array().unwrap().iter().find(|one| one["pid"] == pid).cloned()
    }

    /// A `claude` that is recognised by now, its conversation, and the transcript of that.
    fn conversation(&self) -> (Agent, String, Transcript) {
        let (agent, id) = (self.claude(), session_id());
        let mut transcript = self.transcript(&self.cwd(), &id);
        transcript.ago(90).prompt("mend the login");
        self.registry(&agent, &id, "busy", ago(80));
        eventually("it is seen", || self.agent_now(agent.pid()).is_some_and(|one| one["state"] == "working"));
        (agent, id, transcript)
    }
}

#[test]
fn daemon_start_stop() {
    let user = User::new();
    user.ok(&["start", "--name", "web", "sleep", "1000"]);
    let (web, pid) = (user.pid("web"), user.daemon());
    let mut api = user.api();
    // With processes to stop it stops these, and no daemon.
    let done = api.ask(r#"{"action":"stop","args":{"refs":["web"]}}"#);
    assert_eq!((&done["ok"], &done["result"][0]["name"]), (&true.into(), &"web".into()), "{done}");
    assert!(!is_alive(web) && is_alive(pid));
    user.ok(&["start", "web"]);
    let web = user.pid("web");
    assert_eq!(api.ask(r#"{"action":"stop"}"#), json!({"ok": true, "stopping": true}));
    eventually("it has ended", || !is_alive(pid));
    assert_eq!(api.hear(), None);
    for name in ["daemon.sock", "daemon.pid", "daemon.state"] {
        assert!(!user.daemon_file(name).exists(), "{name} was left");
    }
    assert_eq!(user.pid("web"), web);
    user.daemon();
    assert_eq!(user.api().ask(r#"{"action":"list"}"#)["result"][0]["pid"], web);
}

#[test]
fn daemon_list_over_socket() {
    let user = User::new();
    let (agent, id) = (user.claude(), session_id());
    user.transcript(&user.cwd(), &id).ago(70).prompt("mend the login").says("Which one?", Some("end_turn"));
    user.registry(&agent, &id, "waiting", ago(60));
    eventually("it runs under its name", || {
        text(format!("/proc/{}/comm", agent.pid()).as_ref()) == "claude\n"
    });
    user.daemon();
    let mut api = user.api();
    // The first look was before the socket listened: nobody has to ask for one.
    let list = api.ask(r#"{"action":"list"}"#);
    assert_eq!((&list["ok"], &list["result"]), (&true.into(), &json!([])), "{list}");
    let session = list["sessions"][0].as_object().unwrap();
    let since = session["waiting_since"].as_str().unwrap();
    assert!(since.ends_with('Z') && since > "2020", "{since}");
    let cwd = user.cwd().canonicalize().unwrap();
    for (name, want) in [
        ("pid", json!(agent.pid())),
        ("session_id", json!(id)),
        ("cwd", json!(cwd)),
        ("state", json!("needs-input")),
        ("git_branch", session["git_branch"].clone()),
        ("preview", session["preview"].clone()),
        ("workspace", json!("")),
    ] {
        assert_eq!(session[name], want, "{name}: {session:?}");
    }
    assert!(session["git_branch"].is_string() && session["preview"].is_string(), "{session:?}");
    assert!(!session.contains_key("label") && session.len() == 8, "{session:?}");
    // The same in full, and only beside the processes where it was asked for by an action.
    let full = api.call("agents.list", &json!({})).unwrap();
    assert_eq!((&full[0]["pid"], &full[0]["source"]), (&agent.pid().into(), &"registry".into()), "{full}");
    assert_eq!((&full[0]["label"], &full[0]["waiting_since"]), (&Value::Null, &since.into()), "{full}");
    assert!(api.ask(r#"{"command":"list"}"#).get("sessions").is_none());
    assert_eq!(user.ok(&["rpc", "agents.list"]).stdout.matches("\"session_id\"").count(), 1);
}

#[test]
fn daemon_label_over_socket() {
    let user = User::new();
    user.daemon();
    let mut api = user.api();
    let (agent, id, _transcript) = user.conversation();
    let asked = json!({"action": "label", "args": {"session_id": id, "label": "review MR"}});
    let done = api.ask(&asked.to_string());
    assert_eq!((&done["ok"], &done["sessions"][0]["label"]), (&true.into(), &"review MR".into()), "{done}");
    // The next list has it, however young the last look is.
    assert_eq!(api.ask(r#"{"action":"list"}"#)["sessions"][0]["label"], "review MR");
    let file: Value = serde_json::from_str(&text(&user.tsm_dir().join("agents/labels.json"))).unwrap();
    assert_eq!(file, json!({ &id: "review MR" }));

    let done = api.call("agents.label", &json!({"ref": agent.pid().to_string(), "label": "the login"}));
    assert_eq!(done.unwrap()["session"]["label"], "the login");
    for (params, kind) in [
        (json!({"ref": "nope", "label": "x"}), "not-found"),
        (json!({"label": "x"}), "usage"),
        (json!({"ref": id, "session_id": id, "label": "x"}), "usage"),
        (json!({"session_id": "", "label": "x"}), "usage"),
        (json!({"ref": id, "label": "two\nlines"}), "usage"),
    ] {
        let error = api.call("agents.label", &params).unwrap_err();
        assert_eq!(error["data"]["kind"], kind, "{params}: {error}");
    }
    let refused = api.ask(r#"{"action":"label","args":{"label":"x"}}"#);
    assert_eq!(refused["ok"], false, "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("session_id"), "{refused}");
    assert_eq!(user.agent_now(agent.pid()).unwrap()["label"], "the login");

    // The daemon is killed: what was said and since when one waits is as before.
    user.registry(&agent, &id, "waiting", ago(40));
    let before = user.agent_now(agent.pid()).unwrap();
    let pid = user.daemon();
    kill(pid, "KILL");
    eventually("it is dead", || !is_alive(pid));
    user.daemon();
    let after = user.api().call("agents.list", &json!({})).unwrap()[0].take();
    for name in ["label", "waiting_since", "since", "state", "session_id"] {
        assert_eq!(after[name], before[name], "{name}");
        assert!(after[name].is_string(), "{name}");
    }
}

#[test]
fn registry_update_waiting_since_and_stale_removal_over_the_socket() {
    let user = User::new();
    user.daemon();
    let (agent, id, _transcript) = user.conversation();
    let now = |status: &str, seconds| {
        user.registry(&agent, &id, status, ago(seconds));
        let one = user.agent_now(agent.pid()).unwrap();
        (one["state"].as_str().unwrap().to_owned(), one["waiting_since"].as_str().map(str::to_owned))
    };
    let (state, first) = now("waiting", 60);
    assert_eq!(state, "needs-input");
    assert!(first.is_some());
    // It stays, whatever the file says of another dialog; then work begins, and it waits anew.
    let (state, none) = now("busy", 30);
    assert_eq!((state.as_str(), none), ("working", None));
    let (state, second) = now("waiting", 20);
    assert_eq!(state, "needs-input");
    assert!(second > first, "{second:?}");
    let waiting = || text(&user.tsm_dir().join("agents/waiting"));
    assert!(waiting().starts_with("1 "), "{:?}", waiting());
    let pid = agent.pid();
    agent.kill();
    assert_eq!(user.agent_now(pid), None);
    assert!(waiting().starts_with("0 "), "{:?}", waiting());
}

#[test]
fn a_subscriber_is_told_what_changes_without_asking() {
    let user = User::new();
    user.daemon();
    let mut api = user.api();
    let (agent, id, _transcript) = user.conversation();
    let mut told = user.api();
    let begun = told.call("agents.subscribe", &json!({})).unwrap();
    assert_eq!(begun["sessions"][0]["pid"], agent.pid(), "{begun}");
    let mut next = || {
        let message = told.hear().unwrap();
        assert_eq!(
            (&message["method"], &message["params"]["subscription"]),
            (&"agent".into(), &begun["subscription"]),
            "{message}"
        );
        message["params"].clone()
    };
    // A look every five seconds finds it; nobody asks.
    user.registry(&agent, &id, "waiting", ago(1));
    let event = next();
    assert_eq!(
        (&event["event"], &event["from"], &event["session"]["state"]),
        (&"state".into(), &"working".into(), &"needs-input".into()),
        "{event}"
    );
    // What the daemon does itself is told at once, what somebody else does by the look that another asks for.
    api.call("agents.label", &json!({"ref": id, "label": "x"})).unwrap();
    let event = next();
    assert_eq!((&event["event"], &event["session"]["label"]), (&"label".into(), &"x".into()), "{event}");
    let pid = agent.pid();
    let other = user.claude();
    eventually("it is seen", || user.agent_now(other.pid()).is_some());
    let event = next();
    assert_eq!((&event["event"], &event["session"]["pid"]), (&"appeared".into(), &other.pid().into()));
    agent.kill();
    assert!(user.agent_now(pid).is_none());
    let event = next();
    assert_eq!((&event["event"], &event["session"]["pid"]), (&"gone".into(), &pid.into()), "{event}");
    fs::remove_dir_all(user.claude_dir()).unwrap();
    assert_eq!(api.ask("STATUS")["subscriptions"], 1);
}

#[test]
fn daemon_stop_explain_and_switch_over_socket() {
    let user = User::new();
    let daemon = user.daemon();
    let mut api = user.api();
    let (agent, id, _transcript) = user.conversation();
    let (other, other_id, _other) = user.conversation();
    let why = api.call("agents.explain", &json!({"ref": id})).unwrap();
    assert_eq!(
        (&why["pid"], &why["evidence"][0]["source"]),
        (&agent.pid().into(), &"registry".into()),
        "{why}"
    );
    // Nothing can be brought forward here, which is said.
    let refused = api.ask(&json!({"action": "switch", "args": {"query": id}}).to_string());
    assert_eq!(refused["ok"], false, "{refused}");
    assert!(refused["error"].as_str().is_some_and(|text| !text.is_empty()), "{refused}");
    for args in [json!({"query": "nope"}), json!({"session_id": "nope"})] {
        let refused = api.ask(&json!({"action": "stop", "args": args}).to_string());
        assert_eq!(
            (&refused["ok"], &refused["data"]["kind"]),
            (&false.into(), &"not-found".into()),
            "{refused}"
        );
    }
    for (agent, args) in [(&agent, json!({"session_id": id})), (&other, json!({"query": other_id}))] {
        let done = api.ask(&json!({"action": "stop", "args": args}).to_string());
        assert_eq!((&done["ok"], &done["session"]["pid"]), (&true.into(), &agent.pid().into()), "{done}");
        // The next list knows it, however young the last look is.
        let list = api.ask(r#"{"action":"list"}"#);
        assert!(list["sessions"].as_array().unwrap().iter().all(|one| one["pid"] != agent.pid()), "{list}");
        assert!(!is_alive(agent.pid()));
    }
    assert!(is_alive(daemon), "an agent was stopped, and nothing else");
}
