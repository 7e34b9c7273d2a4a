//! A process, its parents, and the terminal that it sits at.

use super::environment::Environment;
use crate::model::Pid;
use crate::sys::process::{self, Process};

/// More parents than any session has.
const DEEPEST: usize = 64;

/// A process and its parents as they were at one moment.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// The process first, then its parent, and so on; never PID 1.
    links: Vec<(Pid, String)>,
    /// Its terminal, as it is called below `/dev`.
    pub(super) tty: Option<String>,
    /// The parent to whom the terminal belongs: the first that sits at another one, or at none.
    pub(super) host: Option<(Pid, String)>,
}

impl Chain {
    /// That of a process; empty when it is gone.
    pub(super) fn of(pid: Pid) -> Self {
        let tty = process::terminal(pid);
        let links = parents(pid, process::read);
        let host = links.iter().skip(1).find(|(parent, _)| process::terminal(*parent) != tty).cloned();
        Chain { links, host: host.filter(|_| tty.is_some()), tty }
    }

    /// The process, then its parents.
    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.links.iter().map(|(pid, _)| *pid)
    }

    /// The parents that are called as servers of tmux are: `tmux: server`.
    pub(super) fn servers(&self) -> impl Iterator<Item = Pid> {
        self.links.iter().skip(1).filter(|(_, name)| name.starts_with("tmux")).map(|(pid, _)| *pid)
    }

    /// What the process and its parents are called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|(_, name)| name.as_str())
    }

    /// How far above the process `pid` stands: 0 for itself.
    pub(super) fn distance(&self, pid: i32) -> Option<usize> {
        self.links.iter().position(|(known, _)| known.get() == pid)
    }

    /// The environments of the process and of its parents.
    pub(super) fn environments(&self) -> Vec<Environment> {
        let mut found: Vec<Environment> = Vec::new();
        for environment in self.pids().map(Environment::of) {
            if !found.contains(&environment) {
                found.push(environment);
            }
        }
        found
    }
}

/// A process and its parents. One that is younger than its child has the PID of a parent that is gone.
fn parents(pid: Pid, read: impl Fn(Pid) -> Option<Process>) -> Vec<(Pid, String)> {
    let mut found: Vec<(Pid, String)> = Vec::new();
    let mut next = Some(pid);
    let mut born = u64::MAX;
    while let Some(process) = next.and_then(&read)
        && process.start <= born
        && found.len() < DEEPEST
    {
        found.push((process.pid, process.comm.to_string()));
        born = process.start;
        next = Pid::new(process.ppid);
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Processes with these PIDs and names, each the child of the next, at a terminal.
    pub(in crate::agents::switch) fn chain(links: &[(i32, &str)], tty: Option<&str>) -> Chain {
        let links: Vec<(Pid, String)> =
            links.iter().map(|(pid, name)| (Pid::new(*pid).unwrap(), (*name).to_owned())).collect();
        Chain { host: links.last().cloned(), links, tty: tty.map(str::to_owned) }
    }

    #[test]
    fn parents_are_followed_as_long_as_they_can_be_parents() {
        let process = |pid: i32, ppid: i32, start: u64| Process {
            pid: Pid::new(pid).unwrap(),
            ppid,
            pgid: pid,
            session: pid,
            state: 'S',
            start,
            cpu_ms: 0,
            rss_bytes: 0,
            threads: 1,
            comm: "x".into(),
        };
        let all = [
            process(50, 40, 500),
            process(40, 1, 400),
            // The parent of 60 ended, and 70 has its PID.
            process(60, 70, 600),
            process(70, 1, 700),
            process(80, 81, 5),
            process(81, 80, 5),
        ];
        let read = |pid: Pid| all.iter().find(|process| process.pid == pid).cloned();
        let pids = |pid| {
            let found = parents(Pid::new(pid).unwrap(), read);
            found.iter().map(|(pid, _)| pid.get()).collect::<Vec<_>>()
        };
        assert_eq!(pids(50), [50, 40]);
        assert_eq!(pids(60), [60]);
        assert_eq!(pids(80).len(), DEEPEST);
        assert!(pids(99).is_empty());
    }

    #[test]
    fn this_process_is_the_child_of_its_parent() {
        let me = Chain::of(Pid::new(std::process::id() as i32).unwrap());
        assert_eq!(me.distance(std::process::id() as i32), Some(0));
        let parent = std::os::unix::process::parent_id() as i32;
        assert_eq!(me.distance(parent), (parent > 1).then_some(1));
    }
}
