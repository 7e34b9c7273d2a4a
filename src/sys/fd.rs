//! File descriptors: what is passed on to a child, and what must not be.
#![expect(unsafe_code, reason = "descriptors that arrive by number can only be taken over unsafely")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

/// Closes every descriptor from `first` up: what a caller left open must not live on in a supervisor.
pub fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: closing descriptors is sound here because the caller owns none at or above `first` yet
        // (`close_range(2)`; the raw call because musl has no wrapper).
        let done = unsafe { libc::syscall(libc::SYS_close_range, first as u32, u32::MAX, 0) };
        if done == 0 {
            return;
        }
    }
    let open: Vec<RawFd> = std::fs::read_dir("/dev/fd")
        .map(|dir| {
            dir.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect::<Vec<_>>()
        })
        .unwrap_or_default();
    for fd in open.into_iter().filter(|fd| *fd >= first) {
        // SAFETY: as above; a number that is not open any more is refused with EBADF.
        unsafe { libc::close(fd) };
    }
}

/// Takes over the descriptor `number`, which the parent promised to pass, and keeps it from further children.
///
/// # Errors
/// When no such descriptor is open.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD changes a flag of the descriptor, if it exists.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the protocol between `start` and `supervise` makes this process its only owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A pipe, reading end first; neither end survives an `exec`.
///
/// # Errors
/// When the process or system has no descriptors left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe().map_err(io::Error::from)?;
    for end in [&read, &write] {
        set_cloexec(end.as_raw_fd())?;
    }
    Ok((read, write))
}

/// A connected pair of stream sockets; neither survives an `exec`.
///
/// # Errors
/// When the process or system has no descriptors left.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    Ok((ours.into(), theirs.into()))
}

pub(super) fn set_cloexec(fd: RawFd) -> io::Result<()> {
    // SAFETY: F_SETFD changes a flag of a descriptor that the caller owns.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes reads and writes on `fd` return at once.
///
/// # Errors
/// When the descriptor does not allow it.
pub fn set_nonblocking(fd: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: reads and sets status flags of a descriptor that the caller owns.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    // SAFETY: as above.
    if flags < 0 || unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A standard input that never ends and never delivers: a FIFO that its reader also holds for writing.
///
/// The FIFO is made at `path`, opened read-write and unlinked at once; watchers that exit at an end of file
/// stay, even when the supervisor dies.
///
/// # Errors
/// When the FIFO cannot be made.
pub fn endless_input(path: &Path) -> io::Result<File> {
    let _ = std::fs::remove_file(path);
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)
        .map_err(io::Error::from)?;
    let opened = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
    let _ = std::fs::remove_file(path);
    let file = opened?;
    // SAFETY: clears O_NONBLOCK, which was needed only so that the open could not block.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}
