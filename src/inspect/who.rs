//! Who a process is, for people: its user, command, directory, project and age, and what it belongs to.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{View, project};
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};
use crate::sys::user;

/// Says what agent a process is, if it is one, from its short name and the words of its command line. Who asks knows
/// agents; nothing here does.
pub type Agents<'a> = &'a dyn Fn(&str, &[String]) -> Option<String>;

/// A process, as a person asks after it.
#[derive(Clone, Debug, Serialize)]
pub struct Who {
    /// The process ID.
    pub pid: Pid,
    /// The real user's number; none for a process that is just gone.
    pub uid: Option<u32>,
    /// The user's name, or the number where there is none.
    pub user: String,
    /// The kernel's short name of it; any characters, so sanitize before printing.
    pub process: String,
    /// The words of its command line.
    pub argv: Vec<String>,
    /// The same as one text, or the short name in brackets; any characters too.
    pub command: String,
    /// The working directory; none for a process of another user.
    pub cwd: Option<PathBuf>,
    /// The top of the project that the directory is in.
    pub project: Option<PathBuf>,
    /// How long it runs, in milliseconds.
    pub age_ms: u64,
    /// What it belongs to.
    pub belongs: Belongs,
    /// This incarnation of it.
    #[serde(skip)]
    pub identity: Identity,
}

/// What a process belongs to; the first of these that is true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "to")]
pub enum Belongs {
    /// A tracked process, by its tree.
    Managed {
        /// The name of the tracked process.
        name: String,
        /// Its ID.
        id: Option<u32>,
    },
    /// Another TSM's supervisor: one with another `TSM_DIR`, or of another user.
    OtherTsm {
        /// That supervisor.
        pid: i32,
    },
    /// A coding agent: itself, or the nearest one above it.
    Agent {
        /// What the agent is called.
        agent: String,
        /// Its process.
        pid: i32,
    },
    /// A systemd unit.
    Service {
        /// The unit.
        unit: String,
    },
    /// A terminal.
    Terminal {
        /// As it is called below `/dev`.
        tty: String,
        /// What leads the session there, mostly a shell; none when that is gone.
        shell: Option<String>,
        /// The process of that.
        pid: Option<i32>,
    },
    /// Nothing but init: a service, or an orphan.
    Init,
    /// Something that runs without a terminal.
    Unknown,
}

impl fmt::Display for Belongs {
    /// In a few words, such as `terminal pts/3 (bash, PID 77)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Belongs::Managed { name, id: Some(id) } => write!(f, "{name} (TSM ID: {id})"),
            Belongs::Managed { name, id: None } => f.write_str(name),
            Belongs::OtherTsm { pid } => write!(f, "another TSM (supervisor PID {pid})"),
            Belongs::Agent { agent, pid } => write!(f, "agent {agent} (PID {pid})"),
            Belongs::Service { unit } => write!(f, "service {unit}"),
            Belongs::Terminal { tty, shell: Some(shell), pid: Some(pid) } => {
                write!(f, "terminal {tty} ({shell}, PID {pid})")
            }
            Belongs::Terminal { tty, .. } => write!(f, "terminal {tty}"),
            Belongs::Init => f.write_str("init: a service, or left behind by what started it"),
            Belongs::Unknown => f.write_str("unknown"),
        }
    }
}

/// Who the process is, as it is now; `None` when it is gone.
///
/// `views` are the tracked processes as [`super::verify`] leaves them, `home` is the caller's home directory.
pub fn who(pid: Pid, views: &[View], home: Option<&Path>, agents: Agents) -> Option<Who> {
    let process = process::read(pid).filter(|process| !process.is_dead())?;
    let uid = process::owner(pid);
    let argv = process::argv(pid);
    let cwd = process::cwd(pid);
    let command = if argv.is_empty() { format!("[{}]", process.comm) } else { argv.join(" ") };
    Some(Who {
        pid,
        uid,
        user: uid.map_or_else(String::new, user_name),
        process: process.comm.to_string(),
        project: cwd.as_deref().and_then(|dir| project(dir, home, Path::exists)),
        age_ms: process::age_ms(process.start, process::clock()),
        belongs: belongs(look(&process, argv.clone(), views), agents),
        identity: process.identity(),
        argv,
        command,
        cwd,
    })
}

/// What a user is called: by name, or by number where there is none.
pub fn user_name(uid: u32) -> String {
    user::name(uid).unwrap_or_else(|| uid.to_string())
}

/// The tracked process to whose tree `pid` belongs, its supervisor included.
pub fn manager(pid: Pid, views: &[View]) -> Option<&View> {
    views.iter().find(|view| {
        view.supervisor_pid == Some(pid.get()) || view.tree.iter().any(|process| process.pid == pid)
    })
}

/// What the decision is made of.
struct Facts {
    /// The tracked process that it is a part of.
    managed: Option<(String, Option<u32>)>,
    /// The process, its parent, and so on up to init.
    line: Vec<Kin>,
    /// The parent of the last of them is init.
    under_init: bool,
    tty: Option<String>,
    /// The leader of its session.
    leader: Option<Kin>,
    unit: Option<String>,
}

/// A process in the line.
struct Kin {
    pid: i32,
    comm: String,
    argv: Vec<String>,
    supervisor: bool,
}

impl Kin {
    fn new(process: &Process, argv: Vec<String>) -> Self {
        Kin {
            pid: process.pid.get(),
            comm: process.comm.to_string(),
            supervisor: process.is_supervisor(),
            argv,
        }
    }
}

