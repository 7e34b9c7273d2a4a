//! A commit that was made and whose conversations are still to be kept: noted in the moment of the commit, from files alone.
//!
//! `TSM_DIR/capture/pending/COMMIT-PLACE.json`: one for each commit and working tree, whoever calls and how often.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files;
use super::installed::{self, make_dir};
use super::mask::mask;
use super::repo::{Git, Place};
use crate::error::{Error, Kind, Result};
use crate::inspect::Repository;
use crate::store::{self, Durability, Layout};

const SCHEMA: u32 = 1;

/// How much of the end of a reflog is read: one line, with any message that a commit can sensibly have.
const TAIL: u64 = 16 << 10;

/// How long git may take where the files do not say which commit it is: less than a commit may wait.
const HEAD: Duration = Duration::from_millis(60);

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    schema: u32,
    /// The top of the working tree that it was made in.
    pub root: PathBuf,
    /// Where that one's `HEAD` is.
    pub git_dir: PathBuf,
    /// Its name.
    pub commit: String,
    /// The commit that it has replaced (`git commit --amend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amends: Option<String>,
    /// The branch that it was made on, masked: it comes onto the disk. None for a detached `HEAD`.
    pub branch: Option<String>,
    /// When, in milliseconds since the Unix epoch: what was said up to then belongs to it.
    pub time_ms: u64,
    /// Since when this repository is captured, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Pending {
    /// The commit that the repository of `dir` is at; git has told the hook where that is if `git_dir` is there. `None`
    /// for no repository, and for what git makes of commits that are there: a rebase, a cherry-pick.
    pub fn see(dir: &Path, git_dir: Option<&Path>, now_ms: u64, since_ms: u64) -> Option<Self> {
        let root = dir.canonicalize().ok()?;
        let git_dir = match git_dir {
            Some(git_dir) => root.join(git_dir),
            None => Repository::of(&root)?.git_dir,
        };
        let git_dir = git_dir.canonicalize().ok()?;
        if REPLAYS.iter().any(|name| git_dir.join(name).exists()) {
            return None;
        }
        let head = head(&root, &git_dir)?;
        let (before, action) = last_move(&git_dir, &head.commit).unwrap_or_default();
        if is_replay(&action) {
            return None;
        }
        let amends = action.starts_with("commit (amend)").then_some(before);
        let Head { commit, branch } = head;
        let branch = branch.map(|branch| mask(&branch).text.into_owned());
        Some(Pending { schema: SCHEMA, root, git_dir, commit, amends, branch, time_ms: now_ms, since_ms })
    }

    /// A commit that somebody has named, as if it were made now.
    ///
    /// # Errors
    /// `NotFound` when the repository has no such commit.
    pub(super) fn named(place: &Place, commit: &str, now_ms: u64, since_ms: u64) -> Result<Self> {
        let git = place.git();
        let answer =
            git.run(&["rev-parse", "--verify", "-q", "--end-of-options", &format!("{commit}^{{commit}}")])?;
        let name = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        if answer.code != 0 || !is_name(&name) {
            let text = format!("{} has no commit {commit}", place.root.display());
            return Err(Error::not_found(text).hint("git log"));
        }
        Ok(Pending {
            schema: SCHEMA,
            root: place.root.clone(),
            git_dir: place.git_dir.clone(),
            commit: name,
            amends: None,
            branch: git
                .text(&["symbolic-ref", "-q", "--short", "HEAD"])
                .ok()
                .map(|branch| mask(&branch).text.into_owned()),
            time_ms: now_ms,
            since_ms,
        })
    }

    fn path(&self, layout: &Layout) -> PathBuf {
        dir(layout).join(format!("{}-{}.json", self.commit, place_of(&self.root)))
    }

    /// Notes it; it is on the disk when this returns. Noted once is noted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, layout: &Layout) -> Result<()> {
        make_dir(&dir(layout))?;
        let text = serde_json::to_vec(self).map_err(|why| Error::failed(why.to_string()))?;
        match store::write_new(&self.path(layout), &text, Durability::Synced) {
            Err(error) if error.kind() == Kind::Conflict => Ok(()),
            written => written,
        }
    }

    /// Its conversations are kept.
    ///
    /// # Errors
    /// When the note stays.
    pub fn done(&self, layout: &Layout) -> Result<()> {
        files::remove(&self.path(layout))
    }

    /// All that are noted, the oldest first; a file that is broken is no note.
    pub fn all(layout: &Layout) -> Vec<Self> {
        let Ok(listing) = fs::read_dir(dir(layout)) else { return Vec::new() };
        let mut all: Vec<Pending> = listing
            .flatten()
            .filter(|item| item.path().extension().is_some_and(|ending| ending == "json"))
            .filter_map(|item| serde_json::from_slice(&fs::read(item.path()).ok()?).ok())
            .filter(|pending: &Pending| pending.schema <= SCHEMA)
            .collect();
        all.sort_by(|a, b| (a.time_ms, &a.commit).cmp(&(b.time_ms, &b.commit)));
        all
    }
}

fn dir(layout: &Layout) -> PathBuf {
    installed::dir(layout).join("pending")
}

