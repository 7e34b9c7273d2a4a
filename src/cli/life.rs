//! Bringing the daemon up and ending it, from outside and whatever state it is in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::boot;
use super::context::Context;
use crate::daemon::State;
use crate::daemon::client::{Client, PROMPT, Presence, presence};
use crate::daemon::protocol::Failure;
use crate::error::{Error, Kind, Result, plain};
use crate::supervisor::environment;
use crate::sys::pidfd::Handle;
use crate::sys::signals::{CONT, KILL, TERM};
use crate::sys::{lock, poll, spawn};

/// How long a daemon may take until it answers: before it listens, it looks at everything and adopts what it must.
const COMING_UP: Duration = Duration::from_secs(30);

/// How long the lock may stay free after a daemon was started, until another one is.
const START_AGAIN: Duration = Duration::from_secs(1);

/// How often one is started.
const STARTS: usize = 5;

/// How long the end may take, with the verbs under way.
const ENDING: Duration = Duration::from_secs(60);

/// How long a daemon that does not answer may take to act on a signal.
const SIGNALLED: Duration = Duration::from_secs(5);

/// How often somebody looks at the lock.
const LOOK: Duration = Duration::from_millis(2);

/// What ending the daemon has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// None ran.
    None,
    /// It was asked, and did.
    Asked,
    /// It did not answer, and was ended by a signal.
    Forced,
}

/// A connection to the daemon, which is started when it does not run, unless `TSM_DAEMON=never`.
///
/// # Errors
/// Unreachable when it is not to be started, does not come up, or does not answer.
pub(super) fn client(context: &Context) -> Result<Client> {
    let files = context.layout.daemon();
    let never = context.settings.no_daemon;
    match presence(&files) {
        // Who forbids to start one has to live with the one that runs.
        Presence::Running(status) if never || !is_older(&status) => return Client::connect(&files),
        Presence::Running(_) => {
            context.output.remark("the daemon is of an older tsm; it is replaced");
            end(context)?;
        }
        Presence::Refuses(failure) => return Err(failure.into_error()),
        Presence::Unresponsive => return Err(unresponsive()),
        Presence::Absent if never => {
            return Err(Error::new(
                Kind::Unreachable,
                "the daemon does not run, and TSM_DAEMON=never forbids to start it",
            )
            .hint("tsm daemon start"));
        }
        Presence::Absent => context.output.remark("starting the daemon (TSM_DAEMON=never forbids that)"),
    }
    launch(context)?;
    Client::connect_patiently(&files)
}

/// The error of a daemon that hangs.
pub(super) fn unresponsive() -> Error {
    Error::new(Kind::Unreachable, "the daemon runs, but does not answer within 2 s")
        .hint("tsm daemon restart")
}

/// True when the daemon that answered is of an older version than this program.
pub(super) fn is_older(status: &Value) -> bool {
    numbers(version(status)) < numbers(env!("CARGO_PKG_VERSION"))
}

/// The version that a daemon says it is.
pub(super) fn version(status: &Value) -> &str {
    status["version"].as_str().unwrap_or("0")
}

fn numbers(version: &str) -> Vec<u32> {
    version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
}

/// What is known of a daemon that refuses to say it itself.
pub(super) fn written_down(context: &Context, refusal: &Failure) -> Value {
    State::read(&context.layout.daemon()).map_or_else(
        || json!({}),
        |state| {
            json!({
                "pid": state.pid,
                "version": state.version,
                "socket": state.socket,
                "started_ms": state.started_ms,
                "uptime_ms": crate::sys::clock::wall_ms().saturating_sub(state.started_ms),
                "refuses": refusal.message,
            })
        },
    )
}

