//! `tsm stop` and `tsm kill`: ending what runs, with and without grace.

use std::time::Duration;

use super::confirm::confirm;
use super::context::Context;
use super::end::{self, How};
use super::list::Done;
use crate::error::{Error, Kind, Result};
use crate::inspect::{View, port_owner};
use crate::model::{Killed, Pid};
use crate::render::sanitize;
use crate::sys::pidfd::{Handle, wait_all};
use crate::sys::{process, signals};

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
        match foreign(text) {
            Some(target) if error.kind() == Kind::NotFound => {
                match kill_foreign(context, &target, args.force, !args.json) {
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

/// Something that TSM does not manage.
#[derive(Debug)]
struct Foreign {
    /// `PID 123` or `port 8000`.
    what: String,
    pids: Vec<Pid>,
}

/// The port or PID that `text` means on this machine.
fn foreign(text: &str) -> Option<Foreign> {
    let (kind, number) = text.split_once(':').unwrap_or(("any", text));
    let number: i32 = number.parse().ok()?;
    let of_port = || {
        let port = u16::try_from(number).ok().filter(|port| *port > 0)?;
        let owner = port_owner(port)?;
        Some(Foreign { what: format!("port {port}"), pids: owner.pids })
    };
    let of_pid = || {
        let pid = Pid::new(number)?;
        process::read(pid)?;
        Some(Foreign { what: format!("PID {pid}"), pids: vec![pid] })
    };
    match kind {
        "port" | "" => of_port(),
        "pid" => of_pid(),
        "any" => of_port().or_else(of_pid),
        _ => None,
    }
}

fn kill_foreign(context: &Context, target: &Foreign, force: bool, print: bool) -> Result<Vec<Done>> {
    if target.pids.is_empty() {
        return Err(Error::failed(format!(
            "cannot see who holds {}: it belongs to another user",
            target.what
        )));
    }
    // Before the first of several is killed.
    for pid in &target.pids {
        spare(context, *pid)?;
    }
    let mut all = Vec::new();
    for pid in &target.pids {
        let Some(process) = process::read(*pid) else { continue };
        // Opened before the question: however long the answer takes, it is about this very process.
        let Some(handle) = Handle::open(&process.identity()) else { continue };
        let command = process::argv(*pid).join(" ");
        let command = if command.is_empty() { process.comm.to_string() } else { command };
        let shown: String = command.chars().take(120).collect();
        if !force && !agreed(context, &target.what, *pid, &sanitize::text(&shown))? {
            return Err(Error::failed("nothing was killed"));
        }
        handle.signal(signals::KILL).map_err(|error| {
            Error::failed(format!("cannot kill PID {pid}: {}", crate::error::plain(&error)))
        })?;
        if !wait_all(std::slice::from_ref(&handle), Duration::from_secs(5)).is_empty() {
            return Err(Error::new(Kind::TimedOut, format!("PID {pid} is still alive after KILL")));
        }
        if print {
            context.output.line(&format!("Killed: PID {pid} ({})", sanitize::text(&shown)))?;
        }
        all.push(Done {
            name: shown.clone(),
            id: None,
            what: "killed",
            killed: vec![Killed { pid: pid.get(), command: shown }],
        });
    }
    Ok(all)
}

/// # Errors
/// Usage for this very process, a conflict for what TSM does manage: killing a supervisor would leave its program alone,
/// and a part of a tree has a whole that can be named.
fn spare(context: &Context, pid: Pid) -> Result<()> {
    if i64::from(pid.get()) == i64::from(std::process::id()) {
        return Err(Error::usage(format!("PID {pid} is this tsm itself")));
    }
    for view in context.all() {
        let part = if view.supervisor_pid == Some(pid.get()) {
            "supervises"
        } else if view.tree.iter().any(|process| process.pid == pid) {
            "is part of"
        } else {
            continue;
        };
        return Err(Error::conflict(format!("PID {pid} {part} {}", view.title()))
            .hint(format!("tsm kill {}", view.name)));
    }
    Ok(())
}

fn agreed(context: &Context, what: &str, pid: Pid, command: &str) -> Result<bool> {
    let question = format!("{what} is held by PID {pid}, which TSM does not manage:\n  {command}\nKill it?");
    confirm(context, &question, || {
        Error::conflict(format!("{what} is held by PID {pid} ({command}), which TSM does not manage"))
            .hint("tsm kill --force, if it is the right one")
    })
}
