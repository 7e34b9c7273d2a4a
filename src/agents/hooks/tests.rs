//! What a series of events comes to, and what is on disk after it.

use std::os::unix::fs::PermissionsExt;

use super::*;
use AgentState::{Idle, NeedsInput, Working};

fn event(name: &str, more: &[&str]) -> Event {
    let mut event = Event { session_id: "s-1".into(), name: name.into(), ..Event::default() };
    for word in more {
        match word.split_once('=').unwrap() {
            ("tool", tool) => event.tool = Some(tool.into()),
            ("agent", agent) => event.agent = Some(agent.into()),
            ("session", session) => event.session_id = session.into(),
            (_, kind) => event.kind = Some(kind.into()),
        }
    }
    event
}

fn claude() -> Identity {
    Identity { pid: Pid::new(77).unwrap(), start: 99 }
}

/// `(milliseconds, event, its words)` one after the other.
fn after(events: &[At]) -> Told {
    let mut told: Option<Told> = None;
    for (at, name, more) in events {
        told = Told::after(told.as_ref(), &event(name, more), claude(), "boot", *at).or(told);
    }
    told.unwrap()
}

type At = (u64, &'static str, &'static [&'static str]);

const PROMPT: At = (1_000, "UserPromptSubmit", &[]);
const ASKS: At = (10_000, "PermissionRequest", &["tool=Bash"]);
const HELPER_ASKS: At = (10_000, "PermissionRequest", &["tool=Bash", "agent=a1"]);
const STOP: At = (20_000, "Stop", &[]);
const LIMIT: At = (8_000, "StopFailure", &["kind=rate_limit"]);

const fn used(at: u64, more: &'static [&'static str]) -> At {
    (at, "PostToolUse", more)
}

const fn noted(at: u64, more: &'static [&'static str]) -> At {
    (at, "Notification", more)
}

/// Checks state, reason, since when it is so, and since when it waits.
#[track_caller]
fn check(events: &[At], expected: (AgentState, &str, u64, u64)) {
    let told = after(events);
    let waiting = told.waiting_since_ms.unwrap_or(0);
    assert_eq!((told.state, told.reason.as_str(), told.since_ms, waiting), expected, "{events:?}");
}

#[test]
fn events_follow_one_another_to_a_state_with_its_reason_and_time() {
    check(&[(5, "SessionStart", &["kind=startup"])], (Idle, "no prompt yet", 5, 0));
    check(&[PROMPT], (Working, "a prompt was sent", 1_000, 0));
    check(&[PROMPT, used(9_000, &["tool=Read"])], (Working, "after tool: Read", 1_000, 0));
    check(&[PROMPT, ASKS], (NeedsInput, "permission: Bash", 10_000, 10_000));
    check(&[PROMPT, STOP], (Idle, "your turn", 20_000, 20_000));
    check(&[ASKS, STOP], (Idle, "your turn", 20_000, 10_000));
    check(&[STOP, used(21_000, &["tool=Bash"])], (Working, "after tool: Bash", 21_000, 0));
    check(&[STOP, (30_000, "UserPromptSubmit", &[])], (Working, "a prompt was sent", 30_000, 0));
    check(&[STOP, (30_000, "SessionStart", &["kind=compact"])], (Idle, "your turn", 20_000, 20_000));
}

#[test]
fn a_question_is_answered_by_what_it_was_about_and_by_nothing_beside_it() {
    let asks = (NeedsInput, "permission: Bash", 10_000, 10_000);
    // The tool that was asked for has run; or the agent was refused and does something else.
    check(&[ASKS, used(10_500, &["tool=Bash"])], (Working, "after tool: Bash", 10_500, 0));
    check(&[ASKS, (10_500, "PostToolUseFailure", &["tool=Bash"])], (Working, "after tool: Bash", 10_500, 0));
    check(&[ASKS, used(18_000, &["tool=Read"])], (Working, "after tool: Read", 18_000, 0));
    check(&[HELPER_ASKS, used(12_000, &["tool=Bash", "agent=a1"])], (Working, "after tool: Bash", 12_000, 0));
    // What runs beside it, in this agent or another, answers nothing.
    check(&[ASKS, used(10_500, &["tool=Grep"])], asks);
    check(&[ASKS, used(60_000, &["tool=Bash", "agent=a2"])], asks);
    check(&[ASKS, (60_000, "SubagentStop", &["agent=a2"])], asks);
    check(&[HELPER_ASKS, used(60_000, &["tool=Bash"])], asks);
    // A turn that has ended is not taken back by a sub-agent in the background.
    check(&[PROMPT, STOP, used(21_000, &["tool=Bash", "agent=a1"])], (Idle, "your turn", 20_000, 20_000));
}

#[test]
fn a_reminder_changes_neither_reason_nor_time() {
    let asks = (NeedsInput, "permission: Bash", 10_000, 10_000);
    check(&[ASKS, noted(16_000, &["kind=permission_prompt"])], asks);
    check(
        &[ASKS, noted(16_000, &["kind=permission_prompt"]), used(17_000, &["tool=Bash", "agent=a1"])],
        asks,
    );
    check(&[PROMPT, STOP, noted(80_000, &["kind=idle_prompt"])], (Idle, "your turn", 20_000, 20_000));
    check(&[LIMIT, noted(68_000, &["kind=idle_prompt"])], (NeedsInput, "error: rate_limit", 8_000, 8_000));
    // Without the request it is all there is; and after an interrupted question nothing else comes.
    check(&[PROMPT, noted(16_000, &["kind=permission_prompt"])], (NeedsInput, "permission", 16_000, 16_000));
    check(&[ASKS, noted(70_000, &["kind=idle_prompt"])], (Idle, "your turn", 70_000, 10_000));
}

