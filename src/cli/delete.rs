//! `tsm delete` and `tsm cleanup`: forgetting processes.

use std::fs;

use super::context::Context;
use super::end::{self, How};
use super::list::Done;
use super::logs;
use super::start;
use super::stop::say_killed;
use crate::error::{Error, Result};
use crate::inspect::View;
use crate::model::Name;
use crate::store::{self, Record};
use crate::sys::lock::Lock;
use crate::sys::unix;

/// Stop processes and forget them.
///
/// Their logs stay unless --purge is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm delete my-api-http-8000 --purge")]
pub(super) struct Args {
    /// Names, IDs, ports, PIDs, globs, or all.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// Remove the logs too.
    #[arg(long)]
    purge: bool,
    /// Print a JSON array of what was done.
    #[arg(long)]
    json: bool,
}

/// Forget every process that does not run.
///
/// Their logs stay unless --purge is given.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm cleanup")]
pub(super) struct CleanupArgs {
    /// Remove the logs too.
    #[arg(long)]
    purge: bool,
    /// Print a JSON array of what was done.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let (mut views, mut errors) = context.find(&args.refs);
    let mut left = Vec::new();
    if args.purge && !errors.is_empty() {
        let refs: Vec<String>;
        (left, refs) = logs::left_behind(context, &args.refs);
        (views, errors) = context.find(&refs);
    }
    let mut outcome = context.outcome();
    for error in &errors {
        outcome.failed(error);
    }
    let mut done = Vec::new();
    let gracefully = |some| end::begin_all(some, How::Gracefully);
    for (view, begun) in views.chunks(end::AT_ONCE).flat_map(gracefully) {
        let deleted = begun.and_then(|ending| end::finish(view, ending)).and_then(|killed| {
            forget(context, view, args.purge)?;
            Ok(killed)
        });
        match deleted {
            Ok(killed) => {
                if !args.json {
                    context.output.line(&format!("Deleted: {}", view.title()))?;
                    say_killed(context, &killed)?;
                }
                done.push(Done { name: view.name.to_string(), id: view.id, what: "deleted", killed });
            }
            Err(error) => outcome.failed(&error),
        }
    }
    for name in &left {
        match remove_logs(context, name) {
            Ok(()) => {
                if !args.json {
                    context.output.line(&format!("Deleted: the log of {name}"))?;
                }
                done.push(Done { name: name.to_string(), id: None, what: "purged", killed: Vec::new() });
            }
            Err(error) => outcome.failed(&error),
        }
    }
    if args.json {
        context.output.json(&done)?;
    } else if views.is_empty() && errors.is_empty() && left.is_empty() {
        context.output.line("nothing to delete")?;
    }
    outcome.done()
}

pub(super) fn cleanup(context: &Context, args: &CleanupArgs) -> Result<()> {
    let all = context.all();
    let mut outcome = context.outcome();
    let mut done = Vec::new();
    for view in all.iter().filter(|view| !view.status.live()) {
        match readable(view).and_then(|()| forget(context, view, args.purge)) {
            Ok(()) => {
                if !args.json {
                    context.output.line(&format!("Removed: {} ({})", view.title(), view.status))?;
                }
                done.push(Done {
                    name: view.name.to_string(),
                    id: view.id,
                    what: "removed",
                    killed: Vec::new(),
                });
            }
            Err(error) => outcome.failed(&error),
        }
    }
    if args.json {
        context.output.json(&done)?;
    } else {
        let processes = if all.len() == 1 { "process" } else { "processes" };
        context.output.line(&format!("Checked {} {processes}, removed {}", all.len(), done.len()))?;
    }
    outcome.done()
}

/// Makes sure that what nobody named is not thrown away because it is of a newer TSM: what it says is not known here.
fn readable(view: &View) -> Result<()> {
    if let newer @ Record::Newer(_) = store::read_spec(&view.dir) {
        newer.required(&view.dir.spec())?;
    }
    if let newer @ Record::Newer(_) = store::read_status(&view.dir) {
        newer.required(&view.dir.status())?;
    }
    Ok(())
}

/// Forgets a process that does not run.
fn forget(context: &Context, view: &View, purge: bool) -> Result<()> {
    let layout = &context.layout;
    let _held = start::runtime_lock(layout)?;
    let taken = Lock::take_within(&view.dir.lock(), std::time::Duration::from_secs(2));
    match taken {
        Ok(Some(lock)) => {
            take_away(context, &view.name)?;
            drop(lock);
        }
        Ok(None) => {
            return Err(Error::conflict(format!("{} was started again meanwhile", view.name))
                .hint(format!("tsm delete {}", view.name)));
        }
        // Somebody else deleted it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("lock", &view.dir.lock(), &error)),
    }
    let _ = fs::remove_file(layout.pid_file(&view.name));
    if purge {
        remove_logs(context, &view.name)?;
    }
    Ok(())
}

/// Removes a process directory, in one step for whoever looks, and its PID file; for whoever holds the runtime lock and
/// its supervisor lock.
///
/// # Errors
/// When the file system refuses.
pub(super) fn take_away(context: &Context, name: &Name) -> Result<()> {
    let layout = &context.layout;
    let dir = layout.process(name);
    let path = dir.path();
    unix::remove_short_link(path);
    let gone = layout.processes().join(format!(".new-gone-{name}"));
    let _ = fs::remove_dir_all(&gone);
    fs::rename(path, &gone).map_err(|error| Error::io("remove", path, &error))?;
    fs::remove_dir_all(&gone).map_err(|error| Error::io("remove", path, &error))?;
    let _ = fs::remove_file(layout.pid_file(name));
    Ok(())
}

/// Removes the log of `name` with its rotated files.
///
/// # Errors
/// When the file system refuses.
pub(super) fn remove_logs(context: &Context, name: &Name) -> Result<()> {
    let live = format!("{name}.log");
    let Ok(listing) = fs::read_dir(context.layout.logs()) else { return Ok(()) };
    for item in listing.flatten() {
        let name = item.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&live)) else { continue };
        let number = rest.strip_prefix('.');
        let rotated = number.is_some_and(|n| n == "head" || n.parse::<u32>().is_ok());
        if rest.is_empty() || rotated {
            fs::remove_file(item.path()).map_err(|error| Error::io("remove", &item.path(), &error))?;
        }
    }
    Ok(())
}
