//! Which process of Claude Code has called a hook: the nearest above this one, through the shell that it started.

use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};

/// How far up it is looked for: a shell, and perhaps a script of the user's with what it goes through.
const MOST_LEVELS: usize = 16;

/// The process of Claude Code that this process runs for.
pub fn caller() -> Option<Identity> {
    let me = process::read(Pid::new(i32::try_from(std::process::id()).ok()?)?)?;
    above(me, process::read, |process| is_claude(&process.comm, &process::argv(process.pid)))
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

/// True for Claude Code: the native program, or its package under a JavaScript runtime.
fn is_claude(comm: &str, argv: &[String]) -> bool {
    let first = argv.first().map_or("", String::as_str);
    // A program that sets its own title puts everything into the first word.
    let first = base(first.split_ascii_whitespace().next().unwrap_or_default());
    let script = || argv.iter().skip(1).find(|word| !word.starts_with('-')).map_or("", String::as_str);
    comm == "claude"
        || first == "claude"
        || (matches!(first, "node" | "bun" | "deno")
            && (base(script()) == "claude" || script().contains("/claude-code/")))
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
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

    #[test]
    fn claude_code_is_known_by_its_program_or_its_package() {
        for (comm, line, expected) in [
            ("claude", "claude", true),
            ("MainThread", "/home/ann/.local/bin/claude --resume", true),
            ("node", "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js -p", true),
            ("node", "node --no-warnings /usr/bin/claude", true),
            ("sh", "/bin/sh -c '/usr/bin/tsm' agents hook", false),
            ("vim", "vim claude", false),
            ("node", "node server.js claude", false),
            ("claudette", "claudette", false),
            ("", "", false),
        ] {
            let argv: Vec<String> = line.split_whitespace().map(String::from).collect();
            assert_eq!(is_claude(comm, &argv), expected, "{line}");
        }
    }
}