/// Starts a daemon and waits until one answers: this one, or the one of somebody who was faster.
///
/// # Errors
/// When none can be started, or none answers.
pub(super) fn launch(context: &Context) -> Result<Value> {
    let files = context.layout.daemon();
    files.create()?;
    let until = Instant::now() + COMING_UP;
    let mut started: Option<Instant> = None;
    let mut left = STARTS;
    loop {
        match presence(&files) {
            Presence::Running(status) => return Ok(status),
            Presence::Refuses(failure) => return Ok(written_down(context, &failure)),
            // The lock is free: nobody was faster, or one that was is gone.
            Presence::Absent if started.is_none_or(|at| at.elapsed() > START_AGAIN) => {
                if left == 0 {
                    break;
                }
                left -= 1;
                started = Some(Instant::now());
                // Where the user's service manager has it, that is who starts it.
                if !boot::start(context) {
                    spawn(context)?;
                }
            }
            Presence::Absent | Presence::Unresponsive => {}
        }
        if Instant::now() >= until {
            break;
        }
        poll::pause(LOOK);
    }
    Err(Error::failed("the daemon was started and does not answer").hint("tsm daemon logs"))
}

fn spawn(context: &Context) -> Result<()> {
    let failed = |what: &str, error: &io::Error| {
        Error::failed(format!("cannot start the daemon: {what}: {}", plain(error)))
    };
    let exe = std::env::current_exe().map_err(|error| failed("no path of this program", &error))?;
    let null =
        File::options().read(true).write(true).open("/dev/null").map_err(|e| failed("/dev/null", &e))?;
    let path = context.layout.daemon().log();
    // Why it does not come up stands there.
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let log = log.map_err(|error| failed(&path.display().to_string(), &error))?;
    let argv = ["tsm", "daemon", "run"].map(std::ffi::OsString::from);
    let mut env = environment::captured(std::env::vars_os());
    env.retain(|(name, _)| name != "TSM_DIR");
    env.push(("TSM_DIR".into(), context.layout.root().into()));
    let fds = [null.as_fd(), null.as_fd(), log.as_fd()];
    let command = spawn::Command { program: &exe, argv: &argv, env: &env, fds: &fds };
    command.spawn().map(drop).map_err(|error| failed(&exe.display().to_string(), &error))
}

/// Ends the daemon and waits for that; the managed processes go on. One that does not answer is ended by signals, which
/// costs nothing: it owns nothing.
///
/// # Errors
/// When it cannot be told which process it is, or it does not end.
pub(super) fn end(context: &Context) -> Result<Ended> {
    let files = context.layout.daemon();
    if !lock::is_held(&files.lock()) {
        return Ok(Ended::None);
    }
    let asked = Client::connect_patiently(&files)
        .and_then(|mut client| client.call_within("shutdown", &json!({}), PROMPT))
        .is_ok_and(|answer| answer.is_ok());
    if asked && is_free_within(context, ENDING) {
        return Ok(Ended::Asked);
    }
    let state = State::read(&files);
    for signals in [&[TERM, CONT][..], &[KILL, CONT][..]] {
        if !lock::is_held(&files.lock()) {
            return Ok(Ended::Forced);
        }
        // Whoever holds the lock has written the file: the start time in it proves that the PID is still that process.
        let Some(handle) = state.as_ref().and_then(State::identity).and_then(|it| Handle::open(&it)) else {
            break;
        };
        for signal in signals {
            let _ = handle.signal(*signal);
        }
        if is_free_within(context, SIGNALLED) {
            return Ok(Ended::Forced);
        }
    }
    if !lock::is_held(&files.lock()) {
        return Ok(Ended::Forced);
    }
    let who = state.map_or_else(String::new, |state| format!(" (PID {})", state.pid));
    Err(Error::new(Kind::TimedOut, format!("the daemon{who} does not end")).hint("tsm daemon logs"))
}

fn is_free_within(context: &Context, patience: Duration) -> bool {
    let path = context.layout.daemon().lock();
    let until = Instant::now() + patience;
    while lock::is_held(&path) {
        if Instant::now() >= until {
            return false;
        }
        poll::pause(LOOK);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (older, newer) in [("0.0.9", "0.0.10"), ("0.9.0", "1.0"), ("0.0.1", "0.1.0")] {
            assert!(numbers(older) < numbers(newer), "{older} {newer}");
        }
        assert!(is_older(&json!({"version": "0.0.1"})));
        assert!(!is_older(&json!({"version": env!("CARGO_PKG_VERSION")})));
        assert!(is_older(&json!({})));
    }
}
