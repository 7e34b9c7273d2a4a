//! What a daemon leaves on the disk while it lives: its lock, its PID, what it is, its log.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::SCHEMA;
use crate::render;
use crate::store::{self, DaemonFiles, Durability};
use crate::sys::clock;
use crate::sys::lock::Lock;

/// The size above which the log becomes `daemon.log.1`, in bytes.
const MOST_LOG: u64 = 1 << 20;

/// The content of `daemon.state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of this file's form.
    pub schema: u32,
    /// The daemon's PID.
    pub pid: u32,
    /// Where it answers.
    pub socket: String,
    /// The version of its program.
    pub version: String,
    /// When it was started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
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
    /// Takes the lock; none when another daemon of this user holds it.
    ///
    /// # Errors
    /// When the directory or the lock cannot be made.
    pub(super) fn claim(paths: DaemonFiles) -> Result<Option<Self>> {
        paths.create()?;
        let path = paths.lock();
        let Some(lock) = Lock::try_take(&path).map_err(|error| Error::io("lock", &path, &error))? else {
            return Ok(None);
        };
        let state = State {
            schema: SCHEMA,
            pid: std::process::id(),
            socket: paths.socket().display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: clock::wall_ms(),
        };
        let log = open_log(&paths).ok();
        Ok(Some(Files { paths, state, log, _lock: lock }))
    }

    /// Writes down who answers; what a dead daemon has left is replaced.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn publish(&self) -> Result<()> {
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

fn open_log(paths: &DaemonFiles) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(paths.log())
}
