//! What must happen while nobody is typing: a new supervisor for a program that has lost its own, and the changes that
//! no supervisor tells of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::inspect::{View, glance, verify};
use crate::model::{Event, Happening, Identity, Name, Pid, State};
use crate::store::{self, Durability, Journal, Layout};
use crate::sys::pidfd::{self, Handle};
use crate::sys::poll::{self, Interest};
use crate::sys::wake::Wakes;
use crate::sys::{clock, process, run, sockets};

/// How long until everything is looked at without a reason, in milliseconds: the safety net.
pub(super) const SCAN_MS: u64 = 5_000;

/// How long after a look the next one is, when something has happened that may have changed ports, in milliseconds.
const SOON_MS: u64 = 1_000;

/// How long after a look during which a supervisor has ended, in milliseconds.
const AGAIN_MS: u64 = 20;

/// Every so many looks nothing is taken for known.
const THOROUGH: u32 = 12;

/// What the keeper remembers between two looks, and over the end of the daemon: what it has told stands in the journal.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The supervisors that must not die unseen.
    supervisors: HashMap<Name, Handle>,
    /// The run of each tree, and the ports that it listened on.
    ports: HashMap<Name, (u64, Vec<u16>)>,
    /// The listening sockets of the machine at the last look: inode and port, sorted.
    listening: Vec<(u64, u16)>,
    /// How many looks there were.
    looks: u32,
    /// What has been said of processes without a supervisor, and of which run.
    told: HashMap<Name, (Happening, u64)>,
    /// The service definitions and what tells one content from another; none before the first look of all.
    definitions: Option<BTreeMap<Name, (u64, u64)>>,
    scanned: Instant,
    /// A supervisor has ended between the look and the hold.
    again: bool,
}

impl Keeper {
    /// One that knows what the daemon before it has told.
    pub(super) fn remembering(layout: &Layout) -> Self {
        let mut keeper = Keeper {
            supervisors: HashMap::new(),
            ports: HashMap::new(),
            listening: Vec::new(),
            looks: 0,
            told: HashMap::new(),
            definitions: std::fs::read(layout.daemon().definitions())
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            scanned: Instant::now(),
            again: false,
        };
        let mut journal = Journal::after(layout, 0);
        while let Some(events) = journal.read_some().ok().filter(|events| !events.is_empty()) {
            for event in events {
                keeper.remember(event);
            }
        }
        keeper
    }

    fn remember(&mut self, event: Event) {
        let run = event.run.unwrap_or(0);
        match (event.event, event.port) {
            (Happening::Orphaned | Happening::Lost, _) => {
                self.told.insert(event.name, (event.event, run));
            }
            (Happening::PortBound | Happening::PortLost, Some(port)) => {
                let known = self.ports.entry(event.name).or_default();
                if known.0 != run {
                    *known = (run, Vec::new());
                }
                known.1.retain(|other| *other != port);
                if event.event == Happening::PortBound {
                    known.1.push(port);
                }
            }
            (Happening::DefinitionChanged, _) => {}
            _ => {
                self.told.remove(&event.name);
            }
        }
    }

    /// Waits until a supervisor has ended, or for the safety net; not as long after a poke.
    pub(super) fn wait(&self, pokes: &Wakes) {
        let mut soon = false;
        loop {
            let pause = match (self.again, soon) {
                (true, _) => AGAIN_MS,
                (false, true) => SOON_MS,
                (false, false) => SCAN_MS,
            };
            let until = self.scanned + Duration::from_millis(pause);
            let mut fds: Vec<_> =
                self.supervisors.values().filter_map(|one| Some((one.fd()?, Interest::Read))).collect();
            if !soon {
                fds.push((pokes.as_fd(), Interest::Read));
            }
            let left = until.saturating_duration_since(Instant::now());
            let mut ready = poll::wait(&fds, Some(left)).unwrap_or_default();
            if !soon && ready.pop() == Some(true) {
                pokes.drain();
                soon = true;
            }
            if ready.contains(&true) || Instant::now() >= until {
                return;
            }
        }
    }

    /// Looks at everything, gives supervisors to those that have none, and tells the journal what it has seen.
    ///
    /// Returns a line for the log for each thing it did.
    pub(super) fn scan(&mut self, layout: &Layout) -> Vec<String> {
        let mut said = Vec::new();
        let alive = pidfd::running(self.supervisors.values());
        let views = self.look(layout, &alive);
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
        self.hold(&views, layout, &alive);
        self.scanned = Instant::now();
        said
    }

