//! A hold on one incarnation of a process, so that a reused PID is never signalled (`pidfd_open(2)`).
//!
//! Where there are no such descriptors (macOS, Linux before 5.3, a sandbox, too many open files) the start time is
//! checked right before each use instead.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "pidfd_open and pidfd_send_signal have no wrapper")
)]

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};

use super::process;
use crate::model::Identity;

/// How often a process without a descriptor is looked at while waiting for its end.
const CHECK_EVERY: Duration = Duration::from_millis(10);

/// How many descriptors are left for everything else, where a program may have 1,024 and holds many processes.
const SPARE: u64 = 256;

/// A hold on one process.
#[derive(Debug)]
pub struct Handle {
    identity: Identity,
    fd: Option<OwnedFd>,
}

impl Handle {
    /// Takes hold of that very process; `None` when it is gone or a zombie.
    pub fn open(identity: &Identity) -> Option<Handle> {
        let fd = match open_fd(identity.pid.get()) {
            Ok(fd) => Some(fd).filter(|fd| !is_scarce(fd)),
            Err(Errno::ESRCH) => return None,
            Err(_) => None,
        };
        // Only now: what the descriptor holds can no longer be exchanged for another process of the same number.
        process::alive(identity).then_some(Handle { identity: *identity, fd })
    }

    /// Which process it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What can be read as soon as it has ended; none where there are no such descriptors.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// True when it still runs; a zombie does not.
    pub fn is_alive(&self) -> bool {
        process::alive(&self.identity)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, which a caller that wants it gone may take for success; `EPERM` when it belongs to
    /// another user.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        if let Some(fd) = &self.fd {
            match send(fd, signal) {
                Err(Errno::ENOSYS | Errno::EBADF) => {}
                result => return Ok(result?),
            }
        }
        if !self.is_alive() {
            return Err(Errno::ESRCH.into());
        }
        let signal = nix::sys::signal::Signal::try_from(signal)?;
        Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.identity.pid.get()), signal)?)
    }
}

/// Waits until none of `handles` runs, or for `timeout`; returns those that still run. A zombie counts as ended.
pub fn wait_all(handles: &[Handle], timeout: Duration) -> Vec<&Handle> {
    let deadline = Instant::now().checked_add(timeout);
    let (mut held, mut blind): (Vec<&Handle>, Vec<&Handle>) =
        handles.iter().partition(|handle| handle.fd.is_some());
    loop {
        blind.retain(|handle| handle.is_alive());
        let rest = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
        if !(held.is_empty() && blind.is_empty()) {
            let wait = if blind.is_empty() { rest } else { rest.min(CHECK_EVERY) };
            match ended(&held, wait) {
                Ok(ended) => {
                    let mut ended = ended.into_iter();
                    held.retain(|_| !ended.next().unwrap_or(false));
                }
                Err(Errno::EINTR) => {}
                // Descriptors that cannot be waited for tell nothing.
                Err(_) => blind.append(&mut held),
            }
        }
        if rest.is_zero() || (held.is_empty() && blind.is_empty()) {
            held.append(&mut blind);
            return held;
        }
    }
}

/// Those of `handles` that still run, asked of the kernel all at once.
pub fn running<'a>(handles: impl IntoIterator<Item = &'a Handle>) -> HashSet<Identity> {
    let (held, blind): (Vec<&Handle>, Vec<&Handle>) =
        handles.into_iter().partition(|handle| handle.fd.is_some());
    // Descriptors that cannot be waited for tell nothing.
    let ended =
        ended(&held, Duration::ZERO).unwrap_or_else(|_| held.iter().map(|one| !one.is_alive()).collect());
    let held = held.into_iter().zip(ended).filter(|(_, ended)| !ended).map(|(handle, _)| handle);
    held.chain(blind.into_iter().filter(|handle| handle.is_alive())).map(Handle::identity).collect()
}

/// Waits for the end of one of `held`, each of which has a descriptor; says of each whether it has ended.
fn ended(held: &[&Handle], wait: Duration) -> nix::Result<Vec<bool>> {
    let mut fds: Vec<PollFd> = held
        .iter()
        .filter_map(|handle| Some(PollFd::new(handle.fd.as_ref()?.as_fd(), PollFlags::POLLIN)))
        .collect();
    poll(&mut fds, poll_timeout(wait))?;
    Ok(fds.iter().map(|fd| fd.any().unwrap_or(false)).collect())
}

