//! What runs, as the daemon lists it: the files as they are now, and a sample of the kernel's tables that is young.
//!
//! Whether something lives is never taken from a sample: the kernel tells it of each process through its descriptor.

use std::collections::{HashMap, HashSet};

use crate::inspect::{View, glance, verify};
use crate::model::{Identity, Kind, Name, Pid};
use crate::store::Layout;
use crate::sys::clock;
use crate::sys::pidfd::{self, Handle};
use crate::sys::process::{self, Process};

/// How long processor use, memory and ports may be shown after they were read, in milliseconds.
const YOUNG_MS: u64 = 1_000;

/// What the kernel's tables said of one process.
#[derive(Debug)]
struct Sample {
    /// The main process and its supervisor.
    held: [Handle; 2],
    at: u64,
    kind: Kind,
    ports: Vec<u16>,
    tree: Vec<Process>,
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
}

/// The samples so far.
#[derive(Debug, Default)]
pub(super) struct Registry {
    samples: HashMap<Name, Sample>,
}

impl Registry {
    /// Every tracked process, by ID.
    pub(super) fn views(&mut self, layout: &Layout) -> Vec<View> {
        let now = clock::monotonic_ms();
        let wall = clock::wall_ms();
        let mut views = glance(layout);
        self.samples.retain(|name, _| views.iter().any(|view| view.name == *name));
        let alive = pidfd::running(self.samples.values().flat_map(|sample| &sample.held));
        let mut old = Vec::new();
        for (at, view) in views.iter_mut().enumerate() {
            if view.status.live() {
                let sample = self.samples.get(&view.name).filter(|sample| {
                    now.saturating_sub(sample.at) < YOUNG_MS && sample.is_of(view) && sample.lives(&alive)
                });
                match sample {
                    Some(sample) => sample.show(view, wall),
                    None => old.push(at),
                }
            } else {
                view.main = None;
                view.pid = None;
                view.supervisor_pid = None;
            }
        }
        if !old.is_empty() {
            let mut fresh: Vec<View> = Vec::with_capacity(old.len());
            // From the back, so that the places stay right.
            for at in old.into_iter().rev() {
                fresh.push(views.swap_remove(at));
            }
            verify(layout, &mut fresh);
            for view in &fresh {
                let known = self.samples.remove(&view.name).filter(|sample| sample.lives(&alive));
                if let Some(sample) = Sample::of(view, now, known) {
                    self.samples.insert(view.name.clone(), sample);
                }
            }
            views.append(&mut fresh);
        }
        views.sort_by(|a, b| (a.id.is_none(), a.id, &a.name).cmp(&(b.id.is_none(), b.id, &b.name)));
        views
    }
}

impl Sample {
    /// None for what has no supervisor: that is looked at each time. `known` is an older one whose processes run: when
    /// they are the same, they are not opened anew, which takes longer than all else.
    fn of(view: &View, at: u64, known: Option<Sample>) -> Option<Sample> {
        let main = view.main.filter(|main| view.pid == Some(main.pid.get()))?;
        let held = match known {
            Some(known) if known.is_of(view) => known.held,
            _ => {
                let supervisor = process::read(Pid::new(view.supervisor_pid?)?)?.identity();
                [Handle::open(&main)?, Handle::open(&supervisor)?]
            }
        };
        Some(Sample {
            held,
            at,
            kind: view.kind,
            ports: view.ports.clone(),
            tree: view.tree.clone(),
            cpu_percent: view.cpu_percent,
            memory_bytes: view.memory_bytes,
        })
    }

    fn lives(&self, alive: &HashSet<Identity>) -> bool {
        self.held.iter().all(|one| alive.contains(&one.identity()))
    }

    fn is_of(&self, view: &View) -> bool {
        let [main, supervisor] = self.held.each_ref().map(Handle::identity);
        view.main == Some(main) && view.supervisor_pid == Some(supervisor.pid.get())
    }

    fn show(&self, view: &mut View, wall: u64) {
        let [main, _] = &self.held;
        view.pid = Some(main.identity().pid.get());
        view.kind = self.kind;
        view.ports.clone_from(&self.ports);
        view.tree.clone_from(&self.tree);
        view.cpu_percent = self.cpu_percent;
        view.memory_bytes = self.memory_bytes;
        view.uptime_ms = view.record.as_ref().map(|status| wall.saturating_sub(status.started_ms));
    }
}
