//! What hooks have told, against what stands in the other sources.

use super::*;
use crate::sys::{boot, process};

impl Home {
    /// What a hook of this very test, which runs, has told.
    fn told(&self, id: &str, state: AgentState, reason: &str, ago: u64) -> Claude {
        let own = Pid::new(std::process::id() as i32).unwrap();
        let identity = process::read(own).unwrap().identity();
        let at = self.now_ms - ago * 1000;
        let told = json!({"session_id": id, "pid": own, "start": identity.start, "boot": boot::id(), "event": "E",
            "state": state, "reason": reason, "at_ms": at, "since_ms": at - 1, "waiting_since_ms": at - 2});
        self.write(&self.dir.path().join(format!("hooks/{id}.json")), &told.to_string());
        Claude { identity, ..self.process(100, &self.project("api")) }
    }
}

#[test]
fn hooks_decide_where_the_registry_does_not() {
    let mut home = Home::new();
    let dir = home.project("api");
    home.wrote(&dir, "s", &[(90, prompt("do it")), (60, tool("Bash"))]);
    let process = home.told("s", NeedsInput, "permission: Bash", 59);
    let one = home.one(&process);
    assert_eq!(verdict(&one), (NeedsInput, "permission: Bash", Source::Hooks));
    let at = home.now_ms - 59_000;
    assert_eq!((one.since_ms, one.waiting_since_ms), (Some(at - 1), Some(at - 2)));
    assert_eq!(one.evidence[1].found, "E permission: Bash, 59s ago");
    assert_eq!(one.evidence[2].found, "probably permission: Bash: make, 1m ago");
    home.registry(&process, &json!({"sessionId": "s", "status": "busy"}));
    assert_eq!(home.one(&process).source, Source::Registry);
}

#[test]
fn what_no_hook_tells_is_seen_in_the_transcript() {
    let mut home = Home::new();
    let dir = home.project("api");
    home.wrote(&dir, "s", &[(90, prompt("do it")), (20, prompt("[Request interrupted by user]"))]);
    let process = home.told("s", Working, "uses a tool", 60);
    assert_eq!(verdict(&home.one(&process)), (NeedsInput, "interrupted", Source::Transcript));
    // A permission was given: the command runs.
    home.wrote(&dir, "s", &[(90, prompt("do it")), (60, tool("Bash"))]);
    let mut process = home.told("s", NeedsInput, "permission: Bash", 59);
    process.youngest_child_ms = Some(home.now_ms - 30_000);
    assert_eq!(verdict(&home.one(&process)), (Working, "tool: Bash: make", Source::Transcript));
    process.youngest_child_ms = Some(home.now_ms - 70_000);
    assert_eq!(home.one(&process).source, Source::Hooks, "that one was there before");
    home.wrote(&dir, "s", &[(90, prompt("do it")), (5, prompt("go on"))]);
    let process = home.told("s", Idle, "your turn", 60);
    assert_eq!(verdict(&home.one(&process)), (Working, "a prompt was sent", Source::Transcript));
}

#[test]
fn hooks_know_the_new_conversation_after_clear() {
    let mut home = Home::new();
    let dir = home.project("api");
    home.wrote(&dir, "old", &talk(900, 500));
    let process = home.told("cleared", Idle, "no prompt yet", 60);
    home.registry(
        &process,
        &json!({"sessionId": "old", "status": "busy", "statusUpdatedAt": home.now_ms - 60_000}),
    );
    assert_eq!(home.ids(std::slice::from_ref(&process)), ["cleared"]);
    // The hooks were removed long ago, and the registry goes on.
    home.registry(
        &process,
        &json!({"sessionId": "old", "status": "busy", "statusUpdatedAt": home.now_ms + 60_000}),
    );
    assert_eq!(home.ids(&[process]), ["old"]);
}
