//! `tsm stop` and `tsm kill`: ending what runs, with and without grace.

use super::context::Context;
use super::end::{self, How};
use super::foreign::{self, Foreign};
use super::list::Done;
use crate::error::{Kind, Result};
use crate::inspect::View;
use crate::model::Killed;
use crate::render::sanitize;

/// Stop processes with everything that they started.
///
/// The whole tree gets the stop signal, and KILL what of it is left after the stop timeout.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm stop my-api-http-8000\n  tsm stop 0 'web*'\n  tsm stop all")]
pub(super) struct StopArgs {
    /// Names, IDs, ports, PIDs, globs, or all.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// Print a JSON array of what was done.
    #[arg(long)]
    json: bool,
}

/// Kill processes at once, or whoever holds a port.
///
/// A port or PID that TSM does not manage is killed after asking; of a port only who listens on it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tsm kill 8000          whoever listens on port 8000\n  tsm kill my-worker"
)]
pub(super) struct KillArgs {
    /// Names, IDs, ports, PIDs, globs, or all.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// Do not ask before killing what TSM does not manage.
    #[arg(short, long)]
    force: bool,
    /// Print a JSON array of what was done.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &StopArgs) -> Result<()> {
    let (views, errors) = context.find(&args.refs);
    let mut outcome = context.outcome();
    for error in &errors {
        outcome.failed(error);
    }
    let done = end_all(context, &views, How::Gracefully, &mut outcome, !args.json)?;
    if args.json {
        context.output.json(&done)?;
    } else if views.is_empty() && errors.is_empty() {
        context.output.line("nothing is running")?;
    }
    outcome.done()
}

/// Stops all that is tracked; what was done, and whether all of it went well.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn everything(context: &Context, print: bool) -> Result<(Vec<Done>, bool)> {
    let mut outcome = context.outcome();
    let done = end_all(context, &context.all(), How::Gracefully, &mut outcome, print)?;
    Ok((done, outcome.is_good()))
}

/// Ends all of `views`, side by side.
fn end_all(
    context: &Context,
    views: &[View],
    how: How,
    outcome: &mut super::context::Outcome<'_>,
    print: bool,
) -> Result<Vec<Done>> {
    let verb = if how == How::Gracefully { "Stopped" } else { "Killed" };
    let mut all = Vec::new();
    for (view, begun) in views.chunks(end::AT_ONCE).flat_map(|some| end::begin_all(some, how)) {
        let already = matches!(begun, Ok(end::Ending::Already));
        let killed = match begun.and_then(|ending| end::finish(view, ending)) {
            Ok(killed) => killed,
            Err(error) => {
                outcome.failed(&error);
                continue;
            }
        };
        if print {
            let what = if already { "Already stopped" } else { verb };
            context.output.line(&format!("{what}: {}", view.title()))?;
            if how == How::Gracefully {
                say_killed(context, &killed)?;
            }
        }
        let what = if how == How::Gracefully { "stopped" } else { "killed" };
        all.push(Done { name: view.name.to_string(), id: view.id, what, killed });
    }
    Ok(all)
}

/// Says what did not end by itself.
pub(super) fn say_killed(context: &Context, killed: &[Killed]) -> Result<()> {
    for Killed { pid, command } in killed {
        // A command may have lines of its own; this is one.
        context.output.line(&format!("  had to kill PID {pid}: {}", sanitize::text(command)))?;
    }
    Ok(())
}

pub(super) fn kill(context: &Context, args: &KillArgs) -> Result<()> {
    let mut outcome = context.outcome();
    let mut views = Vec::new();
    let mut done = Vec::new();
    for text in &args.refs {
        let (mut found, mut errors) = context.find(std::slice::from_ref(text));
        views.append(&mut found);
        let Some(error) = errors.pop() else { continue };
        match Foreign::named(text) {
            Some(target) if error.kind() == Kind::NotFound => {
                match foreign::kill(context, &target, args.force, !args.json) {
                    Ok(mut killed) => done.append(&mut killed),
                    Err(error) => outcome.failed(&error),
                }
            }
            _ => outcome.failed(&error),
        }
    }
    let mut names: Vec<String> = Vec::new();
    views.retain(|view| {
        let new = !names.contains(&view.name.to_string());
        names.push(view.name.to_string());
        new
    });
    let nothing = done.is_empty() && views.is_empty() && outcome.is_good();
    done.extend(end_all(context, &views, How::AtOnce, &mut outcome, !args.json)?);
    if args.json {
        context.output.json(&done)?;
    } else if nothing {
        context.output.line("nothing is running")?;
    }
    outcome.done()
}
