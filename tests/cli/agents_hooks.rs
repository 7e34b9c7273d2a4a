//! `tsm agents hook`, run as Claude Code runs it: by a shell below a process called claude, which must never notice.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::agents_kit::{Agent, ago, session_id};
use super::agents_settings::with_version;
use super::kit::{User, eventually, is_alive, run, text};

/// The command of a hook, as it stands in the settings.
fn command(user: &User) -> String {
    format!("'{}' agents hook", user.tsm_command(&[]).get_program().to_str().unwrap())
}

/// The events' names and the fields that Claude Code sends with each.
fn event(user: &User, session: &str, name: &str, more: &Value) -> Value {
    let mut event = json!({
        "session_id": session,
        "transcript_path": user.claude_dir().join(format!("projects/x/{session}.jsonl")),
        "cwd": user.cwd(),
        "permission_mode": "default",
        "hook_event_name": name,
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

/// Has an agent tell an event, and checks that it was told nothing itself.
fn tell(user: &User, agent: &mut Agent, session: &str, name: &str, more: &Value) {
    let input = user.cwd().join("event.json");
    fs::write(&input, event(user, session, name, more).to_string()).unwrap();
    let (input, output) = (input.display(), user.cwd().join("output"));
    let status = agent.run(&format!("{} <'{input}' >'{}' 2>&1", command(user), output.display()));
    assert_eq!((status, text(&output).as_str()), (0, ""), "{name} {more}");
}

fn file(user: &User, session: &str) -> PathBuf {
    user.tsm_dir().join(format!("agents/hooks/{session}.json"))
}

fn told(user: &User, session: &str) -> Value {
    serde_json::from_str(&text(&file(user, session))).unwrap_or(Value::Null)
}

fn log(user: &User) -> String {
    text(&user.tsm_dir().join("agents/hook.log"))
}

/// Runs the hook with any bytes on its input, outside of any agent.
fn feed(user: &User, bytes: &[u8]) -> (i32, String) {
    let input = user.cwd().join("bytes");
    fs::write(&input, bytes).unwrap();
    let mut command = user.tsm_command(&["agents", "hook"]);
    command.stdin(fs::File::open(input).unwrap());
    let ran = run(command);
    (ran.code, ran.stdout + &ran.stderr)
}

#[test]
fn a_hook_notes_the_state_of_the_agent_that_called_it() {
    let user = User::new();
    let mut agent = user.claude();
    let session = session_id();
    let bash = json!({"tool_name": "Bash", "tool_input": {"command": "echo hunter2"}});
    let steps = [
        ("SessionStart", json!({"source": "startup"}), "idle", "no prompt yet"),
        ("UserPromptSubmit", json!({"prompt": "the password is hunter2"}), "working", "a prompt was sent"),
        ("PermissionRequest", bash.clone(), "needs-input", "permission: Bash"),
        (
            "Notification",
            json!({"notification_type": "permission_prompt", "message": "hunter2"}),
            "needs-input",
            "permission: Bash",
        ),
        ("PostToolUse", bash, "working", "after tool: Bash"),
        ("Stop", json!({"last_assistant_message": "hunter2"}), "idle", "your turn"),
        ("SomethingNew", json!({}), "idle", "your turn"),
    ];
    for (name, more, state, reason) in steps {
        tell(&user, &mut agent, &session, name, &more);
        let told = told(&user, &session);
        assert_eq!((&told["state"], &told["reason"]), (&json!(state), &json!(reason)), "{name}: {told:#}");
        assert_eq!(told["pid"], agent.pid());
        assert_eq!(told["start"], agent.proc_start());
        let kept = text(&file(&user, &session));
        assert!(!kept.contains("hunter2"), "{kept}");
        let waiting = text(&user.tsm_dir().join("agents/waiting"));
        assert_eq!(waiting.starts_with("1 "), state == "needs-input", "{name}: {waiting}");
    }
    assert_eq!(log(&user), "");
    let mode = fs::metadata(file(&user, &session)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    tell(&user, &mut agent, &session, "SessionEnd", &json!({"reason": "other"}));
    assert!(!file(&user, &session).exists());
}

/// What `tsm agents --json` says of the only session.
fn shown(user: &User) -> Value {
    let all: Value = serde_json::from_str(&user.ok(&["agents", "--json"]).stdout).unwrap();
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all:#}");
    all[0].clone()
}

/// The source that decides and what each says, as `explain` tells it.
fn explained(user: &User, agent: &Agent) -> (Value, Vec<(String, Value)>) {
    let pid = agent.pid().to_string();
    let all: Value = serde_json::from_str(&user.ok(&["agents", "explain", &pid, "--json"]).stdout).unwrap();
    let evidence = all["evidence"].as_array().unwrap();
    let decided = evidence.iter().find(|one| one["decided"] == true).map(|one| one["source"].clone());
    let states =
        evidence.iter().map(|one| (one["source"].as_str().unwrap().to_owned(), one["state"].clone()));
    (decided.unwrap_or_default(), states.collect())
}

#[test]
fn what_the_installed_hooks_tell_is_what_the_verbs_and_the_daemon_show() {
    let user = User::new();
    with_version(&user, "2.1.141", &["agents", "install-hooks"]).code(0);
    let settings: Value = serde_json::from_str(&text(&user.claude_dir().join("settings.json"))).unwrap();
    let mut agent = user.claude();
    let comm = format!("/proc/{}/comm", agent.pid());
    eventually("it is called claude", || text(comm.as_ref()) == "claude\n");
    let session = session_id();
    // As Claude Code does it: the command of the settings, by a shell, below it.
    let hook = |agent: &mut Agent, name: &str, more: Value| {
        let installed = settings["hooks"][name][0]["hooks"][0]["command"].as_str();
        let installed = installed.unwrap_or_else(|| panic!("no hook for {name}: {settings:#}"));
        fs::write(user.cwd().join("event.json"), event(&user, &session, name, &more).to_string()).unwrap();
        assert_eq!(agent.run(&format!("{{ {installed}; }} <event.json >output 2>&1")), 0, "{name}");
        assert_eq!(text(&user.cwd().join("output")), "", "{name}");
    };
    let is = |state: &str, reason: &str, source: &str| {
        let one = shown(&user);
        let said = ["state", "reason", "source"].map(|key| one[key].as_str().unwrap().to_owned());
        assert_eq!(said, [state, reason, source], "{one:#}");
        one
    };
    is("unknown", "nothing tells what it does", "none");
    hook(&mut agent, "SessionStart", json!({"source": "startup"}));
    let one = is("idle", "no prompt yet", "hooks");
    assert_eq!((&one["session_id"], &one["waiting_since"]), (&json!(session), &Value::Null));
    let daemon = user.daemon();
    let pid = agent.pid();
    let over_socket = |state: &str| {
        eventually("the daemon sees it", || {
            let all = user.api().call("agents.list", &json!({})).unwrap();
            let one = all.as_array().unwrap().iter().find(|one| one["pid"] == pid).cloned();
            one.is_some_and(|one| one["state"] == state && one["source"] == "hooks")
        });
    };
    hook(&mut agent, "UserPromptSubmit", json!({"prompt": "go"}));
    is("working", "a prompt was sent", "hooks");
    over_socket("working");

    // It asks, is reminded of it, and is answered.
    let bash = json!({"tool_name": "Bash", "tool_input": {"command": "make"}});
    hook(&mut agent, "PermissionRequest", bash.clone());
    let asks = is("needs-input", "permission: Bash", "hooks");
    let since = told(&user, &session)["since_ms"].as_i64().unwrap();
    let shown_since = chrono::DateTime::parse_from_rfc3339(asks["since"].as_str().unwrap()).unwrap();
    assert_eq!((shown_since.timestamp_millis(), &asks["waiting_since"]), (since, &asks["since"]));
    hook(&mut agent, "Notification", json!({"notification_type": "permission_prompt"}));
    assert_eq!(is("needs-input", "permission: Bash", "hooks")["since"], asks["since"]);
    over_socket("needs-input");
    let (decided, states) = explained(&user, &agent);
    assert_eq!(decided, "hooks");
    assert!(states.contains(&("hooks".into(), json!("needs-input"))), "{states:?}");
    hook(&mut agent, "PostToolUse", bash);
    assert_eq!(is("working", "after tool: Bash", "hooks")["waiting_since"], Value::Null);
    hook(&mut agent, "Stop", json!({}));
    let one = is("idle", "your turn", "hooks");
    assert_eq!(one["waiting_since"], one["since"]);
    over_socket("idle");

    // What Claude Code itself keeps is better, when it says anything.
    user.registry_file(
        agent.pid(),
        &json!({"pid": agent.pid(), "procStart": agent.proc_start(), "sessionId": session}),
    );
    is("idle", "your turn", "hooks");
    user.registry(&agent, &session, "busy", ago(1));
    is("working", "busy", "registry");
    let (decided, states) = explained(&user, &agent);
    assert_eq!(decided, "registry");
    assert!(states.contains(&("hooks".into(), json!("idle"))), "{states:?}");
    fs::remove_file(user.claude_dir().join(format!("sessions/{}.json", agent.pid()))).unwrap();
    is("idle", "your turn", "hooks");

    // Of another boot it would be another process of the same number.
    let kept = text(&file(&user, &session));
    let boot = told(&user, &session)["boot"].as_str().unwrap().to_owned();
    fs::write(file(&user, &session), kept.replace(&boot, "another-boot")).unwrap();
    is("unknown", "nothing tells what it does", "none");
    hook(&mut agent, "Stop", json!({}));
    is("idle", "your turn", "hooks");
    hook(&mut agent, "SessionEnd", json!({"reason": "other"}));
    assert!(!file(&user, &session).exists());
    is("unknown", "nothing tells what it does", "none");
    assert!(is_alive(daemon));
}

#[test]
fn an_event_of_megabytes_is_read_to_its_end_and_understood_by_its_beginning() {
    let user = User::new();
    let mut agent = user.claude();
    let session = session_id();
    let content = "hunter2 \u{e9}".repeat(400_000);
    tell(&user, &mut agent, &session, "PostToolUse", &json!({"tool_name": "Read", "tool_response": content}));
    assert_eq!(told(&user, &session)["reason"], "after tool: Read");
    // A writer notices when nobody reads.
    let message =
        event(&user, &session, "PermissionRequest", &json!({"tool_name": "Bash", "tool_zzz": content}));
    let mut text = message.to_string();
    let at = text.find("\"tool_zzz\"").unwrap();
    assert!(at < 1000, "{at}");
    fs::write(user.cwd().join("large"), &text).unwrap();
    let line = format!("set -o pipefail; cat large | {}", command(&user));
    assert_eq!(agent.run(&format!("bash -c \"{line}\"")), 0);
    assert_eq!(told(&user, &session)["reason"], "permission: Bash");
    // Names behind so much else are not looked for.
    text.insert_str(1, &format!("\"a\":\"{}\",", "x".repeat(400_000)));
    fs::write(user.cwd().join("large"), &text).unwrap();
    assert_eq!(agent.run(&format!("bash -c \"{line}\"")), 0);
    assert!(log(&user).contains("no session_id"), "{}", log(&user));
}

#[test]
fn an_input_that_never_ends_does_not_hold_up_the_agent() {
    let user = User::new();
    let mut agent = user.claude();
    let session = session_id();
    fs::write(user.cwd().join("event"), event(&user, &session, "Stop", &json!({})).to_string()).unwrap();
    let fifo = user.cwd().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let held = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let begun = Instant::now();
    // Nothing comes, half an event comes, everything comes; and nobody closes.
    assert_eq!(agent.run(&format!("{} <'{}'", command(&user), fifo.display())), 0);
    assert!(
        log(&user).contains("not the JSON of an event") || log(&user).contains("no session_id"),
        "{}",
        log(&user)
    );
    (&held).write_all(b"{\"session_id\":").unwrap();
    assert_eq!(agent.run(&format!("{} <'{}'", command(&user), fifo.display())), 0);
    (&held).write_all(&fs::read(user.cwd().join("event")).unwrap()).unwrap();
    assert_eq!(agent.run(&format!("{} <'{}'", command(&user), fifo.display())), 0);
    assert_eq!(told(&user, &session)["state"], "idle");
    // One that is written without end.
    assert_eq!(agent.run(&format!("yes | {}", command(&user))), 0);
    assert!(begun.elapsed() < Duration::from_secs(60), "only to tell a hang: {:?}", begun.elapsed());
}

#[test]
fn hooks_at_once_tear_nothing_and_the_last_one_stays() {
    let user = User::new();
    let mut agent = user.claude();
    let session = session_id();
    let mut commands = Vec::new();
    for number in 0..24 {
        let event = event(&user, &session, "PostToolUse", &json!({"tool_name": format!("T{number}")}));
        fs::write(user.cwd().join(format!("{number}.json")), event.to_string()).unwrap();
        commands.push(format!("{} <{number}.json &", command(&user)));
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let text = text(&file(&user, &session));
                assert!(text.is_empty() || serde_json::from_str::<Value>(&text).is_ok(), "torn: {text}");
            }
        });
        let status = agent.run(&format!("{} wait", commands.join(" ")));
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        assert_eq!(status, 0);
    });
    assert_eq!(log(&user), "");
    let names: Vec<String> = fs::read_dir(user.tsm_dir().join("agents/hooks"))
        .unwrap()
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "nothing but the file and the lock: {names:?}");
    tell(&user, &mut agent, &session, "Stop", &json!({}));
    assert_eq!(told(&user, &session)["state"], "idle");
}

