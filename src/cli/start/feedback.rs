//! Telling the user what became of a start, and waiting for it where that was asked.

use std::time::Duration;

use super::Context;
use crate::cli::logs;
use crate::control::client::{Client, Waited};
use crate::control::message::{Request, StatusReply, Until};
use crate::error::{Error, Kind, Result};
use crate::inspect::{View, view};
use crate::model::{Exit, Lifeline, Name, State};
use crate::render::human;
use crate::store::{self, ProcessDir};

/// How long to wait for readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// On a terminal: long enough to see a crash at start-up.
    Short,
    /// As asked, in milliseconds.
    Asked(u64),
}

impl Patience {
    /// As asked; else short where a person looks on.
    pub(crate) fn of(context: &Context, wait: Option<u64>, no_wait: bool) -> Self {
        match (wait, no_wait) {
            (Some(ms), _) => Patience::Asked(ms),
            (None, false) if context.output.terminal && !context.settings.noninteractive => Patience::Short,
            _ => Patience::None,
        }
    }
}

/// How long a person is kept waiting without having asked for it.
const SHORT: Duration = Duration::from_secs(3);

/// How many lines of its log explain why a program died.
const LAST_LINES: usize = 20;

/// Says that the process runs already.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn already(context: &Context, view: &View, json: bool) -> Result<()> {
    if json {
        return context.output.json(view);
    }
    let what = match view.status {
        State::Unsupervised => "Already running, without its supervisor",
        // Nothing of it runs at this moment, but its supervisor is at it.
        State::Backoff => "It failed and is about to be started again",
        _ => "Already running",
    };
    context.output.line(&format!("{what}: {}", details(view, view.pid)))
}

/// Says whose end will end `view`, when that is not what was asked for.
pub(crate) fn bound(context: &Context, view: &View, asked: Option<&Lifeline>) {
    let now = store::read_spec(&view.dir).found().and_then(|spec| spec.lifeline);
    match (now, asked) {
        (Some(now), asked) if asked.is_none_or(|asked| asked.identity != now.identity) => {
            context.output.remark(&format!("it ends with {now}"));
        }
        (None, Some(asked)) => {
            let what = format!("it is bound to no {}", asked.holder());
            context.output.advise(&what, &format!("tsm stop {}, and start it again", view.name));
        }
        _ => {}
    }
}

/// `NAME (TSM ID: 0, PID: 1234, Port: 8000)`.
pub(crate) fn details(view: &View, pid: Option<i32>) -> String {
    let mut parts = Vec::new();
    parts.extend(view.id.map(|id| format!("TSM ID: {id}")));
    parts.extend(pid.map(|pid| format!("PID: {pid}")));
    let port = match view.port.filter(|port| view.ports.is_empty() || view.ports.contains(port)) {
        Some(port) => Some(port),
        None => view.ports.first().copied(),
    };
    parts.extend(port.map(|port| format!("Port: {port}")));
    if let Some(path) = &view.env_file {
        let short = path.strip_prefix(&format!("{}/", view.cwd)).unwrap_or(path);
        parts.push(format!("Env: {short}"));
    }
    format!("{} ({})", view.name, parts.join(", "))
}

/// Waits until the start that somebody else has under way, after `run` runs, has come to something; none when it came
/// to nothing.
pub(crate) fn settled(context: &Context, dir: &ProcessDir, run: u64) -> Option<View> {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    let name = Name::parse(dir.path().file_name()?.to_str()?).ok()?;
    while std::time::Instant::now() < end {
        let mut entry = store::entry(&context.layout, &name)?;
        let supervised = entry.is_supervised();
        if entry.status.found().is_some_and(|status| status.run > run) {
            return view(&context.layout, &name);
        }
        if !supervised {
            return None;
        }
        crate::sys::poll::pause(Duration::from_millis(2));
    }
    None
}

/// What came of waiting for a process.
#[derive(Debug)]
pub(crate) struct Settled {
    /// The process afterwards.
    pub(crate) view: View,
    /// It was not ready in time.
    late: bool,
}

/// Waits for a process that was just started, as long as `patience` says.
///
/// # Errors
/// Failed when it died; the last lines of its log are on standard error then.
pub(crate) fn settle(context: &Context, name: &Name, patience: Patience) -> Result<Settled> {
    let dir = context.layout.process(name);
    let wait = match patience {
        Patience::None => None,
        Patience::Short => Some(SHORT),
        Patience::Asked(ms) => Some(Duration::from_millis(ms)),
    };
    let before = store::read_status(&dir).found().map_or(0, |status| status.run);
    let waited = wait.map(|time| ready(&dir, time)).transpose()?;
    if let Some(Waited::Answer(reply)) = &waited {
        if let Some(exit) = ended(reply, before) {
            let fine = exit.success() && !(matches!(patience, Patience::Asked(_)) && reply.port.is_some());
            if !fine {
                return Err(died(context, name, reply, exit));
            }
        } else if matches!(reply.status, State::Errored) {
            let why = reply.note.clone().unwrap_or_else(|| "it cannot be started".into());
            return Err(Error::failed(format!("{name} failed: {why}")).hint(format!("tsm logs {name}")));
        }
    }
    let view = view(&context.layout, name)
        .ok_or_else(|| Error::not_found(format!("{name} was deleted meanwhile")))?;
    Ok(Settled { view, late: matches!(waited, Some(Waited::TimedOut)) })
}

