//! What of a conversation comes into which journal, and that it comes once.

use std::fs::File;
use std::io::Write;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::capture::{Captured, Config};
use crate::store::Layout;

/// 2026-01-01T00:00:00Z
const DAY: u64 = 1_767_225_600_000;
const ID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// A home with a Claude folder, a TSM and repositories.
struct Home {
    dir: tempfile::TempDir,
    sessions: Sessions,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sessions = Sessions::open(&Layout::new(dir.path().join("tsm")), Config::default());
        let home = Home { dir, sessions };
        home.repository("shop");
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    fn repository(&self, name: &str) {
        let root = self.path(name);
        fs::create_dir_all(root.join("src")).unwrap();
        let argv = ["git", "init", "-q"].map(std::ffi::OsString::from);
        let env = [("PATH".into(), std::env::var_os("PATH").unwrap())];
        let limit = std::time::Duration::from_secs(60);
        crate::sys::capture::run(&argv, &env, &root, limit).unwrap().unwrap();
    }

    /// The transcript `id` of a session that was started in `dir`.
    fn transcript(&self, dir: &str, id: &str) -> PathBuf {
        let name = self.path(dir).to_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let folder = self.path("claude/projects").join(name);
        fs::create_dir_all(&folder).unwrap();
        folder.join(format!("{id}.jsonl"))
    }

    fn record(&self, cwd: &str, n: u64, more: &Value) -> String {
        let mut record = json!({"uuid": format!("u{n}"), "sessionId": ID, "cwd": self.path(cwd), "gitBranch": "main",
            "timestamp": format!("2026-01-01T00:{:02}:{:02}.000Z", n / 60, n % 60)});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("{record}\n")
    }

    fn typed(&self, cwd: &str, n: u64, text: &str) -> String {
        self.record(cwd, n, &json!({"type": "user", "message": {"role": "user", "content": text}}))
    }

    fn said(&self, cwd: &str, n: u64, block: &Value) -> String {
        self.record(
            cwd,
            n,
            &json!({"type": "assistant", "message": {"id": format!("m{n}"), "content": [block]}}),
        )
    }

    fn look(&self, root: &str) -> Ingested {
        ingest(&self.sessions, &[self.path("claude")], &self.path(root), DAY).unwrap()
    }

    fn of(&self, root: &str) -> Vec<Captured> {
        self.sessions.of_repo(&self.path(root)).unwrap()
    }

    fn words(&self, root: &str) -> Vec<String> {
        self.of(root)
            .into_iter()
            .flat_map(|session| session.messages)
            .map(|message| message.content)
            .collect()
    }
}

