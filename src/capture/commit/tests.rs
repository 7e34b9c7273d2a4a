//! Tests of the steps in which conversations are kept: stopped between any two of them, a second run comes to the same.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::config::Config;
use super::*;

struct Shop {
    dir: tempfile::TempDir,
    desk: Desk,
    git: Git,
}

impl Shop {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("shop");
        fs::create_dir(&root).unwrap();
        let layout = Layout::new(dir.path().join("tsm"));
        let sessions = Sessions::open(&layout, Config::default());
        let git = Git::at(&root).with("HOME", dir.path()).with("GIT_CONFIG_NOSYSTEM", Path::new("1"));
        git.ask(&["init", "-q"]).unwrap();
        git.ask(&["config", "user.name", "Ann"]).unwrap();
        git.ask(&["config", "user.email", "ann@example.org"]).unwrap();
        Shop { dir, desk: Desk { layout, sessions, home: None, claude_dirs: Vec::new() }, git }
    }

    fn talk(&self) -> String {
        let metadata = json!({"cwd": self.git.dir()});
        self.desk.sessions.create("cursor", metadata.as_object().unwrap(), 1_000).unwrap().key
    }

    fn say(&self, key: &str, text: &str, at_ms: u64) {
        self.desk.sessions.add_message(key, "user", text, at_ms).unwrap();
    }

    fn commit(&self, subject: &str, at_ms: u64) -> Pending {
        self.git.ask(&["commit", "-q", "--allow-empty", "-m", subject]).unwrap();
        let pending = Pending::see(self.git.dir(), None, at_ms, at_ms).unwrap();
        pending.record(&self.desk.layout).unwrap();
        pending
    }

    /// Every file that is kept, without those that are left of a run.
    fn kept(&self) -> BTreeMap<String, String> {
        let listing = fs::read_dir(self.git.dir().join(DIR)).into_iter().flatten().flatten();
        let read = |item: fs::DirEntry| {
            (item.file_name().into_string().unwrap(), fs::read_to_string(item.path()).unwrap())
        };
        listing.map(read).collect()
    }

    /// All that TSM knows, to be put back later.
    fn state(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        for name in ["sessions", "pending"] {
            let dir = self.desk.layout.root().join("capture").join(name);
            for item in fs::read_dir(&dir).into_iter().flatten().flatten() {
                all.insert(item.path(), fs::read(item.path()).unwrap());
            }
        }
        all
    }

    fn put_back(&self, state: &BTreeMap<PathBuf, Vec<u8>>) {
        for (path, bytes) in state {
            fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_run_that_was_stopped_between_two_steps_is_made_up_for_once() {
    let shop = Shop::new();
    let (one, two) = (shop.talk(), shop.talk());
    shop.say(&one, "first", 1_000);
    shop.say(&two, "second", 1_000);
    let pending = shop.commit("x", 2_000);
    let noted = shop.state();
    assert_eq!(shop.desk.sweep(3_000).kept, 2);
    let (kept, marked) = (shop.kept(), shop.state());
    assert_eq!(kept.len(), 2, "the same millisecond, and two names");
    assert!(Pending::all(&shop.desk.layout).is_empty());

    // The files have their names, and nothing else has happened; meanwhile more was said.
    shop.put_back(&noted);
    shop.say(&one, "later", 1_500);
    fs::write(shop.git.dir().join(DIR).join(format!("{UNFINISHED}x")), "half").unwrap();
    assert_eq!(shop.desk.sweep(3_000).kept, 0);
    assert_eq!(shop.kept(), kept);
    // One file has its name.
    shop.put_back(&noted);
    fs::remove_file(shop.git.dir().join(DIR).join(kept.keys().next().unwrap())).unwrap();
    assert_eq!(shop.desk.sweep(3_000).kept, 1);
    assert_eq!(shop.kept(), kept);
    // Everything is done but the note taken away.
    shop.put_back(&marked);
    pending.record(&shop.desk.layout).unwrap();
    assert_eq!(shop.desk.sweep(3_000).kept, 0);
    assert_eq!(shop.kept(), kept);
    // What was said meanwhile goes with the next commit, and only that.
    shop.put_back(&marked);
    shop.say(&one, "later", 1_500);
    shop.commit("y", 4_000);
    assert_eq!(shop.desk.sweep(5_000).kept, 1);
    let new: Vec<_> = shop.kept().into_iter().filter(|(name, _)| !kept.contains_key(name)).collect();
    assert!(new[0].1.contains("later") && !new[0].1.contains("first"), "{new:?}");
    drop(shop.dir);
}

#[test]
fn a_commit_that_cannot_be_served_holds_up_the_later_ones_of_its_tree_only() {
    let shop = Shop::new();
    let one = shop.talk();
    shop.say(&one, "first", 1_000);
    let first = shop.commit("x", 2_000);
    shop.say(&one, "second", 3_000);
    shop.commit("y", 4_000);
    fs::write(shop.git.dir().join(DIR), "in the way").unwrap();
    let swept = shop.desk.sweep(5_000);
    assert_eq!((swept.kept, swept.failed.len()), (0, 1));
    assert_eq!(Pending::all(&shop.desk.layout).len(), 2);
    fs::remove_file(shop.git.dir().join(DIR)).unwrap();
    // Somebody who holds the lock is at it already.
    let held = shop.desk.lock(&first.root, Duration::ZERO).unwrap();
    assert!(held.is_some() && shop.desk.sweep(5_000).kept == 0);
    drop(held);
    assert_eq!(shop.desk.sweep(5_000).kept, 2);
    let kept = shop.kept();
    assert!(kept.values().any(|text| text.contains("first") && !text.contains("second")), "{kept:?}");
}

#[test]
fn the_api_keeps_a_session_with_a_commit_that_it_names() {
    let shop = Shop::new();
    let (one, two) = (shop.talk(), shop.talk());
    shop.say(&one, "first", 1_000);
    shop.say(&two, "second", 1_000);
    shop.commit("x", 500);
    let saved = shop.desk.save_session(&one, "HEAD", 2_000).unwrap().unwrap();
    assert!(fs::read_to_string(saved).unwrap().contains("first"));
    assert_eq!(shop.desk.save_session(&one, "HEAD", 2_000).unwrap(), None, "once");
    assert_eq!(shop.desk.save_for_repo(shop.git.dir(), "HEAD", 2_000).unwrap().len(), 1);
    assert_eq!(shop.desk.save_session("nobody", "HEAD", 2_000).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(shop.desk.save_for_repo(shop.git.dir(), "nothing", 2_000).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(shop.desk.save_for_repo(Path::new("/"), "HEAD", 2_000).unwrap_err().kind(), Kind::NotFound);
}
