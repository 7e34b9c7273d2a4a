//! The process table of Linux: `/proc` (proc(5)).
//!
//! Listing 2,000 processes is on the way of every `tsm list`, so paths are built on the stack, files are opened relative
//! to one directory, and nothing is formatted or allocated per file.
#![expect(unsafe_code, reason = "getdents64, readlinkat and clock_gettime without their allocating wrappers")]

use std::ffi::CStr;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::libc;
use nix::sys::stat::{Mode, fstatat};

use super::{Process, stat, tty, unit};
use crate::model::Pid;

/// The unit of `Process::start`.
pub(super) const START_UNITS_PER_SECOND: u64 = stat::TICKS_PER_SECOND;

/// Longer than any line of `/proc/PID/stat`: 52 numbers of at most 20 digits.
const STAT_BYTES: usize = 2048;

/// Now, in the unit and from the origin of `Process::start`.
pub fn clock() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a live timespec; the clock is one that every supported kernel has.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    if result != 0 {
        return 0;
    }
    let nanos_per_tick = 1_000_000_000 / stat::TICKS_PER_SECOND;
    now.tv_sec as u64 * stat::TICKS_PER_SECOND + now.tv_nsec as u64 / nanos_per_tick
}

/// The process, or `None` when it is gone.
pub fn read(pid: Pid) -> Option<Process> {
    Root::SYSTEM.read(pid.get() as u64, page_bytes(), &mut [0; STAT_BYTES])
}

/// Every process but PID 1, the kernel's own, and those in `skip`, which is sorted.
pub fn all_but(skip: &[Pid]) -> Vec<Process> {
    all_in(Path::new("/proc"), skip)
}

