//! Tests of the file of a conversation.

use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use serde_json::Map;

use super::super::session::{Change, Message};
use super::*;

fn message(seq: u64, role: Role, content: &str, at_ms: u64) -> Message {
    Message { seq, role, content: content.into(), at_ms, masked: 1, uuid: None }
}

fn change(seq: u64, file: &str, at_ms: u64) -> Change {
    Change { seq, file: file.into(), before: None, after: None, at_ms, masked: 0, tool_use: None }
}

fn session() -> Captured {
    Captured {
        id: "s".into(),
        key: "s".into(),
        tool: "claude-code".into(),
        root: PathBuf::from("/home/ann/shop"),
        cwd: PathBuf::from("/home/ann/shop/web"),
        started_ms: 1,
        last_ms: 9,
        metadata: Map::new(),
        transcript: None,
        messages: vec![
            message(1, Role::User, "look at /home/ann/shop/src/a.rs", 1_000),
            message(3, Role::Assistant, "done", 2_000),
            message(5, Role::User, "more", 3_000),
        ],
        changes: vec![
            change(2, "src/a.rs", 1_500),
            change(4, "src/b.rs", 2_500),
            change(6, "src/c.rs", 3_500),
        ],
        saved: Vec::new(),
    }
}

fn record(session: &Captured, cut_ms: u64) -> Option<Record> {
    let facts = Facts {
        commit: Commit { sha: "0123456789abcdef".into(), ..Commit::default() },
        files: vec!["src/a.rs".into(), "x.env".into(), ".prompts/y.json".into()],
        ..Facts::default()
    };
    let wanted = |file: &Path| file.extension().is_none_or(|ending| ending != "env");
    Record::of(session, &facts, Some("main"), cut_ms, Some(Path::new("/home/ann")), wanted)
}

#[test]
fn what_was_said_up_to_the_commit_is_in_it_and_nothing_twice() {
    let mut session = session();
    assert_eq!(record(&session, 999), None);
    let first = record(&session, 2_400).unwrap();
    assert_eq!((first.messages.len(), first.upto), (2, 3));
    let changed =
        Changed { path: "src/a.rs".into(), time: "1970-01-01T00:00:01.500Z".into(), prompt: Some(0) };
    assert_eq!(first.files.session, [changed]);
    assert_eq!(first.files.commit, ["src/a.rs"], "neither what is excluded nor ours");
    assert_eq!((first.directory.as_str(), first.masked), ("web", 2));
    assert_eq!(first.file_name(1), "19700101T000001.000Z-0123456.json");
    assert_eq!(first.file_name(2), "19700101T000001.000Z-0123456-2.json");

    session.saved.push(super::super::session::Saved { commit: "0123".into(), upto: first.upto, at_ms: 1 });
    let second = record(&session, 9_000).unwrap();
    assert_eq!(second.messages.iter().map(|said| said.content.as_str()).collect::<Vec<_>>(), ["more"]);
    let changed: Vec<_> = second.files.session.iter().map(|one| (one.path.as_str(), one.prompt)).collect();
    assert_eq!((changed, second.upto), (vec![("src/b.rs", None), ("src/c.rs", Some(0))], 6));
    session.saved[0].upto = 6;
    assert_eq!(record(&session, 9_000), None);
    // A change without a word waits for one.
    session.saved[0].upto = 5;
    assert_eq!(record(&session, 9_000), None);
}

#[test]
fn a_change_behind_the_next_message_waits_for_its_commit() {
    let session = session();
    // The clock of the message behind it says later than the cut.
    let first = record(&session, 2_600).unwrap();
    assert_eq!((first.upto, first.files.session.len()), (4, 2));
}

#[test]
fn paths_do_not_tell_whose_machine_it_was() {
    let root = Path::new("/home/ann/shop");
    for (from, to) in [
        ("cd /home/ann/shop && ls", "cd ./ && ls"),
        ("/home/ann/shop/src/a.rs:3", "src/a.rs:3"),
        ("\"/home/ann/shop/\"", "\"./\""),
        ("in /home/ann/shop.", "in ./."),
        ("/home/ann/shop-old/x", "~/shop-old/x"),
        ("/home/ann/.ssh/id and /home/ann", "~/.ssh/id and ~"),
        ("/home/anna/x", "/home/anna/x"),
        ("/mnt/home/ann/shop/x", "/mnt/home/ann/shop/x"),
        ("nothing", "nothing"),
    ] {
        assert_eq!(shorten(from, root, Some(Path::new("/home/ann"))), to);
    }
    assert_eq!(shorten("/x", Path::new("/"), Some(Path::new("/"))), "/x");
}

#[test]
fn the_schema_is_current() {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Record>();
    let text = format!("{:#}\n", serde_json::to_value(schema).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/capture.schema.json");
    if std::env::var_os("TSM_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "write it anew: TSM_WRITE_DOCS=1 cargo test --lib capture::record");
}
