//! The states of Claude Code sessions as `tsm agents` shows them: real processes, and the files that Claude Code keeps.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::agents_kit::{Agent, Transcript, ago, session_id};
use crate::kit::{User, eventually, text};

/// The sessions of this user, by PID.
fn sessions(user: &User) -> Vec<Value> {
    let ran = user.tsm(&["agents", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let Value::Array(mut all) = serde_json::from_str(&ran.stdout).unwrap() else { panic!("{ran:?}") };
    all.sort_by_key(|one| one["pid"].as_i64());
    all
}

/// The session of a process.
fn of(user: &User, agent: &Agent) -> Value {
    let is_it = |one: &Value| one["pid"] == agent.pid();
    sessions(user).into_iter().find(is_it).unwrap_or_else(|| panic!("no session {}", agent.pid()))
}

/// A process that is found as a session.
fn claude(user: &User, dir: &Path, args: &[&str]) -> Agent {
    let agent = user.agent("claude", dir, args);
    let comm = format!("/proc/{}/comm", agent.pid());
    eventually("it is called claude", || text(comm.as_ref()) == "claude\n");
    agent
}

#[track_caller]
fn is(one: &Value, state: &str, reason: &str, source: &str) {
    let found = ["state", "reason", "source"].map(|key| one[key].as_str().unwrap());
    assert_eq!(found, [state, reason, source], "{one:#}");
}

fn project(user: &User, name: &str) -> std::path::PathBuf {
    let dir = user.cwd().join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn each_end_of_a_transcript_has_its_state() {
    type Write = fn(&mut Transcript) -> &mut Transcript;
    let rows: [(&str, &str, Write); 14] = [
        ("working", "a prompt was sent", |t| t.prompt("go")),
        ("working", "a tool has answered", |t| {
            t.prompt("go").tool_use("a", "Bash", &json!({})).tool_result("a", "ok")
        }),
        ("needs-input", "interrupted", |t| t.prompt("go").prompt("[Request interrupted by user]")),
        ("needs-input", "API error", |t| t.prompt("go").system("api_error")),
        ("needs-input", "its turn has ended", |t| t.prompt("go").says("done", Some("end_turn"))),
        ("needs-input", "its turn has ended", |t| t.prompt("go").says("done", None).system("turn_duration")),
        ("needs-input", "question", |t| t.prompt("go").tool_use("a", "AskUserQuestion", &json!({}))),
        ("needs-input", "plan to approve", |t| t.prompt("go").tool_use("a", "ExitPlanMode", &json!({}))),
        ("working", "tool: Bash: make", |t| {
            t.prompt("go").tool_use("a", "Bash", &json!({"command": "make"}))
        }),
        ("needs-input", "probably permission: Bash: make", |t| {
            t.ago(60).prompt("go").tool_use("a", "Bash", &json!({"command": "make"}))
        }),
        ("working", "tool: Task", |t| t.ago(60).prompt("go").tool_use("a", "Task", &json!({}))),
        ("idle", "its turn has ended", |t| t.ago(1_900).prompt("go").says("done", Some("end_turn"))),
        ("idle", "no prompt yet", |t| t.prompt("<command-name>/clear</command-name>")),
        ("unknown", "nothing tells what it does", |t| t.record(json!({"type": "of-tomorrow"}))),
    ];
    let user = User::new();
    let agents: Vec<Agent> = rows
        .iter()
        .enumerate()
        .map(|(at, (_, _, write))| {
            let dir = project(&user, &format!("p{at}"));
            let agent = claude(&user, &dir, &[]);
            write(&mut user.transcript(&dir, &session_id()));
            agent
        })
        .collect();
    for ((state, reason, _), agent) in rows.iter().zip(&agents) {
        let source = if *state == "unknown" { "none" } else { "transcript" };
        is(&of(&user, agent), state, reason, source);
    }
}

#[test]
fn each_status_of_the_registry_has_its_state() {
    let user = User::new();
    let agent = claude(&user, &user.cwd(), &[]);
    let id = session_id();
    user.transcript(&user.cwd(), &id).ago(90).prompt("go").says("done", Some("end_turn"));
    let changed = ago(40);
    let since = changed.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    for (status, state, reason, waits) in [
        ("busy", "working", "busy", false),
        ("waiting", "needs-input", "a dialog is open", true),
        ("idle", "idle", "your turn", true),
        ("shell", "idle", "your turn +bg", true),
    ] {
        user.registry(&agent, &id, status, changed);
        let one = of(&user, &agent);
        is(&one, state, reason, "registry");
        assert_eq!((&one["session_id"], &one["since"]), (&json!(id), &json!(since)), "{status}");
        assert_eq!(one["waiting_since"], if waits { json!(since) } else { Value::Null }, "{status}");
    }
    user.registry(&agent, &id, "of-tomorrow", changed);
    is(&of(&user, &agent), "needs-input", "its turn has ended", "transcript");
}

#[test]
fn a_registry_with_a_stale_proc_start_is_of_another_process() {
    let user = User::new();
    let agent = claude(&user, &user.cwd(), &[]);
    let id = session_id();
    user.transcript(&user.cwd(), &id).prompt("go");
    let stale = json!({"pid": agent.pid(), "procStart": agent.proc_start() - 1, "status": "waiting", "sessionId": "old"});
    user.registry_file(agent.pid(), &stale);
    let one = of(&user, &agent);
    is(&one, "working", "a prompt was sent", "transcript");
    assert_eq!(one["session_id"], json!(id));
}

#[test]
fn colliding_directories_have_their_own_conversations() {
    let user = User::new();
    let dirs = ["a-b", "a_b", "a.b", "a/b"].map(|name| project(&user, name));
    let agents = dirs.each_ref().map(|dir| claude(&user, dir, &[]));
    let transcripts = dirs.each_ref().map(|dir| {
        let mut transcript = user.transcript(dir, &session_id());
        transcript.prompt(&format!("in {}", dir.display()));
        transcript
    });
    assert_eq!(transcripts[0].path.parent(), transcripts[3].path.parent());
    for ((dir, agent), transcript) in dirs.iter().zip(&agents).zip(&transcripts) {
        let one = of(&user, agent);
        assert_eq!(one["transcript"], json!(transcript.path));
        assert_eq!(one["preview"], json!(format!("in {}", dir.display())));
    }
}

#[test]
fn a_partial_last_line_is_no_record_yet() {
    let user = User::new();
    let agent = claude(&user, &user.cwd(), &[]);
    let mut transcript = user.transcript(&user.cwd(), &session_id());
    transcript.prompt("go").says("done", Some("end_turn"));
    let line = r#"{"type":"user","message":{"role":"user","content":"more"}}"#;
    transcript.raw(&line[..30]);
    is(&of(&user, &agent), "needs-input", "its turn has ended", "transcript");
    transcript.raw(&line[30..]);
    is(&of(&user, &agent), "needs-input", "its turn has ended", "transcript");
    transcript.raw("\n");
    is(&of(&user, &agent), "working", "a prompt was sent", "transcript");
}

#[test]
fn a_line_of_fifty_megabytes_is_a_record_like_another() {
    let user = User::new();
    let agent = claude(&user, &user.cwd(), &[]);
    let mut transcript = user.transcript(&user.cwd(), &session_id());
    transcript.prompt("look").tool_use("a", "Read", &json!({"file_path": "big"}));
    transcript.tool_result("a", &"x".repeat(50_000_000));
    is(&of(&user, &agent), "working", "a tool has answered", "transcript");
    transcript.says("seen", Some("end_turn"));
    let one = of(&user, &agent);
    is(&one, "needs-input", "its turn has ended", "transcript");
    assert_eq!(one["preview"], "seen");
}

#[test]
fn after_clear_the_new_conversation_is_shown() {
    let user = User::new();
    let agent = claude(&user, &user.cwd(), &[]);
    let (old, new) = (session_id(), session_id());
    user.transcript(&user.cwd(), &old).ago(90).prompt("go").says("done", Some("end_turn"));
    user.registry(&agent, &old, "idle", ago(90));
    assert_eq!(of(&user, &agent)["session_id"], json!(old));
    let mut cleared = user.transcript(&user.cwd(), &new);
    cleared.ago(30).prompt("<command-name>/clear</command-name>");
    let one = of(&user, &agent);
    assert_eq!((&one["session_id"], &one["reason"]), (&json!(new), &json!("no prompt yet")));
    assert_eq!(one["waiting_since"], Value::Null);
    cleared.prompt("anew");
    assert_eq!(of(&user, &agent)["preview"], "anew");
}

#[test]
fn two_sessions_in_one_directory_have_two_conversations() {
    let user = User::new();
    let agents = [claude(&user, &user.cwd(), &[]), claude(&user, &user.cwd(), &[])];
    let ids = [session_id(), session_id()];
    for id in &ids {
        user.transcript(&user.cwd(), id).prompt(id);
    }
    let mut shown: Vec<String> =
        sessions(&user).iter().map(|one| one["preview"].as_str().unwrap().into()).collect();
    shown.sort();
    let mut expected = ids.to_vec();
    expected.sort();
    assert_eq!(shown, expected);
    // What one says of itself is believed, and the other has what is left.
    for (one, other) in [(0, 1), (1, 0)] {
        user.registry(&agents[0], &ids[one], "busy", ago(1));
        assert_eq!(of(&user, &agents[0])["session_id"], json!(ids[one]));
        assert_eq!(of(&user, &agents[1])["session_id"], json!(ids[other]));
    }
}

#[test]
fn the_conversation_of_a_sub_agent_is_not_the_session() {
    let user = User::new();
    let agent = claude(&user, &user.cwd(), &[]);
    let id = session_id();
    let mut main = user.transcript(&user.cwd(), &id);
    main.prompt("go").tool_use("a", "Task", &json!({"description": "look"}));
    let dir = main.path.parent().unwrap();
    for path in [dir.join("agent-1.jsonl"), dir.join(&id).join("subagents/agent-2.jsonl")] {
        let mut side = Transcript::at(path, user.cwd().canonicalize().unwrap(), &id);
        side.record(json!({"type": "user", "isSidechain": true, "message": {"content": "task"}}));
        side.says("done", Some("end_turn"));
    }
    main.record(json!({"type": "user", "isSidechain": true, "message": {"content": "older form"}}));
    let one = of(&user, &agent);
    assert_eq!((&one["session_id"], &one["transcript"]), (&json!(id), &json!(main.path)));
    is(&one, "working", "tool: Task: look", "transcript");
}

#[test]
fn the_command_line_names_the_conversation() {
    let user = User::new();
    let named = session_id();
    user.transcript(&user.cwd(), &named).prompt("named");
    user.transcript(&user.cwd(), &session_id()).prompt("newest");
    let agent = claude(&user, &user.cwd(), &["--resume", &named]);
    assert_eq!(of(&user, &agent)["preview"], "named");
}
