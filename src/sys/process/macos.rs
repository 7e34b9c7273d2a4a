//! The process table of macOS: libproc (`sys/proc_info.h`) and `sysctl(KERN_PROCARGS2)`.
//!
//! The kernel says nothing here about other users' processes and about zombies; both count as not there.
#![expect(unsafe_code, reason = "libproc has no safe face in the crates we use")]

use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc::{self, c_int, c_void};

use super::{Comm, Process, procargs};
use crate::model::Pid;

/// The unit of `Process::start`.
pub(super) const START_UNITS_PER_SECOND: u64 = 1_000_000;

/// `PROC_PIDFDSOCKETINFO` of `sys/proc_info.h`, which libc lacks.
const PROC_PIDFDSOCKETINFO: c_int = 3;

/// Now, in the unit and from the origin of `Process::start`.
pub fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// The process, or `None` when it is gone.
pub fn read(pid: Pid) -> Option<Process> {
    let info: libc::proc_taskallinfo = pid_info(pid, libc::PROC_PIDTASKALLINFO)?;
    let (bsd, task) = (&info.pbsd, &info.ptinfo);
    // SAFETY: getsid only looks up a number.
    let session = unsafe { libc::getsid(pid.get()) };
    let state = match bsd.pbi_status {
        libc::SIDL => 'I',
        libc::SRUN => 'R',
        libc::SSLEEP => 'S',
        libc::SSTOP => 'T',
        libc::SZOMB => 'Z',
        _ => '?',
    };
    Some(Process {
        pid,
        ppid: bsd.pbi_ppid as i32,
        pgid: bsd.pbi_pgid as i32,
        session,
        state,
        start: bsd.pbi_start_tvsec * START_UNITS_PER_SECOND + bsd.pbi_start_tvusec,
        cpu_ms: mach_ms(task.pti_total_user.saturating_add(task.pti_total_system)),
        rss_bytes: task.pti_resident_size,
        threads: task.pti_threadnum as u32,
        comm: Comm::from(&*text(&bsd.pbi_comm.map(|byte| byte as u8))),
    })
}

/// Every process of this user but PID 1 and those in `skip`, which is sorted.
pub fn all_but(skip: &[Pid]) -> Vec<Process> {
    // SAFETY: libproc writes at most `bytes` bytes of PIDs to `buffer`.
    let pids = pids(|buffer, bytes| unsafe { libc::proc_listallpids(buffer, bytes) });
    pids.into_iter().filter(|pid| skip.binary_search(pid).is_err()).filter_map(read).collect()
}

/// The words of its command line.
pub fn argv(pid: Pid) -> Vec<String> {
    proc_args(pid).map(|args| args.argv).unwrap_or_default()
}

/// Its working directory.
pub fn cwd(pid: Pid) -> Option<PathBuf> {
    let info: libc::proc_vnodepathinfo = pid_info(pid, libc::PROC_PIDVNODEPATHINFO)?;
    let path = info.pvi_cdir.vip_path.as_flattened().iter().map(|&byte| byte as u8);
    let path: Vec<u8> = path.take_while(|&byte| byte != 0).collect();
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(&path)))
}

