//! Reading a named environment file beside everything else: a bash in the background of the poll loop.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use super::environment::Var;
use crate::envfile::{self, Overlay, TIMEOUT};
use crate::error::{Error, Result, plain};
use crate::model::Pid;
use crate::sys::{fd, spawn};

/// A bash that sources a file.
#[derive(Debug)]
pub(super) struct EnvReader {
    pub(super) pid: Pid,
    path: PathBuf,
    out: File,
    err: File,
    out_bytes: Vec<u8>,
    err_bytes: Vec<u8>,
    /// When it is given up, in monotonic milliseconds.
    pub(super) deadline: u64,
}

impl EnvReader {
    /// Begins to source `path` in `dir` over `base`.
    ///
    /// # Errors
    /// When the file is missing or no bash can be started.
    pub(super) fn begin(path: &Path, dir: &Path, base: &[Var], now: u64) -> Result<Self> {
        let sourcing = envfile::command(path, dir, base)?;
        let failed =
            |error: io::Error| Error::failed(format!("cannot source {}: {}", path.display(), plain(&error)));
        let null = File::open("/dev/null").map_err(failed)?;
        let (out, out_end) = fd::pipe().map_err(failed)?;
        let (err, err_end) = fd::pipe().map_err(failed)?;
        fd::set_nonblocking(&out).map_err(failed)?;
        fd::set_nonblocking(&err).map_err(failed)?;
        std::env::set_current_dir(&sourcing.dir).map_err(failed)?;
        let spawned = spawn::Command {
            program: Path::new(&sourcing.argv[0]),
            argv: &sourcing.argv,
            env: &sourcing.env,
            fds: &[null.as_fd(), out_end.as_fd(), err_end.as_fd()],
        }
        .spawn();
        let _ = std::env::set_current_dir("/");
        Ok(EnvReader {
            pid: spawned.map_err(failed)?,
            path: path.to_owned(),
            out: out.into(),
            err: err.into(),
            out_bytes: Vec::new(),
            err_bytes: Vec::new(),
            deadline: now + TIMEOUT.as_millis() as u64,
        })
    }

    /// What the loop must wait for.
    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.out.as_fd(), self.err.as_fd()]
    }

    /// Takes what has come.
    pub(super) fn drain(&mut self) {
        for (file, bytes) in [(&mut self.out, &mut self.out_bytes), (&mut self.err, &mut self.err_bytes)] {
            let _ = file.read_to_end(bytes);
        }
    }

    /// The result, after its bash has ended with `code`.
    ///
    /// # Errors
    /// What is wrong with the file, with its line.
    pub(super) fn finish(mut self, code: Option<i32>, base: &[Var]) -> Result<Overlay> {
        self.drain();
        envfile::parse(&self.out_bytes, &self.err_bytes, code, &self.path, base)
    }

    /// The error of a file that takes too long.
    pub(super) fn too_slow(&self) -> Error {
        Error::failed(format!(
            "the env file {} did not end within {}",
            self.path.display(),
            humantime::format_duration(TIMEOUT)
        ))
    }
}
