//! The watch of Linux: `inotify(7)`.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// One watch on each file for its growth, and one on its directory for its birth and replacement. A watch on the
/// directory alone would wake the reader of a quiet log for each line of a busy one.
#[derive(Debug)]
pub(super) struct Backend {
    inotify: Inotify,
    files: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    file: Option<WatchDescriptor>,
    directory: WatchDescriptor,
}

impl Backend {
    pub(super) fn new(paths: &[&Path]) -> nix::Result<Backend> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let born = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let directory = inotify.add_watch(super::directory(path), born)?;
            let file = watch_file(&inotify, path)?;
            files.push(Watched { path: path.to_path_buf(), file, directory });
        }
        Ok(Backend { inotify, files })
    }

    /// Takes what the kernel has to say; true when a watched file may have changed.
    pub(super) fn drain(&mut self) -> nix::Result<bool> {
        let mut changed = false;
        loop {
            let events = match self.inotify.read_events() {
                Err(Errno::EAGAIN) => return Ok(changed),
                Err(Errno::EINTR) => continue,
                events => events?,
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    for watched in &mut self.files {
                        watched.file = watch_file(&self.inotify, &watched.path)?;
                    }
                    changed = true;
                    continue;
                }
                for watched in &mut self.files {
                    let born = event.wd == watched.directory
                        && event.name.is_some()
                        && event.name.as_deref() == watched.path.file_name();
                    if born {
                        watched.file = watch_file(&self.inotify, &watched.path)?;
                    } else if watched.file == Some(event.wd) && event.mask.contains(AddWatchFlags::IN_IGNORED)
                    {
                        watched.file = None;
                    }
                    changed |= born || watched.file == Some(event.wd);
                }
            }
        }
    }
}

impl AsFd for Backend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Watches the file now at `path`, if there is one.
fn watch_file(inotify: &Inotify, path: &Path) -> nix::Result<Option<WatchDescriptor>> {
    let grown = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    match inotify.add_watch(path, grown) {
        Ok(watch) => Ok(Some(watch)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