/// Rounded up to a millisecond, so that the last wait does not become a busy loop.
fn poll_timeout(wait: Duration) -> PollTimeout {
    let rounded = wait.saturating_add(Duration::from_nanos(999_999)).as_millis();
    PollTimeout::try_from(rounded).unwrap_or(PollTimeout::MAX)
}

/// True when `fd`, the lowest free number when it was made, is one of the last that this program may have.
fn is_scarce(fd: &OwnedFd) -> bool {
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    fd.as_raw_fd() as u64 >= (most / 2).max(most.saturating_sub(SPARE))
}

#[cfg(target_os = "linux")]
pub(super) fn open_fd(pid: i32) -> nix::Result<OwnedFd> {
    use std::os::fd::FromRawFd;

    // SAFETY: pidfd_open takes two numbers; the flags are 0, and the descriptor is closed on exec by itself.
    let fd = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, pid, 0) };
    let fd = Errno::result(fd)? as i32;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(target_os = "linux")]
fn send(fd: &OwnedFd, signal: i32) -> nix::Result<()> {
    let info = std::ptr::null::<nix::libc::siginfo_t>();
    // SAFETY: the descriptor is open; a null `siginfo` asks for the one of kill(2); the flags are 0.
    let result =
        unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, info, 0) };
    Errno::result(result).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn open_fd(_pid: i32) -> nix::Result<OwnedFd> {
    Err(Errno::ENOSYS)
}

#[cfg(not(target_os = "linux"))]
fn send(_fd: &OwnedFd, _signal: i32) -> nix::Result<()> {
    Err(Errno::ENOSYS)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::model::Pid;

    /// A `cat` that runs until its standard input ends.
    struct Cat(Child);

    impl Cat {
        fn start() -> (Cat, Identity) {
            let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let cat = Cat(child);
            let pid = Pid::new(cat.0.id() as i32).unwrap();
            let identity = process::read(pid).unwrap().identity();
            (cat, identity)
        }
    }

    impl Drop for Cat {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// The same process, held with and without a descriptor.
    fn both(identity: &Identity) -> [Handle; 2] {
        [Handle::open(identity).unwrap(), Handle { identity: *identity, fd: None }]
    }

    #[test]
    fn a_signal_ends_it_and_its_zombie_counts_as_ended() {
        for which in 0..2 {
            let (_cat, identity) = Cat::start();
            let handles = both(&identity);
            assert_eq!(wait_all(&handles, Duration::from_millis(1)).len(), 2);
            assert_eq!(running(&handles), HashSet::from([identity]));
            handles[which].signal(15).unwrap();
            assert!(wait_all(&handles, Duration::from_secs(30)).is_empty());
            assert!(running(&handles).is_empty());
            // Nobody has reaped it.
            assert!(process::read(identity.pid).unwrap().is_dead());
            assert!(Handle::open(&identity).is_none());
        }
    }

    #[test]
    fn only_those_that_run_are_returned() {
        let ((mut ending, first), (_running, second)) = (Cat::start(), Cat::start());
        let handles: Vec<Handle> = [first, second].iter().filter_map(Handle::open).collect();
        drop(ending.0.stdin.take());
        assert!(wait_all(&handles[..1], Duration::from_secs(30)).is_empty());
        let left: Vec<Identity> =
            wait_all(&handles, Duration::ZERO).into_iter().map(Handle::identity).collect();
        assert_eq!(left, [second]);
    }

    #[test]
    fn another_process_of_the_same_number_is_not_held() {
        let (_cat, identity) = Cat::start();
        let earlier = Identity { start: identity.start - 1, ..identity };
        assert!(Handle::open(&earlier).is_none());
        let stale = Handle { identity: earlier, fd: None };
        assert_eq!(stale.signal(9).unwrap_err().raw_os_error(), Some(Errno::ESRCH as i32));
        assert!(process::alive(&identity));
        assert!(Handle::open(&Identity { pid: Pid::new(i32::MAX).unwrap(), start: 1 }).is_none());
    }

    #[test]
    fn a_reaped_process_cannot_be_signalled() {
        for which in 0..2 {
            let (cat, identity) = Cat::start();
            let handles = both(&identity);
            drop(cat);
            let error = handles[which].signal(15).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::ESRCH as i32));
        }
    }
}
