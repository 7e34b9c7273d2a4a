//! Capping a log without losing a byte and without the writer's help.
//!
//! The writer appends to the live file (`O_APPEND`) all the while. The old head is copied to a file of its own, then
//! removed in place (`FALLOC_FL_COLLAPSE_RANGE`, `fallocate(2)`); where the filesystem cannot do that, the tree is
//! stopped for the moment of a copy and a truncation. Readers take a shared lock on the live file, this an exclusive
//! one, so that nobody sees the moment between.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::LogLimit;
use crate::sys::{collapse, flock};

/// The pauses between two looks at the size, in milliseconds.
const SHORTEST_MS: u64 = 250;
const LONGEST_MS: u64 = 5_000;

/// Watches the size of one live log.
#[derive(Debug)]
pub(super) struct Rotator {
    live: PathBuf,
    limit: LogLimit,
    last: (u64, u64),
    /// When to look next, in monotonic milliseconds.
    pub(super) next: u64,
}

/// How the tree is kept from writing for a moment, where the head cannot be removed in place.
pub(super) trait Pause {
    /// Stops every process of the tree; true when all have stopped.
    fn pause(&self) -> bool;
    /// Lets them go on.
    fn resume(&self);
}

impl Rotator {
    pub(super) fn new(live: PathBuf, limit: LogLimit, now: u64) -> Self {
        Rotator { live, limit, last: (now, 0), next: now + SHORTEST_MS }
    }

    /// Looks at the size of `log` and moves its head away when it is over the limit; `publish` is called with the
    /// number of bytes by which the live file's beginning moved, while no reader can look.
    ///
    /// # Errors
    /// When the head cannot be copied, for want of space say; the live log is then as it was, and grows on.
    pub(super) fn look(
        &mut self,
        log: &File,
        now: u64,
        pause: &dyn Pause,
        publish: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let size = log.metadata()?.len();
        let (then, before) = self.last;
        self.last = (now, size);
        self.next = now + pause_until_next(size, before, now.saturating_sub(then), self.limit.max_bytes);
        if size <= self.limit.max_bytes {
            return Ok(());
        }
        self.rotate(log, size, pause, publish)?;
        self.last = (now, log.metadata()?.len());
        Ok(())
    }

