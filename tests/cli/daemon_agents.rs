//! Agents over the daemon's socket: in the words of `vmuxd`, by JSON-RPC, and as they change.

use serde_json::json;

use crate::kit::{User, eventually, is_alive};

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
