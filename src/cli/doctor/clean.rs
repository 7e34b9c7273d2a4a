//! `tsm doctor clean`: takes away what is left of processes that are gone.

use serde::Serialize;

use super::super::context::Context;
use super::stale::{self, Stale, What};
use crate::error::Result;
use crate::model::SCHEMA;

/// Remove what is left of processes that are gone.
///
/// Unfinished and empty process directories, PID files and sockets of the dead, links that lead nowhere. A process that
/// could be started again stays (tsm cleanup forgets those), and so does every log.
///
/// With --aggressive also: processes that do not run and whose directory is gone or whose port belongs to somebody else
/// now, and the logs of processes that are not tracked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm doctor clean --dry-run\n  tsm doctor clean --aggressive")]
pub(super) struct Args {
    /// Also forget what cannot run as it is, and remove the logs of no tracked process.
    #[arg(short, long)]
    aggressive: bool,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    dry_run: bool,
    cleaned: Vec<&'a Stale>,
    kept: Vec<&'a Stale>,
    /// How many tracked processes and leftovers stay.
    kept_count: usize,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let views = context.all();
    let found = stale::find(context, &views);
    let mut outcome = context.outcome();
    let (mut cleaned, mut kept) = (Vec::new(), Vec::new());
    for one in &found {
        if one.what.needs_asking() && !args.aggressive {
            kept.push(one);
        } else if args.dry_run {
            cleaned.push(one);
        } else {
            match stale::remove(context, one) {
                Ok(true) => cleaned.push(one),
                // It has come to life, or is gone.
                Ok(false) => {}
                Err(error) => {
                    outcome.failed(&error);
                    kept.push(one);
                }
            }
        }
    }
    let gone = |what| matches!(what, What::NoSpec | What::GoneDirectory | What::TakenPort);
    let forgotten = cleaned.iter().filter(|one| gone(one.what)).count();
    let beside = kept.iter().filter(|one| !gone(one.what)).count();
    let kept_count = views.len() - forgotten.min(views.len()) + beside;
    if args.json {
        let report = Report { schema: SCHEMA, dry_run: args.dry_run, cleaned, kept, kept_count };
        context.output.json(&report)?;
        return outcome.done();
    }
    let removed = if args.dry_run { "Would remove" } else { "Removed" };
    for one in &cleaned {
        context.output.line(&format!("{removed}: {} ({})", one.path.display(), one.why))?;
    }
    for one in kept.iter().filter(|one| one.what.needs_asking()) {
        context.output.line(&format!("Kept: {} ({})", one.path.display(), one.why))?;
    }
    if kept.iter().any(|one| one.what.needs_asking()) {
        context.output.advise("what is kept may still be wanted", "tsm doctor clean --aggressive");
    }
    let count = cleaned.len();
    context.output.line(&if args.dry_run {
        format!("would clean {count}, keep {kept_count}")
    } else {
        format!("cleaned {count}, kept {kept_count}")
    })?;
    outcome.done()
}
