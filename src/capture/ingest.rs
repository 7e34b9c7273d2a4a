//! Sessions by themselves: what was said in the transcripts of Claude Code goes to the journals of its repositories.
//!
//! A journal knows how far its transcript was read, and one line of it holds a whole piece of what is new together with
//! the place behind it: whoever dies in between has stored the piece and the place, or neither. What a look has found out
//! about transcripts without a journal is in `TSM_DIR/capture/seen/`, which may be lost at any time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cleaner::Cleaner;
use super::exclude::Excluded;
use super::journal::{self, Header, Source, What, Writer};
use super::session::{Message, Role, is_id};
use super::sessions::Sessions;
use crate::agents::claude::conversation::{self, Found, Moment, Position, What as Said};
use crate::error::{Error, Result};
use crate::inspect::Repository;
use crate::store::{self, Durability, create_dir};

/// What these sessions are called.
const TOOL: &str = "claude-code";

/// How much of a transcript is read at a time, in bytes.
const PIECE: u64 = 4 << 20;

/// Claude Code cuts the names of its folders here.
const LONGEST_FOLDER: usize = 200;

/// What a look at the transcripts has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// How many conversations had something new.
    pub sessions: usize,
    /// How many messages were added.
    pub messages: usize,
    /// How many transcripts or journals could not be read or written; they are tried again by the next look.
    pub failed: usize,
}

/// What is known of a transcript that was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    inode: u64,
    size: u64,
    /// How far it was read while there was no journal for it.
    read: Position,
    /// Its last record that named a repository named this one.
    here: bool,
}

/// Which moments of a piece belong to a working tree.
#[derive(Debug, Default)]
struct Mine {
    /// For each moment.
    belongs: Vec<bool>,
    /// The last one that named a repository named this one.
    here: bool,
    /// The last turn belongs to it by what was changed.
    turn: bool,
    /// Where a turn begins that is not over and of which it is not known yet, in bytes.
    open: Option<u64>,
}

/// Adds to the journals of the working tree at `root` what was said in it since `since_ms`, in the transcripts of these
/// Claude folders (`~/.claude`). When nothing is new, transcripts are only looked up.
///
/// # Errors
/// When the directory of the journals cannot be made or read; what concerns one transcript is counted instead.
pub fn ingest(sessions: &Sessions, claude_dirs: &[PathBuf], root: &Path, since_ms: u64) -> Result<Ingested> {
    let mut ingested = Ingested::default();
    if !sessions.config.captures(TOOL) {
        return Ok(ingested);
    }
    let root = root.canonicalize().map_err(|error| Error::io("find", root, &error))?;
    let mut look = Look {
        sessions,
        excluded: Excluded::new(&root, &sessions.config),
        since_ms,
        roots: HashMap::new(),
        root: &root,
    };
    let seen_path = look.seen_path();
    let known: BTreeMap<PathBuf, Seen> =
        fs::read(&seen_path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut seen = BTreeMap::new();
    for path in transcripts(claude_dirs, &root) {
        let Ok(meta) = fs::metadata(&path) else { continue };
        let mtime_ms = meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000);
        let mut one = known.get(&path).copied().unwrap_or_default();
        let is_new = (one.inode, one.size) != (meta.ino(), meta.len());
        if is_new && mtime_ms >= 0 && mtime_ms as u64 >= since_ms {
            match look.transcript(&path, &mut one) {
                Ok(messages) => {
                    ingested.sessions += usize::from(messages > 0);
                    ingested.messages += messages;
                    (one.inode, one.size) = (meta.ino(), meta.len());
                }
                Err(_) => ingested.failed += 1,
            }
        }
        seen.insert(path, one);
    }
    if seen != known
        && let Some(dir) = seen_path.parent()
        && let Ok(bytes) = serde_json::to_vec(&seen)
    {
        create_dir(dir)?;
        store::write(&seen_path, &bytes, Durability::Cached)?;
    }
    Ok(ingested)
}

