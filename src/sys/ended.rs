//! The end of another process as something to wait for beside descriptors (`pidfd_open(2)`; `kqueue(2)` on macOS).

use std::os::fd::{AsFd, BorrowedFd};

use super::process;
use crate::model::Identity;

#[cfg(target_os = "linux")]
type Source = std::os::fd::OwnedFd;
#[cfg(not(target_os = "linux"))]
type Source = nix::sys::event::Kqueue;

/// A watch for the end of one process, which need not be a child.
#[derive(Debug)]
pub struct EndWatch {
    identity: Identity,
    /// None when it has ended already, or where the kernel gives no descriptor: then it has to be looked at.
    source: Option<Source>,
}

impl EndWatch {
    /// Watches that very process; one that has ended already is over.
    pub fn new(identity: Identity) -> Self {
        let source = source(identity.pid.get());
        // Only now: what the descriptor is for can no longer be exchanged for another process of the same number.
        let source = source.filter(|_| process::alive(&identity));
        EndWatch { identity, source }
    }

    /// What becomes readable when it ends; none where it has to be looked at from time to time.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// True when it has ended; a zombie has.
    pub fn is_over(&self) -> bool {
        !process::alive(&self.identity)
    }
}

#[cfg(target_os = "linux")]
fn source(pid: i32) -> Option<Source> {
    super::pidfd::open_fd(pid).ok()
}

/// The queue becomes readable with its first event.
#[cfg(not(target_os = "linux"))]
fn source(pid: i32) -> Option<Source> {
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

    let queue = Kqueue::new().ok()?;
    let ident = usize::try_from(pid).ok()?;
    let how = EvFlags::EV_ADD | EvFlags::EV_ONESHOT;
    let change = KEvent::new(ident, EventFilter::EVFILT_PROC, how, FilterFlag::NOTE_EXIT, 0, 0);
    queue.kevent(&[change], &mut [], None).ok()?;
    Some(queue)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::model::Pid;
    use crate::sys::poll;

    #[test]
    fn it_tells_the_end_of_that_very_process_reaped_or_not() {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pid = Pid::new(cat.id() as i32).unwrap();
        let identity = process::read(pid).unwrap().identity();
        let watch = EndWatch::new(identity);
        assert!(!watch.is_over());
        let fd = watch.fd().unwrap();
        assert!(!poll::readable(&fd, Some(Duration::ZERO)).unwrap());
        // The same number with another start time is another process, which has ended.
        for start in [identity.start - 1, identity.start + 1, 0] {
            let reused = EndWatch::new(Identity { start, ..identity });
            assert!(reused.is_over() && reused.fd().is_none(), "{start}");
        }

        drop(cat.stdin.take());
        assert!(poll::readable(&fd, Some(Duration::from_secs(30))).unwrap());
        assert!(watch.is_over(), "a zombie has ended");
        assert!(EndWatch::new(identity).fd().is_none());
        cat.wait().unwrap();
        assert!(watch.is_over());
    }
}