/// The file that it executes.
pub fn exe(pid: Pid) -> Option<PathBuf> {
    let mut path = vec![0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: libproc writes at most `path.len()` bytes to `path`.
    let length = unsafe { libc::proc_pidpath(pid.get(), path.as_mut_ptr().cast(), path.len() as u32) };
    let path = path.get(..usize::try_from(length).ok()?)?;
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
}

/// The environment that it was executed with: `NAME=value`, each ended by a NUL.
///
/// # Errors
/// It is gone, or belongs to another user.
pub fn environ(pid: Pid) -> io::Result<Vec<u8>> {
    Ok(proc_args(pid)?.environ)
}

/// Always false: nothing here says so without listing them.
pub fn has_three_descriptors(_pid: Pid) -> bool {
    false
}

/// Its controlling terminal, as it is called below `/dev`.
pub fn terminal(pid: Pid) -> Option<String> {
    unsafe extern "C" {
        /// `devname_r(3)` of macOS, which libc lacks.
        fn devname_r(
            device: libc::dev_t,
            kind: libc::mode_t,
            name: *mut libc::c_char,
            room: c_int,
        ) -> *mut libc::c_char;
    }
    let info: libc::proc_bsdinfo = pid_info(pid, libc::PROC_PIDTBSDINFO)?;
    // `NODEV` is -1.
    let device = info.e_tdev as libc::dev_t;
    let mut name = [0_u8; 128];
    // SAFETY: it writes at most `name.len()` bytes with a NUL to `name`, or returns null.
    let found = device != -1
        && !unsafe { devname_r(device, libc::S_IFCHR, name.as_mut_ptr().cast(), name.len() as c_int) }
            .is_null();
    found.then(|| text(&name)).filter(|name| !name.is_empty())
}

/// None: launchd's jobs are not told by their processes.
pub fn service_unit(_pid: Pid) -> Option<String> {
    None
}

/// The real user of it.
pub fn owner(pid: Pid) -> Option<u32> {
    let info: libc::proc_bsdinfo = pid_info(pid, libc::PROC_PIDTBSDINFO)?;
    Some(info.pbi_ruid)
}

/// Its direct children.
#[expect(clippy::unnecessary_wraps, reason = "Linux cannot always tell")]
pub(super) fn children(pid: Pid, _threads: Option<u32>) -> Option<Vec<Pid>> {
    // SAFETY: libproc writes at most `bytes` bytes of PIDs to `buffer`.
    Some(pids(|buffer, bytes| unsafe { libc::proc_listchildpids(pid.get(), buffer, bytes) }))
}

/// Calls `visit` with the kernel's handle of each socket that it holds.
pub(super) fn each_socket(pid: Pid, visit: &mut dyn FnMut(u64) -> ControlFlow<()>) {
    each_socket_of(pid, &mut |info| {
        crate::sys::sockets::socket_handle(info).map_or(ControlFlow::Continue(()), &mut *visit)
    });
}

/// Calls `visit` with the bytes of the `socket_fdinfo` of each socket that a process holds.
pub(in crate::sys) fn each_socket_of(pid: Pid, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
    for fd in descriptors(pid) {
        if fd.proc_fdtype != libc::PROX_FDTYPE_SOCKET as u32 {
            continue;
        }
        // Larger than `socket_fdinfo` (792 bytes), so that one that grew at its end is taken too.
        let mut info = [0_u8; 2048];
        // SAFETY: libproc writes at most `info.len()` bytes to `info`.
        let length = unsafe {
            libc::proc_pidfdinfo(
                pid.get(),
                fd.proc_fd,
                PROC_PIDFDSOCKETINFO,
                info.as_mut_ptr().cast(),
                info.len() as c_int,
            )
        };
        let Some(info) = usize::try_from(length).ok().and_then(|length| info.get(..length)) else { continue };
        if visit(info).is_break() {
            return;
        }
    }
}

/// The value of a sysctl by its name.
pub(in crate::sys) fn sysctl_by_name(name: &CStr) -> Option<Vec<u8>> {
    let mut value = vec![0_u8; 1024];
    let mut length = value.len();
    // SAFETY: the name ends with a NUL; the kernel writes at most `length` bytes to `value`, and the size to `length`.
    let result = unsafe {
        libc::sysctlbyname(name.as_ptr(), value.as_mut_ptr().cast(), &raw mut length, std::ptr::null_mut(), 0)
    };
    (result == 0).then(|| {
        value.truncate(length);
        value
    })
}

/// The arguments and the environment of a process.
fn proc_args(pid: Pid) -> io::Result<procargs::ProcArgs> {
    // The kernel refuses a buffer that is too small instead of saying how much it needs; ARG_MAX is 1 MiB.
    let mut buffer = vec![0_u8; 1 << 20];
    let mut length = buffer.len();
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid.get()];
    // SAFETY: `name` has three elements; the kernel writes at most `length` bytes to `buffer`, and the size to `length`.
    let result = unsafe {
        libc::sysctl(
            name.as_mut_ptr(),
            name.len() as u32,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    buffer.truncate(length);
    procargs::parse(&buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A structure of `sys/proc_info.h` about a process.
fn pid_info<T: Info>(pid: Pid, flavor: c_int) -> Option<T> {
    let mut info = MaybeUninit::<T>::zeroed();
    let size = size_of::<T>() as c_int;
    // SAFETY: libproc writes at most `size` bytes to `info`.
    let length = unsafe { libc::proc_pidinfo(pid.get(), flavor, 0, info.as_mut_ptr().cast(), size) };
    // SAFETY: it was zeroed, and `Info` promises that any bytes are a value.
    (length == size).then(|| unsafe { info.assume_init() })
}

/// Structures of integers only.
///
/// # Safety
/// Any bytes must be a value of the type.
unsafe trait Info: Copy {}
// SAFETY: integers and arrays of them.
unsafe impl Info for libc::proc_taskallinfo {}
// SAFETY: integers and arrays of them.
unsafe impl Info for libc::proc_bsdinfo {}
// SAFETY: integers and arrays of them.
unsafe impl Info for libc::proc_vnodepathinfo {}

/// The open descriptors of a process.
fn descriptors(pid: Pid) -> Vec<libc::proc_fdinfo> {
    let one = size_of::<libc::proc_fdinfo>();
    // SAFETY: a null buffer asks for the size only.
    let needed = unsafe { libc::proc_pidinfo(pid.get(), libc::PROC_PIDLISTFDS, 0, std::ptr::null_mut(), 0) };
    let Ok(needed @ 1..) = usize::try_from(needed) else { return Vec::new() };
    // Some more, because the process may be opening files meanwhile.
    let mut found = vec![libc::proc_fdinfo { proc_fd: 0, proc_fdtype: 0 }; needed / one + 16];
    let bytes = (found.len() * one) as c_int;
    // SAFETY: libproc writes at most `bytes` bytes to `found`.
    let written =
        unsafe { libc::proc_pidinfo(pid.get(), libc::PROC_PIDLISTFDS, 0, found.as_mut_ptr().cast(), bytes) };
    found.truncate(usize::try_from(written).unwrap_or(0) / one);
    found
}

/// The PIDs that a listing call of libproc writes; such a call returns how many.
fn pids(list: impl Fn(*mut c_void, c_int) -> c_int) -> Vec<Pid> {
    let mut room = 1024;
    loop {
        let mut found = vec![0_i32; room];
        let count = list(found.as_mut_ptr().cast(), (room * size_of::<i32>()) as c_int);
        let count = usize::try_from(count).unwrap_or(0);
        // A full buffer may have been too small.
        if count < room {
            found.truncate(count);
            return found.into_iter().filter_map(Pid::new).collect();
        }
        room *= 2;
    }
}

/// Mach's ticks in milliseconds: a tick is a nanosecond on Intel and 125/3 on Apple's own processors.
#[expect(deprecated, reason = "the mach2 crate that libc points to has nothing else for us")]
fn mach_ms(ticks: u64) -> u64 {
    static RATIO: OnceLock<(u64, u64)> = OnceLock::new();
    let (numer, denom) = *RATIO.get_or_init(|| {
        let mut base = libc::mach_timebase_info { numer: 1, denom: 1 };
        // SAFETY: `base` is a live structure of the type asked for.
        let result = unsafe { libc::mach_timebase_info(&raw mut base) };
        if result == 0 && base.denom != 0 { (base.numer.into(), base.denom.into()) } else { (1, 1) }
    });
    (u128::from(ticks) * u128::from(numer) / u128::from(denom) / 1_000_000) as u64
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
