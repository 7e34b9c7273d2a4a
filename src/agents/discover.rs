//! Which processes are agent sessions, from one look at the process table.
//!
//! Reading a command line costs as much as a line of the table, so what is no agent is remembered from look to look, by
//! its identity and short name: `exec` keeps the identity, and almost always changes the name.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::table::{Adapter, AgentTable, By};
use crate::inspect::Table;
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Comm, Process};
use crate::sys::user;

/// A process that is a session of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentProcess {
    /// Which agent: `claude`, `codex`, …
    pub agent: String,
    /// What can read its state.
    pub adapter: Option<Adapter>,
    /// The process.
    pub identity: Identity,
    /// Its command line.
    pub argv: Vec<String>,
    /// `HOME` of its environment, with links followed; none where that does not say.
    pub home: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR` of its environment, if it is set and not empty.
    pub config_dir: Option<PathBuf>,
    /// Its terminal, as it is called below `/dev`.
    pub tty: Option<String>,
    /// Its home is another than ours: it belongs to a container, a sandbox or a test.
    pub elsewhere: bool,
}

/// Finds them, and remembers what need not be read again.
#[derive(Debug)]
pub struct Discovery {
    table: AgentTable,
    /// With links followed.
    home: Option<PathBuf>,
    /// What is no agent, whatever its command line says, for as long as it is called so.
    others: HashMap<Identity, Comm>,
    facts: HashMap<Identity, Facts>,
}

/// What is asked of the system about one process.
trait System {
    fn argv(&self, pid: Pid) -> Vec<String>;
    fn environ(&self, pid: Pid) -> Vec<u8>;
    fn is_ours(&self, pid: Pid) -> bool;
    fn terminal(&self, pid: Pid) -> Option<String>;
}

/// The running one.
struct Kernel;

impl System for Kernel {
    fn argv(&self, pid: Pid) -> Vec<String> {
        process::argv(pid)
    }

    fn environ(&self, pid: Pid) -> Vec<u8> {
        process::environ(pid).unwrap_or_default()
    }

    fn is_ours(&self, pid: Pid) -> bool {
        process::owner(pid) == Some(user::uid())
    }

    fn terminal(&self, pid: Pid) -> Option<String> {
        process::terminal(pid)
    }
}

/// What is read once of an agent; again when it has executed something else.
#[derive(Clone, Debug)]
struct Facts {
    comm: Comm,
    argv: Vec<String>,
    is_ours: bool,
    home: Option<PathBuf>,
    config_dir: Option<PathBuf>,
    tty: Option<String>,
}

/// A process that looks like an agent.
struct Candidate<'a> {
    process: &'a Process,
    agent: &'a str,
    adapter: Option<Adapter>,
    /// Where its own arguments begin.
    arguments: usize,
    by: By,
    facts: Facts,
}

impl Candidate<'_> {
    fn arguments(&self) -> &[String] {
        let own = &self.facts.argv[self.arguments..];
        // What a program that has set its title leaves of its words.
        let end = own.iter().rposition(|word| !word.is_empty()).map_or(0, |at| at + 1);
        &own[..end]
    }
}

impl Discovery {
    /// Looks for the agents of `table`; those whose `HOME` is not `home` belong elsewhere.
    pub fn new(table: AgentTable, home: Option<&Path>) -> Self {
        Discovery { table, home: home.map(real), others: HashMap::new(), facts: HashMap::new() }
    }

    /// The sessions among `processes`, by PID.
    pub fn look(&mut self, processes: &Table) -> Vec<AgentProcess> {
        self.look_with(processes, &Kernel)
    }

    fn look_with(&mut self, processes: &Table, system: &dyn System) -> Vec<AgentProcess> {
        let mut others = HashMap::with_capacity(self.others.len());
        let mut facts = HashMap::with_capacity(self.facts.len());
        let mut candidates = Vec::new();
        for process in processes.processes() {
            let identity = process.identity();
            if process.is_dead() || process.is_supervisor() {
                continue;
            }
            if self.others.get(&identity) == Some(&process.comm) {
                others.insert(identity, process.comm);
                continue;
            }
            if self.table.is_ordinary(&process.comm) {
                others.insert(identity, process.comm);
                continue;
            }
            let argv = system.argv(process.pid);
            if argv.is_empty() {
                // It is just being executed, or is a thread of the kernel.
                continue;
            }
            let Some(found) = self.table.recognise(&process.comm, &argv) else {
                if !self.table.is_telling(&process.comm) {
                    others.insert(identity, process.comm);
                }
                continue;
            };
            let known = self.facts.remove(&identity);
            let known = known.filter(|facts| facts.comm == process.comm && facts.argv == argv);
            let known = known.unwrap_or_else(|| Facts::read(process, argv, system));
            facts.insert(identity, known.clone());
            if known.is_ours {
                candidates.push(Candidate {
                    process,
                    agent: found.agent,
                    adapter: found.adapter,
                    arguments: found.arguments,
                    by: found.by,
                    facts: known,
                });
            }
        }
        let sessions = sessions(&candidates, processes);
        let found = sessions.into_iter().map(|one| self.shown(one)).collect();
        self.others = others;
        self.facts = facts;
        found
    }

    fn shown(&self, one: &Candidate) -> AgentProcess {
        let elsewhere = match (&one.facts.home, &self.home) {
            (Some(its), Some(ours)) => its != ours,
            _ => false,
        };
        AgentProcess {
            agent: one.agent.to_owned(),
            adapter: one.adapter,
            identity: one.process.identity(),
            argv: one.facts.argv.clone(),
            home: one.facts.home.clone(),
            config_dir: one.facts.config_dir.clone(),
            tty: one.facts.tty.clone(),
            elsewhere,
        }
    }

    /// The session that the process `pid` is or runs in; none outside of every agent. Looks at nothing but `pid` and what
    /// is above it, but for a shell whose script is called as an agent: what runs below that decides.
    pub fn session_of(&mut self, pid: Pid) -> Option<AgentProcess> {
        let line = line(pid);
        let by_shell = |kin: &Process| {
            self.table
                .recognise(&kin.comm, &process::argv(kin.pid))
                .is_some_and(|found| found.by == By::Shell)
        };
        let needs_all = line.iter().any(|kin| !self.table.is_ordinary(&kin.comm) && by_shell(kin));
        let table = if needs_all { Table::all() } else { Table::new(line.clone()) };
        let mut found = self.look(&table);
        found.retain(|one| !one.elsewhere);
        line.iter().find_map(|kin| {
            let at = found.iter().position(|one| one.identity == kin.identity())?;
            Some(found.swap_remove(at))
        })
    }
}

impl Facts {
    fn read(process: &Process, argv: Vec<String>, system: &dyn System) -> Self {
        let pid = process.pid;
        let environ = system.environ(pid);
        let path = |name: &[u8]| {
            let found = environ.split(|&byte| byte == 0).find_map(|entry| entry.strip_prefix(name));
            found.filter(|value| !value.is_empty()).map(|value| PathBuf::from(OsStr::from_bytes(value)))
        };
        Facts {
            comm: process.comm,
            argv,
            is_ours: system.is_ours(pid),
            home: path(b"HOME=").as_deref().map(real),
            config_dir: path(b"CLAUDE_CONFIG_DIR="),
            tty: system.terminal(pid),
        }
    }
}

/// The sessions among the processes that look like one.
fn sessions<'c, 'a>(candidates: &'c [Candidate<'a>], processes: &Table) -> Vec<&'c Candidate<'a>> {
    let by_pid: HashMap<Pid, &Candidate> = candidates.iter().map(|one| (one.process.pid, one)).collect();
    // A script under an interpreter that only starts the native program, and waits for it, is not the session.
    let launches = |one: &Candidate| {
        let mut children = processes.children(one.process.pid).filter_map(|child| by_pid.get(&child.pid));
        one.by == By::Interpreter
            && children.any(|child| {
                child.by == By::Itself && child.agent == one.agent && child.arguments() == one.arguments()
            })
    };
    let wrappers = wrappers(candidates, &by_pid, processes);
    let is_real = |one: &&Candidate| !launches(one) && !wrappers.contains(&one.process.pid);
    let real: Vec<&Candidate> = candidates.iter().filter(is_real).collect();
    let of = |pid: Pid| real.iter().find(|one| one.process.pid == pid);
    let is_own = |one: &&&Candidate| {
        let outer = above(one.process, processes).find_map(|kin| of(kin.pid));
        outer.is_none_or(|outer| {
            // Another home is another world: a test, or a container.
            outer.facts.home != one.facts.home
                // A terminal of its own is one that a person can sit at, such as a pane of tmux.
                || (one.facts.tty.is_some() && one.facts.tty != outer.facts.tty)
        })
    };
    real.iter().filter(is_own).copied().collect()
}

/// The shells whose script only starts the agent, at whatever depth below and with whatever arguments.
fn wrappers(candidates: &[Candidate], by_pid: &HashMap<Pid, &Candidate>, processes: &Table) -> HashSet<Pid> {
    let mut wrappers = HashSet::new();
    for one in candidates {
        let mut outer = above(one.process, processes)
            .filter_map(|kin| by_pid.get(&kin.pid))
            .take_while(|outer| outer.by == By::Shell && outer.agent == one.agent)
            .peekable();
        // A subshell has the command line of its shell, and is no agent that this one has started.
        let is_part = outer.peek().is_some_and(|outer| outer.facts.argv == one.facts.argv);
        if !is_part {
            wrappers.extend(outer.map(|outer| outer.process.pid));
        }
    }
    wrappers
}

/// What is above a process, nearest first, as far as a supervisor: the tree of a managed process is its own.
fn above<'a>(process: &Process, processes: &'a Table) -> impl Iterator<Item = &'a Process> {
    let mut last = (process.ppid, process.start, process.pid);
    std::iter::from_fn(move || {
        let parent = Pid::new(last.0).and_then(|pid| processes.get(pid))?;
        // A parent that is younger is a reused PID; without this look it could also lead in a ring.
        let is_older = (parent.start, parent.pid) < (last.1, last.2);
        last = (parent.ppid, parent.start, parent.pid);
        (is_older && !parent.is_supervisor()).then_some(parent)
    })
}

/// A process and what is above it, nearest first.
fn line(pid: Pid) -> Vec<Process> {
    let mut line: Vec<Process> = process::read(pid).into_iter().collect();
    while let Some(last) = line.last() {
        let parent = Pid::new(last.ppid).and_then(process::read);
        match parent.filter(|parent| (parent.start, parent.pid) < (last.start, last.pid)) {
            Some(parent) if !parent.is_supervisor() => line.push(parent),
            _ => break,
        }
    }
    line
}

/// The path with links followed, or as it is where there is nothing.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests;
