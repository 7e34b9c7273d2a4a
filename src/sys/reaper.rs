//! Children: collecting those that ended, and inheriting the orphans of our own tree.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "prctl(2)"))]

use std::io;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid as Raw;

use crate::model::Pid;

/// True where orphans of the tree come back to the supervisor, so that having no child means an empty tree.
pub const INHERITS_ORPHANS: bool = cfg!(target_os = "linux");

/// What `waitpid(2)` had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// This child ended, with a code or by a signal.
    Ended {
        /// Which child.
        pid: Pid,
        /// Its exit code, if it exited.
        code: Option<i32>,
        /// The signal that ended it, otherwise.
        signal: Option<i32>,
    },
    /// There are children and none of them has ended.
    NoneEnded,
    /// There is no child: as a subreaper has every orphan of its tree as a child, nothing of the tree is alive.
    NoChildren,
}

/// Collects one child that ended, without waiting.
pub fn reap() -> Reaped {
    loop {
        match waitpid(Raw::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => {
                if let Some(pid) = Pid::new(pid.as_raw()) {
                    return Reaped::Ended { pid, code: Some(code), signal: None };
                }
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                if let Some(pid) = Pid::new(pid.as_raw()) {
                    return Reaped::Ended { pid, code: None, signal: Some(signal as i32) };
                }
            }
            Ok(WaitStatus::StillAlive) => return Reaped::NoneEnded,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Reaped::NoChildren,
        }
    }
}

/// Makes this process the parent of every orphan among its descendants (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`).
///
/// macOS has nothing like it: there, orphans are found by their environment's marker.
///
/// # Errors
/// When the kernel refuses (Linux before 3.4).
pub fn become_subreaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: sets a flag of this process; no memory is involved.
        let done = unsafe { nix::libc::prctl(nix::libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
