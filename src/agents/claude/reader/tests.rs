//! Folders as Claude Code keeps them, and processes in them; the table of states is tested where it is decided.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::agents::AgentState::{self, Idle, NeedsInput, Unknown, Working};
use crate::agents::Source;
use crate::agents::claude::locate::encode;
use crate::sys::clock::wall_ms;

mod hooks;

/// A home with projects.
struct Home {
    dir: TempDir,
    reader: Reader,
    now_ms: u64,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let reader = Reader::new().with_hooks(dir.path().join("hooks"));
        Home { dir, reader, now_ms: wall_ms() }
    }

    fn claude_dir(&self) -> PathBuf {
        self.dir.path().join(".claude")
    }

    fn project(&self, name: &str) -> PathBuf {
        let project = self.dir.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(&project).unwrap();
        project
    }

    /// A process of an hour ago in a directory; no such process runs.
    fn process(&self, pid: i32, cwd: &Path) -> Claude {
        Claude {
            identity: Identity { pid: Pid::new(pid).unwrap(), start: 1_000 + pid as u64 },
            started_ms: self.now_ms - 3_600_000,
            argv: vec!["claude".into()],
            cwd: Some(cwd.to_owned()),
            claude_dir: self.claude_dir(),
            youngest_child_ms: None,
            has_busy_child: None,
        }
    }

    fn registry(&self, process: &Claude, more: &Value) {
        let mut whole = json!({"pid": process.identity.pid, "procStart": process.identity.start});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.write(&registry::path(&self.claude_dir(), process.identity.pid), &whole.to_string());
    }

    fn write(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn transcript(&self, cwd: &Path, id: &str) -> PathBuf {
        self.claude_dir().join("projects").join(encode(cwd.to_str().unwrap())).join(format!("{id}.jsonl"))
    }

    /// Writes a transcript of these records, each so many seconds ago; it was written when its last record was.
    fn wrote(&self, cwd: &Path, id: &str, records: &[(u64, Value)]) -> PathBuf {
        let path = self.transcript(cwd, id);
        let mut text = String::new();
        for (ago, record) in records {
            let at = chrono::DateTime::from_timestamp_millis((self.now_ms - ago * 1000) as i64).unwrap();
            let mut whole =
                json!({"cwd": cwd, "sessionId": id, "gitBranch": "topic", "timestamp": at.to_rfc3339()});
            whole.as_object_mut().unwrap().extend(record.as_object().unwrap().clone());
            writeln!(text, "{whole}").unwrap();
        }
        self.write(&path, &text);
        let last = records.last().map_or(0, |(ago, _)| *ago);
        let written = std::time::UNIX_EPOCH + std::time::Duration::from_millis(self.now_ms - last * 1000);
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        path
    }

    fn look(&mut self, processes: &[Claude]) -> Vec<Assessment> {
        self.reader.assess_all(processes, self.now_ms)
    }

    fn one(&mut self, process: &Claude) -> Assessment {
        self.look(std::slice::from_ref(process)).remove(0)
    }

    fn ids(&mut self, processes: &[Claude]) -> Vec<String> {
        let found = self.look(processes);
        found.into_iter().map(|one| one.session_id.unwrap_or_default()).collect()
    }
}

fn prompt(text: &str) -> Value {
    json!({"type": "user", "message": {"role": "user", "content": text}})
}

fn clear() -> Value {
    prompt("<command-name>/clear</command-name>")
}

