//! What the children of an agent do: a command that runs is a sign of work, where nothing better is told.

use std::collections::HashMap;

use super::table::AgentTable;
use crate::inspect::Table;
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Comm, Process};

/// The least time between two samples that are compared, in milliseconds: the kernel counts in ticks of 10.
const APART_MS: u64 = 200;

/// From which share of one processor on children are busy, in percent: a server that waits uses less.
const BUSY_PERCENT: u64 = 2;

/// The samples, and which children are helpers.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// With the short name that it was said of: exec keeps the identity.
    helpers: HashMap<Identity, (Comm, bool)>,
    samples: HashMap<Identity, Sample>,
}

/// The use of the processor by what is below one agent.
#[derive(Clone, Debug)]
struct Sample {
    at_ms: u64,
    used_ms: HashMap<Identity, u64>,
    busy: Option<bool>,
}

/// What is known of the children of one agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Children {
    /// The start of the youngest that is no helper, in the unit of [`Identity`].
    pub(super) youngest: Option<u64>,
    /// Whether one that is no helper uses the processor; none when nobody has looked twice.
    pub(super) busy: Option<bool>,
}

impl Activity {
    /// The children of these agents, each with its name, in their order; what is known of others is forgotten.
    pub(super) fn look(
        &mut self,
        agents: &[(&str, Identity)],
        known: &AgentTable,
        processes: &Table,
        now_ms: u64,
    ) -> Vec<Children> {
        self.look_with(agents, known, processes, now_ms, &process::argv)
    }

    fn look_with(
        &mut self,
        agents: &[(&str, Identity)],
        known: &AgentTable,
        processes: &Table,
        now_ms: u64,
        argv: &dyn Fn(Pid) -> Vec<String>,
    ) -> Vec<Children> {
        let mut before = std::mem::take(self);
        agents
            .iter()
            .map(|&(agent, identity)| {
                let mut is_helper = |child: &Process| {
                    let id = child.identity();
                    let remembered = before.helpers.remove(&id).filter(|(comm, _)| *comm == child.comm);
                    let entry = remembered.unwrap_or_else(|| {
                        (child.comm, known.is_helper(agent, &child.comm, &argv(child.pid)))
                    });
                    self.helpers.insert(id, entry);
                    entry.1
                };
                let children: Vec<&Process> = processes
                    .children(identity.pid)
                    .filter(|child| !child.is_dead() && !child.is_supervisor() && !is_helper(child))
                    .collect();
                let youngest = children.iter().map(|child| child.start).max();
                let used_ms: HashMap<Identity, u64> = children
                    .iter()
                    .flat_map(|child| processes.tree(child.pid))
                    .map(|process| (process.identity(), process.cpu_ms))
                    .collect();
                let sample = match before.samples.remove(&identity) {
                    Some(last) if (last.at_ms..last.at_ms + APART_MS).contains(&now_ms) => last,
                    // A clock that was set back makes all that was known useless.
                    last => {
                        let last = last.filter(|last| last.at_ms <= now_ms);
                        Sample {
                            at_ms: now_ms,
                            busy: last.map(|last| last.is_busy(&used_ms, now_ms)),
                            used_ms,
                        }
                    }
                };
                let busy = sample.busy;
                self.samples.insert(identity, sample);
                Children { youngest, busy }
            })
            .collect()
    }
}

impl Sample {
    /// Whether the processor was used since this sample; of a process that is new since then, all of its use counts.
    fn is_busy(&self, used_ms: &HashMap<Identity, u64>, now_ms: u64) -> bool {
        let since = |(identity, used): (&Identity, &u64)| {
            used.saturating_sub(self.used_ms.get(identity).copied().unwrap_or(0))
        };
        let used: u64 = used_ms.iter().map(since).sum();
        used > 0 && used * 100 >= (now_ms - self.at_ms) * BUSY_PERCENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(number: i32, ppid: i32, start: u64, comm: &str, cpu_ms: u64) -> Process {
        Process {
            pid: Pid::new(number).unwrap(),
            ppid,
            pgid: number,
            session: number,
            state: 'S',
            start,
            cpu_ms,
            rss_bytes: 0,
            threads: 1,
            comm: comm.into(),
        }
    }

    /// A claude with a server of tools, and below it what `more` says; `cpu_ms` is what the server has used.
    fn look(activity: &mut Activity, now_ms: u64, cpu_ms: u64, more: &[Process]) -> Children {
        let mut all = vec![process(10, 1, 5, "claude", now_ms), process(11, 10, 6, "node", cpu_ms)];
        all.extend(more.iter().cloned());
        let agents = [("claude", all[0].identity())];
        let argv = |pid: Pid| {
            let line = if pid.get() == 11 { "node /x/mcp-server.js" } else { "sh -c 'cd ~/mcp && make'" };
            line.split(' ').map(String::from).collect()
        };
        activity.look_with(&agents, &AgentTable::built_in(), &Table::new(all), now_ms, &argv)[0]
    }

    #[test]
    fn a_command_that_uses_the_processor_is_work_and_a_helper_is_none() {
        let mut activity = Activity::default();
        let alone = |busy| Children { youngest: None, busy };
        // Nothing is known of one sample, nor of two that are too close.
        assert_eq!(look(&mut activity, 10_000, 0, &[]), alone(None));
        assert_eq!(look(&mut activity, 10_100, 90, &[]), alone(None));
        assert_eq!(look(&mut activity, 11_000, 900, &[]), alone(Some(false)));
        // All of what a new one has used counts, and what is below it; a shell is no helper whatever it runs.
        let command = |used: u64| [process(20, 10, 90, "sh", 0), process(21, 20, 91, "make", used)];
        let with = |busy| Children { youngest: Some(90), busy: Some(busy) };
        assert_eq!(look(&mut activity, 12_000, 900, &command(50)), with(true));
        assert_eq!(look(&mut activity, 12_100, 900, &command(50)), with(true), "too close to say");
        assert_eq!(
            look(&mut activity, 13_000, 900, &command(60)),
            with(false),
            "less than a server that waits"
        );
        assert_eq!(look(&mut activity, 14_000, 900, &command(80)), with(true));
        assert_eq!(look(&mut activity, 15_000, 900, &command(80)), with(false));
        // A clock that was set back.
        assert_eq!(look(&mut activity, 5_000, 900, &command(90)).busy, None);
        assert_eq!(look(&mut activity, 6_000, 900, &command(190)), with(true));
    }
}
