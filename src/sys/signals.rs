//! Signals as bytes on a pipe, so that one `poll` loop sees them beside everything else.
#![expect(unsafe_code, reason = "sigaction(2)")]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// The numbers of the signals that TSM itself sends.
pub const HUP: i32 = libc::SIGHUP;
/// What Ctrl-C sends.
pub const INT: i32 = libc::SIGINT;
/// What Ctrl-\ sends.
pub const QUIT: i32 = libc::SIGQUIT;
/// Ends a process without asking.
pub const KILL: i32 = libc::SIGKILL;
/// Asks a process to end.
pub const TERM: i32 = libc::SIGTERM;
/// Halts a process.
pub const STOP: i32 = libc::SIGSTOP;
/// Lets a halted process go on: only then can it act on another signal.
pub const CONT: i32 = libc::SIGCONT;

/// The writing end of the pipe; -1 before [`Signals::catch`].
static WRITE_END: AtomicI32 = AtomicI32::new(-1);

/// A signal that a supervisor or a waiting verb cares about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// A child changed its state.
    Child,
    /// TERM: end in order.
    Terminate,
    /// INT: the user pressed Ctrl-C.
    Interrupt,
    /// HUP: the terminal is gone.
    Hangup,
    /// QUIT: the user pressed Ctrl-\.
    Quit,
}

/// The reading end of the pipe.
#[derive(Debug)]
pub struct Signals(File);

extern "C" fn note(number: libc::c_int) {
    let byte = number as u8;
    // SAFETY: write(2) is async-signal-safe; errno is the interrupted code's and is put back.
    unsafe {
        let errno = errno_location();
        let saved = *errno;
        libc::write(WRITE_END.load(Ordering::Relaxed), std::ptr::from_ref(&byte).cast(), 1);
        *errno = saved;
    }
}

unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: returns the address of this thread's errno, which is always valid.
    unsafe {
        #[cfg(target_os = "linux")]
        {
            libc::__errno_location()
        }
        #[cfg(not(target_os = "linux"))]
        {
            libc::__error()
        }
    }
}

/// The reading end of a new pipe, to whose other end `note` writes from now on.
fn open_pipe() -> io::Result<OwnedFd> {
    let (read, write) = super::fd::pipe()?;
    super::fd::set_nonblocking(&read)?;
    super::fd::set_nonblocking(&write)?;
    WRITE_END.store(write.into_raw_fd(), Ordering::Relaxed);
    Ok(read)
}

impl Signals {
    /// Catches CHLD, TERM and INT from now on and ignores HUP and PIPE: a supervisor outlives its terminal.
    ///
    /// Call it once in a process.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub fn catch() -> io::Result<Self> {
        let read = open_pipe()?;
        let caught = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        let ignored = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
        for (signal, action) in [
            (Signal::SIGCHLD, &caught),
            (Signal::SIGTERM, &caught),
            (Signal::SIGINT, &caught),
            (Signal::SIGHUP, &ignored),
            (Signal::SIGPIPE, &ignored),
        ] {
            // SAFETY: `note` only calls async-signal-safe functions.
            unsafe { sigaction(signal, action) }.map_err(io::Error::from)?;
        }
        SigSet::empty().thread_set_mask().map_err(io::Error::from)?;
        Ok(Signals(File::from(read)))
    }

    /// Catches CHLD, TERM, INT, HUP and QUIT from now on, for the time of a command in the foreground. What is ignored stays
    /// so, for the command too: a `nohup` holds for all that it is put before.
    ///
    /// Call it once in a process.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub fn catch_for_command() -> io::Result<Self> {
        let read = open_pipe()?;
        let caught = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
            // SAFETY: `note` only calls async-signal-safe functions.
            let before = unsafe { sigaction(signal, &caught) }.map_err(io::Error::from)?;
            if matches!(before.handler(), SigHandler::SigIgn) && signal != Signal::SIGCHLD {
                // SAFETY: what it was.
                unsafe { sigaction(signal, &before) }.map_err(io::Error::from)?;
            }
        }
        Ok(Signals(File::from(read)))
    }

    /// What arrived since the last call, each kind once.
    pub fn drain(&self) -> Vec<Caught> {
        let mut out = Vec::new();
        let mut buffer = [0u8; 64];
        while let Ok(count) = (&self.0).read(&mut buffer) {
            if count == 0 {
                break;
            }
            for byte in &buffer[..count] {
                let caught = match i32::from(*byte) {
                    libc::SIGCHLD => Caught::Child,
                    libc::SIGINT => Caught::Interrupt,
                    libc::SIGHUP => Caught::Hangup,
                    libc::SIGQUIT => Caught::Quit,
                    _ => Caught::Terminate,
                };
                if !out.contains(&caught) {
                    out.push(caught);
                }
            }
        }
        out
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}
