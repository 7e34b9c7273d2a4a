//! A tracked process as users see it: its files, joined with what the kernel says right now.

use std::time::Duration;

use serde::Serialize;

use super::marks::tree_of;
use super::started::{self, StartedBy};
use super::{Marks, Table, ports_by_process, usage};
use crate::control::client::Client;
use crate::control::message::{Request, StatusReply};
use crate::model::{Exit, Identity, Kind, Name, Pid, State, Status};
use crate::store::{self, Entry, Layout, ProcessDir, Record};
use crate::sys::process::{self, Process};
use crate::sys::{boot, clock, lock, sockets};

/// Up to so many trees are walked one by one; for more, one pass over all processes is cheaper.
const FEW: usize = 16;

/// How long a listing waits for a supervisor that knows better than its file; one that is halted never answers.
const PROMPT: Duration = Duration::from_millis(250);

/// One tracked process; also the object of `tsm list --json`.
#[derive(Clone, Debug, Serialize)]
pub struct View {
    /// The version of this object's form.
    pub schema: u32,
    /// The TSM ID; none when both its files are broken.
    pub id: Option<u32>,
    /// The name.
    pub name: Name,
    /// What it is to TSM: a process that was only tracked is a `port` one as soon as it listens.
    pub kind: Kind,
    /// The state as it is now.
    pub status: State,
    /// The main process.
    pub pid: Option<i32>,
    /// The supervisor.
    pub supervisor_pid: Option<i32>,
    /// The planned port.
    pub port: Option<u16>,
    /// The ports that its tree really listens on.
    pub ports: Vec<u16>,
    /// The environment file.
    pub env_file: Option<String>,
    /// The working directory.
    pub cwd: String,
    /// The command as a person would read it.
    pub command: String,
    /// How long the current run lasts, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// How often it was started again.
    pub restarts: u32,
    /// Processor use of the tree over its lifetime, in percent of one processor.
    pub cpu_percent: Option<f64>,
    /// Resident memory of the tree, in bytes.
    pub memory_bytes: Option<u64>,
    /// The live log.
    pub log_path: String,
    /// Counts the runs from 1.
    pub run: u64,
    /// How the last run ended.
    pub exit: Option<Exit>,
    /// Why the state is what it is, or what the program says of itself.
    pub note: Option<String>,
    /// The session of an agent from inside of which it was started.
    #[serde(rename = "agent")]
    pub started_by: Option<StartedBy>,
    /// The process directory.
    #[serde(skip)]
    pub dir: ProcessDir,
    /// The identity of the main process, when it is of this boot.
    #[serde(skip)]
    pub main: Option<Identity>,
    /// The files as they were read.
    #[serde(skip)]
    pub record: Option<Status>,
    /// The living processes of the tree, parents before their children.
    #[serde(skip)]
    pub tree: Vec<Process>,
}

impl View {
    /// `NAME (TSM ID: 0)`, for messages.
    pub fn title(&self) -> String {
        self.id.map_or_else(|| self.name.to_string(), |id| format!("{} (TSM ID: {id})", self.name))
    }
}

/// What the files alone say of every tracked process, in the order of names: cheap, and for the living unproven.
///
/// Whatever is said to run is [`verify`]-ed before anybody relies on it.
pub fn glance(layout: &Layout) -> Vec<View> {
    let boot_id = boot::id();
    store::entries(layout).into_iter().map(|entry| from_files(layout, entry, &boot_id)).collect()
}

/// The process of that name, proven; none when there is no such directory.
pub fn view(layout: &Layout, name: &Name) -> Option<View> {
    let mut view = from_files(layout, store::entry(layout, name)?, &boot::id());
    verify(layout, std::slice::from_mut(&mut view));
    Some(view)
}

/// What the files alone say of one process.
fn from_files(layout: &Layout, entry: Entry, boot_id: &str) -> View {
    let mut view = View {
        schema: Status::SCHEMA,
        id: None,
        kind: Kind::Pid,
        status: State::Starting,
        pid: None,
        supervisor_pid: None,
        port: None,
        ports: Vec::new(),
        env_file: None,
        cwd: String::new(),
        command: String::new(),
        uptime_ms: None,
        restarts: 0,
        cpu_percent: None,
        memory_bytes: None,
        log_path: String::new(),
        run: 0,
        exit: None,
        note: None,
        started_by: None,
        main: None,
        record: None,
        tree: Vec::new(),
        name: entry.name.clone(),
        dir: entry.dir.clone(),
    };
    match entry.status {
        Record::Found(status) => view.take_status(status, boot_id),
        _ => view.without_status(layout, entry, boot_id),
    }
    view
}

