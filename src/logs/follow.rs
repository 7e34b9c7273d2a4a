//! Reads on in a log from a position, whatever becomes of its files meanwhile.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Source, hold, length, open, read_at};
use crate::error::{Error, Result};

/// How much one call of [`Follower::read`] takes at most: enough to be fast, and a short time under the lock.
const CHUNK: u64 = 256 * 1024;

/// Writes everything from `position` to the present end of the log, and returns the position behind it. What was
/// rotated away for good is skipped.
///
/// # Errors
///
/// Those of reading, and those of `out` with their [`Error::io_kind`], so that a broken pipe can be told apart.
pub fn from(source: &Source, position: u64, out: &mut dyn Write) -> Result<u64> {
    let end = super::tail(source, 0)?.end;
    let mut follower = Follower::new(source, position);
    let mut bytes = Vec::new();
    while follower.read(&mut bytes)? {
        out.write_all(&bytes).map_err(|error| Error::io("write", Path::new("the output"), &error))?;
        bytes.clear();
        // A program that writes faster than the terminal reads would never let this end.
        if follower.position() >= end {
            break;
        }
    }
    Ok(follower.position())
}

/// A reader that returns each byte of a log once.
#[derive(Debug)]
pub struct Follower<'a> {
    source: &'a Source,
    position: u64,
    /// The live file as it was last seen.
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    /// The position of its first byte.
    base: u64,
}

impl<'a> Follower<'a> {
    /// Follows `source` from `position` on.
    pub fn new(source: &'a Source, position: u64) -> Self {
        let mut made = Follower { source, position, live: None };
        // Opened now, so that a replacement before the first read is seen as one. A failure comes back then.
        let _ = made.attach();
        made
    }

    /// The position behind what was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Appends what is new to `out`, 256 KiB at most; false when there is nothing, or no file yet. To be called until it
    /// says false, before waiting for a change of the file.
    ///
    /// A log that was replaced is read to its end and then anew from its beginning, one that was truncated from its new
    /// beginning. Bytes that were rotated away for good before they were read are skipped.
    pub fn read(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        if self.live.is_none() && !self.attach()? {
            return Ok(false);
        }
        let before = out.len();
        match self.current()? {
            Some(true) => self.read_live(out)?,
            elsewhere => {
                self.drain(out)?;
                if out.len() == before && elsewhere.is_some() && self.switch()? {
                    self.read_live(out)?;
                }
            }
        }
        Ok(out.len() > before)
    }

    /// Opens the live file, if there is one.
    fn attach(&mut self) -> Result<bool> {
        let Some(file) = open(&self.source.live)? else { return Ok(false) };
        let meta = file.metadata().map_err(|error| self.failed(&error))?;
        let base = (self.source.base)().unwrap_or_else(|| self.live.as_ref().map_or(0, |live| live.base));
        self.live = Some(Live { file, identity: identity(&meta), base });
        Ok(true)
    }

