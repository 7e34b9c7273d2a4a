//! Giving a program whose supervisor was killed a new one, without the program's noticing.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::environment::{self, Var};
use super::handoff::{Order, Running};
use super::launch::launch;
use crate::error::{Error, Kind, Result};
use crate::inspect::{oldest, orphan_tree};
use crate::model::{Identity, State, Status};
use crate::store::{self, ProcessDir, Record};
use crate::sys::lock::Lock;
use crate::sys::{boot, process};

/// How long a supervisor that has said its last word may take to let go of its lock.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// A program that has a supervisor again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its PID: the one that it had, or of the oldest process of its tree.
    pub pid: i32,
    /// The main process that was recorded is gone, and what is left of its tree is followed.
    pub followed: bool,
    /// The kernel has its environment no more (some programs write their title over it): the next run gets `fallback`.
    pub environment_lost: bool,
}

/// Gives the tracked process in `dir` a new supervisor; `fallback` is the environment of its next run where its own
/// cannot be read any more.
///
/// # Errors
/// A conflict when it has a supervisor, was being stopped, or is being adopted or ended by somebody else; not running
/// when nothing of it is alive; not found when its directory is gone. Everything is then as it was.
pub fn adopt(dir: &ProcessDir, fallback: &[Var]) -> Result<Adopted> {
    let name = dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !dir.path().is_dir() {
        return Err(gone(dir.path()));
    }
    // From here on nobody else starts, ends or adopts it.
    let over = || store::read_status(dir).found().is_some_and(|status| !status.state.supervised());
    let taken = match Lock::try_take(&dir.lock()) {
        // A supervisor that has said its last word lets go in a moment.
        Ok(None) if over() => Lock::take_within(&dir.lock(), LAST_MOMENT),
        other => other,
    };
    let lock = match taken {
        Ok(Some(lock)) => lock,
        Ok(None) => return Err(held(&name, dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone(dir.path())),
        Err(error) => return Err(Error::io("lock", &dir.lock(), &error)),
    };
    // Only now: a supervisor that ends writes its last word before it lets go.
    let record = match store::read_status(dir) {
        newer @ Record::Newer(_) => Record::Found(newer.required(&dir.status())?),
        other => other,
    };
    let missing = record == Record::Missing;
    let record = record.found();
    store::read_spec(dir).required(&dir.spec())?;
    let socket = dir.address(&dir.socket()).to_string_lossy().into_owned();
    let running = match &record {
        Some(status) => running(&name, status, &socket)?,
        // A program that runs has a record, be it a broken one.
        None if missing => return Err(not_running(&name, "its start was interrupted")),
        None => followed(&name, &socket, true)?,
    };
    let own = environment_of(running.main, &socket);
    let order = Order {
        restarts: record.map_or(0, |status| status.restarts),
        adopt: Some(running),
        ..Order::default()
    };
    let launched = launch(dir, lock, own.as_deref().unwrap_or(fallback), &order)?;
    Ok(Adopted { pid: launched.pid, followed: running.followed, environment_lost: own.is_none() })
}

/// What of the process in `status` is to be adopted.
fn running(name: &str, status: &Status, socket: &str) -> Result<Running> {
    if status.boot_id != boot::id() {
        return Err(not_running(name, "the machine was started anew since"));
    }
    match status.state {
        State::Starting | State::Online | State::Backoff | State::Unsupervised => {}
        // Somebody wants it to end: a supervisor that starts it again would be wrong.
        State::Stopping => {
            return Err(Error::conflict(format!("{name} was being stopped when its supervisor was killed"))
                .hint(format!("tsm stop {name}, or tsm restart {name}")));
        }
        State::Stopped | State::Exited | State::Errored | State::Lost => {
            return Err(not_running(name, &format!("it is {}", status.state)));
        }
    }
    let ready = status.state != State::Starting;
    match status.main.filter(process::alive) {
        Some(main) => Ok(Running { main, ready, followed: false }),
        None => followed(name, socket, ready),
    }
}

/// The oldest of what carries the marker.
fn followed(name: &str, socket: &str, ready: bool) -> Result<Running> {
    match oldest(&orphan_tree(None, true, socket)) {
        Some(main) => Ok(Running { main, ready, followed: true }),
        None => Err(not_running(name, "nothing of it is alive")),
    }
}

/// The environment of `main` without what TSM set, or that of another process of its tree.
fn environment_of(main: Identity, socket: &str) -> Option<Vec<Var>> {
    let marked = |vars: &Vec<Var>| vars.iter().any(|(name, value)| name == "TSM_SOCKET" && value == socket);
    let read = |one: Identity| environment::of_process(one.pid).ok().filter(marked);
    let of_another =
        || orphan_tree(Some(&main), true, socket).iter().map(process::Process::identity).find_map(read);
    let vars = read(main).or_else(of_another)?;
    Some(environment::captured(vars.into_iter()))
}

fn held(name: &str, dir: &ProcessDir) -> Error {
    let supervisor = store::read_status(dir).found().and_then(|status| status.supervisor);
    match supervisor.filter(process::alive) {
        Some(one) => Error::conflict(format!("{name} has a supervisor (PID {})", one.pid))
            .hint(format!("tsm info {name}")),
        None => Error::conflict(format!("somebody else is just adopting, starting or ending {name}"))
            .hint("tsm list all"),
    }
}

fn not_running(name: &str, why: &str) -> Error {
    Error::new(Kind::NotRunning, format!("cannot adopt {name}: {why}")).hint(format!("tsm start {name}"))
}

fn gone(dir: &Path) -> Error {
    Error::not_found(format!("cannot adopt what has no process directory: {} is gone", dir.display()))
        .hint("tsm doctor orphans --kill PID")
}
