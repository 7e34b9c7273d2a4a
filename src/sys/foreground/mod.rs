//! A program in the foreground: it shares this process's terminal, group and descriptors, and does not outlive it.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "prctl(2) between fork and exec"))]

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::model::Pid;

pub mod session;

/// The error of a file that is executable and no program (`ENOEXEC`).
pub const NOT_A_PROGRAM: i32 = nix::libc::ENOEXEC;

/// Starts `program` with the words `argv`, its own name first, in the environment `env` and the current directory.
///
/// Unlike what [`super::spawn`] starts, it has the descriptors of this process, and a Ctrl-C of the terminal reaches it.
/// On Linux it gets TERM when this process dies (`PR_SET_PDEATHSIG`, `prctl(2)`): that has to be asked for between fork
/// and exec, which `posix_spawn(3)` has no word for. macOS has nothing like it.
///
/// # Errors
/// What `execve(2)` says: not found, no permission, not a program; or that no process can be made.
pub fn start(program: &Path, argv: &[OsString], env: &[(OsString, OsString)]) -> io::Result<Pid> {
    let mut command = Command::new(program);
    if let [name, words @ ..] = argv {
        command.arg0(name).args(words);
    }
    command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        let tied = move || {
            // SAFETY: sets an attribute of the new process; no memory is involved.
            unsafe { nix::libc::prctl(nix::libc::PR_SET_PDEATHSIG, nix::libc::SIGTERM, 0, 0, 0) };
            // Died before that took effect.
            if std::os::unix::process::parent_id() == parent {
                Ok(())
            } else {
                Err(io::ErrorKind::Interrupted.into())
            }
        };
        // SAFETY: prctl(2) and getppid(2) are safe between fork and exec.
        unsafe { command.pre_exec(tied) };
    }
    let child = command.spawn()?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::new)
        .ok_or_else(|| io::Error::from_raw_os_error(nix::libc::ECHILD))
}
