//! A connection to a program of this user, with a time limit for all that is said on it.

use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::Pid;
use crate::sys::{unix, user};

/// How long one program may take: a hung one must not hang the verb.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A connection that ends, with an error, when its time is over.
#[derive(Debug)]
pub(super) struct Talk {
    stream: UnixStream,
    end: Instant,
}

impl Talk {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// When nobody listens there, or somebody who is not `trusted`: the user ID on the other side is given.
    pub(super) fn to(path: &Path, trusted: impl FnOnce(u32) -> bool) -> io::Result<Self> {
        let stream = unix::connect_at_once(path)?;
        if !trusted(unix::peer_uid(&stream)?) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is somebody else's"));
        }
        Ok(Talk { stream, end: Instant::now() + PATIENCE })
    }

    /// Who listens.
    pub(super) fn peer(&self) -> Option<Pid> {
        Pid::new(unix::peer_pid(&self.stream).ok()?)
    }

    /// What is left of the time.
    fn left(&self) -> io::Result<Duration> {
        Some(self.end.saturating_duration_since(Instant::now()))
            .filter(|left| !left.is_zero())
            .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
    }
}

impl Read for Talk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        late(self.stream.read(buffer))
    }
}

impl Write for Talk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        late(self.stream.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A socket's own timeout looks like one that would block (`SO_RCVTIMEO`, socket(7)).
fn late(done: io::Result<usize>) -> io::Result<usize> {
    done.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        _ => error,
    })
}

/// True for a socket that belongs to this user.
pub(super) fn is_own_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.file_type().is_socket() && found.uid() == user::uid())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_who_is_trusted_is_spoken_to_and_silence_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let refused = Talk::to(&path, |uid| uid != user::uid()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        let mut talk = Talk::to(&path, |uid| uid == user::uid()).unwrap();
        assert_eq!(talk.peer().map(Pid::get), Some(std::process::id() as i32));
        assert_eq!(talk.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            talk.write(b"x").unwrap_err().kind(),
            io::ErrorKind::TimedOut,
            "the time is over for all of it"
        );
        assert!(is_own_socket(&path) && !is_own_socket(dir.path()));
        drop(listener);
        assert_eq!(Talk::to(&path, |_| true).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
