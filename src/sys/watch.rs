//! Tells when one of some files grows, shrinks or is replaced: `inotify(7)`, `kqueue(2)`, or a slow look at a clock.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[cfg(target_os = "linux")]
mod inotify;
#[cfg(not(target_os = "linux"))]
mod kqueue;

#[cfg(target_os = "linux")]
use inotify::Backend;
#[cfg(not(target_os = "linux"))]
use kqueue::Backend;

/// How often the caller has to look for itself where the kernel gives no more watches (`max_user_instances` of
/// `inotify(7)` is 128 for all programs of a user, and editors take many).
const FALLBACK: Duration = Duration::from_millis(250);

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A watched file may have changed.
    Changed,
    /// The time is up, or a signal came.
    TimedOut,
    /// Whoever reads the other end of the given descriptor is gone.
    Gone,
}

/// A watch on files, which need not exist yet.
#[derive(Debug)]
pub struct Watch {
    /// `None` where the kernel gave no watch.
    backend: Option<Backend>,
}

impl Watch {
    /// Watches the files at `paths`. A change before this call is not reported: look at the files after it.
    ///
    /// # Errors
    ///
    /// `NotFound` when the directory of one of them does not exist.
    pub fn new(paths: &[&Path]) -> io::Result<Watch> {
        match Backend::new(paths) {
            Ok(backend) => Ok(Watch { backend: Some(backend) }),
            // Out of instances, watches or descriptors: slower, but it works.
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::ENOMEM | Errno::ENOSYS) => {
                Ok(Watch { backend: None })
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits until a file may have changed (true), `timeout` is over, or a signal came (both false).
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(self.wait_for(timeout, None)? == Wake::Changed)
    }

    /// As [`Watch::wait`], and ends when the other end of `output` (a pipe or terminal) is closed, so that
    /// `tsm logs -f | head -1` ends although nothing more is logged.
    pub fn wait_or_gone(&mut self, timeout: Option<Duration>, output: BorrowedFd<'_>) -> io::Result<Wake> {
        self.wait_for(timeout, Some(output))
    }

    fn wait_for(&mut self, timeout: Option<Duration>, output: Option<BorrowedFd<'_>>) -> io::Result<Wake> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let pause = match (&self.backend, left) {
                (Some(_), left) => left,
                (None, left) => Some(left.map_or(FALLBACK, |left| left.min(FALLBACK))),
            };
            let mut polled = Vec::with_capacity(2);
            polled
                .extend(self.backend.as_ref().map(|backend| PollFd::new(backend.as_fd(), PollFlags::POLLIN)));
            // No event is asked for: an error or hang-up is always reported (poll(2)).
            polled.extend(output.map(|output| PollFd::new(output, PollFlags::empty())));
            let ready = match poll(&mut polled, milliseconds(pause)) {
                Err(Errno::EINTR) => return Ok(Wake::TimedOut),
                ready => ready?,
            };
            let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
            if output.is_some()
                && polled.last().and_then(PollFd::revents).is_some_and(|now| now.intersects(gone))
            {
                return Ok(Wake::Gone);
            }
            drop(polled);
            match &mut self.backend {
                None if left.is_some_and(|left| left.is_zero()) => return Ok(Wake::TimedOut),
                None => return Ok(Wake::Changed),
                Some(_) if ready == 0 => return Ok(Wake::TimedOut),
                // Something happened, but perhaps to another file of the directory.
                Some(backend) => {
                    if backend.drain()? {
                        return Ok(Wake::Changed);
                    }
                }
            }
        }
    }
}

/// A time for `poll(2)`, rounded up so that no time left but a little does not spin.
fn milliseconds(pause: Option<Duration>) -> PollTimeout {
    let Some(pause) = pause else { return PollTimeout::NONE };
    let rounded = pause.as_nanos().div_ceil(1_000_000);
    i32::try_from(rounded)
        .map_or(PollTimeout::MAX, |ms| PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX))
}

/// The directory of a file; a bare name is in the current one.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(20));
    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn watched() -> (tempfile::TempDir, PathBuf, Watch) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        append(&path, "one\n");
        let watch = Watch::new(&[&path]).unwrap();
        (dir, path, watch)
    }

    #[test]
    fn growth_wakes_and_silence_does_not() {
        let (_dir, path, mut watch) = watched();
        assert!(!watch.wait(NOW).unwrap());
        append(&path, "two\n");
        assert!(watch.wait(LONG).unwrap());
        assert!(!watch.wait(NOW).unwrap());
    }

    #[test]
    fn another_file_of_the_directory_does_not_wake() {
        let (dir, _path, mut watch) = watched();
        append(&dir.path().join("b.log"), "two\n");
        assert!(!watch.wait(NOW).unwrap());
    }

    #[test]
    fn a_file_is_watched_from_its_birth_and_through_replacement() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("later.log");
        let mut watch = Watch::new(&[&path]).unwrap();
        for text in ["one\n", "two\n"] {
            append(&path, text);
            assert!(watch.wait(LONG).unwrap(), "birth");
            append(&path, text);
            assert!(watch.wait(LONG).unwrap(), "growth");
            fs::remove_file(&path).unwrap();
            while watch.wait(NOW).unwrap() {}
        }
        let other = dir.path().join("other");
        append(&other, "x");
        while watch.wait(NOW).unwrap() {}
        fs::rename(&other, &path).unwrap();
        assert!(watch.wait(LONG).unwrap(), "rename");
    }

    #[test]
    fn truncation_wakes() {
        let (_dir, path, mut watch) = watched();
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        assert!(watch.wait(LONG).unwrap());
    }

    #[test]
    fn the_end_of_the_reader_wakes() {
        let (_dir, _path, mut watch) = watched();
        let (reader, writer) = io::pipe().unwrap();
        assert_eq!(watch.wait_or_gone(NOW, writer.as_fd()).unwrap(), Wake::TimedOut);
        drop(reader);
        assert_eq!(watch.wait_or_gone(LONG, writer.as_fd()).unwrap(), Wake::Gone);
    }

    #[test]
    fn without_a_kernel_watch_the_caller_looks_for_itself() {
        let mut watch = Watch { backend: None };
        assert!(watch.wait(None).unwrap());
        assert!(!watch.wait(NOW).unwrap());
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = Watch::new(&[&dir.path().join("none/a.log")]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
