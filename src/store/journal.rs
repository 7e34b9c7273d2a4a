//! The journal of events: one JSON line for each change of a process, numbered without a gap.
//!
//! Supervisors write it themselves, so that nothing is missing from it while no daemon runs. Its lock is held for one
//! short write. Old lines go when it grows: the younger half moves to a new file of the same name.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Durability, Layout, write};
use crate::error::{Error, Result};
use crate::model::Event;
use crate::sys::{flock, poll};

/// The size from which the older half is given up, in bytes: about 8,000 events.
const MOST: u64 = 1 << 20;

/// The longest line, in bytes; a note is cut to fit.
const LONGEST_LINE: usize = 4096;

/// How much is read at a time, in bytes: a daemon that has read a whole journal would keep the memory for it.
const PIECE: usize = 64 << 10;

/// How long to wait for the lock. Its holder writes one line, so that only one that was halted in between keeps it; on a
/// busy machine a holder may have to wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes `event` with the next number, and returns that.
///
/// # Errors
/// When the file cannot be written; what it held stays.
pub fn record(layout: &Layout, event: &mut Event) -> Result<u64> {
    let path = layout.journal();
    append(&path, event).map_err(|error| Error::io("write", &path, &error))
}

fn append(path: &Path, event: &mut Event) -> io::Result<u64> {
    let end = Instant::now() + PATIENCE;
    loop {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let lock = match flock::try_lock_exclusive(&file)? {
            None if Instant::now() < end => {
                poll::pause(Duration::from_millis(1));
                continue;
            }
            lock => lock,
        };
        // Whoever gave up the older half meanwhile has made a new file.
        if !is_at(&file, path) && lock.is_some() {
            continue;
        }
        let tail = Tail::of(&file)?;
        event.seq = tail.seq + 1;
        let mut line = Vec::with_capacity(256);
        if tail.is_cut {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, &*event).map_err(io::Error::other)?;
        if line.len() > LONGEST_LINE {
            let note = event.note.take().unwrap_or_default();
            event.note = Some(note.chars().take(200).collect());
            line.truncate(usize::from(tail.is_cut));
            serde_json::to_writer(&mut line, &*event).map_err(io::Error::other)?;
        }
        line.push(b'\n');
        (&file).write_all(&line)?;
        if tail.size > MOST && lock.is_some() {
            // What was written is safe in either file; a disk that is full keeps the long one.
            let _ = shorten(&file, path);
        }
        return Ok(event.seq);
    }
}

/// True when `path` still leads to this very file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// The end of a journal.
struct Tail {
    size: u64,
    /// The number of its last whole line.
    seq: u64,
    /// Its last line has no end: whoever wrote it was killed.
    is_cut: bool,
}

impl Tail {
    fn of(file: &File) -> io::Result<Tail> {
        let size = file.metadata()?.len();
        let mut reach = 2 * LONGEST_LINE as u64;
        loop {
            let from = size.saturating_sub(reach);
            let mut bytes = vec![0; (size - from) as usize];
            file.read_exact_at(&mut bytes, from)?;
            let is_cut = bytes.last().is_some_and(|last| *last != b'\n');
            let seq = bytes.split(|byte| *byte == b'\n').rev().find_map(parse).map(|event| event.seq);
            if seq.is_some() || from == 0 {
                return Ok(Tail { size, seq: seq.unwrap_or(0), is_cut });
            }
            reach *= 8;
        }
    }
}

fn parse(line: &[u8]) -> Option<Event> {
    serde_json::from_slice(line).ok()
}

/// Moves the younger half to a new file of that name.
fn shorten(mut file: &File, path: &Path) -> Result<()> {
    let failed = |error: &io::Error| Error::io("shorten", path, error);
    let size = file.metadata().map_err(|error| failed(&error))?.len();
    let mut young = Vec::new();
    file.seek(SeekFrom::Start(size - MOST / 2)).map_err(|error| failed(&error))?;
    file.read_to_end(&mut young).map_err(|error| failed(&error))?;
    let first = young.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    write(path, &young[first..], Durability::Cached)
}

/// Reads a journal as it grows.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// Where the next line begins.
    at: u64,
    /// The last number that was handed out.
    seq: u64,
}

impl Journal {
    /// A reader of the events after `since`.
    pub fn after(layout: &Layout, since: u64) -> Self {
        Journal { path: layout.journal(), file: None, at: 0, seq: since }
    }

