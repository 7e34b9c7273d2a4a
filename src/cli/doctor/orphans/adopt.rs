//! `tsm doctor orphans --adopt`: a new supervisor for what has lost its own.

use super::super::super::context::Context;
use super::{Named, Orphan, named, show};
use crate::error::{Error, Result};
use crate::inspect::{Orphans, Place, view};
use crate::store::ProcessDir;
use crate::supervisor::{self, environment};

pub(super) fn run(context: &Context, found: &Orphans, refs: &[String], json: bool) -> Result<()> {
    let mut outcome = context.outcome();
    let mut dirs: Vec<ProcessDir> = Vec::new();
    if refs.is_empty() {
        for one in &found.exact {
            match &one.place {
                Place::Here(name) => dirs.push(context.layout.process(name)),
                place => {
                    let why = show::why_not(place).unwrap_or_default();
                    context.output.remark(&format!("PID {} is not adopted: {why}", one.main.pid));
                }
            }
        }
    }
    for text in refs {
        let all = named(context, found, text).unwrap_or_else(|error| {
            outcome.failed(&error);
            Vec::new()
        });
        for one in &all {
            match dir_of(context, one) {
                Ok(dir) if dirs.contains(&dir) => {}
                Ok(dir) => dirs.push(dir),
                Err(error) => outcome.failed(&error),
            }
        }
    }
    if dirs.is_empty() && refs.is_empty() && !json {
        return context.output.line("No orphaned processes to adopt");
    }
    let fallback = environment::captured(std::env::vars_os());
    let mut done = Vec::new();
    for dir in &dirs {
        let adopted = match supervisor::adopt(dir, &fallback) {
            Ok(adopted) => adopted,
            Err(error) => {
                outcome.failed(&error);
                continue;
            }
        };
        let Some(view) = dir.name().and_then(|name| view(&context.layout, &name)) else { continue };
        if adopted.followed {
            context.output.remark(&format!(
                "PID {}, the oldest process that is left of {}, is followed",
                adopted.pid, view.name
            ));
        }
        if adopted.environment_lost {
            context.output.remark(&format!(
                "the environment of {} cannot be read any more: a restart of it gets this shell's",
                view.name
            ));
        }
        if !json {
            let id = view.id.map_or_else(String::new, |id| format!("TSM ID: {id}, "));
            let port = view.port.map_or_else(String::new, |port| format!(", Port: {port}"));
            context.output.line(&format!("Adopted: {} ({id}PID: {}{port})", view.name, adopted.pid))?;
        }
        done.push(view);
    }
    if json {
        context.output.json(&done)?;
    }
    outcome.done()
}

/// The process directory of what a word means; of a tracked process that is no orphan, too: adopting says why not.
fn dir_of(context: &Context, one: &Named<'_>) -> Result<ProcessDir> {
    let refused = |pid, why: &str| {
        Err(Error::failed(format!("cannot adopt PID {pid}: {why}"))
            .hint(format!("tsm doctor orphans --kill {pid}")))
    };
    match one {
        Named::Orphan(Orphan::Exact(one)) => match (&one.place, show::why_not(&one.place)) {
            (Place::Here(name), _) => Ok(context.layout.process(name)),
            (_, why) => refused(one.main.pid, &why.unwrap_or_default()),
        },
        Named::Orphan(Orphan::Probable(one)) => refused(one.main.pid, "TSM has not started it"),
        Named::Other(view) => Ok(view.dir.clone()),
    }
}
