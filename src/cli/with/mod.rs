//! `tsm with`: a command for whose time services run.

mod command;
mod ready;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::context::Context;
use super::end::{self, How};
use super::start::{self, Begun};
use super::{declared, lifeline};
use crate::error::{Error, Result};
use crate::inspect::{View, view};
use crate::model::{Lifeline, Name, State};
use crate::render::human;
use crate::store;
use crate::supervisor::environment::Var;
use crate::sys::signals::Signals;

/// Run a command with services: started, awaited, stopped again.
///
/// Each REF is a process or a service definition. What does not run is started, all side by side; when all are ready, the
/// command runs in the foreground with what was declared for them (env file, --env-var, definition, PORT) on top of its
/// environment, in the order of the REFs. Afterwards what was started is stopped, in reverse order; what ran before stays.
///
/// Where several have a port, PORT is the last one's, and each has one of its own by its name, such as
/// `API_PORT`. One that is not ready in time ends everything: the command is not run. Several words after `--` are the exact command; one word with
/// blanks is read as by `tsm start`.
///
/// Nothing is left running, even when tsm is killed: what it started ends with it. Of two `tsm with` at once the second
/// finds the service running and leaves it; it is stopped when the first one's command ends.
#[derive(Debug, clap::Args)]
#[command(override_usage = "tsm with [OPTIONS] REF... -- COMMAND...")]
#[command(
    after_help = "Examples:\n  tsm with api db -- npm test\n  tsm with web -- sh -c 'curl -s localhost:$PORT'\n\n\
    Exit code: the command's, 128+N when signal N ended it, 127 when there is no such command, 126 when it cannot be\n\
    executed; 1 or 124 when a service failed or was not ready in time."
)]
pub(super) struct Args {
    /// Processes, or service definitions.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// How long all of them together may take to be ready; 30 seconds unless said otherwise.
    #[arg(long, value_name = "SECONDS", default_value = "30", hide_default_value = true,
        value_parser = start::parse_seconds)]
    timeout: u64,
    /// Say nothing of what is started and stopped.
    #[arg(long, short)]
    quiet: bool,
    /// The command, behind `--`.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A process that the command needs.
struct Needed {
    name: Name,
    /// We have started it.
    ours: bool,
}

/// The code that a shell gives a command which signal `number` has ended.
fn by_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

/// Returns the exit code of the command.
pub(super) fn run(context: &Context, args: &Args) -> Result<u8> {
    if args.command.is_empty() {
        return Err(Error::usage("with needs a command behind --")
            .hint(format!("tsm with {} -- npm test", args.refs.first().map_or("web", String::as_str))));
    }
    let words = command::words(&args.command)?;
    let signals = Signals::catch_for_command()
        .map_err(|error| Error::failed(format!("cannot catch signals: {}", crate::error::plain(&error))))?;
    let lifeline = lifeline::this("with")?;
    let mut needed = Vec::new();
    let code = with(context, args, &words, &signals, &lifeline, &mut needed);
    down(context, args, &lifeline, &needed);
    code
}

fn with(
    context: &Context,
    args: &Args,
    words: &[OsString],
    signals: &Signals,
    lifeline: &Lifeline,
    needed: &mut Vec<Needed>,
) -> Result<u8> {
    let began = Instant::now();
    let mut waiting = Vec::new();
    for text in &args.refs {
        let (name, ours) = match start::up(context, text, lifeline)? {
            Begun::Started(name, _) => (name, true),
            Begun::Already(view) if view.status == State::Unsupervised => (view.name, false),
            Begun::Already(view) => {
                waiting.push(view.name.clone());
                (view.name, false)
            }
        };
        if needed.iter().all(|one| one.name != name) {
            waiting.extend(ours.then(|| name.clone()));
            needed.push(Needed { name, ours });
        }
        if let Some(number) = ready::interrupted(signals) {
            return Ok(by_signal(number));
        }
    }
    let timeout = Duration::from_millis(args.timeout);
    if let Some(number) = ready::all(context, &waiting, (began, timeout), signals)? {
        return Ok(by_signal(number));
    }
    let mut views = Vec::new();
    for one in needed.iter() {
        let view = view(&context.layout, &one.name)
            .ok_or_else(|| Error::not_found(format!("{} was deleted meanwhile", one.name)))?;
        if one.ours {
            let port = view.port.map(|port| format!(" on port {port}")).unwrap_or_default();
            let took = human::span(began.elapsed().as_millis() as u64);
            say(context, args, &format!("started {}{port}, ready after {took}", view.name));
        }
        views.push(view);
    }
    let env = environment(context, args, &views)?;
    command::run(words, &env, signals)
}

fn say(context: &Context, args: &Args, text: &str) {
    if !args.quiet {
        context.output.remark(text);
    }
}

/// The environment of the command.
fn environment(context: &Context, args: &Args, views: &[View]) -> Result<Vec<Var>> {
    let mut layers = Vec::new();
    for view in views {
        if !view.status.live() {
            // It has done what it was there for.
            say(
                context,
                args,
                &format!("{} has ended already: nothing of its environment is there", view.name),
            );
            continue;
        }
        let base = store::read_spec(&view.dir).found().map_or_else(|| view.name.clone(), |spec| spec.base);
        layers.push((base, declared::declared(view)?));
    }
    let (env, ports) = command::merged(std::env::vars_os().collect(), &layers);
    if let Some(last) = ports.last() {
        let all: Vec<String> = ports.iter().map(|one| format!("{}={}", one.variable, one.port)).collect();
        say(context, args, &format!("PORT is that of {}; {}", last.name, all.join(" ")));
    }
    Ok(env)
}

/// Stops what was started, the last one first.
fn down(context: &Context, args: &Args, lifeline: &Lifeline, needed: &[Needed]) {
    let mut outcome = context.outcome();
    for one in needed.iter().rev().filter(|one| one.ours) {
        let Some(view) = view(&context.layout, &one.name) else { continue };
        // Somebody has started it anew meanwhile: it is theirs.
        let bound = store::read_spec(&view.dir).found().and_then(|spec| spec.lifeline);
        if bound.as_ref() != Some(lifeline) || !view.status.live() {
            continue;
        }
        match end::begin(&view, How::Gracefully).and_then(|ending| end::finish(&view, ending)) {
            Ok(_) => say(context, args, &format!("stopped {}", view.name)),
            // The code stays the command's; the supervisor goes on with it when this process ends.
            Err(error) => outcome.failed(&error),
        }
    }
}
