//! Advisory locks on whole files (`flock(2)`): they belong to the open file and end with it.
#![expect(unsafe_code, reason = "nix's Flock owns its file; these locks are taken on files that stay in use")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

/// A lock that is held until this is dropped.
#[derive(Debug)]
#[must_use = "the lock ends when this is dropped"]
pub struct Guard<'a>(BorrowedFd<'a>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Unlocking a valid descriptor cannot fail in a way that anyone could act on.
        let _ = operate(self.0, libc::LOCK_UN);
    }
}

/// Waits for a lock that any number of readers can share.
///
/// # Errors
///
/// `Unsupported` or similar where the file system has no locks.
pub fn lock_shared(file: &File) -> io::Result<Guard<'_>> {
    take(file, libc::LOCK_SH)
}

/// Waits for a lock that nobody shares.
///
/// # Errors
///
/// As [`lock_shared`].
pub fn lock_exclusive(file: &File) -> io::Result<Guard<'_>> {
    take(file, libc::LOCK_EX)
}

/// As [`lock_shared`], but `None` instead of waiting.
///
/// # Errors
///
/// As [`lock_shared`].
pub fn try_lock_shared(file: &File) -> io::Result<Option<Guard<'_>>> {
    attempt(take(file, libc::LOCK_SH | libc::LOCK_NB))
}

/// As [`lock_exclusive`], but `None` instead of waiting.
///
/// # Errors
///
/// As [`lock_shared`].
pub fn try_lock_exclusive(file: &File) -> io::Result<Option<Guard<'_>>> {
    attempt(take(file, libc::LOCK_EX | libc::LOCK_NB))
}

fn take(file: &File, operation: libc::c_int) -> io::Result<Guard<'_>> {
    operate(file.as_fd(), operation)?;
    Ok(Guard(file.as_fd()))
}

fn attempt(result: io::Result<Guard<'_>>) -> io::Result<Option<Guard<'_>>> {
    match result {
        Ok(guard) => Ok(Some(guard)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn operate(fd: BorrowedFd<'_>, operation: libc::c_int) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open as long as it is borrowed, and flock takes no pointer.
        match Errno::result(unsafe { libc::flock(fd.as_raw_fd(), operation) }) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_a_writer_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let [one, two, three] =
            [(); 3].map(|()| File::options().create(true).append(true).read(true).open(&path).unwrap());
        let first = lock_shared(&one).unwrap();
        let second = lock_shared(&two).unwrap();
        assert!(try_lock_exclusive(&three).unwrap().is_none());
        drop((first, second));
        let alone = lock_exclusive(&three).unwrap();
        assert!(try_lock_shared(&one).unwrap().is_none());
        drop(alone);
        assert!(try_lock_shared(&one).unwrap().is_some());
    }
}
