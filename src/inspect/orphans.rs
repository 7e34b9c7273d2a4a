//! What was left behind: surely, because TSM started it and no supervisor lives for it, or probably, because it listens
//! and what started it is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::marks::tree_of;
use super::{Agents, Marks, Table, View, manager, ports_by_process};
use crate::model::{Identity, Name, Pid, State};
use crate::store::{Layout, ProcessDir};
use crate::sys::process::{self, Process};
use crate::sys::sockets::{self, Listener};
use crate::sys::{lock, user};

/// The ports that development servers listen on.
const DEVELOPMENT: std::ops::RangeInclusive<u16> = 1024..=10_000;

/// What PID 1 and the other adopters of orphans are called: a user's systemd, and what is there in containers and WSL.
const INITS: [&str; 8] =
    ["systemd", "init", "tini", "docker-init", "dumb-init", "catatonit", "podman-init", "Relay"];

/// Where the programs of the system itself are: launchd starts them all, and some listen.
const SYSTEM: [&str; 4] = ["/System/", "/usr/libexec/", "/Applications/", "/Library/"];

/// Everything that was left behind.
#[derive(Debug)]
pub struct Orphans {
    /// Started by TSM, without a supervisor.
    pub exact: Vec<Exact>,
    /// Not TSM's as far as anybody knows, and without whoever started it.
    pub probable: Vec<Probable>,
}

/// Where the record of an exact orphan is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here, and it can be adopted.
    Here(Name),
    /// Here, but by its record it does not run: what an earlier run has left.
    Left(Name, State),
    /// In another `TSM_DIR`.
    Elsewhere(PathBuf, Name),
    /// Nowhere: its process directory, if that is known, was removed. Its supervisor may live on unreachable.
    Gone {
        /// The directory.
        dir: Option<PathBuf>,
        /// It was one of this `TSM_DIR`.
        here: bool,
        /// The supervisor.
        supervisor: Option<Identity>,
    },
}

/// A tree that TSM started and that no supervisor lives for, or none that can be reached.
#[derive(Clone, Debug)]
pub struct Exact {
    /// Where its record is.
    pub place: Place,
    /// The marker of its tree.
    pub socket: PathBuf,
    /// Its main process, or the oldest that is left.
    pub main: Identity,
    /// Its living processes, parents before their children.
    pub tree: Vec<Process>,
    /// What it listens on.
    pub ports: Vec<u16>,
}

/// A listener on a development port whose starter is gone.
#[derive(Clone, Debug)]
pub struct Probable {
    /// The topmost process that is left.
    pub main: Identity,
    /// That and what is below it.
    pub tree: Vec<Process>,
    /// What it listens on.
    pub ports: Vec<u16>,
}

/// Looks for what was left behind; `views` are the tracked processes as [`super::verify`] leaves them; what `agents`
/// knows is no orphan.
pub fn orphans(layout: &Layout, views: &[View], agents: Agents) -> Orphans {
    let table = Table::all();
    let marks = Marks::of(&table);
    let listeners = sockets::listeners().unwrap_or_default();
    let mut exact = exact(layout, views, &table, &marks);
    for one in &mut exact {
        one.ports = ports(&one.tree, &listeners);
    }
    exact.sort_by_key(|one| (one.main.start, one.main.pid));
    Orphans { probable: probable(views, &table, &marks, &listeners, agents), exact }
}

fn ports(tree: &[Process], listeners: &[Listener]) -> Vec<u16> {
    super::ports_of(tree.iter().map(|process| process.pid), listeners)
}

