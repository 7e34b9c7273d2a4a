//! Every path under `TSM_DIR`, built in one place (design.md section 3).

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::Name;
use crate::sys::unix;

/// The directory tree of one user's TSM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The tree below `root`, which is an absolute path.
    pub fn new(root: PathBuf) -> Self {
        Layout { root }
    }

    /// `TSM_DIR` itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock that is held while an ID, a name and a port are being reserved.
    pub fn runtime_lock(&self) -> PathBuf {
        self.root.join("runtime/lock")
    }

    /// The ports that directories were given before.
    pub fn ports(&self) -> PathBuf {
        self.root.join("runtime/ports.json")
    }

    /// The files of the optional daemon.
    pub fn daemon(&self) -> DaemonFiles {
        DaemonFiles { dir: self.root.join("daemon") }
    }

    /// The journal of events.
    pub fn journal(&self) -> PathBuf {
        self.root.join("runtime/events.jsonl")
    }

    /// The parent of all process directories.
    pub fn processes(&self) -> PathBuf {
        self.root.join("runtime/processes")
    }

    /// The directory of one process.
    pub fn process(&self, name: &Name) -> ProcessDir {
        ProcessDir { dir: self.processes().join(name.as_str()) }
    }

    /// The directory of the logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The live log of a process.
    pub fn log(&self, name: &Name) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// The directory of the PID files.
    pub fn pids(&self) -> PathBuf {
        self.root.join("pids")
    }

    /// The PID file of a process.
    pub fn pid_file(&self, name: &Name) -> PathBuf {
        self.pids().join(format!("{name}.pid"))
    }

    /// The user's service definitions.
    pub fn services_available(&self) -> PathBuf {
        self.root.join("services-available")
    }

    /// Makes that directory, for this user only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_services(&self) -> Result<()> {
        create_dir(&self.services_available())
    }

    /// Links to the enabled definitions.
    pub fn services_enabled(&self) -> PathBuf {
        self.root.join("services-enabled")
    }

    /// The user's patterns.
    pub fn patterns(&self) -> PathBuf {
        self.root.join("patterns.txt")
    }

    /// The lines that were typed in the REPL.
    pub fn repl_history(&self) -> PathBuf {
        self.root.join("repl_history")
    }

    /// Makes the directories that a start needs, each for this user only.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn create(&self) -> Result<()> {
        for dir in [self.processes(), self.logs(), self.pids()] {
            create_dir(&dir)?;
        }
        Ok(())
    }
}

/// Makes `dir` and its missing parents with mode 0700; one that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn create_dir(dir: &Path) -> Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", dir, &error)),
        _ => Ok(()),
    }
}

/// The directory of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessDir {
    dir: PathBuf,
}

impl ProcessDir {
    /// The process directory at `dir`.
    pub fn at(dir: PathBuf) -> Self {
        ProcessDir { dir }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The name of its process; none for a directory that is just being made or deleted.
    pub fn name(&self) -> Option<Name> {
        Name::parse(self.dir.file_name()?.to_str()?).ok()
    }

    /// The tree that it is in: `TSM_DIR` is three levels above it.
    pub fn layout(&self) -> Option<Layout> {
        self.dir.ancestors().nth(3).map(|root| Layout::new(root.to_owned()))
    }

    /// What was asked.
    pub fn spec(&self) -> PathBuf {
        self.dir.join("spec.json")
    }

    /// The text of a shell function that is run; private, because people put secrets into functions.
    pub fn function(&self) -> PathBuf {
        self.dir.join("function.bash")
    }

    /// What is so.
    pub fn status(&self) -> PathBuf {
        self.dir.join("status.json")
    }

    /// Held as long as the supervisor lives.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("supervisor.lock")
    }

    /// Where the supervisor answers.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// Waits until its spec, the text of its function and its own name are on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<()> {
        let spec = self.spec();
        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        let function = match File::open(self.function()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => opened.and_then(|file| file.sync_data()),
        };
        let synced = function.and_then(|()| File::open(&spec)).and_then(|file| file.sync_data());
        match synced.and_then(|()| File::open(parent)?.sync_all()) {
            // It was taken away again, because its program could not be executed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("sync", &spec, &error)),
            Ok(()) => Ok(()),
        }
    }

    /// The path of one of its sockets that works for every client, through a short link where it is too long for a
    /// socket address. Of the control socket it is the marker `TSM_SOCKET` of the whole tree.
    pub fn address(&self, socket: &Path) -> PathBuf {
        if socket.as_os_str().len() <= unix::MAX_PATH {
            return socket.to_owned();
        }
        match (unix::short_link(&self.dir), socket.file_name()) {
            (Ok(link), Some(name)) => link.join(name),
            _ => socket.to_owned(),
        }
    }

    /// What [`ProcessDir::address`] makes of the control socket, without making anything: the marker of the tree.
    pub fn marker(&self) -> PathBuf {
        let socket = self.socket();
        if socket.as_os_str().len() <= unix::MAX_PATH {
            return socket;
        }
        socket.file_name().map_or_else(|| socket.clone(), |name| unix::short_path(&self.dir).join(name))
    }

    /// The process directory that a marker means, through a short link if it is one; none for what is no marker of ours,
    /// or a short link that is gone.
    pub fn of_marker(marker: &Path) -> Option<Self> {
        let dir =
            marker.parent().filter(|_| marker.file_name().is_some_and(|name| name == "control.sock"))?;
        let dir = std::fs::read_link(dir).unwrap_or_else(|_| dir.to_owned());
        let above = dir.parent()?;
        (above.ends_with("runtime/processes") && dir.is_absolute()).then_some(ProcessDir { dir })
    }

    /// Where the program says that it is ready (`sd_notify(3)`).
    pub fn notify(&self) -> PathBuf {
        self.dir.join("notify.sock")
    }

    /// Where the program's standard input is made.
    pub fn stdin(&self) -> PathBuf {
        self.dir.join("stdin")
    }
}

/// The files of the optional daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonFiles {
    dir: PathBuf,
}

impl DaemonFiles {
    /// Makes their directory, for this user only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<()> {
        create_dir(&self.dir)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Where it answers.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("daemon.sock")
    }

    /// Held as long as it lives.
    pub fn lock(&self) -> PathBuf {
        self.dir.join("daemon.lock")
    }

    /// Its PID, for scripts.
    pub fn pid(&self) -> PathBuf {
        self.dir.join("daemon.pid")
    }

    /// What it is.
    pub fn state(&self) -> PathBuf {
        self.dir.join("daemon.state")
    }

    /// The service definitions as it has seen them last.
    pub fn definitions(&self) -> PathBuf {
        self.dir.join("definitions.json")
    }

    /// What it has to say.
    pub fn log(&self) -> PathBuf {
        self.dir.join("daemon.log")
    }
}