    fn rotate(
        &self,
        log: &File,
        size: u64,
        pause: &dyn Pause,
        publish: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        let block = collapse::block_size(log).unwrap_or(4096).max(1);
        // The last block stays: a range that reaches the end of the file cannot be collapsed.
        let head = (size - 1) / block * block;
        if head == 0 {
            return Ok(());
        }
        let copy = self.head_file();
        self.copy_head(&copy, head)?;
        // A description of its own: the program shares the one that it writes through.
        let guarded = File::open(&self.live)?;
        let Some(locked) = flock::try_lock_exclusive(&guarded)? else {
            // A reader is in the middle of a read, perhaps halted there by a Ctrl-Z: the next look tries again.
            return Ok(());
        };
        let moved = if collapse::collapse_head(log, head).is_ok() {
            head
        } else {
            // What a process writes between the copy and the cut would be lost: with one that cannot be halted, the log
            // grows on.
            let halted = pause.pause();
            let cut = if halted {
                self.append_rest(log, &copy, head)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
            pause.resume();
            cut.inspect_err(|_| drop(fs::remove_file(&copy)))?
        };
        shift(&self.live, &copy, self.limit.keep)?;
        publish(moved);
        drop(locked);
        Ok(())
    }

    /// Where the head is copied to before it has a number.
    fn head_file(&self) -> PathBuf {
        numbered(&self.live, "head")
    }

    fn open_live(&self, from: u64, bytes: u64) -> io::Result<Take<File>> {
        let mut file = File::open(&self.live)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(file.take(bytes))
    }

    fn copy_head(&self, to: &Path, bytes: u64) -> io::Result<()> {
        if self.limit.keep == 0 {
            return Ok(());
        }
        let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
        let copied = io::copy(&mut self.open_live(0, bytes)?, &mut out);
        match copied {
            Ok(count) if count == bytes => Ok(()),
            Ok(_) => {
                let _ = fs::remove_file(to);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Err(error) => {
                let _ = fs::remove_file(to);
                Err(error)
            }
        }
    }

    /// Copies what was written after the first `head` bytes as well and empties the live file; nobody writes now.
    fn append_rest(&self, log: &File, to: &Path, head: u64) -> io::Result<u64> {
        let size = log.metadata()?.len();
        if self.limit.keep > 0 {
            let mut out = fs::OpenOptions::new().append(true).open(to)?;
            if let Err(error) = io::copy(&mut self.open_live(head, size - head)?, &mut out) {
                let _ = fs::remove_file(to);
                return Err(error);
            }
        }
        log.set_len(0)?;
        Ok(size)
    }
}

/// Half of the time until the limit is reached at the present growth, within bounds.
fn pause_until_next(size: u64, before: u64, elapsed_ms: u64, max: u64) -> u64 {
    let grown = size.saturating_sub(before);
    if grown == 0 {
        return LONGEST_MS;
    }
    let left = max.saturating_sub(size);
    (left.saturating_mul(elapsed_ms.max(1)) / grown / 2).clamp(SHORTEST_MS, LONGEST_MS)
}

fn numbered(live: &Path, suffix: impl std::fmt::Display) -> PathBuf {
    let mut name = live.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    name.into()
}

/// Makes `head` the newest rotated file: `.1` becomes `.2` and so on, the oldest over `keep` go.
fn shift(live: &Path, head: &Path, keep: u32) -> io::Result<()> {
    // More than one only after the number to keep was lowered.
    let mut over = keep.saturating_add(1);
    while fs::remove_file(numbered(live, over)).is_ok() {
        over = over.saturating_add(1);
    }
    if keep == 0 {
        return Ok(());
    }
    for number in (1..keep).rev() {
        match fs::rename(numbered(live, number), numbered(live, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(head, numbered(live, 1))
}

/// Ends a rotation that a killed supervisor left half done; returns by how many bytes the live file's beginning had
/// moved without having been counted.
///
/// A copied head whose original is still in the live file is a copy too many; one whose original is gone is the log.
pub(super) fn recover(live: &Path, keep: u32) -> u64 {
    let head = numbered(live, "head");
    let Ok(facts) = fs::metadata(&head) else { return 0 };
    if begins_with(live, &head).unwrap_or(true) {
        let _ = fs::remove_file(&head);
        return 0;
    }
    if shift(live, &head, keep).is_ok() { facts.len() } else { 0 }
}

fn begins_with(live: &Path, head: &Path) -> io::Result<bool> {
    let (mut live, mut head) = (io::BufReader::new(File::open(live)?), io::BufReader::new(File::open(head)?));
    let (mut ours, mut theirs) = (vec![0u8; 65536], vec![0u8; 65536]);
    loop {
        let count = head.read(&mut theirs)?;
        if count == 0 {
            return Ok(true);
        }
        match live.read_exact(&mut ours[..count]) {
            Ok(()) if ours[..count] == theirs[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// A tree of which something cannot be halted: it waits for a disk, or belongs to another user.
    struct Restless;

    impl Pause for Restless {
        fn pause(&self) -> bool {
            false
        }

        fn resume(&self) {}
    }

    #[test]
    fn a_log_is_left_as_it_is_where_a_writer_cannot_be_halted() {
        // tmpfs: a head cannot be removed in place there.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let live = dir.path().join("x.log");
        let text = "0123456789abcde\n".repeat(1024);
        fs::write(&live, &text).unwrap();
        let mut rotator = Rotator::new(live.clone(), LogLimit { max_bytes: 4096, keep: 3 }, 0);
        let looked =
            rotator.look(&File::open(&live).unwrap(), 0, &Restless, &mut |_| panic!("nothing moved"));
        assert_eq!(looked.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(fs::read_to_string(&live).unwrap(), text);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "and no copy is left");
    }
}
