//! The role of a process that was started as `tsm supervise`: its first words with `start`, and its end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use super::Supervisor;
use crate::control::message::line;
use crate::store::{self, ProcessDir, Record};
use crate::supervisor::handoff::{LOCK_FD, Order, Outcome, TALK_FD};
use crate::sys::lock::Lock;
use crate::sys::{fd, process};

/// The supervisor of the process in `dir`: takes over the descriptors of [`launch`](super::launch), runs the program
/// and returns when nothing of it is left.
pub fn run(dir: &Path) -> ExitCode {
    process::name_supervisor();
    fd::close_from(TALK_FD + 1);
    let Some((lock, mut talk)) = inherited() else {
        // Not started by `tsm start`: there is nothing to supervise and nobody to tell.
        return ExitCode::from(2);
    };
    // Everything that needs no order is made ready while `start` is still at it.
    let prepared = Supervisor::prepare(dir, lock);
    let Some(order) = hear(&talk) else {
        // The start was killed before it had said everything: as if it had never been. One that ran before stays.
        let dir = ProcessDir::at(dir.to_owned());
        if matches!(store::read_status(&dir), Record::Missing) {
            abandon(&dir);
        }
        return ExitCode::FAILURE;
    };
    let started = prepared.and_then(|mut supervisor| {
        match &order.adopt {
            Some(running) => supervisor.take_over(running, order.restarts)?,
            None => supervisor.begin(&order)?,
        }
        Ok(supervisor)
    });
    let outcome = match &started {
        Ok(supervisor) => Outcome::Running(supervisor.main.map_or(0, |main| main.pid.get())),
        Err(error) => Outcome::failed(error),
    };
    if started.is_err() && order.fresh {
        abandon(&ProcessDir::at(dir.to_owned()));
    }
    let _ = talk.write_all(line(&outcome).as_bytes());
    drop(talk);
    match started {
        Ok(mut supervisor) => {
            supervisor.live();
            // The kernel closes its connections and its lock as part of its end: whoever waits for that finds no process.
            std::mem::forget(supervisor);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn inherited() -> Option<(Lock, UnixStream)> {
    let lock = fd::inherited(LOCK_FD).ok()?;
    let talk = fd::inherited(TALK_FD).ok()?;
    Some((Lock::from_inherited(lock), UnixStream::from(talk)))
}

fn hear(talk: &UnixStream) -> Option<Order> {
    let mut text = String::new();
    BufReader::new(talk).read_line(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Takes away what a start made that did not come to be.
fn abandon(dir: &ProcessDir) {
    if let (Some(layout), Some(spec)) = (dir.layout(), store::read_spec(dir).found()) {
        let log = layout.log(&spec.name);
        if fs::metadata(&log).is_ok_and(|facts| facts.len() == 0) {
            let _ = fs::remove_file(log);
        }
    }
    crate::sys::unix::remove_short_link(dir.path());
    let _ = fs::remove_dir_all(dir.path());
}
