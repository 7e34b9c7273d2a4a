//! The watch of macOS and the BSDs: `kqueue(2)`.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

/// `EVFILT_VNODE` on each file and on each directory; an event ends with the descriptor it was asked for.
#[derive(Debug)]
pub(super) struct Backend {
    kqueue: Kqueue,
    files: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    file: Option<File>,
    directory: File,
}

impl Backend {
    pub(super) fn new(paths: &[&Path]) -> nix::Result<Backend> {
        let kqueue = Kqueue::new()?;
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let directory = File::open(super::directory(path)).map_err(|error| errno(&error))?;
            register(&kqueue, &directory)?;
            let file = watch_file(&kqueue, path)?;
            files.push(Watched { path: path.to_path_buf(), file, directory });
        }
        Ok(Backend { kqueue, files })
    }

    /// Takes what the kernel has to say; true when a watched file may have changed.
    pub(super) fn drain(&mut self) -> nix::Result<bool> {
        let none = KEvent::new(0, EventFilter::EVFILT_VNODE, EvFlags::empty(), FilterFlag::empty(), 0, 0);
        let mut events = [none; 16];
        let mut changed = false;
        loop {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            let count = match self.kqueue.kevent(&[], &mut events, Some(now)) {
                Err(Errno::EINTR) => continue,
                count => count?,
            };
            for event in &events[..count] {
                for watched in &mut self.files {
                    if watched.file.as_ref().is_some_and(|file| same(event, file)) {
                        changed = true;
                    } else if same(event, &watched.directory) && !watched.is_current() {
                        watched.file = watch_file(&self.kqueue, &watched.path)?;
                        changed |= watched.file.is_some();
                    }
                }
            }
            if count < events.len() {
                return Ok(changed);
            }
        }
    }
}

impl Watched {
    /// True when the open file is the one at the path.
    fn is_current(&self) -> bool {
        let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let open = self.file.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        open == self.path.metadata().ok().map(identity)
    }
}

impl AsFd for Backend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

fn same(event: &KEvent, file: &File) -> bool {
    usize::try_from(file.as_raw_fd()).is_ok_and(|fd| fd == event.ident())
}

/// Watches the file now at `path`, if there is one.
fn watch_file(kqueue: &Kqueue, path: &Path) -> nix::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => register(kqueue, &file).map(|()| Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(errno(&error)),
    }
}

fn register(kqueue: &Kqueue, file: &File) -> nix::Result<()> {
    let what = FilterFlag::NOTE_WRITE
        | FilterFlag::NOTE_EXTEND
        | FilterFlag::NOTE_ATTRIB
        | FilterFlag::NOTE_DELETE
        | FilterFlag::NOTE_RENAME;
    let ident = usize::try_from(file.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let how = EvFlags::EV_ADD | EvFlags::EV_CLEAR;
    let change = KEvent::new(ident, EventFilter::EVFILT_VNODE, how, what, 0, 0);
    kqueue.kevent(&[change], &mut [], None).map(|_| ())
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