/// Asks the system.
fn look(process: &Process, argv: Vec<String>, views: &[View]) -> Facts {
    let managed = manager(process.pid, views).map(|view| (view.name.to_string(), view.id));
    if managed.is_some() {
        return Facts { managed, line: Vec::new(), under_init: false, tty: None, leader: None, unit: None };
    }
    let mut line = vec![Kin::new(process, argv)];
    let mut last = process.clone();
    // A parent that is younger is a reused PID; without this look it could also lead in a ring.
    while let Some(parent) = Pid::new(last.ppid).and_then(process::read).filter(|one| one.start <= last.start)
    {
        line.push(Kin::new(&parent, process::argv(parent.pid)));
        last = parent;
        if line.len() > 100 {
            break;
        }
    }
    let leader = Pid::new(process.session).and_then(process::read);
    Facts {
        managed,
        under_init: last.ppid == 1,
        tty: process::terminal(process.pid),
        leader: leader.map(|leader| Kin::new(&leader, process::argv(leader.pid))),
        unit: process::service_unit(process.pid),
        line,
    }
}

/// The decision.
fn belongs(facts: Facts, agents: Agents) -> Belongs {
    if let Some((name, id)) = facts.managed {
        return Belongs::Managed { name, id };
    }
    for kin in &facts.line {
        if kin.supervisor {
            return Belongs::OtherTsm { pid: kin.pid };
        }
        if let Some(agent) = agents(&kin.comm, &kin.argv) {
            return Belongs::Agent { agent, pid: kin.pid };
        }
    }
    // A terminal's own unit, if any, is the terminal program: who sits there says more.
    if let Some(tty) = facts.tty {
        let shell = facts.leader.as_ref().map(|leader| shell(leader).to_owned());
        return Belongs::Terminal { tty, shell, pid: facts.leader.map(|leader| leader.pid) };
    }
    match facts.unit {
        Some(unit) => Belongs::Service { unit },
        None if facts.under_init && facts.line.len() == 1 => Belongs::Init,
        None => Belongs::Unknown,
    }
}

/// What a session's leader is called: as it was started, since some shells change their short name.
fn shell(leader: &Kin) -> &str {
    leader.argv.first().map(|word| base(word)).filter(|word| !word.is_empty()).unwrap_or(&leader.comm)
}

/// The last part of a path; a login shell's leading dash is no part of its name.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default().trim_start_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agents(comm: &str, _argv: &[String]) -> Option<String> {
        ["claude", "gemini"].contains(&comm).then(|| comm.to_owned())
    }

    fn kin(pid: i32, line: &str) -> Kin {
        let argv: Vec<String> = line.split_ascii_whitespace().map(String::from).collect();
        let comm = base(argv.first().map_or("", String::as_str)).to_owned();
        Kin { pid, supervisor: comm == "tsm-supervise", comm, argv }
    }

    fn facts(line: &[&str]) -> Facts {
        Facts {
            managed: None,
            line: line.iter().zip(10..).map(|(text, pid)| kin(pid, text)).collect(),
            under_init: true,
            tty: None,
            leader: None,
            unit: None,
        }
    }

    fn at_terminal(line: &[&str]) -> Facts {
        Facts { tty: Some("pts/3".into()), leader: Some(kin(9, "-bash")), ..facts(line) }
    }

    #[test]
    fn the_closest_tie_says_what_a_process_belongs_to() {
        let in_unit = |facts: Facts| Facts { unit: Some("web.service".into()), ..facts };
        for (facts, expected) in [
            (
                Facts { managed: Some(("web-3000".into(), Some(2))), ..at_terminal(&["node", "claude"]) },
                "web-3000 (TSM ID: 2)",
            ),
            (Facts { managed: Some(("web".into(), None)), ..facts(&[]) }, "web"),
            (at_terminal(&["node x.js", "sh", "tsm-supervise", "claude"]), "another TSM (supervisor PID 12)"),
            (at_terminal(&["node x.js", "bash -c y", "claude", "bash"]), "agent claude (PID 12)"),
            (at_terminal(&["gemini"]), "agent gemini (PID 10)"),
            (at_terminal(&["node x.js", "bash"]), "terminal pts/3 (bash, PID 9)"),
            (Facts { leader: None, ..at_terminal(&["node x.js"]) }, "terminal pts/3"),
            (in_unit(at_terminal(&["node x.js", "bash"])), "terminal pts/3 (bash, PID 9)"),
            (in_unit(facts(&["nginx"])), "service web.service"),
            (facts(&["nginx"]), "init: a service, or left behind by what started it"),
            (facts(&["node", "cron"]), "unknown"),
            (Facts { under_init: false, ..facts(&["node"]) }, "unknown"),
        ] {
            assert_eq!(belongs(facts, &agents).to_string(), expected);
        }
    }

    #[test]
    fn this_process_is_known() {
        let pid = Pid::new(std::process::id() as i32).unwrap();
        let me = who(pid, &[], None, &agents).unwrap();
        assert_eq!((me.pid, me.uid), (pid, process::owner(pid)));
        assert_eq!(me.user, user_name(me.uid.unwrap()));
        assert_eq!(me.argv, std::env::args().collect::<Vec<_>>());
        assert_eq!(me.cwd, std::env::current_dir().ok());
        // Where cargo runs the tests.
        assert_eq!(me.project.as_deref(), Some(Path::new(env!("CARGO_MANIFEST_DIR"))));
        assert!(me.age_ms < 3_600_000, "{me:?}");
        assert!(process::alive(&me.identity));
        assert!(who(Pid::new(i32::MAX).unwrap(), &[], None, &agents).is_none());
        assert_eq!(user_name(4_000_000_000), "4000000000");
    }
}