impl View {
    fn take_status(&mut self, status: Status, boot_id: &str) {
        self.id = Some(status.id);
        self.kind = status.kind;
        self.port = status.port;
        self.started_by = status.started_by.clone().map(StartedBy::from);
        self.env_file = status.env_file.as_ref().map(|path| path.to_string_lossy().into_owned());
        self.cwd = status.cwd.to_string_lossy().into_owned();
        self.command.clone_from(&status.command);
        self.log_path = status.log_path.to_string_lossy().into_owned();
        self.restarts = status.restarts;
        self.run = status.run;
        self.exit = status.exit;
        self.note.clone_from(&status.note);
        self.status = status.state;
        if status.boot_id == boot_id {
            self.main = status.main;
            self.supervisor_pid =
                status.supervisor.filter(|_| status.state.supervised()).map(|one| one.pid.get());
        } else if status.state.live() {
            self.status = State::Lost;
            self.note = Some("the machine was started anew since".into());
        }
        self.pid = self.main.map(|main| main.pid.get());
        self.record = Some(status);
    }

    /// The file is not there or of no use: the spec says what it was, the supervisor what it is.
    fn without_status(&mut self, layout: &Layout, mut entry: Entry, boot_id: &str) {
        self.log_path = layout.log(&entry.name).display().to_string();
        if let Some(spec) = entry.spec().found() {
            self.id = Some(spec.id);
            self.kind = spec.kind;
            self.port = spec.port;
            self.started_by = spec.started_by.map(StartedBy::from);
            self.env_file = spec.env_file.as_ref().map(|file| file.path.to_string_lossy().into_owned());
            self.cwd = spec.dir.to_string_lossy().into_owned();
            self.command = spec.command;
        }
        let supervised = entry.is_supervised();
        self.note = match &entry.status {
            // It came to be between the two looks.
            Record::Found(status) => return self.take_status(status.clone(), boot_id),
            Record::Broken(why) => Some(format!("status.json is broken: {why}")),
            Record::Newer(schema) => Some(format!("status.json is of a newer tsm (schema {schema})")),
            Record::Missing if !supervised => Some("its start was interrupted".to_owned()),
            Record::Missing => None,
        };
        if supervised {
            self.ask_supervisor();
        } else if entry.status == Record::Missing {
            self.status = State::Stopped;
        } else {
            self.status = State::Lost;
        }
    }

    /// A supervisor lives but its file says nothing: it knows better.
    fn ask_supervisor(&mut self) {
        let Ok(client) = Client::connect(&self.dir.socket()) else { return };
        let mut client = client.patient_for(PROMPT);
        let Ok(value) = client.ask(Request::Status) else { return };
        let Ok(reply) = serde_json::from_value::<StatusReply>(value) else { return };
        self.id = Some(reply.id);
        self.kind = reply.kind;
        self.port = reply.port;
        self.status = reply.status;
        self.restarts = reply.restarts;
        self.run = reply.run;
        self.exit = reply.exit;
        self.main = reply.pid.and_then(Pid::new).and_then(process::read).map(|process| process.identity());
        self.pid = reply.pid;
    }

    /// The processes that its tree hangs on.
    fn roots(&self) -> impl Iterator<Item = Pid> {
        [self.supervisor_pid.and_then(Pid::new), self.main.map(|main| main.pid)].into_iter().flatten()
    }

    /// True when the main process runs as a child of the recorded supervisor: then that supervisor lives, because an
    /// orphan would have another parent. One that was adopted has another parent anyway: for it the lock is looked at.
    fn is_proven(&self, table: &Table) -> bool {
        let Some(main) = self.main.filter(|main| table.is_alive(main)) else { return false };
        if self.is_adopted() {
            return lock::is_held(&self.dir.lock());
        }
        table.get(main.pid).is_some_and(|process| Some(process.ppid) == self.supervisor_pid)
    }

    /// True when the tree is not below the supervisor, because that was given to a program that ran already.
    fn is_adopted(&self) -> bool {
        self.record.as_ref().is_some_and(|status| status.adopted && status.state.supervised())
    }

    /// Its main process is not what the file says: does a supervisor hold the lock, and what has become of it?
    fn look_again(&mut self, layout: &Layout) {
        let Some(mut entry) = store::entry(layout, &self.name) else {
            self.status = State::Lost;
            return;
        };
        let supervised = entry.is_supervised();
        let boot_id = boot::id();
        match entry.status {
            Record::Found(status) => self.take_status(status, &boot_id),
            _ => self.without_status(layout, entry, &boot_id),
        }
        if !supervised && self.status.supervised() {
            // Whether anything of it lives is found out by its marker.
            self.status = State::Lost;
            self.supervisor_pid = None;
            self.note = Some("its supervisor ended without a word".into());
        } else if supervised && self.main.is_some_and(|main| !process::alive(&main)) {
            // What the file says is old: on a full disk the supervisor cannot say that it has started another run.
            self.ask_supervisor();
            let running = matches!(self.status, State::Starting | State::Online);
            if running && self.main.is_some_and(|main| !process::alive(&main)) {
                // A zombie, or less: what follows is its supervisor's business, which is at it or halted.
                self.status = State::Stopping;
                self.note = Some("it has ended, and its supervisor has not seen to that yet".into());
            }
        }
    }

    /// Looks for what a process without supervisor left: then it is not lost but runs unsupervised.
    fn find_lost(&mut self, table: &Table, marks: &Marks) {
        let tree = self.marked_tree(table, marks);
        if !tree.is_empty() {
            self.status = State::Unsupervised;
            self.note =
                Some("its supervisor was killed; tsm doctor orphans --adopt gives it a new one".into());
            self.tree = tree;
        }
    }

