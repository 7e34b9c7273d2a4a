//! What the kernel says about processes.
//!
//! Everything here is one moment's truth: a process may be gone before the answer is used, and its PID reused. What
//! must not be mistaken is kept as an [`Identity`] and checked again ([`alive`], [`super::pidfd`]).

use std::ops::ControlFlow;

use crate::model::{Identity, Pid};

mod comm;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(any(target_os = "macos", test))]
mod procargs;
#[cfg(any(target_os = "linux", test))]
mod stat;
#[cfg(any(target_os = "linux", test))]
mod tty;
#[cfg(any(target_os = "linux", test))]
mod unit;

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
use macos as os;

pub use comm::Comm;
#[cfg(target_os = "macos")]
pub(super) use macos::{each_socket_of, sysctl_by_name};
pub use os::{
    all_but, argv, clock, cwd, environ, exe, has_three_descriptors, owner, read, service_unit, terminal,
};

/// The short name of every supervisor.
const SUPERVISOR: &str = "tsm-supervise";

/// Gives this process the short name of a supervisor (`PR_SET_NAME`, `prctl(2)`).
///
/// One that is started from inside a managed tree becomes a child of that tree's supervisor, a subreaper. On macOS, which
/// has neither such names nor subreapers, it leaves the tree when the verb that started it ends.
pub fn name_supervisor() {
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::ffi::CString::new(SUPERVISOR) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// One process, as the kernel saw it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process ID.
    pub pid: Pid,
    /// The parent; 0 and 1 are no [`Pid`].
    pub ppid: i32,
    /// The process group.
    pub pgid: i32,
    /// The session.
    pub session: i32,
    /// The letter of proc(5): `R`, `S`, `D`, `T`, ... and `Z` for a zombie, `X` for dead.
    pub state: char,
    /// When it was started, in the unit of [`Identity`].
    pub start: u64,
    /// Processor time used by all its threads, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// How many threads it has.
    pub threads: u32,
    /// The kernel's short name of it; any bytes, so sanitize before printing.
    pub comm: Comm,
}

impl Process {
    /// This incarnation of it.
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, start: self.start }
    }

    /// True for a supervisor (see [`name_supervisor`]): its tree is no part of the one that it was started in.
    pub fn is_supervisor(&self) -> bool {
        *self.comm == *SUPERVISOR
    }

    /// True when it runs no more: a zombie that its parent has not reaped, or less than that.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Every process that this user can see, but PID 1.
pub fn all() -> Vec<Process> {
    all_but(&[])
}

/// True when that very process runs: same start time, not a zombie.
pub fn alive(identity: &Identity) -> bool {
    read(identity.pid).is_some_and(|process| process.start == identity.start && !process.is_dead())
}

/// The time from `start` to `now` (see [`clock`]), in milliseconds.
pub fn age_ms(start: u64, now: u64) -> u64 {
    now.saturating_sub(start).saturating_mul(1000) / os::START_UNITS_PER_SECOND
}

/// The direct children of a process; `None` where the kernel cannot tell without reading every process.
///
/// A child that starts or ends meanwhile may hide one of its siblings from the kernel's walk (proc(5)), so an end to
/// all children is proved only by [`all`].
pub fn children(pid: Pid) -> Option<Vec<Pid>> {
    os::children(pid, None)
}

/// [`children`], cheaper for a process that is known.
pub fn children_of(process: &Process) -> Option<Vec<Pid>> {
    os::children(process.pid, Some(process.threads))
}

/// The inodes of the sockets that a process holds (on macOS the kernel's handles); none for a process that this user
/// may not inspect.
pub fn socket_inodes(pid: Pid) -> Vec<u64> {
    let mut found = Vec::new();
    each_socket(pid, &mut |inode| {
        found.push(inode);
        ControlFlow::Continue(())
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// Calls `visit` with each socket that a process holds until it breaks; one may come twice.
pub fn each_socket(pid: Pid, visit: &mut dyn FnMut(u64) -> ControlFlow<()>) {
    os::each_socket(pid, visit);
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::process::{Command, Stdio};

    use super::*;

    fn own() -> Pid {
        Pid::new(std::process::id() as i32).unwrap()
    }

    #[test]
    fn this_process_is_known_in_every_respect() {
        let me = read(own()).unwrap();
        assert_eq!(me.pid, own());
        assert_eq!(me.ppid, std::os::unix::process::parent_id() as i32);
        assert!(me.rss_bytes > 100_000 && me.threads >= 1 && !me.is_dead(), "{me:?}");
        assert!(alive(&me.identity()));
        assert!(!alive(&Identity { start: me.start + 1, ..me.identity() }));
        assert!(age_ms(me.start, clock()) < 3_600_000, "started {} now {}", me.start, clock());
        assert_eq!(cwd(own()), std::env::current_dir().ok());
        assert_eq!(
            exe(own()).and_then(|path| path.canonicalize().ok()),
            std::env::current_exe().ok().and_then(|path| path.canonicalize().ok())
        );
        assert_eq!(argv(own()), std::env::args().collect::<Vec<_>>());
        assert_eq!(owner(own()), Some(nix::unistd::getuid().as_raw()));
        let listed = all();
        let found = listed.iter().find(|process| process.pid == own()).unwrap();
        assert_eq!((found.start, &found.comm), (me.start, &me.comm));
    }

    #[test]
    fn a_child_is_seen_with_its_environment_until_it_is_reaped() {
        let mut child = Command::new("cat")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TSM_TEST", "a b\nc")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::new(child.id() as i32).unwrap();
        let process = read(pid).unwrap();
        assert_eq!(process.ppid, own().get());
        let environ = environ(pid).unwrap();
        assert!(environ.split(|&byte| byte == 0).any(|one| one == b"TSM_TEST=a b\nc"));
        if let Some(children) = children(own()) {
            assert!(children.contains(&pid));
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!alive(&process.identity()));
        assert_eq!(read(pid).filter(|other| other.start == process.start), None);
    }

    #[test]
    fn a_listening_socket_is_among_the_sockets_of_its_process() {
        let before = socket_inodes(own());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inode = crate::sys::sockets::listeners()
            .unwrap()
            .into_iter()
            .find(|one| one.port == port)
            .map(|one| one.inode)
            .unwrap();
        assert!(!before.contains(&inode));
        assert!(socket_inodes(own()).contains(&inode));
    }

    #[test]
    fn a_process_that_is_not_there_has_nothing() {
        let nobody = Pid::new(i32::MAX).unwrap();
        assert_eq!(read(nobody), None);
        assert_eq!((cwd(nobody), exe(nobody), owner(nobody)), (None, None, None));
        assert!(argv(nobody).is_empty() && socket_inodes(nobody).is_empty());
        assert!(environ(nobody).is_err());
        assert!(children(nobody).is_none_or(|children| children.is_empty()));
    }
}
