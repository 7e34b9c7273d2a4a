//! All captured sessions of a user: made, added to, kept with commits, and forgotten.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::cleaner::Cleaner;
use super::config::Config;
use super::exclude::Excluded;
use super::journal::{self, End, Header, Source, What};
use super::refusal::{Code, Refusal};
use super::session::{Captured, Change, Message, Role, Saved, is_id};
use crate::error::{Error, Result};
use crate::inspect::Repository;
use crate::store::{Layout, create_dir};

/// The longest name of a tool, in characters.
const LONGEST_TOOL: usize = 64;

/// The most that a client may say of a session, in bytes of JSON.
const LARGEST_METADATA: usize = 64 << 10;

/// The files of all sessions, `TSM_DIR/capture/sessions/`. Any number of programs can use them at once.
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(super) dir: PathBuf,
    pub(super) config: Config,
}

impl Sessions {
    /// The sessions of that TSM, captured as `config` has it. Reads nothing.
    pub fn open(layout: &Layout, config: Config) -> Self {
        Sessions { dir: layout.root().join("capture/sessions"), config }
    }

    /// What is captured.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.jsonl"))
    }

    /// Makes a session of `tool` in the repository that `metadata.cwd` is in.
    ///
    /// # Errors
    /// `NotARepository`, `Disabled`, `Invalid`, or what the disk says; nothing is stored then.
    pub fn create(
        &self,
        tool: &str,
        metadata: &Map<String, Value>,
        now_ms: u64,
    ) -> Result<Captured, Refusal> {
        if tool.is_empty() || tool.len() > LONGEST_TOOL || tool.contains(|c: char| c.is_control() || c == '/')
        {
            return Err(Refusal::new(
                Code::Invalid,
                format!("a tool has a name of 1 to {LONGEST_TOOL} characters"),
            ));
        }
        self.allows(tool)?;
        let size = serde_json::to_vec(metadata).map_or(usize::MAX, |bytes| bytes.len());
        if size > LARGEST_METADATA {
            let text = format!("the metadata has {size} bytes, and {LARGEST_METADATA} are the most");
            return Err(Refusal::new(Code::TooLarge, text));
        }
        let Some(cwd) = metadata.get("cwd").and_then(Value::as_str).map(PathBuf::from) else {
            return Err(Refusal::new(Code::Invalid, "metadata.cwd is missing: the directory of the session"));
        };
        let (cwd, root) = repository(&cwd)?;
        let cleaner = Cleaner::new(&self.config);
        let mut header = Header {
            schema: 1,
            id: String::new(),
            tool: cleaner.text(tool).0,
            root,
            cwd,
            started_ms: now_ms,
            metadata: cleaner.object(metadata),
            transcript: None,
        };
        create_dir(&self.dir)?;
        loop {
            header.id = new_id()?;
            match journal::create(&self.path(&header.id), &header, Source::default()) {
                Err(error) if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => {}
                Err(error) if error.kind() == crate::error::Kind::Conflict => {}
                made => break made?,
            }
        }
        self.get(&header.id)
    }

    fn allows(&self, tool: &str) -> Result<(), Refusal> {
        if self.config.captures(tool) {
            return Ok(());
        }
        let what = if self.config.enabled { format!("capture of {tool}") } else { "capture".to_owned() };
        Err(Refusal::new(Code::Disabled, format!("{what} is switched off")).hint("see capture.toml"))
    }

    /// Adds what was said to the session `key`, masked, and returns when it is on the disk.
    ///
    /// # Errors
    /// `UnknownSession`, `SessionClosed`, `WrongRole`, `TooLarge`, `Disabled`, or what the disk says; nothing is stored then.
    pub fn add_message(&self, key: &str, role: &str, content: &str, now_ms: u64) -> Result<Message, Refusal> {
        let Some(role) = Role::parse(role) else {
            let text = format!("\"{}\" is no role: user or assistant", role.escape_debug());
            return Err(Refusal::new(Code::WrongRole, text));
        };
        self.fits(content, "a message")?;
        let (content, masked) = Cleaner::new(&self.config).text(content);
        let added = self.add(key, now_ms, |seq| {
            let message = Message { seq, role, content, at_ms: now_ms, masked, uuid: None };
            Some((What::Message(message.clone()), message))
        })?;
        added.ok_or_else(|| unknown(key))
    }

    fn fits(&self, text: &str, what: &str) -> Result<(), Refusal> {
        let most = self.config.max_message_size;
        if text.len() as u64 <= most {
            return Ok(());
        }
        let text = format!("{what} has {} bytes, and {most} are the most", text.len());
        Err(Refusal::new(Code::TooLarge, text).hint("send it in parts"))
    }

    /// Adds that `file` was changed; what it held before and after is stored, masked, only where the settings ask for
    /// it. `None` when the file is one that is left out.
    ///
    /// # Errors
    /// As [`Sessions::add_message`].
    pub fn add_change(
        &self,
        key: &str,
        file: &Path,
        before: Option<&str>,
        after: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Change>, Refusal> {
        for text in [before, after].into_iter().flatten() {
            self.fits(text, "the text of a file")?;
        }
        if file.as_os_str().is_empty() {
            return Err(Refusal::new(Code::Invalid, "filePath is empty"));
        }
        // Git is asked before the journal is locked.
        let header = journal::header_of(&self.existing(key)?)?.ok_or_else(|| unknown(key))?;
        let kept = Excluded::new(&header.root, &self.config).keep(&[header.cwd.join(file)]).pop().flatten();
        let added = self.add(key, now_ms, |seq| {
            let change = self.change(seq, kept?, (before, after), now_ms);
            Some((What::Change(change.clone()), change))
        })?;
        Ok(added)
    }

    /// A change as it is stored.
    pub(super) fn change(
        &self,
        seq: u64,
        file: PathBuf,
        texts: (Option<&str>, Option<&str>),
        at_ms: u64,
    ) -> Change {
        let cleaner = Cleaner::new(&self.config);
        let mut masked = 0;
        let mut clean = |text: Option<&str>| {
            let (text, count) = cleaner.text(text.filter(|_| self.config.contents)?);
            masked += count;
            Some(text)
        };
        let (before, after) = (clean(texts.0), clean(texts.1));
        Change { seq, file, before, after, at_ms, masked, tool_use: None }
    }

    /// Appends what `make` makes of the next number, if anything, to a session that is still open.
    fn add<T>(
        &self,
        key: &str,
        now_ms: u64,
        make: impl FnOnce(u64) -> Option<(What, T)>,
    ) -> Result<Option<T>, Refusal> {
        let path = self.existing(key)?;
        let added = journal::writing(&path, |writer| {
            self.allows(&writer.header.tool)?;
            if self.is_over(&writer.header, &writer.end, now_ms) {
                let hours = self.config.max_session_age.as_secs() / 3600;
                let text = format!("the session {key} is closed: nothing was said in it for {hours} hours");
                return Err(Refusal::new(Code::SessionClosed, text).hint("begin a new one: createSession"));
            }
            let Some((what, added)) = make(writer.end.seq + 1) else { return Ok(None) };
            writer.append(&[what], now_ms)?;
            Ok(Some(added))
        })?;
        added.ok_or_else(|| unknown(key))
    }

    /// True when it has been silent for too long. A conversation can be taken up again at any time by its agent.
    fn is_over(&self, header: &Header, end: &End, now_ms: u64) -> bool {
        header.transcript.is_none() && self.is_silent(end.last_ms, now_ms)
    }

    fn is_silent(&self, last_ms: u64, now_ms: u64) -> bool {
        u128::from(now_ms.saturating_sub(last_ms)) > self.config.max_session_age.as_millis()
    }

    /// The journal of `key`, or of the one conversation of that identifier.
    fn existing(&self, key: &str) -> Result<PathBuf, Refusal> {
        let (id, part) = key.split_once('.').unwrap_or((key, "0"));
        if !is_id(id) || !is_id(part) {
            return Err(unknown(key));
        }
        let path = self.path(key);
        if path.exists() {
            return Ok(path);
        }
        let mut parts =
            self.keys()?.into_iter().filter(|one| one.split_once('.').is_some_and(|(of, _)| of == key));
        match (parts.next(), parts.next()) {
            (Some(one), None) => Ok(self.path(&one)),
            _ => Err(unknown(key)),
        }
    }

    /// The names of all journals.
    ///
    /// # Errors
    /// When their directory is there and cannot be read.
    pub(super) fn keys(&self) -> Result<Vec<String>> {
        let items = match fs::read_dir(&self.dir) {
            Ok(items) => items,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", &self.dir, &error)),
        };
        let names = items.flatten().filter_map(|item| item.file_name().into_string().ok());
        let mut keys: Vec<String> = names
            .filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned))
            .filter(|key| !key.starts_with('.'))
            .collect();
        keys.sort();
        Ok(keys)
    }

    /// The session of that key, or of that identifier where it has one part only.
    ///
    /// # Errors
    /// `UnknownSession`, or what the disk says.
    pub fn get(&self, key: &str) -> Result<Captured, Refusal> {
        let read = journal::read(&self.existing(key)?)?;
        read.map(|(session, _)| session).ok_or_else(|| unknown(key))
    }

    /// All sessions that are not over and have been heard of within the longest silence, of one repository or of all,
    /// the oldest first.
    ///
    /// # Errors
    /// When their directory cannot be read; one broken journal is passed over.
    pub fn active(&self, root: Option<&Path>, now_ms: u64) -> Result<Vec<Captured>> {
        let mut all = self.all(root)?;
        all.retain(|session| !self.is_silent(session.last_ms, now_ms));
        Ok(all)
    }

    /// All sessions of the repository whose working tree has this root, also those that are over, the oldest first.
    ///
    /// # Errors
    /// As [`Sessions::active`].
    pub fn of_repo(&self, root: &Path) -> Result<Vec<Captured>> {
        self.all(Some(root))
    }

    fn all(&self, root: Option<&Path>) -> Result<Vec<Captured>> {
        let root = root.map(|root| root.canonicalize().unwrap_or_else(|_| root.to_owned()));
        let mut all = Vec::new();
        for key in self.keys()? {
            if let Ok(Some((session, _))) = journal::read(&self.path(&key))
                && root.as_ref().is_none_or(|root| *root == session.root)
            {
                all.push(session);
            }
        }
        all.sort_by(|a, b| (a.started_ms, &a.key).cmp(&(b.started_ms, &b.key)));
        Ok(all)
    }

    /// Notes that everything of `key` up to the number `upto` is kept with `commit`. A second time changes nothing.
    ///
    /// # Errors
    /// `UnknownSession`, `Invalid` for what is no commit or a number that was never given, or what the disk says.
    pub fn mark_saved(&self, key: &str, commit: &str, upto: u64, now_ms: u64) -> Result<(), Refusal> {
        if !(4..=64).contains(&commit.len()) || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Refusal::new(
                Code::Invalid,
                format!("\"{}\" is no name of a commit", commit.escape_debug()),
            ));
        }
        let path = self.existing(key)?;
        let marked = journal::writing(&path, |writer| {
            if upto > writer.end.seq {
                let text = format!("the session {key} has no number {upto}, its last is {}", writer.end.seq);
                return Err(Refusal::new(Code::Invalid, text));
            }
            let (session, _) = writer.read()?;
            if session.saved_with(commit).is_some() {
                return Ok(());
            }
            let saved = Saved { commit: commit.to_owned(), upto, at_ms: now_ms };
            // Being kept is no sign of life.
            Ok(writer.append(&[What::Saved(saved)], 0)?)
        })?;
        marked.ok_or_else(|| unknown(key))
    }

    /// Forgets what is over and kept, and what nobody has kept for the days of the settings; says how many sessions it
    /// has forgotten. Of a conversation whose transcript is still there it stays known how far it was read.
    ///
    /// # Errors
    /// When their directory cannot be read; one broken journal is passed over.
    pub fn sweep(&self, now_ms: u64) -> Result<usize> {
        let mut gone = 0;
        for key in self.keys()? {
            let path = self.path(&key);
            let Ok(Some((session, _))) = journal::read(&path) else { continue };
            let age = now_ms.saturating_sub(session.last_ms);
            let is_old = age > self.config.keep_days.saturating_mul(24 * 60 * 60 * 1000);
            let is_kept = !session.has_unsaved() && self.is_silent(session.last_ms, now_ms);
            if !is_old && !is_kept {
                continue;
            }
            let swept = journal::writing(&path, |writer| {
                // Somebody may have gone on with it meanwhile.
                if writer.end.last_ms != session.last_ms || writer.end.seq != session.last_seq() {
                    return Ok::<_, Error>(false);
                }
                let is_needed = session.transcript.as_ref().is_some_and(|transcript| transcript.exists());
                if !is_needed {
                    writer.forget()?;
                } else if is_kept && !session.messages.is_empty() {
                    writer.compact()?;
                }
                Ok(!is_needed)
            });
            gone += usize::from(matches!(swept, Ok(Some(true))));
        }
        Ok(gone)
    }
}

/// `dir` and the root of the working tree that it is in, both without links.
fn repository(dir: &Path) -> Result<(PathBuf, PathBuf), Refusal> {
    let refused = |why: &str| Refusal::new(Code::NotARepository, format!("{} {why}", dir.display()));
    if !dir.is_absolute() {
        return Err(refused("is no absolute path"));
    }
    let cwd = dir.canonicalize().map_err(|_| refused("is no directory"))?;
    let repository = Repository::of(&cwd).ok_or_else(|| {
        refused("is in no git repository")
            .hint("the prompts are kept with commits: make a repository with git init")
    })?;
    Ok((cwd, repository.root))
}

fn unknown(key: &str) -> Refusal {
    let shown: String = key.chars().take(80).collect();
    Refusal::new(Code::UnknownSession, format!("there is no session \"{}\"", shown.escape_debug()))
        .hint("tsm capture list")
}

/// 16 hexadecimal digits that nobody can guess.
fn new_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 8];
    let mut file = fs::File::open(path).map_err(|error| Error::io("open", path, &error))?;
    io::Read::read_exact(&mut file, &mut bytes).map_err(|error| Error::io("read", path, &error))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests;