#[test]
fn what_no_agent_has_called_is_noted_in_the_log_only() {
    let user = User::new();
    let session = session_id();
    let stop = event(&user, &session, "Stop", &json!({})).to_string();
    assert_eq!(feed(&user, stop.as_bytes()), (0, String::new()));
    assert!(!file(&user, &session).exists());
    assert!(
        log(&user).contains(&format!("Stop of session {session}: no process of Claude Code")),
        "{}",
        log(&user)
    );
    // The log does not grow for ever, and holds nothing of what it was about.
    let path = user.tsm_dir().join("agents/hook.log");
    fs::write(&path, "an old line\n".repeat(10_000)).unwrap();
    assert_eq!(feed(&user, b"\"hunter2\""), (0, String::new()));
    let log = log(&user);
    assert!(log.len() < 70_000 && log.starts_with("an old line\n"), "{}", log.len());
    assert!(
        log.ends_with("not the JSON of an event (line 1 column 9)\n") && !log.contains("hunter2"),
        "{log}"
    );
}

#[test]
fn a_hook_that_cannot_write_fails_nobody() {
    let user = User::new();
    let mut agent = user.claude();
    let session = session_id();
    // The directory is a file.
    fs::write(user.tsm_dir(), "").unwrap();
    tell(&user, &mut agent, &session, "Stop", &json!({}));
    fs::remove_file(user.tsm_dir()).unwrap();
    // There is no place at all.
    let line = format!("env -u HOME -u TSM_DIR {} <event.json", command(&user));
    assert_eq!(agent.run(&line), 0);
    // Output and errors go nowhere, input is closed.
    assert_eq!(agent.run(&format!("{} <event.json >&- 2>&-", command(&user))), 0);
    assert_eq!(told(&user, &session)["state"], "idle");
    assert_eq!(agent.run(&format!("{} <&-", command(&user))), 0);
}

#[test]
fn an_event_changes_no_file_outside_of_its_directory() {
    let user = User::new();
    let mut agent = user.claude();
    let victim = user.tsm_dir().join("agents/victim.json");
    fs::create_dir_all(victim.parent().unwrap()).unwrap();
    fs::write(&victim, "mine").unwrap();
    for session in ["../victim", "..", "/etc/passwd", "a/b", "x\u{0}y"] {
        tell(&user, &mut agent, session, "SessionEnd", &json!({}));
        tell(&user, &mut agent, session, "Stop", &json!({}));
    }
    assert_eq!(text(&victim), "mine");
    assert!(!user.tsm_dir().join("agents/hooks").exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken_in_silence(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let user = User::new();
        prop_assert_eq!(feed(&user, &bytes), (0, String::new()));
    }

    #[test]
    fn any_damage_to_an_event_is_taken_in_silence(at in 0usize..200, byte in any::<u8>(), cut in 0usize..250) {
        let user = User::new();
        let mut bytes = event(&user, "s-1", "Stop", &json!({"x": [1, {"y": null}]})).to_string().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1));
        prop_assert_eq!(feed(&user, &bytes), (0, String::new()));
    }
}
