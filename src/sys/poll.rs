//! Waiting: for descriptors until a deadline, or for a moment.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout};

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Something can be read, or the other side is gone.
    Read,
    /// Something can be written, or a connection attempt has ended.
    Write,
    /// The other side is gone in both directions.
    Gone,
}

/// Waits until one of `fds` is ready or `timeout` is over (`None`: for ever); answers for each whether it is ready.
///
/// A signal that was handled ends the wait early, with nothing ready.
///
/// # Errors
/// When `poll(2)` fails for another reason than a signal.
pub fn wait(fds: &[(BorrowedFd<'_>, Interest)], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut set: Vec<PollFd<'_>> = fds
        .iter()
        .map(|(fd, interest)| {
            let flags = match interest {
                Interest::Read => PollFlags::POLLIN,
                Interest::Write => PollFlags::POLLOUT,
                // Always reported (poll(2)).
                Interest::Gone => PollFlags::empty(),
            };
            PollFd::new(*fd, flags)
        })
        .collect();
    let timeout = match timeout {
        None => PollTimeout::NONE,
        // Rounded up, so that a deadline is really past when the wait ends.
        Some(time) => PollTimeout::try_from(time.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32)
            .unwrap_or(PollTimeout::MAX),
    };
    match nix::poll::poll(&mut set, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(set.iter().map(|fd| fd.revents().is_some_and(|events| !events.is_empty())).collect())
}

/// Waits until `fd` can be read, at most for `timeout`; true when it can.
///
/// # Errors
/// As [`wait`].
pub fn readable(fd: &impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    Ok(wait(&[(fd.as_fd(), Interest::Read)], timeout)?[0])
}

/// Does nothing for `time`; only where the kernel offers nothing to wait for.
pub fn pause(time: Duration) {
    let _ = wait(&[], Some(time));
}