fn exact(layout: &Layout, views: &[View], table: &Table, marks: &Marks) -> Vec<Exact> {
    let mut found = Vec::new();
    let mut add = |place: Place, socket: PathBuf, tree: Vec<Process>, main: Option<Identity>| {
        let main = main.filter(|main| table.is_alive(main)).or_else(|| super::oldest(&tree));
        found.extend(main.map(|main| Exact { place, socket, main, tree, ports: Vec::new() }));
    };
    // By their records first: a program may have written over its environment.
    for view in views.iter().filter(|view| view.status == State::Unsupervised) {
        // Somebody may have adopted it since.
        if !lock::is_held(&view.dir.lock()) {
            add(Place::Here(view.name.clone()), view.dir.marker(), view.tree.clone(), view.main);
        }
    }
    let supervisors = supervisors(table);
    for socket in marks.sockets() {
        let view = views.iter().find(|view| view.dir.marker() == socket);
        if view.is_some_and(|view| view.status == State::Unsupervised) {
            continue;
        }
        let dir = view.map(|view| view.dir.clone()).or_else(|| ProcessDir::of_marker(socket));
        let there = dir.as_ref().is_some_and(|dir| dir.path().is_dir());
        if dir.as_ref().is_some_and(|dir| there && lock::is_held(&dir.lock())) {
            continue;
        }
        let supervisor = supervisors.get(socket).copied();
        let place = match (view, dir) {
            // The name of the directory; what is just being made or deleted has none.
            (_, Some(dir)) if there && supervisor.is_none() => match (view, dir.name()) {
                // Its supervisor was killed since it was seen.
                (Some(view), _) if view.status.live() => Place::Here(view.name.clone()),
                (Some(view), _) => Place::Left(view.name.clone(), view.status),
                (None, Some(name)) if dir.path().parent() == Some(&layout.processes()) => {
                    Place::Left(name, State::Lost)
                }
                (None, Some(name)) => match dir.path().ancestors().nth(3) {
                    Some(root) => Place::Elsewhere(root.to_owned(), name),
                    None => continue,
                },
                (None, None) => continue,
            },
            (_, Some(dir)) => Place::Gone {
                here: dir.path().parent() == Some(&layout.processes()),
                dir: Some(dir.path().to_owned()),
                supervisor,
            },
            (_, None) if is_short(socket) => Place::Gone { dir: None, here: false, supervisor },
            // A variable of that name that TSM has not set.
            (_, None) => continue,
        };
        add(place, socket.to_owned(), tree_of(table, None, marks.by(socket)), None);
    }
    found
}

/// True for the form of a short link, which does not tell its directory once it is removed.
fn is_short(socket: &Path) -> bool {
    socket.parent().and_then(Path::parent) == crate::sys::unix::short_path(Path::new("")).parent()
        && socket.ends_with("control.sock")
}

/// The living supervisors of this user by the marker of their trees.
fn supervisors(table: &Table) -> BTreeMap<PathBuf, Identity> {
    let own = user::uid();
    let all = table.processes().iter().filter(|process| {
        process.is_supervisor() && !process.is_dead() && process::owner(process.pid) == Some(own)
    });
    all.filter_map(|process| {
        // `tsm supervise DIR`
        let dir = process::argv(process.pid).into_iter().nth(2)?;
        Some((ProcessDir::at(dir.into()).marker(), process.identity()))
    })
    .collect()
}

fn probable(
    views: &[View],
    table: &Table,
    marks: &Marks,
    listeners: &[Listener],
    agents: Agents,
) -> Vec<Probable> {
    let own = user::uid();
    let here: Vec<Listener> =
        listeners.iter().filter(|one| one.uid == own && DEVELOPMENT.contains(&one.port)).cloned().collect();
    if here.is_empty() {
        return Vec::new();
    }
    let marked: std::collections::HashSet<Pid> =
        marks.sockets().flat_map(|socket| marks.by(socket)).map(|identity| identity.pid).collect();
    let candidates =
        table.processes().iter().filter(|process| !process.is_dead() && !process.is_supervisor());
    let tops: BTreeMap<Pid, &Process> = candidates
        .filter_map(|process| Some((process.pid, top(process, table)?)))
        .filter(|(_, top)| !marked.contains(&top.pid) && manager(top.pid, views).is_none())
        .collect();
    let by_process = ports_by_process(tops.keys().copied(), &here);
    let mut by_top: BTreeMap<Pid, Vec<u16>> = BTreeMap::new();
    for (pid, ports) in by_process {
        by_top.entry(tops[&pid].pid).or_default().extend(ports);
    }
    let kept = by_top.into_iter().filter_map(|(pid, ports)| Some((table.get(pid)?, ports)));
    let mut found: Vec<Probable> = kept
        .filter(|(top, _)| process::owner(top.pid) == Some(own) && !is_service(top, agents))
        .map(|(top, mut ports)| {
            ports.sort_unstable();
            ports.dedup();
            let tree = table.tree(top.pid).into_iter().cloned().collect();
            Probable { main: top.identity(), tree, ports }
        })
        .collect();
    found.sort_by_key(|one| (one.main.start, one.main.pid));
    found
}

