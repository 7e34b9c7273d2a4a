//! The tie of a managed process to the life of another one, watched in the poll loop.

use std::os::fd::BorrowedFd;

use crate::model::Lifeline;
use crate::sys::ended::EndWatch;

/// How often the other process is looked at where the kernel gives no descriptor to wait for, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// The watch on a lifeline.
#[derive(Debug)]
pub(super) struct Tie {
    lifeline: Lifeline,
    /// None for a process of another boot.
    watch: Option<EndWatch>,
    /// When to look next, in monotonic milliseconds; only where there is no descriptor.
    next: u64,
}

impl Tie {
    /// Watches `lifeline`, in the boot `boot_id`.
    pub(super) fn new(lifeline: &Lifeline, boot_id: &str, now: u64) -> Self {
        let watch = (lifeline.boot_id == boot_id).then(|| EndWatch::new(lifeline.identity));
        Tie { lifeline: lifeline.clone(), watch, next: now }
    }

    /// What the loop must wait for.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().and_then(EndWatch::fd)
    }

    /// When the loop must wake up for it, in monotonic milliseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.fd().is_none().then_some(self.next)
    }

    /// True when the other process has ended; `ready` is what the loop says of [`Tie::fd`].
    pub(super) fn is_cut(&mut self, ready: bool, now: u64) -> bool {
        if self.fd().is_some() {
            return ready;
        }
        if now < self.next {
            return false;
        }
        self.next = now + LOOK_MS;
        self.is_over()
    }

    /// True when the other process has ended.
    pub(super) fn is_over(&self) -> bool {
        self.watch.as_ref().is_none_or(EndWatch::is_over)
    }

    /// Why the process ends then.
    pub(super) fn note(&self) -> String {
        format!("ended with its {} (PID {})", self.lifeline.holder(), self.lifeline.identity.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Identity, Pid};
    use crate::sys::process;

    #[test]
    fn a_reused_pid_or_another_boot_cuts_it_at_the_first_look() {
        let me = process::read(Pid::new(std::process::id() as i32).unwrap()).unwrap().identity();
        let tie = |start: u64, boot: &str| {
            let identity = Identity { start, ..me };
            let lifeline =
                Lifeline { identity, boot_id: boot.into(), what: "shell".into(), program: "sh".into() };
            Tie::new(&lifeline, "this", 5)
        };
        for (start, boot, cut) in [
            (me.start, "this", false),
            (me.start + 1, "this", true),
            (me.start - 1, "this", true),
            (me.start, "another", true),
            (me.start, "", true),
        ] {
            let mut tie = tie(start, boot);
            assert_eq!(tie.deadline(), cut.then_some(5), "nobody is woken for a living one");
            assert_eq!(tie.is_cut(false, 5), cut, "{start} {boot}");
        }
        let mut tie = tie(me.start, "this");
        assert!(tie.is_cut(true, 6));
        assert_eq!(tie.note(), format!("ended with its shell (PID {})", me.pid));
    }
}