/// The words of its command line; none for a zombie or a kernel thread.
pub fn argv(pid: Pid) -> Vec<String> {
    let Ok(bytes) = Root::SYSTEM.contents(pid, b"/cmdline") else { return Vec::new() };
    let Some(words) = bytes.strip_suffix(&[0]).or((!bytes.is_empty()).then_some(&bytes[..])) else {
        return Vec::new();
    };
    words.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Its working directory; the kernel appends ` (deleted)` to one that is gone.
pub fn cwd(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The file that it executes; the kernel appends ` (deleted)` to one that is gone.
pub fn exe(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The environment that it was executed with: `NAME=value`, each ended by a NUL.
///
/// # Errors
/// It is gone, or belongs to another user.
pub fn environ(pid: Pid) -> io::Result<Vec<u8>> {
    Root::SYSTEM.contents(pid, b"/environ")
}

/// The real user of it.
pub fn owner(pid: Pid) -> Option<u32> {
    real_uid(&Root::SYSTEM.contents(pid, b"/status").ok()?)
}

/// Its controlling terminal, as it is called below `/dev`.
pub fn terminal(pid: Pid) -> Option<String> {
    tty::of_stat(&Root::SYSTEM.contents(pid, b"/stat").ok()?)
}

/// The systemd unit that it belongs to.
pub fn service_unit(pid: Pid) -> Option<String> {
    unit::of_cgroup(&Root::SYSTEM.contents(pid, b"/cgroup").ok()?)
}

/// The first of the four numbers on the `Uid:` line of `/proc/PID/status`.
fn real_uid(status: &[u8]) -> Option<u32> {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    let first = line.trim_ascii_start().split(u8::is_ascii_whitespace).next()?;
    stat::number(first).map(|uid| uid as u32)
}

/// True when it has exactly three descriptors, as far as the kernel can tell without listing them (Linux 6.2).
pub fn has_three_descriptors(pid: Pid) -> bool {
    Root::SYSTEM.descriptors(pid) == Some(3)
}

/// Its direct children; `threads` when known, which saves a listing for a process of one thread.
pub(super) fn children(pid: Pid, threads: Option<u32>) -> Option<Vec<Pid>> {
    // Only a kernel with CONFIG_PROC_CHILDREN has this file; without this look, a process that is gone would say the same.
    static KNOWN: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let known = *KNOWN.get_or_init(|| Path::new("/proc/thread-self/children").exists());
    known.then(|| Root::SYSTEM.children(pid, threads))
}

/// Calls `visit` with the inode of each socket that it holds.
pub(super) fn each_socket(pid: Pid, visit: &mut dyn FnMut(u64) -> ControlFlow<()>) {
    Root::SYSTEM.each_socket(pid, visit);
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf reads a constant.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// A path below `/proc`, built in place.
struct ProcPath {
    bytes: [u8; 64],
    len: usize,
}

impl ProcPath {
    fn new(prefix: &[u8]) -> Self {
        ProcPath { bytes: [0; 64], len: 0 }.then(prefix)
    }

    /// Appends `part`; the longest path, of a thread's children, has 42 bytes.
    fn then(mut self, part: &[u8]) -> Self {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        self
    }

    fn number(self, number: u64) -> Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return self.then(&digits[at..]);
            }
        }
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// A `/proc`: the system's, or a recorded one.
#[derive(Clone, Copy)]
struct Root<'a> {
    dir: BorrowedFd<'a>,
    prefix: &'static [u8],
}

impl Root<'_> {
    const SYSTEM: Root<'static> = Root { dir: AT_FDCWD, prefix: b"/proc/" };

    fn path(&self, pid: u64, rest: &[u8]) -> ProcPath {
        ProcPath::new(self.prefix).number(pid).then(rest)
    }

    fn open(&self, path: &ProcPath, flags: OFlag) -> nix::Result<OwnedFd> {
        openat(self.dir, path.as_c_str(), flags | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// One process; the kernel hands out the whole line in one read.
    fn read(&self, pid: u64, page_bytes: u64, buffer: &mut [u8]) -> Option<Process> {
        let file = self.open(&self.path(pid, b"/stat"), OFlag::empty()).ok()?;
        let length = nix::unistd::read(&file, buffer).ok()?;
        stat::parse(&buffer[..length], page_bytes)
    }

    fn contents(&self, pid: Pid, file: &[u8]) -> io::Result<Vec<u8>> {
        self.contents_of(&self.path(pid.get() as u64, file))
    }

    fn contents_of(&self, path: &ProcPath) -> io::Result<Vec<u8>> {
        let file = self.open(path, OFlag::empty())?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn children(&self, pid: Pid, threads: Option<u32>) -> Vec<Pid> {
        let number = pid.get() as u64;
        let mut found = Vec::new();
        let mut of_thread = |thread: u64| {
            let path = self.path(number, b"/task/").number(thread).then(b"/children");
            // A thread that ended meanwhile has handed its children to a sibling.
            if let Ok(list) = self.contents_of(&path) {
                let pids = list.split(|&byte| byte == b' ').filter_map(stat::number);
                found.extend(pids.filter_map(|pid| Pid::new(pid as i32)));
            }
            ControlFlow::Continue(())
        };
        if threads == Some(1) {
            let _ = of_thread(number);
        } else if let Ok(tasks) = self.open(&self.path(number, b"/task"), OFlag::O_DIRECTORY) {
            let _ = each_number(&tasks, &mut [0; 4096], of_thread);
        }
        found
    }

    /// The kernel's own threads, sorted: the children of `kthreadd`, which is PID 2 but for a PID namespace. They are
    /// nobody's processes, and on most machines as many as all others.
    fn kernel_threads(&self) -> Vec<Pid> {
        let parent = Pid::new(2).and_then(|pid| self.read(pid.get() as u64, 1, &mut [0; STAT_BYTES]));
        let Some(parent) = parent.filter(|parent| parent.ppid == 0 && *parent.comm == *"kthreadd") else {
            return Vec::new();
        };
        let mut threads = self.children(parent.pid, Some(parent.threads));
        threads.push(parent.pid);
        threads.sort_unstable();
        threads
    }

    /// How many descriptors it has open: since Linux 6.2 the size of `/proc/PID/fd`.
    fn descriptors(&self, pid: Pid) -> Option<u64> {
        let directory = self.path(pid.get() as u64, b"/fd");
        let size = fstatat(self.dir, directory.as_c_str(), AtFlags::empty()).ok()?.st_size as u64;
        (size > 0).then_some(size)
    }

    fn each_socket(&self, pid: Pid, visit: &mut dyn FnMut(u64) -> ControlFlow<()>) {
        // They are mostly the lowest numbers, so asking for those in turn costs less than half of listing them first.
        let count = self.descriptors(pid).unwrap_or(0);
        let pid = pid.get() as u64;
        let directory = self.path(pid, b"/fd");
        let mut seen = 0;
        for fd in 0..count.saturating_add(2).min(4096) {
            match self.socket(pid, fd) {
                Ok(None) => seen += 1,
                Ok(Some(inode)) => {
                    seen += 1;
                    if visit(inode).is_break() {
                        return;
                    }
                }
                Err(Errno::ENOENT) => {}
                Err(_) => return,
            }
            if seen == count {
                return;
            }
        }
        let Ok(list) = self.open(&directory, OFlag::O_DIRECTORY) else { return };
        let _ = each_number(&list, &mut [0; 4096], |fd| match self.socket(pid, fd) {
            Ok(Some(inode)) => visit(inode),
            _ => ControlFlow::Continue(()),
        });
    }

    /// The inode behind a descriptor of a process if it is a socket: the link reads `socket:[123]`.
    fn socket(&self, pid: u64, fd: u64) -> nix::Result<Option<u64>> {
        let path = self.path(pid, b"/fd/").number(fd);
        let mut target = [0_u8; 40];
        // SAFETY: the path ends with a NUL, and the kernel writes at most `target.len()` bytes to `target`.
        let length = unsafe {
            libc::readlinkat(
                self.dir.as_raw_fd(),
                path.as_c_str().as_ptr(),
                target.as_mut_ptr().cast(),
                target.len(),
            )
        };
        let target = &target[..Errno::result(length)? as usize];
        let inode = target.strip_prefix(b"socket:[").and_then(|rest| rest.strip_suffix(b"]"));
        Ok(inode.and_then(stat::number))
    }
}

/// Every process below a directory in the form of `/proc`, but PID 1, the kernel's own, and those in `skip`.
fn all_in(root: &Path, skip: &[Pid]) -> Vec<Process> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(dir) = openat(AT_FDCWD, root.as_os_str().as_bytes(), flags, Mode::empty()) else {
        return Vec::new();
    };
    let root = Root { dir: std::os::fd::AsFd::as_fd(&dir), prefix: b"" };
    let kernel = root.kernel_threads();
    let mut pids = Vec::with_capacity(512);
    let _ = each_number(&dir, &mut vec![0; 32 << 10], |number| {
        let wanted = |pid: &Pid| skip.binary_search(pid).is_err() && kernel.binary_search(pid).is_err();
        pids.extend(Pid::new(number as i32).filter(wanted));
        ControlFlow::Continue(())
    });
    let page_bytes = page_bytes();
    let mut line = [0; STAT_BYTES];
    pids.iter().filter_map(|pid| root.read(pid.get() as u64, page_bytes, &mut line)).collect()
}

/// Calls `visit` with each entry of a directory that is a number, until it breaks.
fn each_number(
    dir: &OwnedFd,
    buffer: &mut [u8],
    mut visit: impl FnMut(u64) -> ControlFlow<()>,
) -> ControlFlow<()> {
    loop {
        // SAFETY: the kernel writes at most `buffer.len()` bytes of entries to `buffer`.
        let length = unsafe {
            libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        };
        let Ok(length @ 1..) = usize::try_from(length) else { return ControlFlow::Continue(()) };
        let mut entries = &buffer[..length];
        while let Some((name, rest)) = split_entry(entries) {
            if let Some(number) = stat::number(name) {
                visit(number)?;
            }
            entries = rest;
        }
    }
}

/// Splits the first name from a buffer of getdents64(2): inode and offset (8 bytes each), the record's length (2), the
/// type (1), then the name and a NUL.
fn split_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(u16::from_ne_bytes(*entries.get(16..)?.first_chunk()?));
    let (entry, rest) = entries.split_at_checked(length)?;
    let name = CStr::from_bytes_until_nul(entry.get(19..)?).ok()?;
    Some((name.to_bytes(), rest))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A recorded tree: init, the kernel (2) and a thread of its (50), a shell (100) with a zombie (101) and a threaded server (102) whose thread 105 forked 106.
    fn recorded() -> (tempfile::TempDir, OwnedFd) {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for (pid, comm, state, ppid, threads) in [
            (1, "init", 'S', 0, 1),
            (2, "kthreadd", 'S', 0, 1),
            (50, "kworker/0:1", 'I', 2, 1),
            (100, "sh", 'S', 1, 1),
            (101, "x) Z 1 (y\n", 'Z', 100, 1),
            (102, "srv", 'S', 100, 2),
        ] {
            fs::create_dir_all(at(&format!("{pid}/fd"))).unwrap();
            let line = format!(
                "{pid} ({comm}) {state} {ppid} 100 100 0 -1 4194560 1 1 1 1 3 4 0 0 20 0 {threads} 0 {pid}00 1 2 3\n"
            );
            fs::write(at(&format!("{pid}/stat")), line).unwrap();
        }
        for (thread, list) in [
            ("2/task/2", "50 "),
            ("100/task/100", "101 102 "),
            ("102/task/102", ""),
            ("102/task/105", "106 "),
        ] {
            fs::create_dir_all(at(thread)).unwrap();
            fs::write(at(thread).join("children"), list).unwrap();
        }
        for (fd, target) in [
            ("0", "/dev/null"),
            ("3", "socket:[77]"),
            ("9", "anon_inode:[eventpoll]"),
            ("40000", "socket:[88]"),
        ] {
            symlink(target, at("102/fd").join(fd)).unwrap();
        }
        fs::create_dir(at("103")).unwrap();
        fs::create_dir(at("sys")).unwrap();
        let dir = fs::File::open(root.path()).unwrap().into();
        (root, dir)
    }

    #[test]
    fn a_recorded_tree_is_listed_without_init_the_kernel_and_what_is_half_gone() {
        let (root, _dir) = recorded();
        let mut found: Vec<_> = all_in(root.path(), &[])
            .into_iter()
            .map(|p| (p.pid.get(), p.ppid, p.state, p.start, p.comm.to_string()))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                (100, 1, 'S', 10_000, "sh".into()),
                (101, 100, 'Z', 10_100, "x) Z 1 (y\n".into()),
                (102, 100, 'S', 10_200, "srv".to_owned()),
            ]
        );
        let skipped = all_in(root.path(), &[100, 102].map(|pid| Pid::new(pid).unwrap()));
        assert_eq!(skipped.iter().map(|process| process.pid.get()).collect::<Vec<_>>(), [101]);
        assert!(all_in(Path::new("/nonexistent"), &[]).is_empty());
    }

    #[test]
    fn children_are_those_of_every_thread() {
        let (_root, dir) = recorded();
        let root = Root { dir: dir.as_fd(), prefix: b"" };
        for (pid, threads, children) in [
            (100, Some(1), &[101, 102][..]),
            (100, None, &[101, 102]),
            (102, Some(2), &[106]),
            (102, None, &[106]),
            (103, None, &[]),
        ] {
            let pid = Pid::new(pid).unwrap();
            let found: Vec<i32> = root.children(pid, threads).into_iter().map(Pid::get).collect();
            assert_eq!(found, children, "{pid} {threads:?}");
        }
    }

    #[test]
    fn sockets_are_found_at_low_and_high_descriptors() {
        let (_root, dir) = recorded();
        let root = Root { dir: dir.as_fd(), prefix: b"" };
        let mut found = Vec::new();
        root.each_socket(Pid::new(102).unwrap(), &mut |inode| {
            found.push(inode);
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, [77, 88]);

        let mut calls = 0;
        root.each_socket(Pid::new(102).unwrap(), &mut |_| {
            calls += 1;
            ControlFlow::Break(())
        });
        assert_eq!(calls, 1);
    }

    #[test]
    fn the_real_user_is_the_first_of_four() {
        let status = b"Name:\tUid: 7\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n";
        assert_eq!(real_uid(status), Some(1000));
        assert_eq!(real_uid(b"Name:\tx\n"), None);
    }
}