    /// Every process as it is. Where its supervisor runs on and no socket of the machine has begun or ceased to listen, it is
    /// as its file says, with the ports that it had: the trees of a hundred processes are not walked every five seconds.
    fn look(&mut self, layout: &Layout, alive: &HashSet<Identity>) -> Vec<View> {
        let listeners = sockets::listeners().unwrap_or_default();
        let mut listening: Vec<(u64, u16)> = listeners.iter().map(|one| (one.inode, one.port)).collect();
        listening.sort_unstable();
        let is_quiet = !self.looks.is_multiple_of(THOROUGH) && listening == self.listening;
        self.listening = listening;
        self.looks = self.looks.wrapping_add(1);
        let supervisor = |view: &View| view.record.as_ref().and_then(|status| status.supervisor);
        let (mut views, mut doubtful) = (Vec::new(), Vec::new());
        for mut view in glance(layout) {
            let known = self.ports.get(&view.name).filter(|(run, _)| is_quiet && *run == view.run);
            match known {
                Some((_, ports)) if supervisor(&view).is_some_and(|one| alive.contains(&one)) => {
                    view.ports.clone_from(ports);
                    views.push(view);
                }
                _ => doubtful.push(view),
            }
        }
        verify(layout, &mut doubtful);
        views.append(&mut doubtful);
        views
    }

    /// Takes hold of every supervisor, those of programs that were adopted just now too.
    fn hold(&mut self, views: &[View], layout: &Layout, alive: &HashSet<Identity>) {
        let mut held = HashMap::new();
        self.again = false;
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
                Some(known) if known.identity() == identity && alive.contains(&identity) => Some(known),
                _ => Handle::open(&identity),
            };
            match handle {
                Some(handle) => drop(held.insert(view.name.clone(), handle)),
                // Of one that could not be adopted there is nothing new at once.
                None => self.again |= view.status != State::Unsupervised,
            }
        }
        self.supervisors = held;
    }

    /// Says once for each run that its supervisor, or all of it, is gone.
    fn tell(&mut self, layout: &Layout, view: &View, what: Happening) {
        if self.told.insert(view.name.clone(), (what, view.run)) == Some((what, view.run)) {
            return;
        }
        record(layout, Event { note: view.note.clone(), ..event(view, what) });
    }

    fn compare_ports(&mut self, layout: &Layout, views: &[View]) {
        let mut now = HashMap::new();
        for view in views.iter().filter(|view| view.status.live()) {
            let known = self.ports.get(&view.name).filter(|(run, _)| *run == view.run);
            let before = known.map_or(&[][..], |(_, ports)| ports);
            let told = |port: &u16, happening| {
                record(layout, Event { port: Some(*port), ..event(view, happening) });
            };
            before.iter().filter(|port| !view.ports.contains(port)).for_each(|port| {
                told(port, Happening::PortLost);
            });
            view.ports.iter().filter(|port| !before.contains(port)).for_each(|port| {
                told(port, Happening::PortBound);
            });
            now.insert(view.name.clone(), (view.run, view.ports.clone()));
        }
        self.ports = now;
    }

    fn compare_definitions(&mut self, layout: &Layout) {
        use std::os::unix::fs::MetadataExt;
        let mut now = BTreeMap::new();
        for item in std::fs::read_dir(layout.services_available()).into_iter().flatten().flatten() {
            let file = item.file_name();
            let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".tsm")) else { continue };
            if let (Ok(name), Ok(facts)) = (Name::parse(name), item.metadata()) {
                now.insert(name, (facts.ino(), facts.mtime_nsec() as u64 ^ (facts.mtime() as u64) << 30));
            }
        }
        if self.definitions.as_ref() == Some(&now) {
            return;
        }
        if let Some(before) = &self.definitions {
            let changed: BTreeSet<&Name> =
                now.keys().chain(before.keys()).filter(|name| now.get(name) != before.get(name)).collect();
            for name in changed {
                let note = match (before.contains_key(name), now.contains_key(name)) {
                    (false, _) => "it is new",
                    (_, false) => "it was removed",
                    _ => "it was changed",
                };
                let event = Event::of(name, Happening::DefinitionChanged, clock::wall_ms());
                record(layout, Event { note: Some(note.into()), ..event });
            }
        }
        // Only now: who is killed in between says it twice rather than never.
        if let Ok(bytes) = serde_json::to_vec(&now) {
            let _ = store::write(&layout.daemon().definitions(), &bytes, Durability::Cached);
        }
        self.definitions = Some(now);
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
