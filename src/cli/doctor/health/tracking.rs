//! The tracked processes: their files, supervisors and sockets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::stale::{Stale, What};
use super::Finding;
use crate::control::client::Client;
use crate::inspect::View;
use crate::model::{Name, State};
use crate::store::{self, Record};
use crate::sys::{lock, process};

/// One tracked process.
pub(super) struct Tracked {
    name: Name,
    state: State,
    note: Option<String>,
    /// Why its socket cannot be reached, though a supervisor is there.
    deaf: Option<String>,
    /// A file of it that is of no use, and why.
    broken: Option<(PathBuf, String)>,
}

/// What is known of all of them.
pub(super) struct Facts {
    tracked: Vec<Tracked>,
    stale: Vec<Stale>,
}

impl Facts {
    pub(super) fn gather(views: &[View], stale: &[Stale]) -> Self {
        let mine = |one: &&Stale| !one.what.needs_asking() && one.what != What::ServiceLink;
        Facts {
            tracked: views.iter().map(Tracked::of).collect(),
            stale: stale.iter().filter(mine).cloned().collect(),
        }
    }
}

impl Tracked {
    fn of(view: &View) -> Self {
        let running = matches!(view.status, State::Starting | State::Online) && view.pid.is_some();
        let reached = || Client::connect(&view.dir.socket()).err();
        // One that has ended between the two looks is no trouble.
        let alive = || view.main.is_some_and(|main| process::alive(&main)) && lock::is_held(&view.dir.lock());
        let why = |record: Record<()>| match record {
            Record::Broken(why) => Some(why),
            Record::Newer(schema) => Some(format!("a newer tsm wrote it (schema {schema})")),
            Record::Found(()) | Record::Missing => None,
        };
        let spec = why(unit(store::read_spec(&view.dir))).map(|why| (view.dir.spec(), why));
        let status = || why(unit(store::read_status(&view.dir))).map(|why| (view.dir.status(), why));
        Tracked {
            name: view.name.clone(),
            state: view.status,
            note: view.note.clone(),
            deaf: reached().filter(|_| running && alive()).map(|error| error.message().to_owned()),
            broken: spec.or_else(status),
        }
    }
}

fn unit<T>(record: Record<T>) -> Record<()> {
    match record {
        Record::Found(_) => Record::Found(()),
        Record::Missing => Record::Missing,
        Record::Broken(why) => Record::Broken(why),
        Record::Newer(schema) => Record::Newer(schema),
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &facts.tracked {
        *states.entry(one.state.as_str()).or_default() += 1;
    }
    let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let count = facts.tracked.len();
    let counted = if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) };
    let mut found = vec![Finding::info(format!("Tracked processes: {count}{counted}"))];
    if facts.stale.is_empty() {
        found.push(Finding::ok("No stale process files"));
    }
    for one in &facts.stale {
        found.push(Finding::warning(
            format!("stale: {} ({})", one.path.display(), one.why),
            "tsm doctor clean",
        ));
    }
    for one in &facts.tracked {
        found.extend(of_process(one));
    }
    if facts.tracked.iter().all(|one| one.deaf.is_none()) {
        found.push(Finding::ok("Every supervisor listens at its socket"));
    }
    found
}

fn of_process(one: &Tracked) -> Vec<Finding> {
    let name = &one.name;
    let note = one.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    let mut found = Vec::new();
    if let Some((path, why)) = &one.broken {
        let remedy = format!("tsm delete {name}, and start it anew");
        found.push(Finding::error(format!("{} cannot be used: {why}", path.display()), remedy));
    }
    match one.state {
        State::Unsupervised => found.push(Finding::warning(
            format!("{name} runs without a supervisor{note}"),
            format!("tsm restart {name}"),
        )),
        State::Lost if one.broken.is_none() => found.push(Finding::warning(
            format!("{name} is lost{note}"),
            format!("tsm start {name}, or tsm delete {name}"),
        )),
        _ => {}
    }
    if let Some(why) = &one.deaf {
        // A restart is asked for at the socket; a stop is heard without it.
        let remedy = format!("tsm stop {name} && tsm start {name}");
        found.push(Finding::warning(format!("{name}: {why}"), remedy));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn tracked(state: State) -> Tracked {
        Tracked { name: Name::reduce("web"), state, note: None, deaf: None, broken: None }
    }

    #[test]
    fn states_are_counted_and_only_what_is_out_of_order_is_named() {
        let facts = Facts {
            tracked: vec![tracked(State::Online), tracked(State::Stopped), tracked(State::Online)],
            stale: Vec::new(),
        };
        let found = findings(&facts);
        assert_eq!(found[0].what, "Tracked processes: 3 (2 online, 1 stopped)");
        assert_eq!(found[1].what, "No stale process files");
        assert!(found.iter().all(|one| one.remedy.is_none()), "{found:?}");
        for state in [State::Unsupervised, State::Lost] {
            let found = of_process(&tracked(state));
            assert_eq!((found.len(), found[0].level), (1, Level::Warning), "{state}");
        }
        let broken = Some(("/p/spec.json".into(), "it is empty".into()));
        let found = of_process(&Tracked { broken, ..tracked(State::Lost) });
        assert_eq!((found.len(), found[0].level), (1, Level::Error));
    }
}
