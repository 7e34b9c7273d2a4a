//! What clients of the sessions can rely on, also when they are killed.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const HOUR: u64 = 60 * 60 * 1000;
const NOW: u64 = 1_767_225_600_000;

/// A TSM and a repository.
struct Place {
    dir: tempfile::TempDir,
    sessions: Sessions,
}

impl Place {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("shop/src")).unwrap();
        fs::create_dir_all(dir.path().join("shop/.git")).unwrap();
        fs::write(dir.path().join("shop/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        let sessions = Sessions::open(&Layout::new(dir.path().join("tsm")), config);
        Place { dir, sessions }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("shop")
    }

    fn metadata(&self) -> Map<String, Value> {
        let metadata = json!({"cwd": self.dir.path().join("shop/src"), "note": "TOKEN=abc"});
        metadata.as_object().unwrap().clone()
    }

    fn create(&self) -> String {
        self.sessions.create("claude-code", &self.metadata(), NOW).unwrap().key
    }

    fn say(&self, key: &str, text: &str) -> Message {
        self.sessions.add_message(key, "user", text, NOW + 1).unwrap()
    }

    /// Everything below TSM's directory, as text.
    fn disk(&self) -> String {
        let files =
            fs::read_dir(self.dir.path().join("tsm/capture/sessions")).into_iter().flatten().flatten();
        files.map(|file| fs::read_to_string(file.path()).unwrap()).collect()
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, code: Code) {
    assert_eq!(result.unwrap_err().code, code);
}

fn contents(session: &Captured) -> Vec<&str> {
    session.messages.iter().map(|message| message.content.as_str()).collect()
}

#[test]
fn what_was_said_is_kept_in_order_masked_and_private() {
    let place = Place::new();
    let made = place.sessions.create("claude-code", &place.metadata(), NOW).unwrap();
    assert!(made.id.len() == 16 && made.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!((made.root.clone(), made.cwd.clone()), (place.root(), place.root().join("src")));
    let first = place.say(&made.key, "my PASSWORD=hunter2, do it");
    assert_eq!((first.seq, first.masked), (1, 1));
    let second = place.sessions.add_message(&made.id, "assistant", "done", NOW + 2).unwrap();
    assert_eq!((second.seq, second.role), (2, Role::Assistant));
    let session = place.sessions.get(&made.id).unwrap();
    assert_eq!(contents(&session), ["my PASSWORD=[masked: secret], do it", "done"]);
    assert_eq!((session.started_ms, session.last_ms, session.last_seq()), (NOW, NOW + 2, 2));
    assert_eq!(session.metadata["note"], "TOKEN=[masked: secret]");
    let disk = place.disk();
    assert!(!disk.contains("hunter2") && !disk.contains("abc"), "{disk}");
    let path = place.sessions.path(&made.key);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_stored() {
    let place = Place::new();
    let sessions = &place.sessions;
    let metadata = |cwd: &str| json!({ "cwd": cwd }).as_object().unwrap().clone();
    let outside = place.dir.path().to_str().unwrap();
    refused(sessions.create("x", &metadata(outside), NOW), Code::NotARepository);
    refused(sessions.create("x", &metadata("/does/not/exist"), NOW), Code::NotARepository);
    refused(sessions.create("x", &metadata("shop"), NOW), Code::NotARepository);
    refused(sessions.create("x", &Map::new(), NOW), Code::Invalid);
    refused(sessions.create("", &place.metadata(), NOW), Code::Invalid);
    refused(sessions.create("../x", &place.metadata(), NOW), Code::Invalid);
    let mut large = place.metadata();
    large.insert("x".into(), "y".repeat(LARGEST_METADATA).into());
    refused(sessions.create("x", &large, NOW), Code::TooLarge);
    assert_eq!(place.disk(), "");

    let key = place.create();
    let before = place.disk();
    for unknown in ["0123456789abcdef", "", "../../etc/passwd", "a/b", ".", "x.y.z", "\u{0}"] {
        refused(sessions.add_message(unknown, "user", "x", NOW), Code::UnknownSession);
        refused(sessions.add_change(unknown, Path::new("a"), None, None, NOW), Code::UnknownSession);
        refused(sessions.mark_saved(unknown, "abcdef0", 0, NOW), Code::UnknownSession);
        refused(sessions.get(unknown), Code::UnknownSession);
    }
    refused(sessions.add_message(&key, "system", "x", NOW), Code::WrongRole);
    refused(sessions.add_message(&key, "User", "x", NOW), Code::WrongRole);
    let long = "x".repeat((1 << 20) + 1);
    refused(sessions.add_message(&key, "user", &long, NOW), Code::TooLarge);
    refused(sessions.add_change(&key, Path::new("a"), None, Some(&long), NOW), Code::TooLarge);
    refused(sessions.add_change(&key, Path::new(""), None, None, NOW), Code::Invalid);
    refused(sessions.mark_saved(&key, "abcdef0", 1, NOW), Code::Invalid);
    refused(sessions.mark_saved(&key, "HEAD", 0, NOW), Code::Invalid);
    assert_eq!(place.disk(), before);
    place.say(&key, &long[1..]);
}

#[test]
fn what_is_switched_off_is_not_captured() {
    let off = Config { tools: [("cursor".to_owned(), false)].into(), ..Config::default() };
    let place = Place::with(off);
    refused(place.sessions.create("cursor", &place.metadata(), NOW), Code::Disabled);
    let key = place.create();
    let all_off =
        Sessions { config: Config { enabled: false, ..Config::default() }, ..place.sessions.clone() };
    refused(all_off.add_message(&key, "user", "x", NOW), Code::Disabled);
    refused(all_off.create("claude-code", &place.metadata(), NOW), Code::Disabled);
}

#[test]
fn a_silent_session_is_closed_and_still_goes_to_the_next_commit() {
    let place = Place::new();
    let key = place.create();
    place.say(&key, "one");
    let day = NOW + 1 + 24 * HOUR;
    assert_eq!(place.sessions.active(Some(&place.root()), day).unwrap().len(), 1);
    assert_eq!(place.sessions.active(None, day + 1).unwrap(), []);
    refused(place.sessions.add_message(&key, "user", "two", day + 1), Code::SessionClosed);
    assert_eq!(place.sessions.sweep(day + 1).unwrap(), 0);
    let left = place.sessions.of_repo(&place.root()).unwrap();
    assert!(left.len() == 1 && left[0].has_unsaved());
    // Kept, it is forgotten; the commit was no sign of life.
    place.sessions.mark_saved(&key, "abcdef0", 1, day + 2).unwrap();
    assert_eq!(place.sessions.active(None, day + 2).unwrap(), []);
    assert_eq!(place.sessions.sweep(day + 2).unwrap(), 1);
    assert_eq!(place.disk(), "");
}

#[test]
fn what_no_commit_takes_is_forgotten_after_the_days_of_the_settings() {
    let place = Place::new();
    let key = place.create();
    place.say(&key, "one");
    assert_eq!(place.sessions.sweep(NOW + 30 * 24 * HOUR).unwrap(), 0);
    assert_eq!(place.sessions.sweep(NOW + 2 + 30 * 24 * HOUR).unwrap(), 1);
}

#[test]
fn a_commit_takes_what_was_new_and_once() {
    let place = Place::new();
    let key = place.create();
    place.say(&key, "one");
    place.say(&key, "two");
    place.sessions.mark_saved(&key, "aaaaaaa", 1, NOW + 5).unwrap();
    let unsaved =
        |session: &Captured| session.unsaved_messages().map(|one| one.content.clone()).collect::<Vec<_>>();
    let session = place.sessions.get(&key).unwrap();
    assert_eq!(unsaved(&session), ["two"]);
    place.sessions.mark_saved(&key, "aaaaaaa", 2, NOW + 6).unwrap();
    let session = place.sessions.get(&key).unwrap();
    assert_eq!((unsaved(&session), session.saved.len()), (vec!["two".to_owned()], 1));
    assert_eq!(session.saved_with("aaaaaaa").unwrap().upto, 1);
    assert_eq!(place.say(&key, "three").seq, 3);
    place.sessions.mark_saved(&key, "bbbbbbb", 3, NOW + 7).unwrap();
    assert!(!place.sessions.get(&key).unwrap().has_unsaved());
}

#[test]
fn repositories_are_told_apart_by_their_roots() {
    let place = Place::new();
    let key = place.create();
    let linked = place.dir.path().join("shop-fix");
    fs::create_dir_all(place.root().join(".git/worktrees/shop-fix")).unwrap();
    fs::write(place.root().join(".git/worktrees/shop-fix/HEAD"), "ref: refs/heads/fix\n").unwrap();
    fs::create_dir_all(&linked).unwrap();
    let git_dir = place.root().join(".git/worktrees/shop-fix");
    fs::write(linked.join(".git"), format!("gitdir: {}\n", git_dir.display())).unwrap();
    let metadata = json!({ "cwd": linked }).as_object().unwrap().clone();
    let other = place.sessions.create("x", &metadata, NOW + 1).unwrap();
    let keys = |root: Option<&Path>| {
        let all = place.sessions.active(root, NOW + 1).unwrap();
        all.into_iter().map(|session| session.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(Some(&place.root())), [key.as_str()]);
    assert_eq!(keys(Some(&linked)), [other.key.as_str()]);
    assert_eq!(keys(None), [key, other.key]);
}

#[test]
fn of_a_changed_file_the_name_is_kept_and_its_text_only_where_asked() {
    for contents in [false, true] {
        let place = Place::with(Config { contents, ..Config::default() });
        fs::remove_dir_all(place.root().join(".git")).unwrap();
        let argv = ["git", "init", "-q"].map(std::ffi::OsString::from);
        let env = [("PATH".into(), std::env::var_os("PATH").unwrap())];
        let limit = std::time::Duration::from_secs(60);
        crate::sys::capture::run(&argv, &env, &place.root(), limit).unwrap().unwrap();
        let key = place.create();
        let change = |file: &str| {
            let after = Some("TOKEN=abc\nx");
            place.sessions.add_change(&key, Path::new(file), Some("old"), after, NOW + 1).unwrap()
        };
        // From where the session is.
        let made = change("a.rs").unwrap();
        assert_eq!((made.file.to_str(), made.seq), (Some("src/a.rs"), 1));
        let after = contents.then(|| "TOKEN=[masked: secret]\nx".to_owned());
        assert_eq!((made.before, made.after), (contents.then(|| "old".to_owned()), after));
        for left_out in [".env", "../../x.rs", "/etc/passwd", "node_modules/a.js"] {
            assert_eq!(change(left_out), None, "{left_out}");
        }
        assert_eq!(place.sessions.get(&key).unwrap().changes.len(), 1);
        assert!(!place.sessions.get(&key).unwrap().has_unsaved());
        assert!(!place.disk().contains("abc"));
    }
}

#[test]
fn what_a_newer_tsm_wrote_is_left_alone_and_unknown_lines_are_kept() {
    let place = Place::new();
    let key = place.create();
    place.say(&key, "one");
    let path = place.sessions.path(&key);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"seq\":7,\"last_ms\":1767225600009,\"verdict\":{\"x\":1}}\n");
    fs::write(&path, &text).unwrap();
    assert_eq!(place.say(&key, "two").seq, 8);
    assert!(fs::read_to_string(&path).unwrap().starts_with(&text));
    assert_eq!(contents(&place.sessions.get(&key).unwrap()), ["one", "two"]);
    let newer = fs::read_to_string(&path).unwrap().replacen("\"schema\":1", "\"schema\":2", 1);
    fs::write(&path, &newer).unwrap();
    refused(place.sessions.add_message(&key, "user", "x", NOW + 1), Code::Failed);
    assert_eq!(place.sessions.of_repo(&place.root()).unwrap(), []);
    place.sessions.sweep(NOW * 2).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn many_writers_lose_nothing_and_give_no_number_twice() {
    let place = Place::new();
    let key = place.create();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (place, key) = (&place, &key);
            scope.spawn(move || (0..10).for_each(|n| drop(place.say(key, &format!("{writer}-{n}")))));
        }
    });
    let session = place.sessions.get(&key).unwrap();
    let numbers: Vec<u64> = session.messages.iter().map(|message| message.seq).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    let mut said = contents(&session);
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), 40);
}

