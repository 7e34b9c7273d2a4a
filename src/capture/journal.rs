//! The file of one session: a line for each thing that was said or changed, on the disk before it is acknowledged.
//!
//! `TSM_DIR/capture/sessions/KEY.jsonl`. Its first line comes with the file, by a rename; each later one is appended under
//! a lock. A line that a killed writer has left half done is ignored by readers and cut off by the next writer.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::session::{Captured, Change, Message, Saved};
use crate::error::{Error, Kind, Result};
use crate::store::{Durability, write, write_new};
use crate::sys::{flock, poll};

/// How long to wait for the lock: its holder writes a few lines, or reads a piece of a transcript.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of the end is read at first, in bytes.
const TAIL: u64 = 16 << 10;

/// The version of the file.
const SCHEMA: u32 = 1;

/// The first line: whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// 1; a higher one is of a newer TSM, and is left alone.
    #[serde(default = "schema")]
    pub(super) schema: u32,
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) root: PathBuf,
    pub(super) cwd: PathBuf,
    pub(super) started_ms: u64,
    #[serde(default)]
    pub(super) metadata: Map<String, Value>,
    #[serde(default)]
    pub(super) transcript: Option<PathBuf>,
}

fn schema() -> u32 {
    SCHEMA
}

/// How far a transcript has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    /// The file, and where its next record begins.
    pub(super) inode: u64,
    pub(super) offset: u64,
    /// The records that named no repository of their own belong to this one.
    pub(super) here: bool,
    /// So does what comes until the user says something again, because of the files that were changed before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) turn: bool,
    /// What is not younger has been kept with commits, and may have been forgotten here.
    #[serde(default)]
    pub(super) until_ms: u64,
}

/// A line after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Message(Message),
    Change(Change),
    Saved(Saved),
    Source(Source),
    /// The change by the use of a tool of that name failed, and the file is as it was.
    Dropped(String),
    /// All of these or none.
    Batch(Vec<What>),
}

impl What {
    /// The last number that it gives; `before` when it gives none.
    fn last_seq(&self, before: u64) -> u64 {
        match self {
            What::Message(message) => message.seq.max(before),
            What::Change(change) => change.seq.max(before),
            What::Batch(whats) => whats.iter().fold(before, |seq, what| what.last_seq(seq)),
            What::Saved(_) | What::Source(_) | What::Dropped(_) => before,
        }
    }

    /// Adds what it says to a session.
    fn tell(self, session: &mut Captured, source: &mut Source) {
        match self {
            What::Message(message) => session.messages.push(message),
            What::Change(change) => session.changes.push(change),
            What::Saved(saved) => session.saved.push(saved),
            What::Source(one) => *source = one,
            What::Dropped(tool_use) => session.changes.retain(|one| one.tool_use.as_ref() != Some(&tool_use)),
            What::Batch(whats) => whats.into_iter().for_each(|what| what.tell(session, source)),
        }
    }

    /// How far it says that the transcript was read.
    fn source(&self) -> Option<Source> {
        match self {
            What::Source(source) => Some(*source),
            What::Batch(whats) => whats.iter().rev().find_map(What::source),
            _ => None,
        }
    }
}

/// A line with what a writer must know of all lines before it.
#[derive(Debug, Serialize, Deserialize)]
struct Line<W> {
    /// The last number that was given.
    seq: u64,
    /// When something was last added, in milliseconds since the Unix epoch.
    last_ms: u64,
    #[serde(flatten)]
    what: W,
}

/// A line of which only that is wanted: it may be of a newer TSM.
#[derive(Deserialize)]
struct Nothing {}

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The last number that was given.
    pub(super) seq: u64,
    /// When something was last added, in milliseconds since the Unix epoch.
    pub(super) last_ms: u64,
    /// After its last whole line, in bytes.
    at: u64,
}

/// A journal that no other can write to.
pub(super) struct Writer<'a> {
    file: &'a File,
    path: &'a Path,
    pub(super) header: Header,
    pub(super) end: End,
}

