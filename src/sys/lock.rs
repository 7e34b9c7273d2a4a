//! Open-file-description locks: held by whoever holds the descriptor, also across `fork` and `exec`.
//!
//! `fcntl_locking(2)`: unlike a PID in a file, such a lock cannot outlive its holders and cannot be inherited by a
//! stranger, and unlike `flock(2)` its state can be read without taking it.
#![expect(unsafe_code, reason = "fcntl(2) with a lock description")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;

/// An exclusive lock on a file, released when the last descriptor of it is closed.
#[derive(Debug)]
pub struct Lock(File);

fn whole_file() -> libc::flock {
    // SAFETY: all-zero is a valid `struct flock`: from the start to the end of the file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

fn fcntl(file: &File, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    loop {
        // SAFETY: `lock` is a valid `struct flock` for the time of the call.
        if unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

impl Lock {
    /// Takes the lock of the file at `path` (made when missing) if nobody holds it.
    ///
    /// # Errors
    /// When the file cannot be opened or its filesystem has no locks.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match fcntl(&file, libc::F_OFD_SETLK, &mut whole_file()) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock, waiting for whoever holds it.
    ///
    /// # Errors
    /// As [`Lock::try_take`].
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        fcntl(&file, libc::F_OFD_SETLKW, &mut whole_file())?;
        Ok(Lock(file))
    }

    /// Takes the lock if it becomes free within `patience`; for a holder that is known to be about to let go.
    ///
    /// # Errors
    /// As [`Lock::try_take`].
    pub fn take_within(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let end = Instant::now() + patience;
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(Some(lock));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            super::poll::pause(Duration::from_millis(1));
        }
    }

    /// Takes over a lock whose descriptor was inherited.
    pub fn from_inherited(fd: OwnedFd) -> Self {
        Lock(File::from(fd))
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// True when somebody holds the lock of the file at `path`, also when that cannot be found out (no descriptor is left,
/// say): only a lock that was seen free is free. A missing file is not locked. Takes nothing.
pub fn is_held(path: &Path) -> bool {
    let file = match nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) => return !matches!(error, Errno::ENOENT | Errno::ENOTDIR),
    };
    let mut lock = whole_file();
    fcntl(&file, libc::F_OFD_GETLK, &mut lock).is_err() || lock.l_type != libc::F_UNLCK as libc::c_short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_is_seen_without_being_taken_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!is_held(&path));
        let held = Lock::try_take(&path).unwrap().unwrap();
        assert!(is_held(&path));
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        // Not at once: a child that another test is just spawning shares the descriptor until its exec.
        assert!(Lock::take_within(&path, Duration::from_secs(10)).unwrap().is_some());
        assert!(!is_held(&dir.path().join("another")));
    }
}
