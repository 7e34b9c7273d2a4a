//! What must happen while nobody is typing: a new supervisor for a program that has lost its own, and the changes that
//! no supervisor tells of.

use std::collections::HashMap;
use std::time::Duration;

use crate::inspect::{View, glance, verify};
use crate::model::{Event, Happening, Name, Pid, State};
use crate::store::{self, Journal, Layout};
use crate::sys::pidfd::Handle;
use crate::sys::poll::{self, Interest};
use crate::sys::{clock, process, run};

/// How long until everything is looked at without a reason, in milliseconds: the safety net.
pub(super) const SCAN_MS: u64 = 5_000;

/// What the keeper remembers between two looks.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// The supervisors that must not die unseen.
    supervisors: HashMap<Name, Handle>,
    /// The ports that each tree listened on.
    ports: HashMap<Name, Vec<u16>>,
    /// What has been said of processes without a supervisor, and of which run.
    told: HashMap<Name, (Happening, u64)>,
    /// The service definitions and their times.
    definitions: HashMap<Name, (u64, u64)>,
    scanned: bool,
}

impl Keeper {
    /// Waits until a supervisor has ended, or for the safety net.
    pub(super) fn wait(&self) {
        let fds: Vec<_> =
            self.supervisors.values().filter_map(|one| Some((one.fd()?, Interest::Read))).collect();
        let _ = poll::wait(&fds, Some(Duration::from_millis(SCAN_MS)));
    }

    /// Looks at everything, gives supervisors to those that have none, and tells the journal what it has seen.
    ///
    /// Returns a line for the log for each thing it did.
    pub(super) fn scan(&mut self, layout: &Layout) -> Vec<String> {
        let mut said = Vec::new();
        let mut views = glance(layout);
        verify(layout, &mut views);
        for view in &views {
            match view.status {
                State::Unsupervised => {
                    self.tell(layout, view, Happening::Orphaned);
                    said.push(adopt(view));
                }
                State::Lost => self.tell(layout, view, Happening::Lost),
                _ => {
                    self.told.remove(&view.name);
                }
            }
        }
        self.compare_ports(layout, &views);
        self.compare_definitions(layout);
        self.hold(&views, layout);
        self.scanned = true;
        said
    }

    /// Takes hold of every supervisor, those of programs that were adopted just now too.
    fn hold(&mut self, views: &[View], layout: &Layout) {
        let mut held = HashMap::new();
        for view in views.iter().filter(|view| view.status.live()) {
            let recorded = view.record.as_ref().and_then(|status| status.supervisor);
            let now = match view.status {
                State::Unsupervised => store::read_status(&layout.process(&view.name))
                    .found()
                    .and_then(|status| status.supervisor),
                _ => recorded.or_else(|| Some(process::read(Pid::new(view.supervisor_pid?)?)?.identity())),
            };
            let Some(identity) = now else { continue };
            let handle = match self.supervisors.remove(&view.name) {
                Some(known) if known.identity() == identity && known.is_alive() => Some(known),
                _ => Handle::open(&identity),
            };
            if let Some(handle) = handle {
                held.insert(view.name.clone(), handle);
            }
        }
        self.supervisors = held;
    }

    /// Says once for each run that its supervisor, or all of it, is gone.
    fn tell(&mut self, layout: &Layout, view: &View, what: Happening) {
        if self.told.insert(view.name.clone(), (what, view.run)) == Some((what, view.run)) {
            return;
        }
        // An earlier daemon may have said it.
        let known = !self.scanned
            && Journal::after(layout, 0).read().is_ok_and(|all| {
                all.iter()
                    .rev()
                    .find(|event| event.name == view.name)
                    .is_some_and(|event| event.event == what && event.run == Some(view.run))
            });
        if !known {
            record(layout, Event { note: view.note.clone(), ..event(view, what) });
        }
    }

    fn compare_ports(&mut self, layout: &Layout, views: &[View]) {
        let mut now = HashMap::new();
        for view in views.iter().filter(|view| view.status.live()) {
            let before = self.ports.get(&view.name).map_or(&[][..], Vec::as_slice);
            if self.scanned {
                let told = |port: &u16, happening| {
                    record(layout, Event { port: Some(*port), ..event(view, happening) });
                };
                before.iter().filter(|port| !view.ports.contains(port)).for_each(|port| {
                    told(port, Happening::PortLost);
                });
                view.ports.iter().filter(|port| !before.contains(port)).for_each(|port| {
                    told(port, Happening::PortBound);
                });
            }
            now.insert(view.name.clone(), view.ports.clone());
        }
        self.ports = now;
    }

    fn compare_definitions(&mut self, layout: &Layout) {
        use std::os::unix::fs::MetadataExt;
        let mut now = HashMap::new();
        for item in std::fs::read_dir(layout.services_available()).into_iter().flatten().flatten() {
            let file = item.file_name();
            let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".tsm")) else { continue };
            if let (Ok(name), Ok(facts)) = (Name::parse(name), item.metadata()) {
                now.insert(name, (facts.ino(), facts.mtime_nsec() as u64 ^ (facts.mtime() as u64) << 30));
            }
        }
        if self.scanned {
            let changed = now.keys().chain(self.definitions.keys());
            let mut changed: Vec<&Name> =
                changed.filter(|name| now.get(name) != self.definitions.get(name)).collect();
            changed.sort_unstable();
            changed.dedup();
            for name in changed {
                let note = match (self.definitions.contains_key(name), now.contains_key(name)) {
                    (false, _) => "it is new",
                    (_, false) => "it was removed",
                    _ => "it was changed",
                };
                let event = Event::of(name, Happening::DefinitionChanged, clock::wall_ms());
                record(layout, Event { note: Some(note.into()), ..event });
            }
        }
        self.definitions = now;
    }
}

fn event(view: &View, happening: Happening) -> Event {
    Event {
        id: view.id,
        run: Some(view.run).filter(|run| *run > 0),
        pid: view.pid,
        port: view.port,
        ..Event::of(&view.name, happening, clock::wall_ms())
    }
}

/// The journal is a convenience here: what it cannot take is not worth an end.
fn record(layout: &Layout, mut event: Event) {
    let _ = store::record(layout, &mut event);
}

/// Gives `view` a new supervisor; says what came of it.
///
/// By the verb, as a child of its own: this process owns no supervisor.
fn adopt(view: &View) -> String {
    let words = ["doctor", "orphans", "--adopt", view.name.as_str()].map(str::to_owned);
    match run::own(&words, None) {
        Ok(ran) if ran.code == 0 => format!("{} has a new supervisor", view.name),
        Ok(ran) => format!("cannot adopt {}: {}", view.name, String::from_utf8_lossy(&ran.stderr).trim()),
        Err(error) => format!("cannot adopt {}: {error}", view.name),
    }
}