/// Makes the file of a session, and notes where to begin in its transcript if it has one.
///
/// # Errors
/// When there is one already, or the disk is full.
pub(super) fn create(path: &Path, header: &Header, source: Source) -> Result<()> {
    let mut bytes = line(header)?;
    if header.transcript.is_some() {
        bytes.extend(line(&Line { seq: 0, last_ms: header.started_ms, what: &What::Source(source) })?);
    }
    write_new(path, &bytes, Durability::Synced)
}

fn line(what: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(what)
        .map_err(|error| Error::failed(format!("cannot write a journal: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Does `work` with the journal at `path` while nobody else writes to it. `None` when there is none.
///
/// # Errors
/// When it cannot be opened or locked, is of a newer TSM or not a journal; and those of `work`.
pub(super) fn writing<T, E: From<Error>>(
    path: &Path,
    work: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
) -> Result<Option<T>, E> {
    let failed = |error: &io::Error| Error::io("write", path, error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = match OpenOptions::new().read(true).write(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error).into()),
        };
        let Some(_lock) = flock::try_lock_exclusive(&file).map_err(|error| failed(&error))? else {
            if Instant::now() >= deadline {
                let text = format!("cannot write {}: another program holds it", path.display());
                return Err(Error::new(Kind::TimedOut, text).into());
            }
            poll::pause(Duration::from_millis(1));
            continue;
        };
        // It was forgotten or rewritten while this waited.
        if !is_at(&file, path) {
            continue;
        }
        let header = header(&file, path)?;
        let end = end(&file, header.started_ms).map_err(|error| failed(&error))?;
        return work(&mut Writer { file: &file, path, header, end }).map(Some);
    }
}

/// True when `path` still leads to this very file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Whose session the journal at `path` is; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is of a newer TSM, or not a journal.
pub(super) fn header_of(path: &Path) -> Result<Option<Header>> {
    match File::open(path) {
        Ok(file) => header(&file, path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

fn header(file: &File, path: &Path) -> Result<Header> {
    let size = file.metadata().map_err(|error| Error::io("read", path, &error))?.len();
    let mut reach = TAIL;
    loop {
        let mut bytes = vec![0; reach.min(size) as usize];
        file.read_exact_at(&mut bytes, 0).map_err(|error| Error::io("read", path, &error))?;
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            return parse_header(&bytes[..end], path);
        }
        if reach >= size {
            return Err(broken(path));
        }
        reach *= 8;
    }
}

fn parse_header(bytes: &[u8], path: &Path) -> Result<Header> {
    let header: Header = serde_json::from_slice(bytes).map_err(|_| broken(path))?;
    if header.schema > SCHEMA {
        let text = format!("{} was written by a newer tsm (schema {})", path.display(), header.schema);
        return Err(Error::failed(text).hint("update this tsm"));
    }
    Ok(header)
}

fn broken(path: &Path) -> Error {
    Error::failed(format!("{} is not the journal of a session", path.display()))
}

/// The end of a journal: behind the last line that is whole.
fn end(file: &File, started_ms: u64) -> io::Result<End> {
    let size = file.metadata()?.len();
    let mut reach = TAIL;
    loop {
        let from = size.saturating_sub(reach);
        let mut bytes = vec![0; (size - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        let mut stop = bytes.len();
        while let Some(end) = bytes[..stop].iter().rposition(|byte| *byte == b'\n') {
            let start = bytes[..end].iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            let Some(start) = start.or((from == 0).then_some(0)) else { break };
            if start == 0 && from == 0 {
                return Ok(End { seq: 0, last_ms: started_ms, at: end as u64 + 1 });
            }
            if let Ok(Line { seq, last_ms, what: Nothing {} }) = serde_json::from_slice(&bytes[start..end]) {
                return Ok(End { seq, last_ms, at: from + end as u64 + 1 });
            }
            // The power has failed before this was on the disk, so nobody was told that it is.
            stop = start;
        }
        if from == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        reach *= 8;
    }
}

impl Writer<'_> {
    /// Appends these lines, at once and on the disk, and cuts off what a killed writer has left. `last_ms` is when what
    /// they say has happened.
    ///
    /// # Errors
    /// When the disk is full or fails; the journal is then as it was.
    pub(super) fn append(&mut self, whats: &[What], last_ms: u64) -> Result<()> {
        let failed = |error: &io::Error| Error::io("write", self.path, error);
        let last_ms = last_ms.max(self.end.last_ms);
        let mut seq = self.end.seq;
        let mut bytes = Vec::new();
        for what in whats {
            seq = what.last_seq(seq);
            bytes.extend(line(&Line { seq, last_ms, what })?);
        }
        let start = self.end.at;
        self.file.set_len(start).map_err(|error| failed(&error))?;
        let written = self.file.write_all_at(&bytes, start).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What is half written is cut off again: at the latest by the next writer.
            let _ = self.file.set_len(start);
            return Err(failed(&error));
        }
        self.end = End { seq, last_ms, at: start + bytes.len() as u64 };
        Ok(())
    }

    /// What the journal tells.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(&self) -> Result<(Captured, Source)> {
        read(self.path)?.ok_or_else(|| broken(self.path))
    }

    /// How far its transcript has been read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn source(&self) -> Result<Source> {
        let from = self.end.at.saturating_sub(TAIL);
        let mut bytes = vec![0; (self.end.at - from) as usize];
        self.file.read_exact_at(&mut bytes, from).map_err(|error| Error::io("read", self.path, &error))?;
        // The piece may begin within a line, which then is none.
        let mut lines = bytes.split(|byte| *byte == b'\n').rev();
        let near = lines.find_map(|line| serde_json::from_slice::<Line<What>>(line).ok()?.what.source());
        near.map_or_else(|| self.read().map(|(_, source)| source), Ok)
    }

    /// Forgets everything that is kept with a commit; which commits those are stays known.
    ///
    /// # Errors
    /// When the disk is full; the journal is then as it was.
    pub(super) fn compact(&self) -> Result<()> {
        let (session, mut source) = self.read()?;
        let upto = session.saved_upto();
        source.until_ms = session
            .messages
            .iter()
            .filter(|message| message.seq <= upto)
            .map(|message| message.at_ms)
            .max()
            .unwrap_or(0)
            .max(source.until_ms);
        let mut bytes = line(&self.header)?;
        let messages = session.messages.into_iter().filter(|one| one.seq > upto).map(What::Message);
        let changes = session.changes.into_iter().filter(|one| one.seq > upto).map(What::Change);
        let mut whats: Vec<What> = session.saved.into_iter().map(What::Saved).collect();
        whats.extend(session.transcript.is_some().then_some(What::Source(source)));
        whats.extend(messages.chain(changes));
        let mut seq = upto;
        for what in &whats {
            seq = what.last_seq(seq);
            bytes.extend(line(&Line { seq, last_ms: self.end.last_ms, what })?);
        }
        write(self.path, &bytes, Durability::Synced)
    }

    /// Takes the file away.
    ///
    /// # Errors
    /// When it stays.
    pub(super) fn forget(&self) -> Result<()> {
        fs::remove_file(self.path).map_err(|error| Error::io("remove", self.path, &error))
    }
}

/// The session of the journal at `path`, and how far its transcript has been read; `None` when there is none.
///
/// # Errors
/// When it cannot be read, is of a newer TSM, or not a journal.
pub(super) fn read(path: &Path) -> Result<Option<(Captured, Source)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, &error)),
    };
    // What stands behind the last line end is no line yet.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').ok_or_else(|| broken(path))?;
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n');
    let header = parse_header(lines.next().unwrap_or_default(), path)?;
    let key = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut source = Source::default();
    let mut session = Captured {
        id: header.id,
        key,
        tool: header.tool,
        root: header.root,
        cwd: header.cwd,
        started_ms: header.started_ms,
        last_ms: header.started_ms,
        metadata: header.metadata,
        transcript: header.transcript,
        messages: Vec::new(),
        changes: Vec::new(),
        saved: Vec::new(),
    };
    // A line that says something else is of a newer TSM, or of a disk that has failed: the others count.
    for line in lines.filter_map(|line| serde_json::from_slice::<Line<What>>(line).ok()) {
        session.last_ms = session.last_ms.max(line.last_ms);
        line.what.tell(&mut session, &mut source);
    }
    Ok(Some((session, source)))
}
