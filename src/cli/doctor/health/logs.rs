//! How much the logs take, and which is over its cap.

use std::fs;
use std::path::Path;

use super::super::stale::{Stale, What, name_of_log};
use super::Finding;
use crate::inspect::View;
use crate::model::{LogLimit, Name, State};
use crate::render::human;
use crate::store;

/// The log of one tracked process.
pub(super) struct Log {
    name: Name,
    state: State,
    /// The size of the live file.
    live: u64,
    /// The size of all files.
    all: u64,
    cap: u64,
}

/// All logs.
pub(super) struct Facts {
    logs: Vec<Log>,
    /// The logs of no tracked process: how many, and their size.
    others: (usize, u64),
}

impl Facts {
    pub(super) fn gather(views: &[View], stale: &[Stale]) -> Self {
        let logs = views.iter().map(|view| {
            let live = Path::new(&view.log_path);
            let spec = store::read_spec(&view.dir).found();
            let limit = spec.map_or_else(LogLimit::default, |spec| spec.policy.log);
            Log {
                name: view.name.clone(),
                state: view.status,
                live: size(live),
                all: files_of(&view.name, live),
                cap: limit.max_bytes,
            }
        });
        let others = stale.iter().filter(|one| one.what == What::Log);
        let sizes: Vec<u64> = others.filter_map(|one| one.bytes).collect();
        Facts { logs: logs.collect(), others: (sizes.len(), sizes.iter().sum()) }
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |facts| facts.len())
}

fn files_of(name: &Name, live: &Path) -> u64 {
    let dir = live.parent().unwrap_or(Path::new("."));
    let listing = fs::read_dir(dir).into_iter().flatten().flatten();
    let mine = |item: &fs::DirEntry| {
        let file = item.file_name();
        file.to_str().is_some_and(|file| file.starts_with(name.as_str()))
            && file.to_str().and_then(name_of_log).is_some_and(|of| of == *name)
    };
    listing.filter(mine).map(|item| size(&item.path())).sum()
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let total: u64 = facts.logs.iter().map(|log| log.all).sum::<u64>() + facts.others.1;
    let biggest = facts.logs.iter().filter(|log| log.all > 0).max_by_key(|log| log.all);
    let biggest = biggest
        .map(|log| format!(", the biggest of {} ({})", log.name, human::bytes(log.all)))
        .unwrap_or_default();
    let mut found = vec![Finding::ok(format!("Logs: {} in all{biggest}", human::bytes(total)))];
    found.extend(facts.logs.iter().filter_map(over));
    if facts.others.0 > 0 {
        let (count, bytes) = facts.others;
        let logs = if count == 1 { "1 log".to_owned() } else { format!("{count} logs") };
        let what = format!("{logs} of no tracked process ({})", human::bytes(bytes));
        found.push(Finding::info(what).remedy("tsm doctor clean --aggressive"));
    }
    found
}

/// A live log over its cap. One that is being written is only looked at every few seconds, so it may be over for a
/// moment.
fn over(log: &Log) -> Option<Finding> {
    let moment = if log.state.supervised() { 2 } else { 1 };
    if log.live <= log.cap.saturating_mul(moment) {
        return None;
    }
    let (name, size, cap) = (&log.name, human::bytes(log.live), human::bytes(log.cap));
    let (why, remedy) = match log.state {
        State::Unsupervised => ("nobody rotates it without a supervisor", format!("tsm restart {name}")),
        state if state.supervised() => {
            ("it grows faster than it is rotated", format!("tsm logs {name}, and let it say less"))
        }
        _ => ("it does not run", format!("tsm start {name}, which rotates it, or tsm delete --purge {name}")),
    };
    Some(Finding::warning(format!("the log of {name} has {size}, over its cap of {cap}: {why}"), remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_over_its_cap_at_once_or_after_a_moment() {
        let log = |state, live| Log { name: Name::reduce("web"), state, live, all: live, cap: 100 };
        for (state, live, is_over) in [
            (State::Online, 150, false),
            (State::Online, 201, true),
            (State::Stopped, 100, false),
            (State::Stopped, 101, true),
            (State::Unsupervised, 101, true),
        ] {
            assert_eq!(over(&log(state, live)).is_some(), is_over, "{state} {live}");
        }
        let facts = Facts { logs: vec![log(State::Online, 10), log(State::Online, 90)], others: (1, 12) };
        let found = findings(&facts);
        assert_eq!(found[0].what, "Logs: 112B in all, the biggest of web (90B)");
        assert_eq!((found.len(), found[1].what.as_str()), (2, "1 log of no tracked process (12B)"));
    }
}