#[test]
fn of_hooks_that_run_at_once_the_later_event_counts_in_whichever_order_they_write() {
    let prompt = |at| (at, "UserPromptSubmit", &[][..]);
    check(&[ASKS, prompt(9_999)], (NeedsInput, "permission: Bash", 10_000, 10_000));
    check(&[ASKS, prompt(10_000)], (Working, "a prompt was sent", 10_000, 0));
    // Unless it is so much later that the clock must have been set back.
    check(&[(99_000, "Stop", &[]), prompt(10_000)], (Working, "a prompt was sent", 10_000, 0));
}

#[test]
fn another_process_or_boot_begins_anew() {
    let before = after(&[(1, "PermissionRequest", &["tool=Bash"])]);
    let other = Identity { start: 100, ..claude() };
    for (process, boot, waiting) in [(claude(), "boot", 1), (other, "boot", 9), (claude(), "next boot", 9)] {
        let told = Told::after(Some(&before), &event("Stop", &[]), process, boot, 9).unwrap();
        assert_eq!(told.waiting_since_ms, Some(waiting), "{process:?} {boot}");
    }
}

/// This process, which runs.
fn me() -> Identity {
    process::read(Pid::new(std::process::id() as i32).unwrap()).unwrap().identity()
}

fn files() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::of(&crate::store::Layout::new(dir.path().to_owned()));
    (dir, files)
}

#[test]
fn a_session_is_kept_privately_and_forgotten_at_its_end_or_with_its_process() {
    let (_temp, files) = files();
    let dir = files.hooks();
    assert!(all(&dir).is_empty());
    take(&files, &event("ConfigChange", &[]), me(), 4).unwrap();
    assert!(!dir.exists());
    take(&files, &event("PermissionRequest", &["tool=Bash"]), me(), 5).unwrap();
    let told = Told::read(&dir, "s-1").unwrap();
    assert_eq!((told.identity(), told.tool.as_deref(), told.at_ms), (me(), Some("Bash"), 5));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("s-1.json"))), (0o700, 0o600));

    // A process that is gone: its PID is that of another one.
    let gone = Identity { start: me().start + 1, ..me() };
    take(&files, &event("Stop", &["session=s-2"]), gone, 5).unwrap();
    // What is broken or no session of ours is passed over.
    fs::write(dir.join("s-3.json"), "{").unwrap();
    fs::copy(dir.join("s-1.json"), dir.join("s-4.json")).unwrap();
    assert_eq!(all(&dir), [told]);
    assert!(!dir.join("s-2.json").exists() && dir.join("s-1.json").exists());
    assert_eq!(Told::read(&dir, "../hooks/s-1"), None);

    // Another process's end is none of it.
    take(&files, &event("SessionEnd", &[]), gone, 7).unwrap();
    assert_eq!(all(&dir).len(), 1);
    take(&files, &event("SessionEnd", &[]), me(), 7).unwrap();
    assert!(all(&dir).is_empty());
}

#[test]
fn a_process_has_one_conversation() {
    let (_temp, files) = files();
    take(&files, &event("Stop", &["session=old"]), me(), 5).unwrap();
    take(&files, &event("SessionStart", &["kind=clear", "session=new"]), me(), 6).unwrap();
    let ids: Vec<String> = all(&files.hooks()).into_iter().map(|told| told.session_id).collect();
    assert_eq!(ids, ["new"]);
}

#[test]
fn the_number_of_those_that_wait_follows_what_was_found_by_looking() {
    let (_temp, files) = files();
    let take = |at, name, more: &[&str]| {
        take(&files, &event(name, more), me(), at).unwrap();
        waiting::read(&files, at)
    };
    assert_eq!(take(1_000, "UserPromptSubmit", &[]), None);
    // Nobody has looked: what the hooks know.
    assert_eq!(take(2_000, "PermissionRequest", &["tool=Bash"]), Some(1));
    assert_eq!(take(3_000, "PermissionRequest", &["session=s-2"]), Some(2));
    assert_eq!(take(4_000, "PostToolUse", &["tool=Bash"]), Some(1));
    // Somebody has, and knows of others.
    waiting::note(&files, 7, 5_000).unwrap();
    assert_eq!(take(6_000, "Stop", &["session=s-2"]), Some(6));
    assert_eq!(take(7_000, "StopFailure", &[]), Some(7));
    assert_eq!(take(8_000, "Notification", &["kind=permission_prompt"]), Some(7));
    assert_eq!(take(9_000, "SessionEnd", &[]), Some(6));
    waiting::note(&files, 0, 10_000).unwrap();
    assert_eq!(take(11_000, "PermissionRequest", &[]), Some(1));
    assert_eq!(take(12_000, "SessionStart", &["kind=clear", "session=s-3"]), Some(0));
}

#[test]
fn a_hook_waits_for_another_one_but_not_for_ever() {
    let (_temp, files) = files();
    let take = |name, at| take(&files, &event(name, &[]), me(), at);
    take("Stop", 5).unwrap();
    let held = alone(&files.hooks()).unwrap();
    let error = take("UserPromptSubmit", 6).unwrap_err();
    assert!(error.message().contains("another hook holds it"), "{error}");
    drop(held);
    // Another test's child may hold the descriptor until its exec.
    while take("UserPromptSubmit", 6).is_err() {}
    assert_eq!(Told::read(&files.hooks(), "s-1").unwrap().state, Working);
}
