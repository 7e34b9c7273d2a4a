//! Keeping conversations with a commit: what was said up to it is written to `.prompts`, once for each session and commit.
//!
//! The order of the steps is what makes it once, whatever is killed when: the commit is noted (`pending.rs`), the file gets
//! its name as a whole, the session is marked as kept so far, the note goes. A second run finds the file by its session and
//! commit, marks what is in it, and goes on behind that.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cleaner::Cleaner;
use super::exclude::Excluded;
use super::files::{self, UNFINISHED};
use super::history::{self, find};
use super::ingest::ingest;
use super::installed::{self, Installed, make_dir};
use super::pending::{Pending, place_of};
use super::record::{DIR, Facts, Record};
use super::repo::{Git, Place};
use super::session::Captured;
use super::sessions::Sessions;
use crate::error::{Error, Kind, Result};
use crate::store::Layout;
use crate::sys::lock::Lock;

/// How long one worker waits for another one that is at the same repository.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a commit whose repository is gone, or cannot be written, is remembered, in milliseconds.
const REMEMBERED_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Where everything is, and what is wanted.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The files of TSM.
    pub layout: Layout,
    /// What was said.
    pub sessions: Sessions,
    /// The user's home directory, which no file is to tell.
    pub home: Option<PathBuf>,
    /// The folders of Claude Code, such as `~/.claude`.
    pub claude_dirs: Vec<PathBuf>,
}

/// What a sweep has come to.
#[derive(Debug, Default)]
pub struct Swept {
    /// How many files were written.
    pub kept: usize,
    /// What could not be kept; it is tried again by the next sweep.
    pub failed: Vec<Error>,
}

impl Desk {
    /// Keeps what belongs to the commits that are noted and that nobody else is at.
    pub fn sweep(&self, now_ms: u64) -> Swept {
        let mut swept = Swept::default();
        let mut roots: Vec<PathBuf> = Vec::new();
        for pending in Pending::all(&self.layout) {
            if !roots.contains(&pending.root) {
                roots.push(pending.root);
            }
        }
        for root in roots {
            match self.lock(&root, Duration::ZERO) {
                Ok(Some(_held)) => self.all_of(&root, now_ms, &mut swept),
                Ok(None) => {}
                Err(error) => swept.failed.push(error),
            }
        }
        swept
    }

    /// Keeps what belongs to `pending`, noted or not, and then to all others: what the hook's worker does.
    pub fn work(&self, pending: &Pending, now_ms: u64) -> Swept {
        let mut swept = Swept::default();
        match self.lock(&pending.root, PATIENCE) {
            Ok(Some(_held)) => {
                let is_noted = Pending::all(&self.layout).contains(pending);
                self.all_of(&pending.root, now_ms, &mut swept);
                // A disk that could not take the note may take the file.
                if !is_noted && swept.failed.is_empty() {
                    self.one(pending, now_ms, &mut swept);
                }
            }
            Ok(None) => {}
            Err(error) => swept.failed.push(error),
        }
        let others = self.sweep(now_ms);
        swept.kept += others.kept;
        swept.failed.extend(others.failed);
        swept
    }

    /// Reads what agents have written down themselves since capture was installed in a repository.
    ///
    /// # Errors
    /// When it cannot be read, or taken down.
    pub fn read_agents(&self, place: &Place) -> Result<()> {
        match Installed::read(&self.layout)?.since(&place.common_dir) {
            Some(since_ms) => ingest(&self.sessions, &self.claude_dirs, &place.root, since_ms).map(drop),
            None => Ok(()),
        }
    }

    fn lock(&self, root: &Path, patience: Duration) -> Result<Option<Lock>> {
        let dir = installed::dir(&self.layout).join("locks");
        make_dir(&dir)?;
        let path = dir.join(format!("{}.lock", place_of(root)));
        Lock::take_within(&path, patience).map_err(|error| Error::io("lock", &path, &error))
    }

    /// Every commit of one working tree that is noted, the oldest first; the lock is held.
    fn all_of(&self, root: &Path, now_ms: u64, swept: &mut Swept) {
        for pending in Pending::all(&self.layout).iter().filter(|pending| pending.root == root) {
            let failed = swept.failed.len();
            self.one(pending, now_ms, swept);
            let is_over =
                swept.failed.len() == failed || now_ms.saturating_sub(pending.time_ms) > REMEMBERED_MS;
            if is_over && let Err(error) = pending.done(&self.layout) {
                swept.failed.push(error);
            }
            if !is_over {
                // What was said for this one must not end up with a later one.
                break;
            }
        }
    }

    fn one(&self, pending: &Pending, now_ms: u64, swept: &mut Swept) {
        match self.keep(pending, None, now_ms) {
            Ok(files) => swept.kept += files.len(),
            Err(error) => swept.failed.push(error),
        }
    }