/// The transcripts in every folder that may be of `root`, of a directory below it or of one above it, without those of
/// sub-agents. The names of folders are ambiguous; the records decide.
fn transcripts(claude_dirs: &[PathBuf], root: &Path) -> Vec<PathBuf> {
    let encoded = |dir: &Path| -> String {
        let name = dir.to_string_lossy();
        let units = name.encode_utf16().take(LONGEST_FOLDER);
        units
            .map(|unit| char::from_u32(unit.into()).filter(char::is_ascii_alphanumeric).unwrap_or('-'))
            .collect()
    };
    let start = encoded(root);
    let above: Vec<String> = root.ancestors().skip(1).map(encoded).collect();
    let mut found = Vec::new();
    for dir in claude_dirs {
        for folder in fs::read_dir(dir.join("projects")).into_iter().flatten().flatten() {
            let name = folder.file_name().to_string_lossy().into_owned();
            let is_of = |start: &str| name.strip_prefix(start);
            let is_below = is_of(&start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            // A hash follows where a name was cut.
            let is_long = |start: &String| start.len() == LONGEST_FOLDER && is_of(start).is_some();
            let fits = is_below || above.contains(&name) || above.iter().any(is_long);
            if !fits {
                continue;
            }
            let files = fs::read_dir(folder.path()).into_iter().flatten().flatten().map(|file| file.path());
            found.extend(files.filter(|file| conversation_of(file).is_some()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The identifier of the conversation that a file of this name has.
fn conversation_of(path: &Path) -> Option<&str> {
    let id = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    (is_id(id) && !id.starts_with("agent-")).then_some(id)
}

/// FNV-1a, which stays the same from one build to the next.
fn hash(path: &Path) -> String {
    let hash = path.as_os_str().as_bytes().iter();
    let hash = hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// One look at the transcripts of one working tree.
struct Look<'a> {
    sessions: &'a Sessions,
    excluded: Excluded<'a>,
    root: &'a Path,
    since_ms: u64,
    /// The repositories of the directories that records have named.
    roots: HashMap<PathBuf, Option<PathBuf>>,
}

impl Look<'_> {
    fn seen_path(&self) -> PathBuf {
        self.sessions.dir.with_file_name("seen").join(format!("{}.json", hash(self.root)))
    }

    /// Reads one transcript to its end, and returns how many messages were new.
    fn transcript(&mut self, path: &Path, seen: &mut Seen) -> Result<usize> {
        let id = conversation_of(path).unwrap_or_default();
        let journal = self.sessions.path(&format!("{id}.{}", hash(self.root)));
        let mut messages = 0;
        loop {
            let more = match journal::writing(&journal, |writer| self.append(path, writer))? {
                Some((added, more)) => {
                    messages += added;
                    more
                }
                None => self.first(path, &journal, seen)?,
            };
            if !more {
                return Ok(messages);
            }
        }
    }

    /// Reads on where there is no journal yet, and makes one where something of this repository comes; true when there is
    /// more to do.
    fn first(&mut self, path: &Path, journal: &Path, seen: &mut Seen) -> Result<bool> {
        let before =
            Source { inode: seen.read.inode, offset: seen.read.offset, here: seen.here, ..Source::default() };
        let (found, mine) = self.piece(path, before, PIECE)?;
        let before = seen.here && !found.restarted;
        let first = found.moments.iter().zip(&mine.belongs).find(|(moment, belongs)| {
            **belongs
                && moment.at_ms.is_some_and(|at| at >= self.since_ms)
                && is_kept(&moment.what)
                && !is_copy(path, moment)
        });
        let Some((first, _)) = first else {
            (seen.read, seen.here) = (found.position, mine.here);
            return Ok(found.has_more);
        };
        let text = |text: &str| Value::String(Cleaner::new(&self.sessions.config).text(text).0);
        let header = Header {
            schema: 1,
            id: conversation_of(path).unwrap_or_default().to_owned(),
            tool: TOOL.to_owned(),
            root: self.root.to_owned(),
            cwd: first.cwd.clone().unwrap_or_else(|| self.root.to_owned()),
            started_ms: first.at_ms.unwrap_or(self.since_ms),
            metadata: Map::from_iter(
                first.git_branch.as_deref().map(|branch| ("gitBranch".to_owned(), text(branch))),
            ),
            transcript: Some(path.to_owned()),
        };
        // What was read for nothing until now need not be read again.
        let is_same = !found.restarted && seen.read.inode == found.position.inode;
        let offset = if is_same { seen.read.offset } else { 0 };
        let source =
            Source { inode: found.position.inode, offset, here: before && is_same, ..Source::default() };
        create_dir(&self.sessions.dir)?;
        match journal::create(journal, &header, source) {
            // Another program was faster.
            Err(error) if error.kind() == crate::error::Kind::Conflict => Ok(true),
            made => made.map(|()| true),
        }
    }

    /// Appends the next piece to a journal; returns how many messages it had, and whether there is more.
    fn append(&mut self, path: &Path, writer: &mut Writer<'_>) -> Result<(usize, bool)> {
        let source = writer.source()?;
        let position = Position { inode: source.inode, offset: source.offset };
        let (mut found, mut mine) = self.piece(path, source, PIECE)?;
        if found.restarted {
            // At once, because what of it is known must be told before any of it is stored.
            (found, mine) = self.piece(path, source, u64::MAX)?;
        }
        let until_ms = if found.restarted { source.until_ms } else { 0 };
        if found.position == position {
            return Ok((0, false));
        }
        // A file that was written anew says again what is known.
        let known: HashSet<String> = if found.restarted {
            let (session, _) = writer.read()?;
            session
                .messages
                .into_iter()
                .filter_map(|one| one.uuid)
                .chain(session.changes.into_iter().filter_map(|one| one.tool_use))
                .collect()
        } else {
            HashSet::new()
        };
        let mut whats = Vec::new();
        let (mut seq, mut messages, mut last_ms) = (writer.end.seq, 0, 0);
        for (moment, belongs) in found.moments.iter().zip(mine.belongs) {
            let Some(at_ms) = moment.at_ms.filter(|at| *at >= self.since_ms && *at > until_ms) else {
                continue;
            };
            if !belongs
                || is_copy(path, moment)
                || moment.uuid.as_ref().is_some_and(|uuid| known.contains(uuid))
            {
                continue;
            }
            if let Some(what) = self.what(moment, seq + 1, at_ms, &known, &mut whats) {
                messages += usize::from(matches!(what, What::Message(_)));
                seq += u64::from(!matches!(what, What::Dropped(_)));
                last_ms = last_ms.max(at_ms);
                whats.push(what);
            }
        }
        let Position { inode, offset } = found.position;
        let Mine { here, turn, .. } = mine;
        whats.push(What::Source(Source { inode, offset, here, turn, until_ms: source.until_ms }));
        writer.append(&[What::Batch(whats)], last_ms)?;
        Ok((messages, found.has_more))
    }

    /// What a moment adds to the journal, if anything.
    fn what(
        &self,
        moment: &Moment,
        seq: u64,
        at_ms: u64,
        known: &HashSet<String>,
        whats: &mut Vec<What>,
    ) -> Option<What> {
        let (role, text) = match &moment.what {
            Said::Prompt(text) => (Role::User, text),
            Said::Answer { text, .. } => (Role::Assistant, text),
            Said::Change(change) => {
                if known.contains(&change.tool_use) {
                    return None;
                }
                let file = moment.cwd.as_deref().unwrap_or(self.root).join(&change.file);
                let file = self.excluded.keep(&[file]).pop().flatten()?;
                let join = |texts: Vec<&str>| (!texts.is_empty()).then(|| texts.join("\n"));
                let before = join(change.edits.iter().filter_map(|edit| edit.before.as_deref()).collect());
                let after = join(change.edits.iter().map(|edit| edit.after.as_str()).collect());
                let mut made = self.sessions.change(seq, file, (before.as_deref(), after.as_deref()), at_ms);
                made.tool_use = Some(change.tool_use.clone());
                return Some(What::Change(made));
            }
            Said::Failed { tool_use } => {
                let is_it = |what: &What| matches!(what, What::Change(change) if change.tool_use.as_ref() == Some(tool_use));
                // Numbers may have a gap; that of a change that never was is one.
                return match whats.iter().position(is_it) {
                    Some(at) => {
                        whats.remove(at);
                        None
                    }
                    None => Some(What::Dropped(tool_use.clone())),
                };
            }
        };
        let (mut content, masked) = Cleaner::new(&self.sessions.config).text(text);
        cut(&mut content, self.sessions.config.max_message_size as usize);
        Some(What::Message(Message { seq, role, content, at_ms, masked, uuid: moment.uuid.clone() }))
    }

    /// Reads the next piece of a transcript and tells what of it belongs to this working tree. A turn at its end of which
    /// that is not known yet is left for the next look.
    fn piece(&mut self, path: &Path, from: Source, mut most: u64) -> Result<(Found, Mine)> {
        let position = Position { inode: from.inode, offset: from.offset };
        loop {
            let mut found = read(path, position, most)?;
            let (here, turn) = (from.here && !found.restarted, from.turn && !found.restarted);
            let mine = self.mine(&found.moments, here, turn);
            let begun = if found.restarted { 0 } else { from.offset };
            match mine.open {
                // A turn that is longer than the piece.
                Some(open) if open <= begun && found.has_more => most = most.saturating_mul(2),
                Some(open) => {
                    found.position.offset = open;
                    return Ok((found, mine));
                }
                None => return Ok((found, mine)),
            }
        }
    }

    /// Which moments belong to this working tree: by their directory, or, where that is in no repository, as the one before
    /// them, or with the rest of their turn: it has gone into this working tree, or changed a file of it. An agent that was
    /// started above of several repositories works in each of them so.
    fn mine(&mut self, moments: &[Moment], mut here: bool, mut turn: bool) -> Mine {
        let mut mine = Mine::default();
        let is_prompt = |moment: &Moment| matches!(moment.what, Said::Prompt(_));
        let mut rest = moments;
        while let Some(first) = rest.first() {
            let next = rest[1..].iter().position(is_prompt).map_or(rest.len(), |at| at + 1);
            let (one, later) = rest.split_at(next);
            rest = later;
            let named: Vec<Option<bool>> = one.iter().map(|moment| self.names(moment)).collect();
            if is_prompt(first) {
                turn = false;
            }
            turn |= one
                .iter()
                .zip(&named)
                .any(|(moment, named)| *named == Some(true) || (named.is_none() && self.changes(moment)));
            let before = here;
            for named in &named {
                here = named.unwrap_or(here);
                mine.belongs.push(named.unwrap_or(here || turn));
            }
            let is_undecided = !turn && !before && named.contains(&None) && is_prompt(first);
            mine.open = (is_undecided && rest.is_empty()).then_some(first.start);
        }
        (mine.here, mine.turn) = (here, turn);
        mine
    }

    /// Whether the directory of a moment is in this working tree; none where it is in no repository.
    fn names(&mut self, moment: &Moment) -> Option<bool> {
        let cwd = moment.cwd.as_ref()?;
        let root = self.roots.entry(cwd.clone()).or_insert_with(|| {
            let real = cwd.canonicalize().unwrap_or_else(|_| cwd.clone());
            Repository::of(&real).map(|repository| repository.root)
        });
        root.as_ref().map(|root| root == self.root)
    }

    /// True when a moment changes a file of this working tree.
    fn changes(&self, moment: &Moment) -> bool {
        let Said::Change(change) = &moment.what else { return false };
        let dir = moment.cwd.as_deref().unwrap_or(self.root);
        self.excluded.inside(&dir.join(&change.file)).is_some()
    }
}

fn read(path: &Path, from: Position, most: u64) -> Result<Found> {
    conversation::read(path, from, most).map_err(|error| Error::io("read", path, &error))
}

fn is_kept(what: &Said) -> bool {
    !matches!(what, Said::Failed { .. })
}

/// True for a record that was copied from the transcript beside it, as a resumed conversation does.
fn is_copy(path: &Path, moment: &Moment) -> bool {
    let own = conversation_of(path);
    let other = moment.session_id.as_deref().filter(|id| own != Some(*id) && is_id(id));
    other.is_some_and(|id| path.with_file_name(format!("{id}.jsonl")).exists())
}

/// Cuts a text that is too long to keep.
fn cut(text: &mut String, most: usize) {
    const NOTE: &str = "\n[cut]";
    if text.len() > most {
        let mut end = most.saturating_sub(NOTE.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(NOTE);
    }
}

#[cfg(test)]
mod tests;
