//! Waiting until all services are ready, one of them has failed, or somebody has had enough.

use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::super::start::ended;
use crate::cli::context::Context;
use crate::cli::logs;
use crate::control::client::Client;
use crate::control::message::{Request, StatusReply, Until};
use crate::error::{Error, Kind, Result};
use crate::model::{Name, State};
use crate::render::human;
use crate::store::{self, ProcessDir};
use crate::sys::clock;
use crate::sys::poll::{self, Interest};
use crate::sys::reaper::{Reaped, reap};
use crate::sys::signals::{Caught, HUP, INT, QUIT, Signals, TERM};

/// How many lines of its log explain why a service is not ready.
const LAST_LINES: usize = 20;

/// A service that is waited for.
struct Waiting {
    name: Name,
    dir: ProcessDir,
    /// None when its supervisor has ended already.
    client: Option<Client>,
    /// The run at the beginning of the wait.
    run: u64,
}

/// The signal that asks this process to end, if one has come.
pub(super) fn interrupted(signals: &Signals) -> Option<i32> {
    let mut number = None;
    for caught in signals.drain() {
        match caught {
            // A supervisor that ended: what came of it is heard by other means.
            Caught::Child => while matches!(reap(), Reaped::Ended { .. }) {},
            Caught::Terminate => number = Some(TERM),
            Caught::Interrupt => number = Some(INT),
            Caught::Hangup => number = Some(HUP),
            Caught::Quit => number = Some(QUIT),
        }
    }
    number
}

/// Waits until all of `names` are ready, for a time from a moment on; returns the signal that ended the wait, if one did.
///
/// # Errors
/// Failed when one of them died, timed out when one is not ready in time; its last lines are on standard error then.
pub(super) fn all(
    context: &Context,
    names: &[Name],
    (began, timeout): (Instant, Duration),
    signals: &Signals,
) -> Result<Option<i32>> {
    let mut all: Vec<Waiting> =
        names.iter().map(|name| Waiting::begin(context, name)).collect::<Result<_>>()?;
    loop {
        let mut rest = Vec::new();
        for mut one in all {
            match one.answer()? {
                Some(reply) => judge(context, &one, &reply)?,
                None => rest.push(one),
            }
        }
        all = rest;
        let Some(slowest) = all.first() else { return Ok(None) };
        let left = timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            tail(context, &slowest.name);
            let text =
                format!("{} is not ready after {}", slowest.name, human::span(timeout.as_millis() as u64));
            return Err(Error::new(Kind::TimedOut, text)
                .hint(format!("tsm logs {}; tsm with --timeout=60 gives it more time", slowest.name)));
        }
        let mut fds = vec![(signals.as_fd(), Interest::Read)];
        fds.extend(all.iter().filter_map(|one| Some((one.client.as_ref()?.as_fd(), Interest::Read))));
        poll::wait(&fds, Some(left)).map_err(|error| Error::failed(format!("cannot wait: {error}")))?;
        if let Some(number) = interrupted(signals) {
            return Ok(Some(number));
        }
    }
}

impl Waiting {
    fn begin(context: &Context, name: &Name) -> Result<Self> {
        let dir = context.layout.process(name);
        let run = store::read_status(&dir).found().map_or(0, |status| status.run);
        let client = Client::connect(&dir.socket()).and_then(|mut client| {
            client.say(Request::Wait(Until::Ready).line())?;
            Ok(client)
        });
        let client = match client {
            Ok(client) => Some(client),
            Err(error) if error.kind() == Kind::Unreachable => None,
            Err(error) => return Err(error),
        };
        Ok(Waiting { name: name.clone(), dir, client, run })
    }

    /// The answer, if it has come.
    fn answer(&mut self) -> Result<Option<StatusReply>> {
        match self.client.as_mut().map(Client::answer) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) if error.kind() != Kind::Unreachable => Err(error),
            // It ended, and its supervisor with it: its last words are on the disk.
            gone => {
                let status = store::read_status(&self.dir).found();
                match (status.filter(|status| !status.state.supervised()), gone) {
                    (Some(status), _) => Ok(Some(StatusReply::of(&status, clock::wall_ms()))),
                    (None, Some(Err(error))) => Err(error),
                    (None, _) => Err(Error::new(
                        Kind::Unreachable,
                        format!("cannot reach the supervisor of {}", self.name),
                    )),
                }
            }
        }
    }
}

/// # Errors
/// When the answer is that it will not be ready.
fn judge(context: &Context, one: &Waiting, reply: &StatusReply) -> Result<()> {
    let name = &one.name;
    let why = match ended(reply, one.run) {
        // A task that is done; a server that is gone serves nobody, however it ended.
        Some(exit) if exit.success() && reply.port.is_none() => return Ok(()),
        Some(exit) => format!("{name} died: {exit}"),
        None if reply.status == State::Errored => {
            let note = reply.note.as_deref().unwrap_or("it cannot be started");
            format!("{name} failed: {note}")
        }
        None if !reply.status.live() => format!("{name} was stopped"),
        None => return Ok(()),
    };
    tail(context, name);
    Err(Error::failed(why).hint(format!("tsm logs {name}")))
}

fn tail(context: &Context, name: &Name) {
    let lines = logs::last_lines(context, name, LAST_LINES);
    let _ = std::io::stderr().lock().write_all(&lines);
}