    /// Keeps what was said up to a commit, in all sessions of the repository or in one; the names of the new files.
    fn keep(&self, pending: &Pending, only: Option<&str>, now_ms: u64) -> Result<Vec<String>> {
        let root = &pending.root;
        if !root.is_dir() {
            return Err(Error::not_found(format!("{} is gone", root.display())));
        }
        if history::is_there(root)? {
            tidy(root);
        }
        // What a client of the API has said is kept also where this fails.
        let read = ingest(&self.sessions, &self.claude_dirs, root, pending.since_ms);
        let mut written = Vec::new();
        let mut facts: Option<Facts> = None;
        let excluded = Excluded::new(root, self.sessions.config());
        for mut session in self.sessions.of_repo(root)? {
            let is_wanted = only.is_none_or(|key| session.key == key) && session.has_unsaved();
            if !is_wanted || session.saved_with(&pending.commit).is_some() {
                continue;
            }
            if let Some(kept) = find(root, &session.id, &pending.commit) {
                // A run that was killed had come so far.
                let upto = kept.record.upto.min(session.last_seq());
                self.sessions.mark_saved(&session.key, &pending.commit, upto, now_ms)?;
                continue;
            }
            let facts = match &mut facts {
                Some(facts) => facts,
                none => none.insert(self.facts(pending)?),
            };
            let branch = pending.branch.as_ref();
            let branch = branch.map(|branch| Cleaner::new(self.sessions.config()).text(branch).0);
            let wanted = |file: &Path| !excluded.is_excluded(file);
            session.root.clone_from(root);
            let record =
                Record::of(&session, facts, branch.as_deref(), pending.time_ms, self.home.as_deref(), wanted);
            if let Some(record) = record {
                written.push(write(root, &record)?);
                self.mark(&session, &record, now_ms)?;
            }
        }
        read.map(|_| written)
    }

    fn mark(&self, session: &Captured, record: &Record, now_ms: u64) -> Result<()> {
        Ok(self.sessions.mark_saved(&session.key, &record.commit.sha, record.upto, now_ms)?)
    }

    /// What git says of the commit. One that it does not know any more was replaced before anybody looked.
    fn facts(&self, pending: &Pending) -> Result<Facts> {
        let git = Git::of(&pending.root, &pending.git_dir);
        let mut facts = match history::facts(&git, &pending.commit) {
            Ok(facts) => facts,
            Err(error) => {
                let known = git.run(&["cat-file", "-e", &pending.commit])?;
                if known.code == 0 || !pending.git_dir.is_dir() {
                    return Err(error);
                }
                Facts::default()
            }
        };
        let cleaner = Cleaner::new(self.sessions.config());
        for text in [&mut facts.author.name, &mut facts.author.email, &mut facts.commit.subject] {
            let (clean, masked) = cleaner.text(text);
            *text = clean;
            facts.masked += masked;
        }
        facts.commit.sha.clone_from(&pending.commit);
        facts.commit.amends.clone_from(&pending.amends);
        Ok(facts)
    }

    /// Keeps one session with a commit of its repository, now; the file, or none when nothing was said.
    ///
    /// # Errors
    /// When there is no such session or commit, or the file cannot be written.
    pub fn save_session(&self, key: &str, commit: &str, now_ms: u64) -> Result<Option<PathBuf>> {
        let session = self.sessions.get(key)?;
        let saved = self.save(&session.root, commit, Some(&session.key), now_ms)?;
        Ok(saved.into_iter().next())
    }

    /// Keeps all sessions of a repository with a commit, now; the files.
    ///
    /// # Errors
    /// As [`Desk::save_session`].
    pub fn save_for_repo(&self, dir: &Path, commit: &str, now_ms: u64) -> Result<Vec<PathBuf>> {
        self.save(dir, commit, None, now_ms)
    }

    fn save(&self, dir: &Path, commit: &str, only: Option<&str>, now_ms: u64) -> Result<Vec<PathBuf>> {
        let place = Place::find(dir)?;
        let since_ms = Installed::read(&self.layout)?.since(&place.common_dir).unwrap_or(now_ms);
        let pending = Pending::named(&place, commit, now_ms, since_ms)?;
        let Some(_held) = self.lock(&place.root, PATIENCE)? else {
            return Err(Error::new(Kind::TimedOut, format!("somebody else is at {}", place.root.display())));
        };
        let names = self.keep(&pending, only, now_ms)?;
        Ok(names.into_iter().map(|name| place.root.join(DIR).join(name)).collect())
    }
}

/// Writes a conversation; its name.
fn write(root: &Path, record: &Record) -> Result<String> {
    let dir = root.join(DIR);
    if !history::is_there(root)? {
        fs::create_dir(&dir).map_err(|error| Error::io("create", &dir, &error))?;
        files::sync_dir(root)?;
    }
    let mut text = serde_json::to_vec_pretty(record).map_err(|why| Error::failed(why.to_string()))?;
    text.push(b'\n');
    let mut number = 1;
    loop {
        let name = record.file_name(number);
        if files::place_new(&dir.join(&name), &text)? {
            return Ok(name);
        }
        // Two sessions can have begun in the same millisecond.
        number += 1;
    }
}

/// Takes away what a worker has left that was killed while it wrote; the lock is held, so that it is nobody's.
fn tidy(root: &Path) {
    let Ok(listing) = fs::read_dir(root.join(DIR)) else { return };
    for item in listing.flatten() {
        if item.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_file(item.path());
        }
    }
}

#[cfg(test)]
mod tests;
