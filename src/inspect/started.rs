//! From inside of what a tracked process was started, and whether that still runs.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::View;
use crate::model::Starter;
use crate::sys::{boot, process};

/// From inside of what a process was started.
#[derive(Clone, Debug, Serialize)]
pub struct StartedBy {
    /// Which program, its session, and where it was at work.
    #[serde(flatten, serialize_with = "shown")]
    pub starter: Starter,
    /// That very process runs; false until it was [`super::verify`]-ed.
    pub alive: bool,
}

fn shown<S: Serializer>(starter: &Starter, to: S) -> Result<S::Ok, S::Error> {
    let Starter { what, identity, session_id, cwd, .. } = starter;
    let mut map = to.serialize_map(Some(4))?;
    map.serialize_entry("what", what)?;
    map.serialize_entry("pid", &identity.pid)?;
    map.serialize_entry("session_id", session_id)?;
    map.serialize_entry("cwd", cwd)?;
    map.end()
}

impl From<Starter> for StartedBy {
    fn from(starter: Starter) -> Self {
        StartedBy { starter, alive: false }
    }
}

/// Finds out which of them run.
pub(super) fn look(views: &mut [View]) {
    let mut boot_id = None;
    // One agent starts many.
    let mut known: Vec<(Starter, bool)> = Vec::new();
    for started in views.iter_mut().filter_map(|view| view.started_by.as_mut()) {
        let starter = &started.starter;
        started.alive = match known.iter().find(|(known, _)| known.identity == starter.identity) {
            Some((known, alive)) if known.boot_id == starter.boot_id => *alive,
            _ => {
                let same_boot = *boot_id.get_or_insert_with(boot::id) == starter.boot_id;
                let alive = same_boot && process::alive(&starter.identity);
                known.push((starter.clone(), alive));
                alive
            }
        };
    }
}
