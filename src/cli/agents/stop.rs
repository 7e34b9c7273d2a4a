//! `tsm agents stop`: ends the process of a session.

use std::slice;
use std::time::Duration;

use serde::Serialize;

use super::looker::{Looker, document, managed, tracked};
use crate::agents::{Document, Session, refs};
use crate::cli::context::Context;
use crate::cli::end::{self, How};
use crate::error::{Error, Kind, Result, plain};
use crate::inspect::{View, view};
use crate::render::{sanitize, shell_quote};
use crate::sys::pidfd::{Handle, wait_all};
use crate::sys::signals;

/// End an agent, and leave its terminal as it is.
///
/// It gets TERM and has 10 seconds to end; --force kills it. What tsm start has started is stopped through its supervisor,
/// so that it is not started again. The conversation stays, and can be resumed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm agents stop review")]
pub(super) struct Args {
    /// A label, session ID, PID, project, workspace, or a part that only one has.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Kill it at once.
    #[arg(short, long)]
    force: bool,
    /// Look at those of other homes as well.
    #[arg(long)]
    all: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// How long it may take to end after TERM.
const PATIENCE: Duration = Duration::from_secs(10);

/// The object of `--json`.
#[derive(Debug, Serialize)]
struct Stopped {
    /// `stopped` or `killed`.
    done: &'static str,
    /// The session as it was.
    session: Document,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut looker = Looker::new(context, args.all);
    let session = looker.look_for(&args.agent)?;
    let views = tracked(context);
    match managed(&session, &views) {
        Some(managed) => stop_managed(context, args, &managed)?,
        None => stop(args, &session)?,
    }
    if args.json {
        let done = if args.force { "killed" } else { "stopped" };
        return context.output.json(&Stopped { done, session: document(&session, &views) });
    }
    let done = if args.force { "Killed" } else { "Stopped" };
    context.output.line(&sanitize::text(&format!("{done}: {}", refs::described(&session))))
}

/// Through its supervisor, which would start it again otherwise.
fn stop_managed(context: &Context, args: &Args, managed: &View) -> Result<()> {
    let Some(proven) = view(&context.layout, &managed.name) else { return Ok(()) };
    let how = if args.force { How::AtOnce } else { How::Gracefully };
    end::begin(&proven, how).and_then(|ending| end::finish(&proven, ending)).map(drop)
}

/// The very process that was looked at, and nothing else.
fn stop(args: &Args, session: &Session) -> Result<()> {
    // Gone by now is what was wanted.
    let Some(handle) = Handle::open(&session.identity) else { return Ok(()) };
    // A halted one acts on TERM only with CONT.
    let all: &[i32] = if args.force { &[signals::KILL] } else { &[signals::TERM, signals::CONT] };
    for number in all {
        match handle.signal(*number) {
            Err(error) if handle.is_alive() => {
                let what = format!("cannot end {}: {}", refs::described(session), plain(&error));
                return Err(Error::failed(what));
            }
            _ => {}
        }
    }
    if wait_all(slice::from_ref(&handle), PATIENCE).is_empty() {
        return Ok(());
    }
    let text = format!("{} still runs 10s after {}", refs::described(session), asked(args));
    let force = format!("tsm agents stop --force {}", shell_quote::quote(&session.title()));
    Err(Error::new(Kind::TimedOut, text).hint(if args.force { "tsm doctor orphans".into() } else { force }))
}

fn asked(args: &Args) -> &'static str {
    if args.force { "KILL" } else { "TERM" }
}
