//! Signalling a whole tree, and nothing but it.

use crate::inspect::Table;
use crate::model::{Identity, Killed, Pid};
use crate::sys::pidfd::Handle;
use crate::sys::process;
use crate::sys::signals::CONT;

/// How often the tree is looked at for processes that were born meanwhile.
const PASSES: usize = 16;

/// So many looks in a row must find nobody new: a single one can miss a process while a sibling of it ends (the
/// kernel's list of children is not one instant, `proc(5)`).
const QUIET: usize = 2;

/// Sends `signal`, then CONT, to every process below `supervisor`.
pub(super) fn signal_tree(supervisor: Pid, socket: &str, signal: i32) {
    send(supervisor, socket, &[signal, CONT]);
}

/// Sends one job-control signal to every process below `supervisor`; returns who got it.
pub(super) fn hold(supervisor: Pid, socket: &str, signal: i32) -> Vec<Identity> {
    send(supervisor, socket, &[signal])
}

/// Sends `signals` to every process below `supervisor`, each process once; those born meanwhile included.
///
/// Each is addressed through a handle that was checked against its start time, so that a PID which was freed and
/// reused in between is never signalled. Returns who was signalled.
fn send(supervisor: Pid, socket: &str, signals: &[i32]) -> Vec<Identity> {
    let mut done: Vec<Identity> = Vec::new();
    let mut quiet = 0;
    for _ in 0..PASSES {
        let fresh: Vec<Identity> =
            members(supervisor, socket).into_iter().filter(|member| !done.contains(member)).collect();
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

/// The living processes below `supervisor`.
pub(super) fn members(supervisor: Pid, socket: &str) -> Vec<Identity> {
    crate::inspect::supervised_tree(supervisor, socket).iter().map(process::Process::identity).collect()
}

/// True when no child of `supervisor` but other supervisors is alive: those were started from inside the tree and are no
/// part of it.
///
/// The kernel's list can miss a child while another one ends (`proc(5)`), so only the whole table can say so.
pub(super) fn nothing_left(supervisor: Pid) -> bool {
    let empty = |table: Table| table.descendants(supervisor).is_empty();
    empty(Table::below(&[supervisor])) && empty(Table::all())
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

/// The oldest child of `supervisor` that is alive: what is followed when the main process went into the background.
pub(super) fn oldest_child(supervisor: Pid) -> Option<Identity> {
    let table = Table::below(&[supervisor]);
    table
        .children(supervisor)
        .filter(|child| !child.is_dead() && !child.is_supervisor())
        .min_by_key(|child| (child.start, child.pid))
        .map(process::Process::identity)
}
