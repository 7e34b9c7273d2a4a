//! What a daemon leaves on the disk while it lives: its lock, its PID, what it is, its log.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{Identity, Pid, SCHEMA};
use crate::render;
use crate::store::{self, DaemonFiles, Durability};
use crate::sys::lock::Lock;
use crate::sys::{clock, process};

/// The size above which the log becomes `daemon.log.1`, in bytes.
const MOST_LOG: u64 = 1 << 20;

/// The content of `daemon.state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of this file's form.
    pub schema: u32,
    /// The daemon's PID.
    pub pid: u32,
    /// When the kernel started that process, in its own unit: with the PID, which process is meant.
    #[serde(default)]
    pub start: u64,
    /// Where it answers.
    pub socket: String,
    /// The version of its program.
    pub version: String,
    /// When it was started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
}

impl State {
    /// What the daemon that lives has written down; none when that cannot be read.
    pub fn read(paths: &DaemonFiles) -> Option<State> {
        serde_json::from_slice(&fs::read(paths.state()).ok()?).ok()
    }

    /// Which process the daemon is; none of a version that did not say.
    pub fn identity(&self) -> Option<Identity> {
        let pid = Pid::new(i32::try_from(self.pid).ok()?)?;
        (self.start > 0).then_some(Identity { pid, start: self.start })
    }
}

/// The files of a daemon that lives; they go with it.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) paths: DaemonFiles,
    pub(super) state: State,
    log: Option<File>,
    _lock: Lock,
}

impl Files {
    /// Takes the lock, and writes down who has it: from then on it can be told which process it is, also when it hangs
    /// before it listens. What a dead daemon has left is replaced. None when another daemon of this user lives.
    ///
    /// # Errors
    /// When the directory or a file cannot be written.
    pub(super) fn claim(paths: DaemonFiles) -> Result<Option<Self>> {
        paths.create()?;
        // Somebody may have made it by hand; if it is not ours, the lock tells.
        let _ = fs::set_permissions(paths.path(), fs::Permissions::from_mode(0o700));
        let path = paths.lock();
        let Some(lock) = Lock::try_take(&path).map_err(|error| Error::io("lock", &path, &error))? else {
            return Ok(None);
        };
        let pid = std::process::id();
        let state = State {
            schema: SCHEMA,
            pid,
            start: Pid::new(pid as i32).and_then(process::read).map_or(0, |me| me.identity().start),
            socket: paths.socket().display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: clock::wall_ms(),
        };
        let log = open_log(&paths).ok();
        sweep(&paths);
        let files = Files { paths, state, log, _lock: lock };
        files.publish()?;
        Ok(Some(files))
    }

    fn publish(&self) -> Result<()> {
        let mut bytes =
            serde_json::to_vec_pretty(&self.state).map_err(|why| Error::failed(why.to_string()))?;
        bytes.push(b'\n');
        store::write(&self.paths.state(), &bytes, Durability::Cached)?;
        store::write(&self.paths.pid(), format!("{}\n", self.state.pid).as_bytes(), Durability::Cached)
    }

    /// Adds a line to the log.
    pub(super) fn log(&mut self, text: &str) {
        let Some(log) = &mut self.log else { return };
        // A log that cannot be written stops nothing.
        let _ = writeln!(log, "{} {text}", render::human::time(clock::wall_ms()));
        if log.metadata().is_ok_and(|facts| facts.len() > MOST_LOG) {
            let path = self.paths.log();
            let _ = fs::rename(&path, path.with_extension("log.1"));
            self.log = open_log(&self.paths).ok();
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in [self.paths.socket(), self.paths.pid(), self.paths.state()] {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes what a daemon that was killed in the middle of a write has left; only the holder of the lock writes here.
fn sweep(paths: &DaemonFiles) {
    for item in fs::read_dir(paths.path()).into_iter().flatten().flatten() {
        if item.file_name().to_string_lossy().starts_with(store::UNFINISHED) {
            let _ = fs::remove_file(item.path());
        }
    }
}

fn open_log(paths: &DaemonFiles) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(paths.log())
}
