//! Starting a supervisor from a verb, and hearing whether the program runs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::environment::Var;
use super::handoff::{Order, Outcome};
use crate::error::{Error, Result, plain};
use crate::store::ProcessDir;
use crate::sys::lock::Lock;
use crate::sys::{fd, spawn};

/// A program that runs.
#[derive(Debug)]
pub struct Launched {
    /// Its PID.
    pub pid: i32,
    /// Why its spec may be lost when the machine fails: the disk did not take it.
    pub unsynced: Option<Error>,
}

/// Starts a supervisor for `dir`, whose lock it takes over, in the environment `env`; returns once the program runs and
/// the disk was asked to keep its spec.
///
/// # Errors
/// Why the program does not run; a fresh process directory is gone then.
pub fn launch(dir: &ProcessDir, lock: Lock, env: &[Var], order: &Order) -> Result<Launched> {
    let failed = |what: &str, error: &std::io::Error| {
        Error::failed(format!("cannot start the supervisor: {what}: {}", plain(error)))
    };
    let exe = std::env::current_exe().map_err(|error| failed("no path of this program", &error))?;
    let null =
        File::options().read(true).write(true).open("/dev/null").map_err(|e| failed("/dev/null", &e))?;
    let (ours, theirs) = fd::socket_pair().map_err(|error| failed("no socket", &error))?;
    let argv = [OsString::from("tsm"), "supervise".into(), dir.path().into()];
    // The lock stays open, and so held, until the supervisor has its own descriptor of it.
    let held = lock.as_fd();
    let fds: [BorrowedFd<'_>; 5] = [null.as_fd(), null.as_fd(), null.as_fd(), held, theirs.as_fd()];
    spawn::Command { program: &exe, argv: &argv, env, fds: &fds }
        .spawn()
        .map_err(|error| failed(&exe.display().to_string(), &error))?;
    drop(theirs);
    drop(lock);
    let mut talk = UnixStream::from(ours);
    let mut line = serde_json::to_string(order).map_err(|why| Error::failed(why.to_string()))?;
    line.push('\n');
    talk.write_all(line.as_bytes()).map_err(|error| failed("it does not listen", &error))?;
    // The disk works while the supervisor does.
    let synced = dir.sync();
    let mut reply = String::new();
    BufReader::new(&talk).read_line(&mut reply).map_err(|error| failed("it does not answer", &error))?;
    let outcome: Outcome = serde_json::from_str(&reply)
        .map_err(|_| Error::failed("the supervisor ended before it could start the program"))?;
    Ok(Launched { pid: outcome.into_result()?, unsynced: synced.err() })
}
