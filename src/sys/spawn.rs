//! Starting a program: own session, chosen descriptors, signals as a shell would leave them.
//!
//! `posix_spawn(3)` does it without copying this process and reports a failing `exec` as its own error.
#![expect(unsafe_code, reason = "posix_spawn(3)")]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use nix::libc;

use crate::model::Pid;

/// A new session for the child; 10.15 has it, the libc crate does not name it (`<spawn.h>`).
#[cfg(target_vendor = "apple")]
const NEW_SESSION: libc::c_int = 0x0400;
/// A new session for the child (`posix_spawnattr_setflags(3)`).
#[cfg(not(target_vendor = "apple"))]
const NEW_SESSION: libc::c_int = libc::POSIX_SPAWN_SETSID as libc::c_int;

/// A program to start. Its descriptors are exactly `fds`: the first becomes 0, the second 1, and so on.
#[derive(Debug)]
pub struct Command<'a> {
    /// The file to execute.
    pub program: &'a Path,
    /// Its words, its own name first.
    pub argv: &'a [OsString],
    /// Its environment, whole.
    pub env: &'a [(OsString, OsString)],
    /// Its descriptors.
    pub fds: &'a [BorrowedFd<'a>],
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: initialises `raw`, which is used only when that succeeded.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised above.
        Ok(Actions(unsafe { raw.assume_init() }))
    }

    fn dup2(&mut self, from: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: adds an entry to an initialised list.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, from, to) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// A new session, no blocked signal, every signal at its default.
    fn detached() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: initialises `raw`, which is used only when that succeeded.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised above.
        let mut made = Attributes(unsafe { raw.assume_init() });
        // SAFETY: an all-zero set is storage for sigfillset and sigemptyset, which fill it in.
        let (mut all, mut none): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
        let flags = NEW_SESSION
            | libc::POSIX_SPAWN_SETSIGDEF as libc::c_int
            | libc::POSIX_SPAWN_SETSIGMASK as libc::c_int;
        // SAFETY: all arguments are initialised and live for the calls.
        unsafe {
            libc::sigfillset(&raw mut all);
            libc::sigemptyset(&raw mut none);
            check(libc::posix_spawnattr_setsigdefault(&raw mut made.0, &raw const all))?;
            check(libc::posix_spawnattr_setsigmask(&raw mut made.0, &raw const none))?;
            check(libc::posix_spawnattr_setflags(&raw mut made.0, flags as libc::c_short))?;
        }
        Ok(made)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `detached`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

impl Command<'_> {
    /// Starts it in a session of its own, in the current working directory.
    ///
    /// # Errors
    /// What `execve(2)` says: not found, no permission, not a program; or that no process can be made.
    pub fn spawn(&self) -> io::Result<Pid> {
        let program = c_string(self.program.as_os_str())?;
        let argv = self.argv.iter().map(|word| c_string(word)).collect::<io::Result<Vec<_>>>()?;
        let mut env = Vec::with_capacity(self.env.len());
        for (name, value) in self.env {
            let mut entry = OsString::with_capacity(name.len() + 1 + value.len());
            entry.push(name);
            entry.push("=");
            entry.push(value);
            env.push(c_string(&entry)?);
        }
        // Copies above the targets, so that no dup2 overwrites a source that a later one needs.
        let floor = self.fds.len() as RawFd;
        let sources =
            self.fds.iter().map(|fd| dup_above(fd.as_raw_fd(), floor)).collect::<io::Result<Vec<_>>>()?;
        let mut actions = Actions::new()?;
        for (target, source) in sources.iter().enumerate() {
            actions.dup2(source.as_raw_fd(), target as RawFd)?;
        }
        let attributes = Attributes::detached()?;
        let argv = pointers(&argv);
        let env = pointers(&env);
        let mut pid: libc::pid_t = 0;
        // SAFETY: every pointer is to initialised memory that outlives the call; both arrays end with a null.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                &raw const actions.0,
                &raw const attributes.0,
                argv.as_ptr(),
                env.as_ptr(),
            )
        })?;
        Pid::new(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD))
    }
}

fn dup_above(fd: RawFd, floor: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: makes a new descriptor of one that the caller holds; the result is owned by nobody else.
    unsafe {
        let made = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, floor);
        if made < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(made)) }
    }
}

fn pointers(words: &[CString]) -> Vec<*mut libc::c_char> {
    words.iter().map(|word| word.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn run(program: &str, argv: &[&str]) -> io::Result<String> {
        let null = File::open("/dev/null").unwrap();
        let (mut read, write) = io::pipe().unwrap();
        let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
        let env = [("A".into(), "1".into())];
        let fds = [null.as_fd(), write.as_fd(), write.as_fd()];
        let pid = Command { program: Path::new(program), argv: &argv, env: &env, fds: &fds }.spawn()?;
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid.get()), None).unwrap();
        Ok(text)
    }

    #[test]
    fn a_child_leads_its_session_and_has_the_environment_it_was_given() {
        let text = run("/bin/sh", &["sh", "-c", "echo $A $$ $(ps -o sid= -p $$); env"]).unwrap();
        let mut words = text.split_whitespace();
        assert_eq!(words.next(), Some("1"));
        assert_eq!(words.next(), words.next(), "own session: {text}");
        assert!(text.contains("A=1\n") && !text.contains("HOME="), "{text}");
    }

    #[test]
    fn a_failing_exec_is_an_error_here() {
        assert_eq!(run("/does/not/exist", &["x"]).unwrap_err().raw_os_error(), Some(libc::ENOENT));
        assert_eq!(run("/etc/passwd", &["x"]).unwrap_err().raw_os_error(), Some(libc::EACCES));
    }
}
