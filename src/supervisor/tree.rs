//! The processes that belong to a supervisor's program, and signalling them and nothing else.

use std::time::Duration;

use crate::inspect::{self, Table};
use crate::model::{Identity, Killed, Pid};
use crate::sys::pidfd::Handle;
use crate::sys::process::{self, Process};
use crate::sys::signals::{CONT, STOP};
use crate::sys::{poll, reaper};

use super::rotate::Pause;

/// How often the tree is looked at for processes that were born meanwhile.
const PASSES: usize = 16;

/// So many looks in a row must find nobody new: a single one can miss a process while a sibling of it ends (the
/// kernel's list of children is not one instant, `proc(5)`).
const QUIET: usize = 2;

/// How long a process that was sent STOP may take to halt, in milliseconds.
const HALTING_MS: usize = 1_000;

/// Where the processes of one program are found.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// The supervisor: all that it has started is below it.
    pub(super) supervisor: Pid,
    /// The marker that all of them carry: `TSM_SOCKET`.
    pub(super) socket: String,
    /// The main process of an adopted run, which is not below the supervisor, and so are its orphans.
    pub(super) adopted: Option<Identity>,
}

impl Tree {
    /// Its living processes.
    pub(super) fn members(&self) -> Vec<Identity> {
        self.processes().iter().map(Process::identity).collect()
    }

    fn processes(&self) -> Vec<Process> {
        match &self.adopted {
            Some(main) => inspect::orphan_tree(Some(main), true, &self.socket),
            None => inspect::supervised_tree(self.supervisor, &self.socket),
        }
    }

    /// True when orphans of it become children of the supervisor, so that the kernel tells of each end.
    pub(super) fn is_ours(&self) -> bool {
        self.adopted.is_none() && reaper::INHERITS_ORPHANS
    }

    /// True when nothing of it is alive but other supervisors: those were started from inside the tree and are no part of
    /// it. `children` tells whether this supervisor has any child.
    ///
    /// The kernel's list can miss a child while another one ends (`proc(5)`), so only the whole table can say so.
    pub(super) fn is_empty(&self, children: bool) -> bool {
        if !self.is_ours() {
            return self.members().is_empty();
        }
        let empty = |table: Table| table.descendants(self.supervisor).is_empty();
        !children || (empty(Table::below(&[self.supervisor])) && empty(Table::all()))
    }

    /// Sends `signal`, then CONT, to every process of it.
    pub(super) fn signal(&self, signal: i32) {
        self.send(&[signal, CONT]);
    }

    /// Sends `signals` to every process of it, each process once; those born meanwhile included.
    ///
    /// Each is addressed through a handle that was checked against its start time, so that a PID which was freed and
    /// reused in between is never signalled. Returns who was signalled.
    fn send(&self, signals: &[i32]) -> Vec<Identity> {
        let mut done: Vec<Identity> = Vec::new();
        let mut quiet = 0;
        for _ in 0..PASSES {
            let fresh: Vec<Identity> =
                self.members().into_iter().filter(|member| !done.contains(member)).collect();
            quiet = if fresh.is_empty() { quiet + 1 } else { 0 };
            if quiet == QUIET {
                break;
            }
            for member in fresh {
                if let Some(handle) = Handle::open(&member) {
                    for signal in signals {
                        let _ = handle.signal(*signal);
                    }
                }
                done.push(member);
            }
        }
        done
    }

    /// The oldest process of it that is alive, of those that have no parent in it: what is followed when the main process
    /// went into the background.
    pub(super) fn oldest(&self) -> Option<Identity> {
        if !self.is_ours() {
            return inspect::oldest(&self.processes());
        }
        let table = Table::below(&[self.supervisor]);
        table
            .children(self.supervisor)
            .filter(|child| !child.is_dead() && !child.is_supervisor())
            .min_by_key(|child| (child.start, child.pid))
            .map(Process::identity)
    }
}

/// For the moment in which nothing of it may write to its log.
impl Pause for Tree {
    fn pause(&self) -> bool {
        let members = self.send(&[STOP]);
        // STOP is acted on when the process is next scheduled, which is at once but not now.
        for _ in 0..HALTING_MS {
            let all = members.iter().all(|member| {
                process::read(member.pid)
                    .is_none_or(|process| process.identity() != *member || "TtZX".contains(process.state))
            });
            if all {
                return true;
            }
            poll::pause(Duration::from_millis(1));
        }
        false
    }

    fn resume(&self) {
        self.send(&[CONT]);
    }
}

/// The command line of each member, for saying what had to be killed.
pub(super) fn describe(members: &[Identity]) -> Vec<Killed> {
    members
        .iter()
        .map(|member| {
            let command: String = process::argv(member.pid).join(" ").chars().take(120).collect();
            let command = if command.is_empty() {
                process::read(member.pid).map_or_else(|| "?".into(), |process| process.comm.to_string())
            } else {
                command
            };
            Killed { pid: member.pid.get(), command }
        })
        .collect()
}
