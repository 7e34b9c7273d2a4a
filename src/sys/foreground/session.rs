//! Programs in the foreground of a terminal, one after the other. This process outlives their Ctrl-C and finds the terminal
//! as it was; what runs is taken along when this process is told to end.
#![expect(unsafe_code, reason = "signal handlers, and what they may call; waitid(2)")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};

/// The program in the foreground, as long as it has not been waited for; 0 for none.
static CHILD: AtomicI32 = AtomicI32::new(0);
/// How the terminal was.
static TERMINAL: OnceLock<libc::termios> = OnceLock::new();

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

impl Ended {
    /// The code as a shell counts it.
    pub fn code(self) -> u8 {
        match self {
            Ended::Exited(code) => (code & 0xff) as u8,
            Ended::Signaled(signal) => 128_u8.saturating_add(signal as u8),
        }
    }

    /// True when Ctrl-C ended it.
    pub fn interrupted(self) -> bool {
        self == Ended::Signaled(libc::SIGINT)
    }
}

/// The right to run programs so; there is one in a process.
#[derive(Debug)]
pub struct Session {
    /// Standard input is a terminal, and this process was in its foreground.
    terminal: bool,
}

/// A signal that is to be outlived must not be ignored, because a child would ignore it as well (`execve(2)`).
extern "C" fn outlive(_: libc::c_int) {}

extern "C" fn end(number: libc::c_int) {
    // SAFETY: each of these is async-signal-safe; the child has not been waited for, so its PID is its own.
    unsafe {
        let child = CHILD.load(Ordering::Relaxed);
        if child > 0 {
            libc::kill(child, number);
        }
        restore();
        libc::signal(number, libc::SIG_DFL);
        libc::raise(number);
    }
}

/// Puts the terminal back as it was.
unsafe fn restore() {
    if let Some(saved) = TERMINAL.get() {
        // SAFETY: both calls are async-signal-safe, and `saved` lives for ever. In the background the second one would
        // stop this process otherwise.
        unsafe {
            let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, std::ptr::from_ref(saved));
            libc::signal(libc::SIGTTOU, before);
        }
    }
}

/// Has `signal` handled so, unless the caller of this program had it ignored.
fn handle(signal: Signal, handler: extern "C" fn(libc::c_int)) -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: both handlers call nothing that is not async-signal-safe.
    unsafe {
        let before = sigaction(signal, &action)?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            sigaction(signal, &before)?;
        }
    }
    Ok(())
}

/// The signals that end a session.
const ENDING: [Signal; 2] = [Signal::SIGTERM, Signal::SIGHUP];

impl Session {
    /// From now on TERM and HUP end the program in the foreground, too. With `terminal`, Ctrl-C and Ctrl-\ are its alone.
    ///
    /// # Errors
    /// When the kernel does not take a handler.
    pub fn begin(terminal: bool) -> io::Result<Self> {
        for signal in ENDING {
            handle(signal, end)?;
        }
        if terminal {
            let mut now = MaybeUninit::uninit();
            // SAFETY: fills in `now`, which is used only when that succeeded.
            if unsafe { libc::tcgetattr(libc::STDIN_FILENO, now.as_mut_ptr()) } == 0 {
                // SAFETY: filled in above.
                let _ = TERMINAL.set(unsafe { now.assume_init() });
            }
            handle(Signal::SIGINT, outlive)?;
            handle(Signal::SIGQUIT, outlive)?;
        }
        Ok(Session { terminal: terminal && in_foreground() })
    }

    /// Runs `program` with the words `argv`, its own name first, to its end. It has this process's descriptors, directory
    /// and environment, in which these are set, or taken out.
    ///
    /// # Errors
    /// What `execve(2)` says: not found, no permission, not a program; or that no process can be made.
    pub fn run(
        &self,
        program: &Path,
        argv: &[OsString],
        changes: &[(&OsStr, Option<OsString>)],
    ) -> io::Result<Ended> {
        let mut command = Command::new(program);
        if let [name, words @ ..] = argv {
            command.arg0(name).args(words);
        }
        for (name, value) in changes {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // One that arrives before the child is known would end us without it. The child inherits what is blocked.
        let ending = ENDING.into_iter().collect::<SigSet>();
        let before = ending.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        // SAFETY: sigprocmask(2) is async-signal-safe.
        unsafe { command.pre_exec(move || Ok(before.thread_set_mask()?)) };
        let spawned = command.spawn();
        if let Ok(child) = &spawned {
            CHILD.store(child.id() as i32, Ordering::Relaxed);
        }
        before.thread_set_mask()?;
        let mut child = spawned?;
        wait_without_reaping(child.id());
        CHILD.store(0, Ordering::Relaxed);
        let status = child.wait()?;
        let ended = match status.signal() {
            Some(signal) => Ended::Signaled(signal),
            None => Ended::Exited(status.code().unwrap_or_default()),
        };
        if self.terminal {
            take_terminal_back();
            if let Ended::Signaled(_) = ended {
                // SAFETY: async-signal-safe calls are safe everywhere.
                unsafe { restore() };
            }
        }
        Ok(ended)
    }
}

/// Waits until the child has ended; its PID stays its own until it is reaped.
fn wait_without_reaping(pid: u32) {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: fills in `info`, which lives for the call.
        let done =
            unsafe { libc::waitid(libc::P_PID, pid, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
        if done == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// True when standard input is a terminal whose foreground this process is in.
fn in_foreground() -> bool {
    nix::unistd::tcgetpgrp(io::stdin()).is_ok_and(|group| group == nix::unistd::getpgrp())
}

/// A shell that is killed cannot give the foreground back. Only from a group that has no process any more: otherwise it is
/// somebody's.
fn take_terminal_back() {
    let Ok(group) = nix::unistd::tcgetpgrp(io::stdin()) else { return };
    let own = nix::unistd::getpgrp();
    let is_gone = || nix::sys::signal::killpg(group, None) == Err(nix::errno::Errno::ESRCH);
    if group != own && is_gone() {
        // SAFETY: ignoring a signal and undoing that has no memory effects; in the background tcsetpgrp(3) would stop us.
        let before = unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
        let _ = nix::unistd::tcsetpgrp(io::stdin(), own);
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGTTOU, before) };
    }
}

/// Standard input for this process alone: what it runs from now on reads `/dev/null`.
///
/// # Errors
/// When the process has no descriptors left.
pub fn private_stdin() -> io::Result<File> {
    let null = File::open("/dev/null")?;
    // SAFETY: makes a new descriptor, owned by nobody else, then replaces the one that standard input goes by.
    unsafe {
        let own = libc::fcntl(libc::STDIN_FILENO, libc::F_DUPFD_CLOEXEC, 3);
        if own < 0 {
            return Err(io::Error::last_os_error());
        }
        let own = File::from_raw_fd(own);
        if libc::dup2(null.as_raw_fd(), libc::STDIN_FILENO) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_run_to_its_end_with_the_environment_that_was_asked_for() {
        let session = Session { terminal: false };
        let run = |script: &str| {
            let argv = ["sh", "-c", script].map(OsString::from);
            session.run(Path::new("/bin/sh"), &argv, &[(OsStr::new("A"), Some("1".into()))]).unwrap()
        };
        assert_eq!(run("exit $((A + 2))"), Ended::Exited(3));
        let killed = run("kill -9 $$");
        assert_eq!((killed, killed.code()), (Ended::Signaled(9), 137));
        let missing = session.run(Path::new("/does/not/exist"), &["x".into()], &[]).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(CHILD.load(Ordering::Relaxed), 0);
    }
}