    /// Whether the open file is the one at the path; `None` when there is nothing at the path.
    fn current(&self) -> Result<Option<bool>> {
        match fs::metadata(&self.source.live) {
            Ok(meta) => Ok(Some(self.live.as_ref().is_some_and(|live| live.identity == identity(&meta)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Reads what is left in a file that is no longer at its path.
    fn drain(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(live) = &self.live else { return Ok(()) };
        let offset = self.position.saturating_sub(live.base);
        self.position += append(&live.file, &self.source.live, out, offset)?;
        Ok(())
    }

    /// Goes on to the file that took the place of the open one.
    fn switch(&mut self) -> Result<bool> {
        let before = self.live.take();
        if !self.attach()? {
            return Ok(false);
        }
        if let (Some(before), Some(live)) = (before, &self.live) {
            // A lower base: the log was purged, and this is a new stream. Otherwise it is the same stream in a new file.
            self.position = if live.base < before.base { 0 } else { self.position.min(live.base) };
        }
        Ok(true)
    }

    fn read_live(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let _held = hold(&live.file);
        let base = (self.source.base)().unwrap_or(live.base);
        if base < live.base {
            // Rotation only ever raises it: the process was deleted and made anew over the same file.
            self.position = self.position.saturating_sub(live.base - base);
        }
        live.base = base;
        if self.position < base {
            let missing = base - self.position;
            let (read, skipped) = read_rotated(self.source, missing, out)?;
            self.position += read + skipped;
            if read > 0 {
                return Ok(());
            }
        }
        if self.position - base > length(&live.file, &self.source.live)? {
            self.position = base;
        }
        self.position += append(&live.file, &self.source.live, out, self.position - base)?;
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::io("read", &self.source.live, error)
    }
}

/// Reads a chunk of the rotated files from `missing` bytes before the live file's beginning, and returns how much it
/// read, and how much it had to skip before that because it is gone.
fn read_rotated(source: &Source, missing: u64, out: &mut Vec<u8>) -> Result<(u64, u64)> {
    let mut reached = 0;
    let mut oldest = None;
    for number in 1..=source.keep {
        let path = source.rotated(number);
        let Some(file) = open(&path)? else { break };
        let length = length(&file, &path)?;
        reached += length;
        if reached >= missing {
            return Ok((append(&file, &path, out, reached - missing)?, 0));
        }
        if length > 0 {
            oldest = Some((file, path));
        }
    }
    let read = oldest.map_or(Ok(0), |(file, path)| append(&file, &path, out, 0))?;
    Ok((read, missing - reached))
}

/// Appends a chunk of `file` from `offset` on, and returns its length.
fn append(file: &File, path: &Path, out: &mut Vec<u8>, offset: u64) -> Result<u64> {
    let available = length(file, path)?.saturating_sub(offset).min(CHUNK);
    let before = out.len();
    out.resize(before + available as usize, 0);
    let read = read_at(file, path, &mut out[before..], offset)?;
    out.truncate(before + read);
    Ok(read as u64)
}

fn identity(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::logs::kit::Logs;
    use crate::sys::watch::Watch;

    fn all(follower: &mut Follower<'_>) -> String {
        let mut bytes = Vec::new();
        while follower.read(&mut bytes).unwrap() {}
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_what_is_new() {
        let logs = Logs::new();
        logs.write(&[b"one\n"], 0);
        let mut follower = Follower::new(&logs.source, 0);
        assert_eq!(all(&mut follower), "one\n");
        assert_eq!(all(&mut follower), "");
        logs.append(b"tw");
        assert_eq!(all(&mut follower), "tw");
        logs.append(b"o\n");
        assert_eq!(all(&mut follower), "o\n");
        assert_eq!(follower.position(), 8);
    }

    #[test]
    fn what_was_rotated_before_it_was_read_comes_from_the_rotated_files() {
        let logs = Logs::new();
        logs.write(&[b"0123456789"], 0);
        let mut follower = Follower::new(&logs.source, 2);
        logs.write(&[b"01234", b"567", b"89ab"], 8);
        assert_eq!(all(&mut follower), "23456789ab");
        logs.write(&[b"01234", b"567", b"89a", b"bcd"], 11);
        assert_eq!(all(&mut follower), "cd");
    }

    #[test]
    fn what_is_gone_for_good_is_skipped() {
        let logs = Logs::new();
        logs.write(&[b"567", b"89"], 8);
        let mut follower = Follower::new(&logs.source, 1);
        assert_eq!(all(&mut follower), "56789");
        logs.write(&[b"yz", b"x"], 100);
        assert_eq!(all(&mut follower), "yzx");
    }

    #[test]
    fn a_truncated_log_is_read_from_its_new_beginning() {
        let logs = Logs::new();
        logs.write(&[b"a long line\n"], 5);
        let mut follower = Follower::new(&logs.source, 5);
        assert_eq!(all(&mut follower).len(), 12);
        logs.write(&[b""], 5);
        assert_eq!(all(&mut follower), "");
        logs.append(b"new\n");
        assert_eq!(all(&mut follower), "new\n");
    }

    #[test]
    fn a_purged_log_is_read_to_its_end_and_the_new_one_from_its_beginning() {
        let logs = Logs::new();
        logs.write(&[b"old ", b"lines\n"], 4);
        let mut follower = Follower::new(&logs.source, 4);
        assert_eq!(all(&mut follower), "lines\n");
        logs.append(b"rest\n");
        fs::remove_file(&logs.source.live).unwrap();
        fs::remove_file(logs.source.rotated(1)).unwrap();
        *logs.base.lock().unwrap() = None;
        assert_eq!(all(&mut follower), "rest\n");
        assert_eq!(all(&mut follower), "");
        logs.write(&[b"a", b"b"], 1);
        assert_eq!(all(&mut follower), "ab");
    }

    #[test]
    fn a_new_process_over_the_same_log_repeats_nothing() {
        let logs = Logs::new();
        logs.write(&[b"123", b"456"], 3);
        let mut follower = Follower::new(&logs.source, 3);
        assert_eq!(all(&mut follower), "456");
        *logs.base.lock().unwrap() = None;
        assert_eq!(all(&mut follower), "");
        *logs.base.lock().unwrap() = Some(0);
        logs.append(b"7");
        assert_eq!(all(&mut follower), "7");
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_waited_for() {
        let logs = Logs::new();
        let mut follower = Follower::new(&logs.source, 0);
        assert_eq!(all(&mut follower), "");
        logs.append(b"hello\n");
        assert_eq!(all(&mut follower), "hello\n");
    }

    #[test]
    fn from_a_position_to_the_end() {
        let logs = Logs::new();
        let big = vec![b'x'; 3 * CHUNK as usize];
        logs.write(&[b"0123", &big], 4);
        let mut out = Vec::new();
        assert_eq!(from(&logs.source, 2, &mut out).unwrap(), 4 + big.len() as u64);
        assert_eq!(out, [b"23".as_slice(), &big].concat());
        let error = from(&logs.source, 0, &mut [0_u8; 1].as_mut_slice()).unwrap_err();
        assert_eq!(error.io_kind(), Some(io::ErrorKind::WriteZero));
    }

    #[test]
    fn the_base_is_read_under_the_lock() {
        let logs = Logs::new();
        logs.write(&[b"text"], 0);
        let seen = std::rc::Rc::new(std::cell::Cell::new(false));
        let (live, locked) = (logs.source.live.clone(), std::rc::Rc::clone(&seen));
        let base = Box::new(move || {
            let file = File::open(&live).unwrap();
            locked.set(crate::sys::flock::try_lock_exclusive(&file).unwrap().is_none());
            Some(0)
        });
        let source = Source { base, name: "web".into(), live: logs.source.live.clone(), keep: 1 };
        assert_eq!(all(&mut Follower::new(&source, 0)), "text");
        assert!(seen.replace(false), "follow");
        super::super::tail(&source, 1).unwrap();
        assert!(seen.get(), "tail");
    }

    /// A writer appends numbered lines, a rotator moves the head away, and a follower must see each number once and in
    /// order. Rotation is in place where the file system can do that; else the writer is held for a copy-and-truncate.
    fn numbers_arrive_once_and_in_order(logs: &Logs) {
        const COUNT: u32 = 120_000;
        logs.append(b"");
        let writing = Mutex::new(());
        let (source, base) = (&logs.source, &logs.base);
        let (live, rotate) = (source.live.clone(), logs.rotator());
        let done = std::sync::atomic::AtomicBool::new(false);
        let (writing, done) = (&writing, &done);
        let rotations = thread::scope(|scope| {
            scope.spawn(move || {
                let mut file = File::options().append(true).open(&live).unwrap();
                for number in 0..COUNT {
                    let _held = writing.lock().unwrap();
                    file.write_all(format!("{number}\n").as_bytes()).unwrap();
                }
                done.store(true, Ordering::Release);
            });
            let rotator = scope.spawn(move || {
                let mut rotations = 0;
                while !done.load(Ordering::Acquire) {
                    rotations += u32::from(rotate.rotate(base, writing));
                    thread::yield_now();
                }
                rotations
            });
            let mut watch = Watch::new(&[&source.live]).unwrap();
            let mut follower = Follower::new(source, 0);
            let (mut bytes, mut next) = (Vec::new(), 0);
            while next < COUNT {
                if !follower.read(&mut bytes).unwrap() {
                    assert!(watch.wait(Some(Duration::from_secs(30))).unwrap(), "nothing after {next}");
                }
                let complete = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
                for line in bytes.drain(..complete).collect::<Vec<_>>().split_inclusive(|&byte| byte == b'\n')
                {
                    assert_eq!(line, format!("{next}\n").as_bytes());
                    next += 1;
                }
            }
            assert_eq!(all(&mut follower), "");
            rotator.join().unwrap()
        });
        assert!(rotations > 0, "the test rotated nothing");
        let mut whole = Vec::new();
        from(source, 0, &mut whole).unwrap();
        assert_eq!(
            whole,
            (0..COUNT).flat_map(|number| format!("{number}\n").into_bytes()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_byte_is_lost_or_repeated_while_a_writer_is_rotated() {
        numbers_arrive_once_and_in_order(&Logs::new());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_same_where_a_head_cannot_be_removed_in_place() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        numbers_arrive_once_and_in_order(&Logs::in_dir(dir));
    }
}