impl Settled {
    /// # Errors
    /// Timed out when it was not ready in the time that was asked for; it stays up.
    pub(crate) fn in_time(&self, patience: Patience) -> Result<()> {
        match patience {
            Patience::Asked(ms) if self.late => {
                let name = &self.view.name;
                Err(Error::new(Kind::TimedOut, format!("{name} is not ready after {}", human::span(ms)))
                    .hint(format!("tsm logs {name}; it goes on, tsm stop {name} ends it")))
            }
            _ => Ok(()),
        }
    }
}

/// Waits until the stop or restart of `view` that is under way is over.
///
/// # Errors
/// Timed out when it takes longer than its stop timeout allows.
pub(crate) fn outlast(view: &View) -> Result<()> {
    let timeout = store::read_spec(&view.dir).found().map_or(10_000, |spec| spec.policy.stop_timeout_ms);
    let patience = Duration::from_millis(timeout) + Duration::from_secs(20);
    // One that cannot be reached has ended between the look and now.
    let Ok(mut client) = Client::connect(&view.dir.socket()) else { return Ok(()) };
    match client.wait(Request::Wait(Until::Running), Some(patience)) {
        Ok(Waited::TimedOut) => Err(Error::new(Kind::TimedOut, format!("{} does not stop", view.name))
            .hint(format!("tsm kill {}", view.name))),
        Ok(Waited::Answer(reply)) if !reply.status.live() => {
            client.until_closed(Duration::from_secs(1));
            Ok(())
        }
        Ok(Waited::Answer(_)) => Ok(()),
        Err(error) if error.kind() == Kind::Unreachable => Ok(()),
        Err(error) => Err(error),
    }
}

/// Says that the process was started, after waiting for it as long as `patience` says.
///
/// # Errors
/// Those of [`settle`] and [`Settled::in_time`].
pub(crate) fn report(
    context: &Context,
    name: &Name,
    pid: i32,
    patience: Patience,
    json: bool,
    done: &str,
) -> Result<()> {
    let settled = settle(context, name, patience)?;
    let shown = &settled.view;
    if json {
        context.output.json(shown)?;
        return settled.in_time(patience);
    }
    context.output.line(&format!("{done}: {}", details(shown, shown.pid.or(Some(pid)))))?;
    remarks(context, shown);
    settled.in_time(patience)?;
    if settled.late {
        let port = shown.port.map(|port| format!(" on port {port}")).unwrap_or_default();
        context.output.remark(&format!("{name} does not listen{port} yet; see: tsm logs -f {name}"));
    }
    Ok(())
}

fn ready(dir: &ProcessDir, patience: Duration) -> Result<Waited> {
    let asked = Client::connect(&dir.socket())
        .and_then(|mut client| client.wait(Request::Wait(Until::Ready), Some(patience)));
    match asked {
        Err(error) if error.kind() == Kind::Unreachable => {
            // It ended, and its supervisor with it: its last words are on the disk.
            let status = store::read_status(dir).found();
            match status.filter(|status| !status.state.supervised()) {
                Some(status) => Ok(Waited::Answer(StatusReply::of(&status, crate::sys::clock::wall_ms()))),
                None => Err(error),
            }
        }
        other => other,
    }
}

/// How the run that was waited for ended, if it did.
pub(crate) fn ended(reply: &StatusReply, run: u64) -> Option<Exit> {
    let over =
        matches!(reply.status, State::Exited | State::Errored | State::Backoff) || reply.run > run.max(1);
    reply.exit.filter(|_| over)
}

fn died(context: &Context, name: &Name, reply: &StatusReply, exit: Exit) -> Error {
    let tail = logs::last_lines(context, name, LAST_LINES);
    let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), &tail);
    let next = match reply.status {
        State::Backoff | State::Starting | State::Online => "; it is being started again",
        _ => "",
    };
    let hint = match next {
        "" => format!("tsm logs {name}"),
        _ => format!("tsm logs -f {name}, or tsm stop {name}"),
    };
    Error::failed(format!("{name} died: {exit}{next}")).hint(hint)
}

fn remarks(context: &Context, view: &View) {
    if let Some(port) = view.port.filter(|port| !view.ports.is_empty() && !view.ports.contains(port)) {
        let real = view.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        context.output.remark(&format!("it listens on {real}, not on the planned port {port}"));
    }
    if view.status == State::Exited {
        context.output.remark("it has ended already, with exit code 0");
    }
}