    /// The main process, what carries its marker, and everything below them.
    fn marked_tree(&self, table: &Table, marks: &Marks) -> Vec<Process> {
        tree_of(table, self.main.as_ref(), marks.by(&self.dir.address(&self.dir.socket())))
    }

    /// Takes over what the processes of the tree say.
    fn join(&mut self, table: &Table, marks: &Marks, now: u64, wall: u64) {
        self.pid = self.main.filter(|main| table.is_alive(main)).map(|main| main.pid.get());
        if self.status != State::Unsupervised && self.is_adopted() {
            self.tree = self.marked_tree(table, marks);
        } else if self.status != State::Unsupervised {
            let root = self.supervisor_pid.and_then(Pid::new);
            self.tree =
                root.map(|root| table.descendants(root).into_iter().cloned().collect()).unwrap_or_default();
        }
        if self.tree.is_empty() {
            return;
        }
        let used = usage(&self.tree.iter().collect::<Vec<_>>(), now);
        self.cpu_percent = Some((used.cpu_percent * 10.0).round() / 10.0);
        self.memory_bytes = Some(used.memory_bytes);
        self.uptime_ms = self.record.as_ref().map(|status| wall.saturating_sub(status.started_ms));
    }
}

/// Joins `views` with the kernel's tables: afterwards what they say was true a moment ago.
pub fn verify(layout: &Layout, views: &mut [View]) {
    verify_in_table(layout, views);
}

/// The same as [`verify`]; returns the table that it has read, if every process but supervisors is in it.
pub fn verify_in_table(layout: &Layout, views: &mut [View]) -> Option<Table> {
    let said_live = |view: &View| view.status.live();
    let open: Vec<Pid> = views.iter().filter(|view| said_live(view)).flat_map(View::roots).collect();
    let mut everything = views.iter().any(View::is_adopted);
    let mut complete = true;
    let mut table = if everything {
        Table::all()
    } else if open.len() <= 2 * FEW {
        complete = false;
        Table::below(&open)
    } else {
        // Each supervisor is proven by its child; reading a thousand of them costs as much as their programs.
        let mut supervisors: Vec<Pid> =
            views.iter().filter_map(|view| view.supervisor_pid.and_then(Pid::new)).collect();
        supervisors.sort_unstable();
        Table::all_but(&supervisors)
    };
    let mut doubtful = Vec::new();
    for (at, view) in views.iter_mut().enumerate() {
        if said_live(view) && !view.is_proven(&table) {
            view.look_again(layout);
            doubtful.push(at);
        } else if view.status == State::Lost && view.record.is_none() {
            // Its file is broken, which says nothing of its processes.
            doubtful.push(at);
        }
    }
    let lost = |view: &View| view.status == State::Lost;
    if !doubtful.is_empty() {
        complete = true;
        table = Table::all();
    }
    everything = everything || doubtful.iter().any(|at| lost(&views[*at]) || views[*at].is_adopted());
    // Their environments are read only where a marker must be looked for.
    let marks = if everything { Marks::of(&table) } else { Marks::default() };
    for at in doubtful {
        if lost(&views[at]) {
            views[at].find_lost(&table, &marks);
        }
    }
    let now = process::clock();
    let wall = clock::wall_ms();
    for view in views.iter_mut() {
        if view.status.live() {
            view.join(&table, &marks, now, wall);
        } else {
            view.main = None;
            view.pid = None;
            view.supervisor_pid = None;
        }
    }
    started::look(views);
    join_ports(views);
    complete.then_some(table)
}

/// From so many processes on a listing is a long one, in which each look at a process counts.
const MANY: usize = 64;

fn join_ports(views: &mut [View]) {
    if views.iter().all(|view| view.tree.is_empty()) {
        return;
    }
    let listeners = sockets::listeners().unwrap_or_default();
    if listeners.is_empty() {
        return;
    }
    let long = views.len() >= MANY;
    // Those that are meant to listen first: the search ends when every listener is found.
    let (planned, others): (Vec<&View>, Vec<&View>) = views.iter().partition(|view| view.port.is_some());
    let others = others.into_iter().filter(|view| !(long && has_only_its_output(view)));
    let pids = planned.into_iter().chain(others).flat_map(|view| view.tree.iter().map(|process| process.pid));
    let mut by_process = ports_by_process(pids, &listeners);
    for view in views.iter_mut() {
        let of_tree = view.tree.iter().filter_map(|process| by_process.remove(&process.pid));
        let mut ports: Vec<u16> = of_tree.flatten().collect();
        ports.sort_unstable();
        ports.dedup();
        if !ports.is_empty() && view.kind == Kind::Pid {
            view.kind = Kind::Port;
        }
        view.ports = ports;
    }
}

/// True for a single process that has three descriptors: those that it was started with, its input and twice its log.
/// Looking at each of them would take most of the time of a long listing.
fn has_only_its_output(view: &View) -> bool {
    matches!(view.tree.as_slice(), [one] if process::has_three_descriptors(one.pid))
}
