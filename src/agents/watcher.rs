//! The agent sessions that run, with all that is known of each: who looks again and again keeps one [`Watcher`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::activity::{Activity, Children};
use super::claude::{Assessment, Claude, Reader};
use super::discover::{AgentProcess, Discovery};
use super::table::{Adapter, AgentTable};
use super::{AgentState, Session, Source};
use crate::inspect::{self, Repository, Table};
use crate::model::{Identity, Pid};
use crate::sys::process;
use crate::sys::sockets::{self, Listener};

/// How long the project and the repository of a directory are remembered, in milliseconds; its branch is read each time.
const PLACE_MS: u64 = 30_000;

/// Whose agents are looked for, and where the files about them are.
#[derive(Clone, Debug)]
pub struct Config {
    /// `CLAUDE_CONFIG_DIR` of this user; else it is `.claude` in the home.
    pub claude_dir: Option<PathBuf>,
    /// The home directory of this user.
    pub home: Option<PathBuf>,
    /// `TSM_DIR/agents`.
    pub dir: PathBuf,
    /// Which agents there are.
    pub table: AgentTable,
    /// Show those of another home as well.
    pub elsewhere: bool,
}

/// Finds the sessions and their states, and remembers what need not be read again.
#[derive(Debug)]
pub struct Watcher {
    config: Config,
    discovery: Discovery,
    reader: Reader,
    activity: Activity,
    ports: Ports,
    places: HashMap<PathBuf, Place>,
    elsewhere: usize,
}

/// What a directory is in.
#[derive(Clone, Debug)]
struct Place {
    at_ms: u64,
    project: Option<PathBuf>,
    repository: Option<Repository>,
}

/// The ports of processes, for as long as nobody begins or ends to listen.
#[derive(Debug, Default)]
struct Ports {
    listeners: Vec<Listener>,
    of: HashMap<Identity, Vec<u16>>,
}

impl Watcher {
    /// One that has seen nothing yet.
    pub fn new(config: Config) -> Self {
        Watcher {
            discovery: Discovery::new(config.table.clone(), config.home.as_deref()),
            reader: Reader::new().with_hooks(config.dir.join("hooks")),
            activity: Activity::default(),
            ports: Ports::default(),
            places: HashMap::new(),
            elsewhere: 0,
            config,
        }
    }

    /// The sessions at `now_ms`, milliseconds since the Unix epoch: those that need input first, then idle, working and
    /// unknown ones, each since when they are so.
    ///
    /// A look that finds nothing new reads no byte of a conversation.
    pub fn look(&mut self, now_ms: u64) -> Vec<Session> {
        self.look_in(&Table::all(), now_ms)
    }

    /// The same for who has just read the table of processes; supervisors need not be in it.
    pub fn look_in(&mut self, table: &Table, now_ms: u64) -> Vec<Session> {
        let mut found = self.discovery.look(table);
        self.elsewhere = found.iter().filter(|one| one.elsewhere).count();
        if !self.config.elsewhere {
            found.retain(|one| !one.elsewhere);
        }
        let agents: Vec<(&str, Identity)> =
            found.iter().map(|one| (one.agent.as_str(), one.identity)).collect();
        let children = self.activity.look(&agents, &self.config.table, table, now_ms);
        let clock = process::clock();
        let mut sessions: Vec<Session> =
            found.iter().map(|one| self.outside(one, table, clock, now_ms)).collect();
        self.places.retain(|_, place| now_ms < place.at_ms.saturating_add(PLACE_MS));
        self.add_ports(&mut sessions, table);
        self.add_states(&mut sessions, &found, &children, clock, now_ms);
        sessions.sort_by_key(|one| (one.state, one.since_ms.is_none(), one.since_ms, one.pid()));
        sessions
    }

    /// The session that the process `pid` runs in, with its state at `now_ms`; none outside of every agent. Looks at what
    /// is above `pid` and at nothing else, so memory and ports are not those of the session's tree.
    pub fn session_of(&mut self, pid: Pid, now_ms: u64) -> Option<Session> {
        let found = self.discovery.session_of(pid)?;
        let clock = process::clock();
        let mut session = self.outside(&found, &Table::default(), clock, now_ms);
        let only = (std::slice::from_mut(&mut session), std::slice::from_ref(&found));
        self.add_states(only.0, only.1, &[Children::default()], clock, now_ms);
        Some(session)
    }

    /// How many sessions the last look found that belong to another home.
    pub fn elsewhere(&self) -> usize {
        self.elsewhere
    }

