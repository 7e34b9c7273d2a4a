//! Unix sockets at paths of any length, and who is on the other side of one.
//!
//! `unix(7)`: a socket's address holds 107 bytes of path (103 on macOS). A longer path is reached through its open
//! directory on Linux, through a short link elsewhere.
#![expect(unsafe_code, reason = "umask(2) has no failure and no safe wrapper that keeps the old value")]

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::libc;

/// The longest path that fits a socket address on every platform we know.
pub const MAX_PATH: usize = 103;

/// Calls `act` with a path to `socket` that fits into a socket address.
fn through<T>(socket: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if socket.as_os_str().len() <= MAX_PATH {
        return act(socket);
    }
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let dir = fs::File::open(dir)?;
        act(&PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name))
    }
    #[cfg(not(target_os = "linux"))]
    {
        act(&short_link(dir)?.join(name))
    }
}

/// A short path to the directory `dir`: a link in a directory of this user's under `/tmp`, made when missing.
///
/// # Errors
/// When `/tmp/tsm-UID` belongs to somebody else or cannot be written.
pub fn short_link(dir: &Path) -> io::Result<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let private = PathBuf::from(format!("/tmp/tsm-{uid}"));
    match fs::DirBuilder::new().mode(0o700).create(&private) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&private)?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not a private directory of this user", private.display()),
        ));
    }
    sweep(&private);
    let link = short_path(dir);
    if fs::read_link(&link).is_ok_and(|target| target == dir) {
        return Ok(link);
    }
    let fresh =
        private.join(format!("{:016x}.{}", fnv1a(dir.as_os_str().as_encoded_bytes()), std::process::id()));
    let _ = fs::remove_file(&fresh);
    std::os::unix::fs::symlink(dir, &fresh)?;
    fs::rename(&fresh, &link)?;
    Ok(link)
}

/// The path that [`short_link`] makes: the same for the same directory, whether it is there or not.
pub fn short_path(dir: &Path) -> PathBuf {
    let uid = nix::unistd::geteuid().as_raw();
    PathBuf::from(format!("/tmp/tsm-{uid}/{:016x}", fnv1a(dir.as_os_str().as_encoded_bytes())))
}

/// Removes the links that lead nowhere: to directories that went without being deleted.
fn sweep(private: &Path) {
    for item in fs::read_dir(private).into_iter().flatten().flatten() {
        if fs::metadata(item.path()).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let _ = fs::remove_file(item.path());
        }
    }
}

/// The short links of this user to directories below `parent` that are gone: each link, and where it leads.
pub fn dead_short_links(parent: &Path) -> Vec<(PathBuf, PathBuf)> {
    let uid = nix::unistd::geteuid().as_raw();
    let private = PathBuf::from(format!("/tmp/tsm-{uid}"));
    if !fs::symlink_metadata(&private).is_ok_and(|found| found.is_dir() && found.uid() == uid) {
        return Vec::new();
    }
    let links = fs::read_dir(private).into_iter().flatten().flatten().map(|item| item.path());
    links
        .filter_map(|link| Some((fs::read_link(&link).ok()?, link)))
        .filter(|(target, _)| target.starts_with(parent))
        .filter(|(target, _)| {
            fs::symlink_metadata(target).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        })
        .map(|(target, link)| (link, target))
        .collect()
}

/// Removes the short link to `dir`, if there is one.
pub fn remove_short_link(dir: &Path) {
    let link = short_path(dir);
    if fs::read_link(&link).is_ok_and(|target| target == dir) {
        let _ = fs::remove_file(&link);
        let _ = link.parent().map(fs::remove_dir);
    }
}

/// The FNV-1a hash: names must only be short and rarely equal, and an equal one is found by its target.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Runs `make` so that what it creates is readable and writable by this user only.
fn privately<T>(make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // SAFETY: umask(2) cannot fail; it is put back before anything else of this thread runs.
    let before = unsafe { libc::umask(0o177) };
    let result = make();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    result
}

/// Listens at `path`, replacing what a dead predecessor left there; only this user can connect.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    remove(path)?;
    privately(|| through(path, |short| UnixListener::bind(short)))
}

/// Receives datagrams at `path`, replacing what a dead predecessor left there.
///
/// # Errors
/// When the socket cannot be made.
pub fn receive(path: &Path) -> io::Result<UnixDatagram> {
    remove(path)?;
    privately(|| through(path, |short| UnixDatagram::bind(short)))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Connects to the socket at `path`.
///
/// # Errors
/// Not found: nobody ever listened there. Refused: the listener is dead.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    through(path, |short| UnixStream::connect(short))
}

/// Connects to the socket at `path`, and does not wait where the listener has let too many others wait (`connect(2)`).
///
/// # Errors
/// As [`connect`]; would block: nobody has been accepted for a long time.
pub fn connect_at_once(path: &Path) -> io::Result<UnixStream> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    super::fd::set_cloexec(fd.as_raw_fd())?;
    super::fd::set_nonblocking(&fd)?;
    through(path, |short| Ok(connect(fd.as_raw_fd(), &UnixAddr::new(short)?)?))?;
    let stream = UnixStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// The user on the other side of a connection (`SO_PEERCRED`, `unix(7)`).
///
/// # Errors
/// When the kernel cannot tell.
pub fn peer_uid(socket: &impl AsFd) -> io::Result<u32> {
    #[cfg(target_os = "linux")]
    {
        let who = nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::PeerCredentials)?;
        Ok(who.uid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        Ok(nix::unistd::getpeereid(socket.as_fd())?.0.as_raw())
    }
}

/// The process that listens on the other side of a connection, as it was when it began to (`SO_PEERCRED`, `unix(7)`).
///
/// # Errors
/// When the kernel cannot tell.
pub fn peer_pid(socket: &impl AsFd) -> io::Result<i32> {
    use nix::sys::socket::{getsockopt, sockopt};
    #[cfg(target_os = "linux")]
    {
        Ok(getsockopt(socket, sockopt::PeerCredentials)?.pid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        Ok(getsockopt(socket, sockopt::LocalPeerPid)?)
    }
}

/// True when `uid` may give orders to what this user runs: the user itself, or root.
pub fn may_command(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn only_the_user_and_root_give_orders() {
        let own = nix::unistd::geteuid().as_raw();
        for (uid, may) in [(own, true), (0, true), (own + 1, false), (65_534, own == 65_534)] {
            assert_eq!(may_command(uid), may, "{uid}");
        }
    }

    #[test]
    fn a_path_over_the_address_limit_can_be_bound_and_connected_to() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("control.sock");
        let listener = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for reach in [path.clone(), short_link(&dir).unwrap().join("control.sock")] {
            connect_at_once(&reach).unwrap();
            listener.accept().unwrap();
            let mut client = connect(&reach).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(b"hello").unwrap();
            drop(client);
            let mut text = String::new();
            server.read_to_string(&mut text).unwrap();
            assert_eq!(text, "hello", "{}", reach.display());
            assert_eq!(peer_uid(&server).unwrap(), nix::unistd::geteuid().as_raw());
            assert_eq!(peer_pid(&server).unwrap(), nix::unistd::getpid().as_raw());
        }
        remove_short_link(&dir);
        assert!(listen(&path).is_ok(), "a stale socket is replaced");
    }
}
