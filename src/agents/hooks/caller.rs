//! Which process of Claude Code has called a hook: the nearest above this one, through the shell that it started.

use crate::agents::{Adapter, AgentTable, By};
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};

/// How far up it is looked for: a shell, and perhaps a script of the user's with what it goes through.
const MOST_LEVELS: usize = 16;

/// The process of Claude Code, as `table` knows it, that this process runs for.
pub fn caller(table: &AgentTable) -> Option<Identity> {
    let me = process::read(Pid::new(i32::try_from(std::process::id()).ok()?)?)?;
    above(me, process::read, |process| {
        if table.is_ordinary(&process.comm) {
            return false;
        }
        let argv = process::argv(process.pid);
        let found =
            table.recognise(&process.comm, &argv).filter(|found| found.adapter == Some(Adapter::Claude));
        // A subshell of a script has its command line; the session is the shell that was started.
        found.is_some_and(|found| {
            let parent = || Pid::new(process.ppid).map(process::argv);
            found.by != By::Shell || parent().is_none_or(|parent| parent != argv)
        })
    })
}

fn above(
    me: Process,
    read: impl Fn(Pid) -> Option<Process>,
    is_claude: impl Fn(&Process) -> bool,
) -> Option<Identity> {
    let mut child = me;
    for _ in 0..MOST_LEVELS {
        // One that is younger than its child has the PID of a parent that is gone.
        let parent = read(Pid::new(child.ppid)?).filter(|parent| parent.start <= child.start)?;
        if is_claude(&parent) {
            return Some(parent.identity());
        }
        child = parent;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, start: u64) -> Process {
        Process {
            pid: Pid::new(pid).unwrap(),
            ppid: parent,
            pgid: pid,
            session: pid,
            state: 'S',
            start,
            cpu_ms: 0,
            rss_bytes: 0,
            threads: 1,
            comm: process::Comm::new(b""),
        }
    }

    #[test]
    fn the_nearest_one_above_is_meant_and_a_reused_pid_is_not() {
        let found = |start_of_claude: u64, parent_of_all: i32| {
            let all = [
                process(10, parent_of_all, 100),
                process(20, 10, start_of_claude),
                process(30, 20, 300),
                process(40, 30, 400),
            ];
            let read = |pid: Pid| all.iter().find(|one| one.pid == pid).cloned();
            above(all[3].clone(), read, |one| one.pid.get() == 20).map(|one| (one.pid.get(), one.start))
        };
        assert_eq!(found(200, 1), Some((20, 200)));
        assert_eq!(found(300, 1), Some((20, 300)));
        assert_eq!(found(301, 1), None);
        // Not a snapshot of one instant: the parents may form a ring.
        let ring = [process(10, 20, 1), process(20, 10, 1)];
        let read = |pid: Pid| ring.iter().find(|one| one.pid == pid).cloned();
        assert_eq!(above(ring[0].clone(), read, |_| false), None);
    }
}