    /// What the tables of the system say of a session.
    fn outside(&mut self, one: &AgentProcess, table: &Table, clock: u64, now_ms: u64) -> Session {
        let cwd = process::cwd(one.identity.pid);
        let place = cwd.as_deref().map(|dir| self.place(dir, now_ms));
        let repository = place.and_then(|place| place.repository.as_ref());
        Session {
            agent: one.agent.clone(),
            identity: one.identity,
            session_id: None,
            label: None,
            state: AgentState::Unknown,
            reason: format!("tsm cannot read the state of {}", one.agent),
            source: Source::None,
            since_ms: None,
            waiting_since_ms: None,
            git_branch: repository.and_then(Repository::branch),
            worktree: repository.and_then(Repository::worktree),
            project: place.and_then(|place| place.project.clone()),
            cwd,
            preview: None,
            workspace: None,
            tty: one.tty.clone(),
            age_ms: process::age_ms(one.identity.start, clock),
            memory_bytes: table.tree(one.identity.pid).iter().map(|process| process.rss_bytes).sum(),
            ports: Vec::new(),
            transcript: None,
            evidence: Vec::new(),
        }
    }

    fn place(&mut self, dir: &Path, now_ms: u64) -> &Place {
        let is_fresh = |place: &Place| (place.at_ms..place.at_ms.saturating_add(PLACE_MS)).contains(&now_ms);
        if !self.places.get(dir).is_some_and(is_fresh) {
            let place = Place {
                at_ms: now_ms,
                project: inspect::project(dir, self.config.home.as_deref(), Path::exists),
                repository: Repository::of(dir),
            };
            self.places.insert(dir.to_owned(), place);
        }
        &self.places[dir]
    }

    fn add_ports(&mut self, sessions: &mut [Session], table: &Table) {
        if sessions.is_empty() {
            self.ports = Ports::default();
            return;
        }
        let trees: Vec<Vec<Identity>> = sessions
            .iter()
            .map(|one| table.tree(one.pid()).iter().map(|process| process.identity()).collect())
            .collect();
        self.ports.look(trees.iter().flatten().copied(), sockets::listeners().unwrap_or_default());
        for (session, tree) in sessions.iter_mut().zip(&trees) {
            let of = tree.iter().filter_map(|identity| self.ports.of.get(identity));
            session.ports = of.flatten().copied().collect();
            session.ports.sort_unstable();
            session.ports.dedup();
        }
    }

    fn add_states(
        &mut self,
        sessions: &mut [Session],
        found: &[AgentProcess],
        children: &[Children],
        clock: u64,
        now_ms: u64,
    ) {
        let started = |start: u64| now_ms.saturating_sub(process::age_ms(start, clock));
        let mut readable: Vec<&mut Session> = Vec::new();
        let mut processes = Vec::new();
        for ((session, one), children) in sessions.iter_mut().zip(found).zip(children) {
            if one.adapter == Some(Adapter::Claude) {
                processes.push(Claude {
                    identity: one.identity,
                    started_ms: started(one.identity.start),
                    argv: one.argv.clone(),
                    cwd: session.cwd.clone(),
                    claude_dir: self.claude_dir(one, session.cwd.as_deref()),
                    youngest_child_ms: children.youngest.map(started),
                    has_busy_child: children.busy,
                });
                readable.push(session);
            }
        }
        let known = self.reader.assess_all(&processes, now_ms);
        for (session, assessment) in readable.into_iter().zip(known) {
            take(session, assessment);
        }
    }

    /// The folder of an agent's configuration, by its own environment first.
    fn claude_dir(&self, one: &AgentProcess, cwd: Option<&Path>) -> PathBuf {
        let in_home = |home: &PathBuf| home.join(".claude");
        let its = one.config_dir.as_ref().map(|dir| cwd.unwrap_or(Path::new("/")).join(dir));
        its.or_else(|| one.home.as_ref().map(in_home))
            .or_else(|| self.config.claude_dir.clone())
            .or_else(|| self.config.home.as_ref().map(in_home))
            .unwrap_or_default()
    }
}

impl Ports {
    /// Learns the ports of these processes, parents before their children. Which sockets a process holds does not change
    /// in a way that matters while the listening ones are the same.
    fn look(&mut self, processes: impl Iterator<Item = Identity>, listeners: Vec<Listener>) {
        if listeners != self.listeners {
            self.listeners = listeners;
            self.of.clear();
        }
        let mut of = HashMap::new();
        let mut new: Vec<Identity> = Vec::new();
        for identity in processes {
            match self.of.remove(&identity) {
                Some(ports) => drop(of.insert(identity, ports)),
                None => new.push(identity),
            }
        }
        let pids = new.iter().map(|identity| identity.pid);
        let mut found = inspect::ports_by_process(pids, &self.listeners);
        of.extend(new.into_iter().map(|one| (one, found.remove(&one.pid).unwrap_or_default())));
        self.of = of;
    }
}

fn take(session: &mut Session, known: Assessment) {
    session.session_id = known.session_id;
    session.state = known.state;
    session.reason = known.reason;
    session.source = known.source;
    session.since_ms = known.since_ms;
    session.waiting_since_ms = known.waiting_since_ms;
    session.preview = known.preview;
    session.git_branch = session.git_branch.take().or(known.git_branch);
    session.transcript = known.transcript;
    session.evidence = known.evidence;
}