fn append(path: &Path, text: &str) {
    File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Another file takes its place; the inode of one that was removed first could be given again.
fn anew(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}

#[test]
fn what_was_typed_and_answered_comes_once_and_masked() {
    let home = Home::new();
    let path = home.transcript("shop", ID);
    append(&path, &home.typed("shop", 1, "use PASSWORD=hunter2"));
    append(&path, &home.said("shop", 2, &json!({"type": "text", "text": "done"})));
    append(&path, &home.typed("shop", 3, "<command-name>/cost</command-name>"));
    append(&path, &home.typed("shop", 4, "<system-reminder>x</system-reminder>"));
    let shown = json!([{"type": "tool_result", "tool_use_id": "t", "content": "the file says swordfish"}]);
    append(&path, &home.record("shop", 5, &json!({"type": "user", "message": {"content": shown}})));
    assert_eq!(home.look("shop"), Ingested { sessions: 1, messages: 2, failed: 0 });
    assert_eq!(home.look("shop"), Ingested::default());
    append(&path, &home.typed("shop", 6, "and now?"));
    assert_eq!(home.look("shop").messages, 1);
    let all = home.of("shop");
    assert_eq!(home.words("shop"), ["use PASSWORD=[masked: secret]", "done", "and now?"]);
    assert_eq!((all[0].id.as_str(), all[0].tool.as_str(), all.len()), (ID, "claude-code", 1));
    assert_eq!((all[0].started_ms, all[0].last_ms), (DAY + 1000, DAY + 6000));
    assert_eq!(all[0].messages[0].at_ms, DAY + 1000);
    assert_eq!(all[0].metadata["gitBranch"], "main");
    assert_eq!(home.sessions.get(ID).unwrap().messages.len(), 3);
    // A client of the API cannot take it for one of its own that is over: it goes on whenever its agent does.
    let disk = fs::read_to_string(home.sessions.path(&all[0].key)).unwrap();
    assert!(!disk.contains("hunter2") && !disk.contains("swordfish"), "{disk}");
}

#[test]
fn what_was_said_before_or_elsewhere_is_left_out() {
    let home = Home::new();
    home.repository("shop-fix");
    fs::create_dir_all(home.path("shop/src/deep")).unwrap();
    let path = home.transcript("shop", ID);
    let early = home.typed("shop", 1, "early").replace("2026-01-01", "2025-12-31");
    append(&path, &early);
    append(&path, &home.typed("shop", 2, "here"));
    append(&path, &home.typed("shop-fix", 3, "there"));
    append(&path, &home.typed("", 4, "nowhere, after there"));
    append(&path, &home.typed("shop/src/deep", 5, "below"));
    append(&path, &home.typed("", 6, "nowhere, after here"));
    // Another repository whose folder begins alike, a sub-agent, and a folder that only looks alike.
    append(&home.transcript("shop-fix", "other"), &home.typed("shop-fix", 7, "the fix"));
    append(&home.transcript("shop", "agent-1"), &home.typed("shop", 8, "sub-agent"));
    append(&home.transcript("shop/fix", "odd"), &home.typed("shop-fix", 9, "odd"));
    home.look("shop");
    assert_eq!(home.words("shop"), ["here", "below", "nowhere, after here"]);
    home.look("shop-fix");
    assert_eq!(home.words("shop-fix"), ["the fix", "odd"]);
    assert_eq!(home.words("shop").len(), 3);
    // It goes on where it was, also over the end of a look.
    append(&path, &home.typed("", 10, "still here"));
    home.look("shop");
    assert_eq!(home.words("shop").last().unwrap(), "still here");
}

#[test]
fn a_session_that_comes_in_later_is_read_on_from_there() {
    let home = Home::new();
    home.repository("shop-fix");
    let path = home.transcript("shop-fix", ID);
    append(&path, &home.typed("shop-fix", 1, "there"));
    assert_eq!(home.look("shop"), Ingested::default());
    assert_eq!(home.of("shop"), []);
    append(&path, &home.typed("shop", 2, "here"));
    assert_eq!(home.look("shop").messages, 1);
    assert_eq!(home.words("shop"), ["here"]);
}

#[test]
fn changed_files_are_named_but_not_those_that_failed_or_are_left_out() {
    let home = Home::new();
    let path = home.transcript("shop", ID);
    let write = |n: u64, file: &str| {
        let input = json!({"file_path": home.path(file), "content": "swordfish"});
        home.said(
            "shop",
            n,
            &json!({"type": "tool_use", "id": format!("t{n}"), "name": "Write", "input": input}),
        )
    };
    let failed = |n: u64, of: u64| {
        let result = json!([{"type": "tool_result", "tool_use_id": format!("t{of}"), "is_error": true, "content": "no"}]);
        home.record("shop", n, &json!({"type": "user", "message": {"content": result}}))
    };
    append(
        &path,
        &[
            home.typed("shop", 1, "go"),
            write(2, "shop/src/a.rs"),
            write(3, "shop/.env"),
            write(4, "elsewhere"),
        ]
        .concat(),
    );
    append(&path, &[write(5, "shop/b.rs"), failed(6, 5), write(7, "shop/c.rs")].concat());
    home.look("shop");
    let files = || {
        home.of("shop")[0].changes.iter().map(|one| one.file.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(files(), ["src/a.rs", "c.rs"]);
    append(&path, &failed(8, 7));
    home.look("shop");
    assert_eq!(files(), ["src/a.rs"]);
    assert_eq!(home.of("shop")[0].changes[0].after, None);
}

#[test]
fn a_file_that_is_written_anew_says_nothing_twice_also_after_a_commit() {
    let home = Home::new();
    let path = home.transcript("shop", ID);
    let (one, two, three) =
        (home.typed("shop", 1, "one"), home.typed("shop", 2, "two"), home.typed("shop", 3, "three"));
    append(&path, &[one.as_str(), &two].concat());
    home.look("shop");
    anew(&path, &[one.as_str(), &two, &three].concat());
    home.look("shop");
    assert_eq!(home.words("shop"), ["one", "two", "three"]);
    let key = home.of("shop")[0].key.clone();
    home.sessions.mark_saved(&key, "abcdef0", 3, DAY + 4000).unwrap();
    // Silent for long, it is forgotten but for how far it was read.
    assert_eq!(home.sessions.sweep(DAY + 90_000_000).unwrap(), 0);
    assert_eq!(home.words("shop"), [""; 0]);
    append(&path, &home.typed("shop", 4, "four"));
    home.look("shop");
    assert_eq!(home.words("shop"), ["four"]);
    let text = fs::read_to_string(&path).unwrap();
    anew(&path, &(text + &home.typed("shop", 5, "five")));
    home.look("shop");
    assert_eq!(home.words("shop"), ["four", "five"]);
    // With its transcript it is forgotten, too.
    home.sessions.mark_saved(&key, "abcdef1", 5, DAY + 6000).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(home.sessions.sweep(DAY + 180_000_000).unwrap(), 1);
}

#[test]
fn a_resumed_copy_of_a_conversation_brings_only_what_is_new() {
    let home = Home::new();
    append(&home.transcript("shop", ID), &home.typed("shop", 1, "one"));
    let copy = home.transcript("shop", "resumed");
    append(&copy, &home.typed("shop", 1, "one"));
    append(&copy, &home.typed("shop", 2, "two").replace(ID, "resumed"));
    home.look("shop");
    assert_eq!(home.words("shop"), ["one", "two"]);
}

#[test]
fn what_is_switched_off_or_too_long_is_not_taken_as_it_is() {
    let home = Home::new();
    let path = home.transcript("shop", ID);
    append(&path, &home.typed("shop", 1, &"é".repeat(600_000)));
    let off = Config { tools: [("claude-code".to_owned(), false)].into(), ..Config::default() };
    let sessions = Sessions { config: off, ..home.sessions.clone() };
    assert_eq!(
        ingest(&sessions, &[home.path("claude")], &home.path("shop"), DAY).unwrap(),
        Ingested::default()
    );
    home.look("shop");
    let text = &home.words("shop")[0];
    assert!(text.len() <= 1 << 20 && text.ends_with("é\n[cut]"), "{}", text.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_killed_in_between_loses_and_doubles_nothing(
        steps in prop::collection::vec((0_usize..4, 0.0..1.0), 1..8),
    ) {
        let home = Home::new();
        let path = home.transcript("shop", ID);
        let (mut n, mut expected) = (0, Vec::new());
        for (count, part) in &steps {
            for _ in 0..*count {
                n += 1;
                append(&path, &home.typed("shop", n, &format!("message {n}")));
                expected.push(format!("message {n}"));
            }
            let journal = home.of("shop").first().map(|session| home.sessions.path(&session.key));
            let before = journal.as_ref().map(|path| fs::metadata(path).unwrap().len());
            // One look is killed while it writes; nothing of what it remembers for speed is there.
            home.look("shop");
            if let (Some(journal), Some(before)) = (journal, before) {
                let after = fs::metadata(&journal).unwrap().len();
                if after > before {
                    let cut = before + ((after - before - 1) as f64 * part) as u64;
                    File::options().write(true).open(&journal).unwrap().set_len(cut).unwrap();
                    fs::remove_dir_all(home.path("tsm/capture/seen")).unwrap();
                }
            }
            home.look("shop");
            prop_assert_eq!(home.words("shop"), expected.clone());
        }
    }
}