    /// A reader of what is still to come.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn from_now(layout: &Layout) -> Result<Self> {
        let path = layout.journal();
        let mut journal = Journal { path, file: None, at: 0, seq: 0 };
        if journal.open()?
            && let Some(file) = &journal.file
        {
            let tail = Tail::of(file).map_err(|error| Error::io("read", &journal.path, &error))?;
            journal.seq = tail.seq;
            journal.at = if tail.is_cut { 0 } else { tail.size };
        }
        Ok(journal)
    }

    /// The number of the last event that was handed out.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The events that were written since the last call, each once, in their order.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let mut some = self.read_some()?;
            if some.is_empty() {
                return Ok(events);
            }
            events.append(&mut some);
        }
    }

    /// The first of those events, [`PIECE`] at most; none when there are no more.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub fn read_some(&mut self) -> Result<Vec<Event>> {
        loop {
            let is_current = match &self.file {
                Some(file) => is_at(file, &self.path),
                None => self.open()?,
            };
            let Some(file) = &self.file else { return Ok(Vec::new()) };
            let left = file.metadata().map_or(0, |facts| facts.len()).saturating_sub(self.at);
            let mut bytes = vec![0; PIECE.min(left as usize)];
            file.read_exact_at(&mut bytes, self.at).map_err(|error| Error::io("read", &self.path, &error))?;
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            // No line is as long as a piece: one that is has not been written by us.
            let whole = if end == 0 && bytes.len() == PIECE { PIECE } else { end };
            let mut events: Vec<Event> =
                bytes[..whole].split(|byte| *byte == b'\n').filter_map(parse).collect();
            if self.at == 0 && self.seq > 0 && events.first().is_some_and(|first| first.seq == 1) {
                // Either the whole of what is known, or a journal that was begun anew after somebody removed it.
                let last = Tail::of(file).map_err(|error| Error::io("read", &self.path, &error))?.seq;
                self.seq = if last < self.seq { 0 } else { self.seq };
            }
            self.at += whole as u64;
            events.retain(|event| {
                let is_new = event.seq > self.seq;
                self.seq = self.seq.max(event.seq);
                is_new
            });
            if !events.is_empty() {
                return Ok(events);
            }
            if whole > 0 {
                continue;
            }
            if is_current {
                return Ok(events);
            }
            // A shorter file has taken its place: it begins with lines that are known by their numbers.
            self.file = None;
        }
    }

    fn open(&mut self) -> Result<bool> {
        match File::open(&self.path) {
            Ok(file) => {
                self.file = Some(file);
                self.at = 0;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("read", &self.path, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Happening, Name};

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Place(tempfile::tempdir().unwrap())
        }

        fn layout(&self) -> Layout {
            let layout = Layout::new(self.0.path().to_owned());
            layout.create().unwrap();
            layout
        }
    }

    fn event(note: &str) -> Event {
        let note = Some(note.to_owned());
        Event { note, ..Event::of(&Name::reduce("web"), Happening::Started, 1) }
    }

    fn numbers(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn events_are_numbered_and_each_is_read_once() {
        let place = Place::new();
        let layout = place.layout();
        let mut early = Journal::after(&layout, 0);
        assert_eq!(early.read().unwrap(), []);
        for n in 1..=3 {
            assert_eq!(record(&layout, &mut event("x")).unwrap(), n);
        }
        assert_eq!(numbers(&early.read().unwrap()), [1, 2, 3]);
        let mut late = Journal::from_now(&layout).unwrap();
        assert_eq!(numbers(&Journal::after(&layout, 2).read().unwrap()), [3]);
        record(&layout, &mut event("y")).unwrap();
        assert_eq!(numbers(&late.read().unwrap()), [4]);
        assert_eq!(numbers(&early.read().unwrap()), [4]);
        assert_eq!(early.read().unwrap(), []);
    }

    #[test]
    fn writers_at_once_leave_no_gap_and_no_double() {
        let place = Place::new();
        let layout = place.layout();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        record(&layout, &mut event("x")).unwrap();
                    }
                });
            }
        });
        let all = Journal::after(&layout, 0).read().unwrap();
        assert_eq!(numbers(&all), (1..=400).collect::<Vec<_>>());
    }

    #[test]
    fn writers_at_once_lose_nothing_when_the_older_half_goes() {
        let place = Place::new();
        let layout = place.layout();
        let long = "x".repeat(3000);
        let mut given: Vec<u64> = std::thread::scope(|scope| {
            let write = || (0..150).map(|_| record(&layout, &mut event(&long)).unwrap()).collect::<Vec<_>>();
            let writers: Vec<_> = (0..8).map(|_| scope.spawn(write)).collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        given.sort_unstable();
        assert_eq!(given, (1..=1200).collect::<Vec<_>>());
        let kept = numbers(&Journal::after(&layout, 0).read().unwrap());
        assert_eq!(kept, (kept[0]..=1200).collect::<Vec<_>>());
        assert!(kept[0] > 300, "it was never shortened");
    }

    #[test]
    fn a_line_that_was_cut_short_costs_only_itself() {
        let place = Place::new();
        let layout = place.layout();
        record(&layout, &mut event("x")).unwrap();
        let mut file = OpenOptions::new().append(true).open(layout.journal()).unwrap();
        file.write_all(b"{\"seq\":2,\"time_ms\":5,\"eve").unwrap();
        let mut reader = Journal::from_now(&layout).unwrap();
        assert_eq!(record(&layout, &mut event("y")).unwrap(), 2);
        assert_eq!(numbers(&reader.read().unwrap()), [2]);
        assert_eq!(numbers(&Journal::after(&layout, 0).read().unwrap()), [1, 2]);
    }

    #[test]
    fn a_reader_goes_on_in_the_shorter_file() {
        let place = Place::new();
        let layout = place.layout();
        let mut reader = Journal::after(&layout, 0);
        let mut seen = Vec::new();
        let long = "x".repeat(3000);
        for n in 0..1500 {
            record(&layout, &mut event(&long)).unwrap();
            if n % 7 == 0 {
                seen.extend(numbers(&reader.read().unwrap()));
            }
        }
        seen.extend(numbers(&reader.read().unwrap()));
        assert_eq!(seen, (1..=1500).collect::<Vec<_>>());
        assert!(std::fs::metadata(layout.journal()).unwrap().len() < MOST + 8192);
        let kept = Journal::after(&layout, 0).read().unwrap();
        assert_eq!(kept.last().unwrap().seq, 1500);
        assert!(kept.len() > 100, "{}", kept.len());
    }

    #[test]
    fn a_journal_that_was_removed_begins_anew_for_its_readers_too() {
        let place = Place::new();
        let layout = place.layout();
        let mut reader = Journal::after(&layout, 0);
        for _ in 0..3 {
            record(&layout, &mut event("x")).unwrap();
        }
        assert_eq!(numbers(&reader.read().unwrap()), [1, 2, 3]);
        std::fs::remove_file(layout.journal()).unwrap();
        assert!(reader.read().unwrap().is_empty());
        record(&layout, &mut event("y")).unwrap();
        assert_eq!(numbers(&reader.read().unwrap()), [1]);
        record(&layout, &mut event("z")).unwrap();
        assert_eq!(numbers(&reader.read().unwrap()), [2]);
        // Who comes back with a number of the old one.
        assert_eq!(numbers(&Journal::after(&layout, 3).read().unwrap()), [1, 2]);
    }

    #[test]
    fn a_long_journal_is_read_in_pieces_whatever_is_in_it() {
        let place = Place::new();
        let layout = place.layout();
        let note = "x".repeat(3000);
        let write = |first| {
            for seq in first..first + 50 {
                assert_eq!(record(&layout, &mut event(&note)).unwrap(), seq);
            }
        };
        write(1);
        let mut file = OpenOptions::new().append(true).open(layout.journal()).unwrap();
        file.write_all(&vec![b'z'; 3 * PIECE]).unwrap();
        file.write_all(b"\n").unwrap();
        write(51);
        let mut reader = Journal::after(&layout, 0);
        let first = reader.read_some().unwrap();
        assert!(first.len() * 3000 <= PIECE, "{}", first.len());
        let all = [first, reader.read().unwrap()].concat();
        assert_eq!(numbers(&all), (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_note_that_is_too_long_is_cut() {
        let place = Place::new();
        let layout = place.layout();
        record(&layout, &mut event(&"ä".repeat(9000))).unwrap();
        let all = Journal::after(&layout, 0).read().unwrap();
        assert_eq!(all[0].note.as_ref().unwrap().chars().count(), 200);
    }
}