/// A working tree as a part of a file's name: FNV-1a of its path, which is the same in every build.
pub(super) fn place_of(root: &Path) -> String {
    let bytes = root.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What is there while git makes commits of others (git's `path.h`, `wt-status.c`).
const REPLAYS: [&str; 4] = ["rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "sequencer"];

/// By the word that git has for it in the reflog: `rebase (pick): x`, `cherry-pick: x`, `pull --rebase (pick): x`.
fn is_replay(action: &str) -> bool {
    let word = action.split(':').next().unwrap_or_default();
    word.starts_with("cherry-pick") || word.contains("rebase")
}

struct Head {
    commit: String,
    branch: Option<String>,
}

fn is_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The commit that is checked out, from its files (gitrepository-layout(5)), else from git.
fn head(root: &Path, git_dir: &Path) -> Option<Head> {
    let text = fs::read_to_string(git_dir.join("HEAD")).ok()?;
    let text = text.trim();
    if is_name(text) {
        return Some(Head { commit: text.to_owned(), branch: None });
    }
    let name = text.strip_prefix("ref:")?.trim();
    let common = match fs::read_to_string(git_dir.join("commondir")) {
        Ok(path) => git_dir.join(path.trim()),
        Err(_) => git_dir.to_owned(),
    };
    let loose = fs::read_to_string(common.join(name)).ok();
    let commit = loose.map(|text| text.trim().to_owned()).filter(|text| is_name(text));
    if let Some(commit) = commit.or_else(|| packed(&common, name)) {
        return Some(Head {
            commit,
            branch: Some(name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()),
        });
    }
    // References in another form, such as reftable.
    let git = Git::of(root, git_dir).within(HEAD);
    let said = git.text(&["rev-parse", "HEAD", "--symbolic-full-name", "HEAD"]).ok()?;
    let (commit, name) = said.split_once('\n')?;
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    is_name(commit).then(|| Head { commit: commit.to_owned(), branch })
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(common.join("packed-refs")).ok()?;
    let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(_, known)| known == name))?;
    line.split_once(' ').map(|(commit, _)| commit.to_owned()).filter(|commit| is_name(commit))
}

/// Where `HEAD` was before, and what git says has moved it to `commit`.
fn last_move(git_dir: &Path, commit: &str) -> Option<(String, String)> {
    let mut file = fs::File::open(git_dir.join("logs/HEAD")).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (names, action) = text.lines().next_back()?.split_once('\t')?;
    let mut names = names.split(' ');
    let (before, after) = (names.next()?, names.next()?);
    (after == commit && is_name(before)).then(|| (before.to_owned(), action.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    struct Fake(tempfile::TempDir);

    impl Fake {
        fn new() -> Self {
            let fake = Fake(tempfile::tempdir().unwrap());
            fake.write("HEAD", "ref: refs/heads/feature/x\n");
            fake.write("refs/heads/feature/x", &format!("{B}\n"));
            fake
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(".git").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn moved(&self, action: &str) -> Option<Pending> {
            self.write("logs/HEAD", &format!("{A} {B} A B <a@b> 1 +0000\t{action}\n"));
            self.see()
        }

        fn see(&self) -> Option<Pending> {
            Pending::see(self.0.path(), None, 7, 5)
        }
    }

    #[test]
    fn the_commit_is_seen_in_the_files() {
        let fake = Fake::new();
        let seen = fake.see().unwrap();
        assert_eq!((seen.commit.as_str(), seen.branch.as_deref()), (B, Some("feature/x")));
        assert_eq!((seen.time_ms, seen.since_ms, seen.amends), (7, 5, None));
        fs::remove_file(fake.0.path().join(".git/refs/heads/feature/x")).unwrap();
        fake.write(
            "packed-refs",
            &format!("# pack-refs\n{B} refs/heads/feature/xy\n{A} refs/heads/feature/x\n"),
        );
        assert_eq!(fake.see().unwrap().commit, A);
        fake.write("HEAD", &format!("{B}\n"));
        let seen = fake.see().unwrap();
        assert_eq!((seen.commit.as_str(), seen.branch), (B, None));
        fake.write("HEAD", "nonsense\n");
        assert_eq!(fake.see(), None);
        assert_eq!(Pending::see(Path::new("/"), None, 1, 1), None);
    }

    #[test]
    fn what_git_makes_of_commits_that_are_there_is_none_of_ours() {
        let fake = Fake::new();
        for action in ["commit: x", "commit (initial): x", "commit (merge): rebase", "revert: x", ""] {
            assert_eq!(fake.moved(action).unwrap().amends, None, "{action}");
        }
        assert_eq!(fake.moved("commit (amend): x").unwrap().amends.as_deref(), Some(A));
        for action in
            ["cherry-pick: x", "rebase (pick): x", "pull --rebase (pick): x", "rebase -i (fixup): x"]
        {
            assert_eq!(fake.moved(action), None, "{action}");
        }
        // A reflog that ends with something else says nothing.
        fake.write("logs/HEAD", &format!("{B} {A} A B <a@b> 1 +0000\trebase (pick): x\n"));
        assert!(fake.see().is_some());
        for name in REPLAYS {
            let fake = Fake::new();
            fake.write(&format!("{name}/x"), "");
            assert_eq!(fake.see(), None, "{name}");
        }
    }

    #[test]
    fn a_commit_is_noted_once_and_the_oldest_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        let fake = Fake::new();
        let second = fake.see().unwrap();
        let first = Pending { commit: A.into(), time_ms: 3, ..second.clone() };
        assert_eq!(Pending::all(&layout), []);
        for pending in [&second, &first, &Pending { time_ms: 99, ..second.clone() }] {
            pending.record(&layout).unwrap();
        }
        fs::write(super::dir(&layout).join("x.json"), "{").unwrap();
        assert_eq!(Pending::all(&layout), [first.clone(), second]);
        first.done(&layout).unwrap();
        first.done(&layout).unwrap();
        assert_eq!(Pending::all(&layout).len(), 1);
    }
}
