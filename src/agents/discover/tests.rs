//! Which processes of a recorded machine are sessions.

use std::cell::Cell;

use super::*;

/// A recorded machine: each process with its parent, start, short name, command line, environment and terminal.
struct Machine {
    rows: Vec<(i32, i32, u64, &'static str, &'static str, &'static str, &'static str)>,
    foreign: Vec<i32>,
    read: Cell<u32>,
}

impl Machine {
    fn new(rows: &[(i32, i32, &'static str, &'static str, &'static str)]) -> Self {
        let row =
            |&(pid, parent, comm, line, tty)| (pid, parent, pid as u64, comm, line, "HOME=/home/ann", tty);
        Machine { rows: rows.iter().map(row).collect(), foreign: Vec::new(), read: Cell::new(0) }
    }

    fn table(&self) -> Table {
        let process = |&(pid, ppid, start, comm, ..): &(i32, i32, u64, &str, &str, &str, &str)| Process {
            pid: Pid::new(pid).unwrap(),
            ppid,
            pgid: pid,
            session: pid,
            state: 'S',
            start,
            cpu_ms: 0,
            rss_bytes: 0,
            threads: 1,
            comm: comm.into(),
        };
        Table::new(self.rows.iter().map(process).collect())
    }

    fn row(&self, pid: Pid) -> (&str, &str, &str) {
        let row = self.rows.iter().find(|row| row.0 == pid.get()).unwrap();
        (row.4, row.5, row.6)
    }

    fn found(&self, discovery: &mut Discovery) -> Vec<i32> {
        discovery.look_with(&self.table(), self).iter().map(|one| one.identity.pid.get()).collect()
    }
}

impl System for Machine {
    fn argv(&self, pid: Pid) -> Vec<String> {
        self.read.set(self.read.get() + 1);
        self.row(pid).0.split_ascii_whitespace().map(String::from).collect()
    }

    fn environ(&self, pid: Pid) -> Vec<u8> {
        self.row(pid).1.replace(' ', "\0").into_bytes()
    }

    fn is_ours(&self, pid: Pid) -> bool {
        !self.foreign.contains(&pid.get())
    }

    fn terminal(&self, pid: Pid) -> Option<String> {
        Some(self.row(pid).2.to_owned()).filter(|tty| !tty.is_empty())
    }
}

fn discovery() -> Discovery {
    Discovery::new(AgentTable::built_in(), Some(Path::new("/home/ann")))
}

#[test]
fn launchers_and_sub_agents_are_no_sessions() {
    let npm = "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js --resume";
    for (rows, expected) in [
        (&[(10, 1, "claude", "claude", "pts/1")][..], &[10][..]),
        // The package's script and the native program that it starts: with the same arguments one session.
        (&[(10, 1, "node", npm, ""), (11, 10, "claude", "/x/claude --resume", "")], &[11]),
        (&[(10, 1, "node", npm, ""), (11, 10, "claude", "/x/claude -p hello", "")], &[10]),
        (&[(10, 1, "node", npm, ""), (11, 10, "codex", "/x/codex --resume", "")], &[10]),
        // A sub-agent, also below a shell, and of another kind; one with a terminal, below that nothing again.
        (&[(10, 1, "claude", "claude", ""), (11, 10, "claude", "claude", "")], &[10]),
        (&[(10, 1, "claude", "claude", "pts/1"), (11, 10, "claude", "claude", "pts/1")], &[10]),
        (&[(10, 1, "claude", "claude", "pts/1"), (11, 10, "claude", "claude", "")], &[10]),
        (
            &[(10, 1, "claude", "claude", ""), (11, 10, "sh", "sh", ""), (12, 11, "codex", "codex exec", "")],
            &[10],
        ),
        (
            &[
                (10, 1, "claude", "claude", "pts/1"),
                (11, 10, "claude", "claude", "pts/2"),
                (12, 11, "claude", "claude -p x", "pts/2"),
            ],
            &[10, 11],
        ),
        // Below a launcher below another: still a sub-agent.
        (
            &[
                (10, 1, "claude", "claude", ""),
                (11, 10, "node", npm, ""),
                (12, 11, "claude", "claude --resume", ""),
            ],
            &[10],
        ),
        // What a supervisor keeps is no part of the tree that it was started in.
        (
            &[
                (10, 1, "claude", "claude", ""),
                (11, 10, "tsm-supervise", "tsm supervise x", ""),
                (12, 11, "claude", "claude", ""),
            ],
            &[10, 12],
        ),
    ] {
        assert_eq!(Machine::new(rows).found(&mut discovery()), expected, "{rows:?}");
    }
}

#[test]
fn a_shell_with_a_script_of_that_name_is_a_session_unless_it_wraps_one() {
    let shell = "/bin/bash /h/bin/claude --resume";
    let npm = "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js -p x";
    for (rows, expected) in [
        (&[(10, 1, "claude", shell, "pts/1")][..], &[10][..]),
        (&[(10, 1, "bash", "bash claude", "")], &[10]),
        (&[(10, 1, "bash", "bash -c claude", "")], &[]),
        (&[(10, 1, "sleep", "claude 1000", "")], &[10]),
        // It starts the agent itself, at any depth and with arguments of its own; what else it starts is its own.
        (&[(10, 1, "claude", shell, ""), (11, 10, "claude", "claude -p x", "")], &[11]),
        (
            &[(10, 1, "claude", shell, ""), (11, 10, "node", npm, ""), (12, 11, "claude", "claude -p x", "")],
            &[12],
        ),
        (
            &[
                (10, 1, "claude", shell, ""),
                (11, 10, "sudo", "sudo claude", ""),
                (12, 11, "claude", "claude", ""),
            ],
            &[12],
        ),
        (
            &[
                (10, 1, "claude", shell, ""),
                (11, 10, "bash", "bash /opt/claude", ""),
                (12, 11, "claude", "claude", ""),
            ],
            &[12],
        ),
        (&[(10, 1, "claude", shell, ""), (11, 10, "bash", "bash /opt/claude", "")], &[11]),
        (&[(10, 1, "claude", shell, ""), (11, 10, "codex", "codex", "")], &[10]),
        (&[(10, 1, "claude", shell, ""), (11, 10, "sleep", "sleep 1", "")], &[10]),
        // A subshell of it is no agent; one that starts the agent is a part of the wrapper.
        (
            &[(10, 1, "claude", shell, ""), (11, 10, "claude", shell, ""), (12, 11, "claude", shell, "")],
            &[10],
        ),
        (
            &[(10, 1, "claude", shell, ""), (11, 10, "claude", shell, ""), (12, 11, "claude", "claude", "")],
            &[12],
        ),
        // The agents below the agent are sub-agents, and a wrapper below one is none of its own.
        (
            &[
                (10, 1, "claude", shell, ""),
                (11, 10, "claude", "claude", ""),
                (12, 11, "claude", "claude -p x", ""),
            ],
            &[11],
        ),
        (
            &[
                (10, 1, "claude", "claude", ""),
                (11, 10, "claude", shell, ""),
                (12, 11, "claude", "claude", ""),
            ],
            &[10],
        ),
        // What a supervisor keeps is no part of it.
        (
            &[
                (10, 1, "claude", shell, ""),
                (11, 10, "tsm-supervise", "tsm supervise x", ""),
                (12, 11, "claude", "claude", ""),
            ],
            &[10, 12],
        ),
    ] {
        assert_eq!(Machine::new(rows).found(&mut discovery()), expected, "{rows:?}");
    }
}

#[test]
fn a_parent_that_is_younger_is_a_reused_pid() {
    let mut machine = Machine::new(&[(10, 12, "claude", "claude", ""), (12, 10, "claude", "claude", "")]);
    assert_eq!(machine.found(&mut discovery()), [10]);
    machine.rows[0].2 = 99;
    assert_eq!(machine.found(&mut discovery()), [12]);
}

#[test]
fn a_home_decides_whose_a_session_is() {
    let mut machine = Machine::new(&[
        (10, 1, "claude", "claude", ""),
        (11, 1, "claude", "claude", ""),
        (12, 1, "claude", "claude", ""),
        (13, 12, "claude", "claude", ""),
        (14, 1, "claude", "claude", ""),
    ]);
    machine.foreign = vec![14];
    machine.rows[1].5 = "PATH=/bin";
    machine.rows[2].5 = "HOME=/root CLAUDE_CONFIG_DIR= X=1";
    machine.rows[3].5 = "X=HOME=/x HOME=/home/ann CLAUDE_CONFIG_DIR=/c";
    let found = discovery().look_with(&machine.table(), &machine);
    let said: Vec<_> =
        found.iter().map(|one| (one.identity.pid.get(), one.elsewhere, one.config_dir.as_deref())).collect();
    // One below an agent of another home is none of its sub-agents.
    let config = Some(Path::new("/c"));
    assert_eq!(said, [(10, false, None), (11, false, None), (12, true, None), (13, false, config)]);
    let nobody = Discovery::new(AgentTable::built_in(), None).look_with(&machine.table(), &machine);
    assert!(nobody.iter().all(|one| !one.elsewhere));
}

#[test]
fn what_is_no_agent_is_read_once_for_each_name_that_it_has() {
    let mut machine = Machine::new(&[
        (10, 1, "zsh", "-zsh", ""),
        (11, 1, "postgres", "postgres -D x", ""),
        (12, 1, "node", "node server.js", ""),
    ]);
    let mut discovery = discovery();
    let mut reads = |machine: &Machine, expected: &[i32]| {
        machine.read.set(0);
        assert_eq!(machine.found(&mut discovery), expected);
        machine.read.get()
    };
    // An interpreter or a shell may have executed another script under its old name, so it is read each time.
    assert_eq!((reads(&machine, &[]), reads(&machine, &[])), (3, 2));
    machine.rows[1].3 = "2.1.141";
    machine.rows[1].4 = "/x/claude/versions/2.1.141";
    machine.rows[2].4 = "node /bin/claude";
    assert_eq!(reads(&machine, &[11, 12]), 3);
    // The PID of another one now.
    machine.rows[1] = (11, 1, 500, "2.1.141", "/opt/tool", "", "");
    assert_eq!((reads(&machine, &[12]), reads(&machine, &[12])), (3, 2));
    machine.rows[1] = (11, 1, 501, "2.1.141", "claude", "HOME=/home/ann", "");
    assert_eq!(reads(&machine, &[11, 12]), 3);
}
