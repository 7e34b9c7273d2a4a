//! An open directory: reading many small files below it with as few calls as possible.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// A directory that paths are looked up from, so that its own path is walked once.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl Dir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// When it is missing, not a directory, or not ours to search.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Dir(nix::fcntl::open(path, flags, Mode::empty())?))
    }

    /// Opens the file at `path` below it for reading.
    ///
    /// # Errors
    /// As `openat(2)`.
    pub fn file(&self, path: &str) -> io::Result<File> {
        Ok(File::from(openat(self.0.as_fd(), path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?))
    }

    /// Replaces `buffer` by the content of the file at `path` below it.
    ///
    /// # Errors
    /// As `openat(2)` and `read(2)`.
    pub fn read(&self, path: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut file = self.file(path)?;
        buffer.resize(SMALL, 0);
        let mut length = 0;
        loop {
            let count = match file.read(&mut buffer[length..]) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            length += count;
            // A regular file gives what was asked for, or its end.
            if count == 0 || length < buffer.len() {
                buffer.truncate(length);
                return Ok(());
            }
            buffer.resize(2 * length, 0);
        }
    }
}

/// Most files are read with one call into a buffer of this size.
const SMALL: usize = 4096;
