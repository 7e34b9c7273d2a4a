//! `tsm doctor orphans --kill`: ends what was left behind, each with its whole tree.

use std::cell::RefCell;
use std::time::Duration;

use super::super::super::confirm::confirm;
use super::super::super::context::Context;
use super::super::super::end::{self, How};
use super::super::super::list::Done;
use super::super::super::stop::say_killed;
use super::{Named, Orphan, named};
use crate::error::{Error, Result};
use crate::inspect::{Exact, Orphans, Place, Table, View, orphan_tree, view};
use crate::model::{Identity, Killed, Name, Policy};
use crate::render::sanitize;
use crate::store::Layout;
use crate::sys::pidfd::{Handle, wait_all};
use crate::sys::{process, signals};

pub(super) fn run(
    context: &Context,
    found: &Orphans,
    refs: &[String],
    force: bool,
    json: bool,
) -> Result<()> {
    let mut outcome = context.outcome();
    let mut chosen: Vec<Orphan<'_>> = Vec::new();
    if refs.is_empty() {
        for one in &found.exact {
            // What belongs to another TSM is ended only by name: its user may be about to adopt it.
            if matches!(one.place, Place::Elsewhere(..) | Place::Gone { here: false, .. }) {
                let pid = one.main.pid;
                context.output.remark(&format!(
                    "PID {pid} is of another TSM and stays; tsm doctor orphans --kill {pid} ends it"
                ));
            } else {
                chosen.push(Orphan::Exact(one));
            }
        }
    }
    for text in refs {
        let all = named(context, found, text).unwrap_or_else(|error| {
            outcome.failed(&error);
            Vec::new()
        });
        for one in all {
            match one {
                Named::Orphan(orphan) if chosen.iter().any(|one| one.pid() == orphan.pid()) => {}
                Named::Orphan(orphan) => chosen.push(orphan),
                Named::Other(view) => outcome.failed(&managed(&view)),
            }
        }
    }
    let shown: Vec<String> =
        chosen.iter().map(|one| format!("PID {} ({})", one.pid(), command(*one))).collect();
    if !shown.is_empty() && !force {
        let question = format!("End with everything below them:\n  {}\nEnd?", shown.join("\n  "));
        let agreed = confirm(context, &question, || {
            Error::conflict(format!("not ended without a question: {}", shown.join(", ")))
                .hint("tsm doctor orphans --kill PID --force, if they are the right ones")
        })?;
        if !agreed {
            return Err(Error::failed("nothing was ended"));
        }
    }
    let mut done = Vec::new();
    for (orphan, shown) in chosen.iter().zip(&shown) {
        let killed = match end(context, *orphan) {
            Ok(killed) => killed,
            Err(error) => {
                outcome.failed(&Error::new(error.kind(), format!("cannot end {shown}: {error}")));
                continue;
            }
        };
        if !json {
            context.output.line(&format!("Ended: {shown}"))?;
            say_killed(context, &killed)?;
        }
        let name = match orphan {
            Orphan::Exact(Exact { place: Place::Here(name), .. }) => name.to_string(),
            _ => command(*orphan),
        };
        done.push(Done { name, id: None, what: "ended", killed });
    }
    if json {
        context.output.json(&done)?;
    } else if refs.is_empty() && chosen.is_empty() {
        context.output.line("No orphaned processes to end")?;
    }
    outcome.done()
}

fn managed(view: &View) -> Error {
    Error::conflict(format!("{} is no orphan: it is {}", view.title(), view.status))
        .hint(format!("tsm stop {}", view.name))
}

fn command(orphan: Orphan<'_>) -> String {
    let words = process::argv(orphan.pid()).join(" ");
    let words = if words.is_empty() { "?".to_owned() } else { words };
    sanitize::text(&words.chars().take(120).collect::<String>()).into_owned()
}

fn end(context: &Context, orphan: Orphan<'_>) -> Result<Vec<Killed>> {
    match orphan {
        Orphan::Exact(one) => match &one.place {
            Place::Here(name) => end_tracked(&context.layout, name),
            Place::Elsewhere(root, name) => end_tracked(&Layout::new(root.clone()), name),
            Place::Gone { supervisor: Some(supervisor), .. } => end_supervised(one, supervisor),
            Place::Left(..) | Place::Gone { .. } => end_tree(one.main, Some(one)),
        },
        Orphan::Probable(one) => end_tree(one.main, None),
    }
}

/// As `tsm stop` does: under the supervisor's lock, by its own policy, and written down.
fn end_tracked(layout: &Layout, name: &Name) -> Result<Vec<Killed>> {
    let Some(view) = view(layout, name) else { return Ok(Vec::new()) };
    end::begin(&view, How::Gracefully).and_then(|ending| end::finish(&view, ending))
}

/// Its supervisor lives, and ends everything when it is told to.
fn end_supervised(one: &Exact, supervisor: &Identity) -> Result<Vec<Killed>> {
    if let Some(handle) = Handle::open(supervisor) {
        for number in [signals::TERM, signals::CONT] {
            let _ = handle.signal(number);
        }
        // Twice what a stop takes by default: its own policy went with its directory.
        let patience = Duration::from_millis(2 * Policy::default().stop_timeout_ms);
        wait_all(std::slice::from_ref(&handle), patience);
    }
    end_tree(one.main, Some(one))
}

/// Ends `main` and what is below it, and what carries the marker of `exact`.
fn end_tree(main: Identity, exact: Option<&Exact>) -> Result<Vec<Killed>> {
    // A process that loses its parent meanwhile is below nobody any more.
    let known: RefCell<Vec<Identity>> = RefCell::new(vec![main]);
    let members = || {
        let table = Table::all();
        let mut known = known.borrow_mut();
        if let Some(one) = exact {
            let socket = one.socket.to_string_lossy();
            known.extend(orphan_tree(None, true, &socket).iter().map(process::Process::identity));
        }
        known.retain(|one| table.is_alive(one));
        let mut all: Vec<Identity> =
            known.iter().flat_map(|one| table.tree(one.pid)).map(process::Process::identity).collect();
        all.sort_by_key(|one| (one.start, one.pid));
        all.dedup();
        known.clone_from(&all);
        all
    };
    end::end_members(&members, &Policy::default(), How::Gracefully)
}