fn ended(text: &str) -> Value {
    json!({"type": "assistant", "message": {"id": text, "role": "assistant", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": text}]}})
}

fn tool(name: &str) -> Value {
    json!({"type": "assistant", "message": {"id": "m", "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": name, "input": {"command": "make"}}]}})
}

/// A conversation that began and ended so many seconds ago.
fn talk(first: u64, last: u64) -> Vec<(u64, Value)> {
    vec![(first, prompt("do it")), (last, ended("done"))]
}

fn verdict(one: &Assessment) -> (AgentState, &str, Source) {
    (one.state, one.reason.as_str(), one.source)
}

#[test]
fn the_registry_decides_with_every_status_that_is_known() {
    let mut home = Home::new();
    let dir = home.project("api");
    let process = home.process(100, &dir);
    home.wrote(&dir, "s", &talk(90, 60));
    let at = home.now_ms - 5_000;
    for (status, state, reason, waits) in [
        ("busy", Working, "busy", false),
        ("waiting", NeedsInput, "a dialog is open", true),
        ("idle", Idle, "your turn", true),
        ("shell", Idle, "your turn +bg", true),
    ] {
        home.registry(&process, &json!({"sessionId": "s", "status": status, "statusUpdatedAt": at}));
        let one = home.one(&process);
        assert_eq!(verdict(&one), (state, reason, Source::Registry), "{status}");
        assert_eq!((one.since_ms, one.waiting_since_ms), (Some(at), waits.then_some(at)), "{status}");
        assert_eq!((one.session_id.as_deref(), one.preview.as_deref()), (Some("s"), Some("done")));
        assert_eq!(one.git_branch.as_deref(), Some("topic"));
    }
    home.registry(&process, &json!({"sessionId": "s", "status": "thinking", "statusUpdatedAt": at}));
    let one = home.one(&process);
    assert_eq!(verdict(&one), (NeedsInput, "its turn has ended", Source::Transcript));
    assert_eq!(one.evidence[0].found, "status \"thinking\", 5s ago, which is not known");
}

#[test]
fn a_dialog_says_what_it_is_about() {
    let mut home = Home::new();
    let dir = home.project("api");
    let process = home.process(100, &dir);
    home.wrote(&dir, "s", &[(90, prompt("do it")), (60, tool("Bash"))]);
    let waiting = |for_what: Value| json!({"sessionId": "s", "status": "waiting", "waitingFor": for_what});
    home.registry(&process, &waiting(json!("permission prompt")));
    assert_eq!(home.one(&process).reason, "permission: Bash: make");
    home.registry(&process, &waiting(json!("a trust dialog")));
    assert_eq!(home.one(&process).reason, "a trust dialog");
    home.registry(&process, &json!({"sessionId": "s", "status": "busy"}));
    assert_eq!(home.one(&process).reason, "tool: Bash: make");
}

#[test]
fn idle_before_the_first_prompt_waits_for_nobody() {
    let mut home = Home::new();
    let dir = home.project("api");
    let process = home.process(100, &dir);
    home.registry(&process, &json!({"sessionId": "s", "status": "idle", "statusUpdatedAt": home.now_ms}));
    let one = home.one(&process);
    assert_eq!((one.state, one.waiting_since_ms, one.session_id.as_deref()), (Idle, None, Some("s")));
    home.wrote(&dir, "s", &[(9, clear())]);
    let one = home.one(&process);
    assert_eq!((one.reason.as_str(), one.waiting_since_ms), ("no prompt yet", None));
}

#[test]
fn a_registry_with_a_stale_proc_start_does_not_count() {
    let mut home = Home::new();
    let dir = home.project("api");
    let process = home.process(100, &dir);
    home.wrote(&dir, "mine", &talk(90, 60));
    home.wrote(&dir, "old", &talk(7_200, 7_100));
    home.registry(&process, &json!({"procStart": 1, "sessionId": "old", "status": "busy"}));
    let one = home.one(&process);
    assert_eq!(verdict(&one), (NeedsInput, "its turn has ended", Source::Transcript));
    assert_eq!(one.session_id.as_deref(), Some("mine"));
    assert_eq!(one.evidence[0].found, "of another process: it says procStart 1, the process has 1100");
    assert!(!one.evidence[0].decided && one.evidence[2].decided);
    let path = registry::path(&home.claude_dir(), process.identity.pid);
    home.write(&path, "{\"pid\":100,\"procSt");
    assert_eq!(home.one(&process).source, Source::Transcript, "half written");
}

#[test]
fn directories_whose_names_collide_are_told_apart_by_the_records() {
    let mut home = Home::new();
    let dirs = ["a-b", "a_b", "a.b", "a/b"].map(|name| home.project(name));
    let files: Vec<PathBuf> =
        dirs.iter().zip(["1", "2", "3", "4"]).map(|(dir, id)| home.wrote(dir, id, &talk(90, 60))).collect();
    assert!(files.iter().all(|file| file.parent() == files[0].parent()), "{files:?}");
    let processes: Vec<Claude> = (100..).zip(&dirs).map(|(pid, dir)| home.process(pid, dir)).collect();
    assert_eq!(home.ids(&processes), ["1", "2", "3", "4"]);
    let nobodys = home.project("a+b");
    let process = home.process(200, &nobodys);
    assert_eq!(home.one(&process).transcript, None);
}

#[test]
fn a_directory_behind_a_link_is_the_one_that_it_leads_to() {
    let mut home = Home::new();
    let dir = home.project("real");
    let link = home.dir.path().join("link");
    symlink(&dir, &link).unwrap();
    home.wrote(&dir, "s", &talk(90, 60));
    let process = home.process(100, &link);
    assert_eq!(home.ids(&[process]), ["s"]);
}

#[test]
fn a_directory_of_a_long_name_is_found() {
    let mut home = Home::new();
    let dir = home.project(&["x".repeat(110), "y".repeat(110)].join("/"));
    let file = home.wrote(&dir, "s", &talk(90, 60));
    let encoded = encode(dir.to_str().unwrap());
    let cut = home.claude_dir().join("projects").join(format!("{}-q1w2", &encoded[..200]));
    fs::rename(file.parent().unwrap(), cut).unwrap();
    let process = home.process(100, &dir);
    assert_eq!(home.ids(&[process]), ["s"]);
}

#[test]
fn conversations_of_sub_agents_are_nobodys() {
    let mut home = Home::new();
    let dir = home.project("api");
    let file = home.wrote(&dir, "main", &[(90, prompt("do it")), (60, tool("Task"))]);
    home.wrote(&dir, "agent-17", &talk(50, 5));
    home.wrote(&dir, "main/subagents/agent-18", &talk(50, 5));
    let process = home.process(100, &dir);
    let one = home.one(&process);
    assert_eq!((one.transcript, one.state), (Some(file), Working));
}

#[test]
fn two_sessions_of_one_directory_keep_their_files() {
    let mut home = Home::new();
    let dir = home.project("api");
    let (first, mut second) = (home.process(100, &dir), home.process(101, &dir));
    second.started_ms += 1_800_000;
    let both = [first, second];
    home.wrote(&dir, "older", &talk(3_500, 60));
    home.wrote(&dir, "newer", &talk(1_700, 50));
    home.wrote(&dir, "of-before", &talk(9_000, 5_000));
    assert_eq!(home.ids(&both), ["older", "newer"]);
    for (id, last) in [("older", 40), ("newer", 30), ("newer", 20), ("older", 10)] {
        home.wrote(&dir, id, &talk(if id == "older" { 3_500 } else { 1_700 }, last));
        assert_eq!(home.ids(&both), ["older", "newer"]);
    }
    let swapped = [both[1].clone(), both[0].clone()];
    assert_eq!(home.ids(&swapped), ["newer", "older"]);
    assert_eq!(home.ids(&both[..1]), ["older"], "the other one has ended");
    assert_eq!(home.ids(&both[..1]), ["older"], "and its file is not taken over");
}

#[test]
fn after_clear_the_new_conversation_counts_though_the_registry_names_the_old_one() {
    let mut home = Home::new();
    let dir = home.project("api");
    let process = home.process(100, &dir);
    home.registry(
        &process,
        &json!({"sessionId": "old", "status": "idle", "statusUpdatedAt": home.now_ms - 500_000}),
    );
    home.wrote(&dir, "old", &talk(900, 500));
    assert_eq!(home.ids(std::slice::from_ref(&process)), ["old"]);
    home.wrote(&dir, "cleared", &[(400, clear())]);
    let one = home.one(&process);
    assert_eq!((one.session_id.as_deref(), one.reason.as_str()), (Some("cleared"), "no prompt yet"));
    home.wrote(&dir, "cleared", &[(400, clear()), (10, prompt("anew"))]);
    assert_eq!(home.one(&process).preview.as_deref(), Some("anew"));
    home.wrote(&dir, "cleared-again", &[(4, clear())]);
    assert_eq!(home.ids(std::slice::from_ref(&process)), ["cleared-again"]);
    // As a new reader sees it.
    home.reader = Reader::new();
    assert_eq!(home.ids(std::slice::from_ref(&process)), ["cleared-again"]);
    home.registry(&process, &json!({"sessionId": "old", "status": "idle", "statusUpdatedAt": home.now_ms}));
    home.wrote(&dir, "old", &talk(900, 1));
    home.reader = Reader::new();
    assert_eq!(home.ids(&[process]), ["old"], "it has gone on there");
}

#[test]
fn a_conversation_of_somebody_who_has_ended_is_not_taken_for_a_clear() {
    let mut home = Home::new();
    let dir = home.project("api");
    let process = home.process(100, &dir);
    home.registry(
        &process,
        &json!({"sessionId": "old", "status": "idle", "statusUpdatedAt": home.now_ms - 499_000}),
    );
    home.wrote(&dir, "old", &talk(900, 500));
    home.wrote(&dir, "headless", &talk(400, 300));
    assert_eq!(home.ids(std::slice::from_ref(&process)), ["old"], "this process has done nothing since");
    let busy = json!({"sessionId": "old", "status": "busy", "statusUpdatedAt": home.now_ms - 1_000});
    home.registry(&process, &busy);
    home.registry(&home.process(999, &dir), &json!({"sessionId": "headless"}));
    assert_eq!(home.ids(std::slice::from_ref(&process)), ["old"], "another process has named it");
    fs::remove_file(registry::path(&home.claude_dir(), Pid::new(999).unwrap())).unwrap();
    assert_eq!(
        home.ids(&[process]),
        ["headless"],
        "nobody has, and this one works while the old one stands still"
    );
}

#[test]
fn the_command_line_names_the_conversation() {
    let mut home = Home::new();
    let dir = home.project("api");
    home.wrote(&dir, "named", &talk(7_000, 6_000));
    home.wrote(&dir, "newest", &talk(90, 60));
    let elsewhere = home.project("other");
    home.wrote(&elsewhere, "moved", &talk(90, 60));
    let mut with = |words: &[&str]| {
        let mut process = home.process(100, &dir);
        process.argv.extend(words.iter().map(|word| (*word).to_owned()));
        home.reader = Reader::new();
        home.ids(&[process]).remove(0)
    };
    assert_eq!(with(&["--resume", "named"]), "named");
    assert_eq!(with(&["--resume", "moved"]), "moved", "of another directory");
    assert_eq!(with(&["--session-id", "not-there-yet"]), "not-there-yet");
    assert_eq!(with(&["--resume", "a-word-to-search-for"]), "newest");
    assert_eq!(with(&[]), "newest");
}

#[test]
fn a_conversation_from_before_the_start_is_only_of_who_resumes() {
    let mut home = Home::new();
    let dir = home.project("api");
    home.wrote(&dir, "before", &talk(7_000, 6_000));
    let mut process = home.process(100, &dir);
    let one = home.one(&process);
    assert_eq!((one.session_id, verdict(&home.one(&process)).0), (None, Unknown));
    process.argv.push("--continue".into());
    assert_eq!(home.ids(&[process]), ["before"]);
}

#[test]
fn without_any_source_the_activity_of_its_commands_tells_what_can_be_told() {
    let mut home = Home::new();
    let mut process = home.process(100, &home.project("api"));
    for (busy, expected) in [
        (Some(true), (Working, "a command of it works", Source::Activity)),
        (Some(false), (Unknown, "nothing tells what it does", Source::None)),
        (None, (Unknown, "nothing tells what it does", Source::None)),
    ] {
        process.has_busy_child = busy;
        let one = home.one(&process);
        assert_eq!(verdict(&one), expected);
        let sources: Vec<Source> = one.evidence.iter().map(|evidence| evidence.source).collect();
        assert_eq!(sources, [Source::Registry, Source::Hooks, Source::Transcript, Source::Activity]);
    }
}

#[test]
fn a_look_that_finds_nothing_new_reads_no_transcript() {
    let mut home = Home::new();
    let dir = home.project("api");
    let processes =
        [home.process(100, &dir), home.process(101, &dir), home.process(102, &home.project("web"))];
    for id in ["1", "2", "3", "4"] {
        home.wrote(&dir, id, &talk(90, 60));
    }
    home.registry(
        &processes[0],
        &json!({"sessionId": "1", "status": "busy", "statusUpdatedAt": home.now_ms}),
    );
    home.look(&processes);
    home.look(&processes);
    let before = home.reader.bytes_read();
    assert!(before > 0);
    home.look(&processes);
    assert_eq!(home.reader.bytes_read(), before);
    home.look(&[]);
    assert_eq!(home.reader.bytes_read(), before, "what was read stays counted");
    assert!(home.reader.bound.is_empty(), "and what is gone is forgotten");
}

#[test]
fn one_process_alone_does_not_take_what_another_has() {
    let mut home = Home::new();
    let dir = home.project("api");
    let (one, other) = (home.process(100, &dir), home.process(101, &dir));
    home.wrote(&dir, "s", &talk(90, 60));
    let now_ms = home.now_ms;
    let id = |home: &mut Home, process: &Claude| home.reader.assess(process, now_ms).session_id;
    assert_eq!(id(&mut home, &one).as_deref(), Some("s"));
    assert_eq!(id(&mut home, &other), None);
    assert_eq!(id(&mut home, &one).as_deref(), Some("s"));
}
