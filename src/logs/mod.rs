//! Reads the logs of processes, across rotation and while they grow.
//!
//! The live file is `NAME.log`; rotated ones are `NAME.log.1` (newest) and up. Joined from the highest number to the live
//! file they are one stream of bytes, and a line may lie across two files. A *position* counts the stream's bytes from
//! its beginning; the live file begins at the position `log_base` of `status.json`, and rotation raises that while it
//! takes the same bytes off the file's head. It does both, and the renaming of the rotated files, under an exclusive
//! `flock(2)` on the live file. A reader holds the shared one for each step, and never while it writes or waits, so that
//! a reader whose terminal is stopped cannot hold up a supervisor.
//!
//! Knows no other module's files: paths and `log_base` are passed in.

mod announced;
mod follow;
#[cfg(test)]
mod kit;
mod mix;
mod tail;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use announced::{Announced, announced};
pub use follow::{Follower, from};
pub use mix::Mix;
pub use tail::{Tail, tail};

use crate::error::{Error, Result};
use crate::sys::flock::{self, Guard};

/// Where one process's log is.
pub struct Source {
    /// The process's name.
    pub name: String,
    /// The live file.
    pub live: PathBuf,
    /// How many rotated files to look for at most.
    pub keep: u32,
    /// Reads `log_base` anew; `None` when nobody knows it at the moment, which a follower takes as unchanged.
    pub base: Box<dyn Fn() -> Option<u64>>,
}

impl Source {
    /// The rotated file of `number`, 1 for the newest.
    fn rotated(&self, number: u32) -> PathBuf {
        let mut path = OsString::from(&self.live);
        path.push(format!(".{number}"));
        path.into()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("live", &self.live).finish_non_exhaustive()
    }
}

/// Opens a log file; `None` when there is none.
fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// The length of a log file.
fn length(file: &File, path: &Path) -> Result<u64> {
    file.metadata().map(|meta| meta.len()).map_err(|error| Error::io("read", path, &error))
}

/// Holds off rotation. On a file system without locks it reads all the same: a log that may show a few bytes twice is
/// better than none.
fn hold(live: &File) -> Option<Guard<'_>> {
    flock::lock_shared(live).ok()
}

/// Reads `file` from `offset` until `buffer` is full or the file ends, and returns how much that was.
fn read_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<usize> {
    use std::os::unix::fs::FileExt;

    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, &error)),
        }
    }
    Ok(filled)
}