#[test]
fn a_compacted_journal_knows_its_commits_and_goes_on() {
    let place = Place::new();
    let key = place.create();
    for text in ["one", "two", "three"] {
        place.say(&key, text);
    }
    place.sessions.mark_saved(&key, "aaaaaaa", 2, NOW + 5).unwrap();
    journal::writing(&place.sessions.path(&key), |writer| {
        writer.append(
            &[What::Source(Source { inode: 1, offset: 2, here: true, turn: false, until_ms: 0 })],
            0,
        )?;
        writer.compact()
    })
    .unwrap();
    let session = place.sessions.get(&key).unwrap();
    assert_eq!((contents(&session), session.saved_upto(), session.last_ms), (vec!["three"], 2, NOW + 1));
    assert_eq!(place.say(&key, "four").seq, 4);
}

/// A step of a client, or of whatever kills it.
#[derive(Clone, Debug)]
enum Step {
    Say(usize),
    Save,
    /// The machine dies while something is written: so much of it is on the disk.
    Die(usize, f64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0_usize..3000).prop_map(Step::Say),
        Just(Step::Save),
        ((0_usize..3000), 0.0..1.0).prop_map(|(length, part)| Step::Die(length, part)),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_every_death(steps in steps()) {
        let place = Place::new();
        let key = place.create();
        let path = place.sessions.path(&key);
        let size = || fs::metadata(&path).unwrap().len();
        let (mut said, mut commits, mut acknowledged) = (Vec::new(), 0_u64, size());
        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Say(length) => {
                    let text = format!("{n}é{}", "x".repeat(*length));
                    place.say(&key, &text);
                    said.push(text);
                    acknowledged = size();
                }
                Step::Save => {
                    let upto = place.sessions.get(&key).unwrap().last_seq();
                    place.sessions.mark_saved(&key, &format!("{n:07x}"), upto, NOW).unwrap();
                    commits += 1;
                    acknowledged = size();
                }
                Step::Die(length, part) => {
                    place.say(&key, &"y".repeat(*length));
                    let cut = acknowledged + ((size() - 1 - acknowledged) as f64 * part) as u64;
                    File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
                }
            }
            let session = place.sessions.get(&key).unwrap();
            prop_assert_eq!(contents(&session), said.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(session.saved.len() as u64, commits);
        }
    }

    #[test]
    fn a_file_that_is_cut_anywhere_panics_nobody_and_keeps_its_whole_lines(part in 0.0..=1.0) {
        let place = Place::new();
        let key = place.create();
        let path = place.sessions.path(&key);
        let header = fs::metadata(&path).unwrap().len();
        let mut ends = Vec::new();
        for n in 0..6 {
            place.say(&key, &format!("message {n}"));
            ends.push(fs::metadata(&path).unwrap().len());
        }
        let cut = (ends[5] as f64 * part) as u64;
        File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let added = place.sessions.add_message(&key, "user", "again", NOW + 2);
        prop_assert_eq!(added.is_ok(), cut >= header);
        let all = place.sessions.of_repo(&place.root()).unwrap();
        prop_assert_eq!(all.len(), usize::from(cut >= header));
        if let Some(session) = all.first() {
            prop_assert_eq!(session.messages.len(), whole + 1);
            prop_assert_eq!(session.messages.last().unwrap().content.as_str(), "again");
        }
        place.sessions.sweep(NOW).unwrap();
    }
}