/// The process that was left behind with `process`: itself when init is its parent, or one above it whose session has
/// lost its leader and whose parent is init. None when whoever started it lives.
fn top<'a>(process: &'a Process, table: &'a Table) -> Option<&'a Process> {
    if is_inits(process, table) {
        return Some(process);
    }
    let session = Pid::new(process.session)?;
    if table.get(session).is_some_and(|leader| !leader.is_dead()) {
        return None;
    }
    let mut top = process;
    // A parent that is younger is a reused PID; without this look it could also lead in a ring.
    while let Some(parent) = Pid::new(top.ppid).and_then(|pid| table.get(pid)).filter(|parent| {
        parent.session == process.session && (parent.start, parent.pid) < (top.start, top.pid)
    }) {
        top = parent;
    }
    is_inits(top, table).then_some(top)
}

/// True when the parent is init, or what adopts orphans instead of it.
fn is_inits(process: &Process, table: &Table) -> bool {
    let Some(parent) = Pid::new(process.ppid) else { return true };
    // WSL's has a number behind its name.
    table.get(parent).is_some_and(|parent| {
        let comm = parent.comm.to_string();
        INITS.contains(&comm.split('(').next().unwrap_or_default())
    })
}

/// True for what init has started itself, and for an agent: nobody has forgotten that.
fn is_service(top: &Process, agents: Agents) -> bool {
    let led = top.session == top.pid.get();
    let argv = process::argv(top.pid);
    (led && process::service_unit(top.pid).is_some())
        || agents(&top.comm, &argv).is_some()
        || process::exe(top.pid)
            .is_some_and(|exe| SYSTEM.iter().any(|system| exe.to_string_lossy().starts_with(system)))
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::process as made;
    use super::*;

    fn in_session(pid: i32, parent: i32, session: i32) -> Process {
        Process { session, ..made(pid, parent, 'S') }
    }

    #[test]
    fn only_what_has_lost_its_starter_is_an_orphan() {
        let named = |comm: &str, process: Process| Process { comm: comm.into(), ..process };
        let table = Table::new(vec![
            // A terminal's shell and its server; the same with the shell gone; the same below a script.
            in_session(100, 90, 100),
            in_session(101, 100, 100),
            in_session(201, 1, 200),
            in_session(301, 1, 300),
            in_session(302, 301, 300),
            in_session(303, 302, 300),
            // A daemon of its own, and a shell in it, as tmux has them.
            in_session(400, 1, 400),
            in_session(401, 400, 401),
            in_session(402, 401, 401),
            // A user's systemd.
            named("systemd", in_session(500, 1, 500)),
            in_session(501, 500, 77),
            // The leader of a session that init itself has begun.
            in_session(601, 1, 601),
            in_session(602, 601, 601),
            // A session that began outside of this container.
            in_session(701, 1, 0),
            in_session(702, 701, 0),
        ]);
        for (pid, expected) in [
            (101, None),
            (201, Some(201)),
            (301, Some(301)),
            (303, Some(301)),
            (400, Some(400)),
            (402, None),
            (501, Some(501)),
            (602, None),
            (702, None),
        ] {
            let process = table.get(Pid::new(pid).unwrap()).unwrap();
            assert_eq!(top(process, &table).map(|top| top.pid.get()), expected, "{pid}");
        }
    }

    #[test]
    fn a_marker_that_tsm_has_not_set_is_none() {
        for (marker, dir) in [
            ("/t/runtime/processes/web/control.sock", Some("/t/runtime/processes/web")),
            ("/t/runtime/processes/web/other.sock", None),
            ("/tmp/control.sock", None),
            ("runtime/processes/web/control.sock", None),
            ("", None),
        ] {
            let found = ProcessDir::of_marker(Path::new(marker));
            assert_eq!(found.as_ref().map(ProcessDir::path), dir.map(Path::new), "{marker}");
        }
        let dir = ProcessDir::at(format!("/t/{}/runtime/processes/web", "d".repeat(100)).into());
        assert!(is_short(&dir.marker()), "{}", dir.marker().display());
        assert!(!is_short(Path::new("/tmp/control.sock")));
    }
}
