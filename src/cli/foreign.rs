//! Ending what TSM does not manage: held by its identity before anybody is asked, and never a part of what TSM manages.

use std::time::Duration;

use super::confirm::confirm;
use super::context::Context;
use super::list::Done;
use crate::error::{Error, Kind, Result, plain};
use crate::inspect::{self, View, holders, manager, port_owner};
use crate::model::{Killed, Pid};
use crate::render::sanitize;
use crate::sys::pidfd::{Handle, wait_all};
use crate::sys::sockets::{self, Listener};
use crate::sys::{process, signals};

/// How long a process may take to die after KILL before we say that it does not.
const UNKILLABLE: Duration = Duration::from_secs(5);

/// Something that TSM does not manage.
#[derive(Debug)]
pub(super) struct Foreign {
    /// `PID 123` or `port 8000`.
    what: String,
    pids: Vec<Pid>,
    /// The listening sockets that shall be gone with it, workers that hold them too.
    sockets: Vec<Listener>,
}

/// One of its processes, on which we have a hold.
#[derive(Debug)]
pub(super) struct Victim {
    handle: Handle,
    pub(super) pid: Pid,
    /// Its command, shortened; any characters, so sanitize before printing.
    pub(super) command: String,
}

impl Foreign {
    /// Those who listen on `port`: never who is only connected to it.
    pub(super) fn of_port(port: u16, pids: Vec<Pid>) -> Self {
        let held: Vec<u64> = pids.iter().flat_map(|pid| process::socket_inodes(*pid)).collect();
        let mut sockets = sockets::listeners().unwrap_or_default();
        // Not those of somebody who came just now, and was not asked about.
        sockets.retain(|one| one.port == port && held.contains(&one.inode));
        Foreign { what: format!("port {port}"), pids, sockets }
    }

    /// The port or PID that `text` means on this machine.
    pub(super) fn named(text: &str) -> Option<Self> {
        let (kind, number) = text.split_once(':').unwrap_or(("any", text));
        let number: i32 = number.parse().ok()?;
        let of_port = || {
            let port = u16::try_from(number).ok().filter(|port| *port > 0)?;
            Some(Foreign::of_port(port, port_owner(port)?.pids))
        };
        let of_pid = || {
            let pid = Pid::new(number)?;
            process::read(pid)?;
            Some(Foreign { what: format!("PID {pid}"), pids: vec![pid], sockets: Vec::new() })
        };
        match kind {
            "port" | "" => of_port(),
            "pid" => of_pid(),
            "any" => of_port().or_else(of_pid),
            _ => None,
        }
    }

    /// Takes hold of its processes: however long an answer takes, it is about these very ones.
    ///
    /// # Errors
    /// When they cannot be seen, are this very process, or are part of what TSM manages.
    pub(super) fn hold(&self, views: &[View]) -> Result<Vec<Victim>> {
        if self.pids.is_empty() {
            return Err(Error::failed(format!(
                "cannot see who holds {}: it belongs to another user",
                self.what
            )));
        }
        // Of all, before the first of several is touched.
        self.pids.iter().try_for_each(|pid| spare(views, *pid))?;
        Ok(self.pids.iter().filter_map(|pid| Victim::hold(*pid)).collect())
    }

    /// Ends `victims` and whoever else holds their sockets: by KILL, or by TERM and after `grace` by KILL. Returns what
    /// had to be killed.
    ///
    /// # Errors
    /// When one cannot be signalled, or is still alive after KILL.
    pub(super) fn end(
        &self,
        victims: &[Victim],
        grace: Option<Duration>,
        views: &[View],
    ) -> Result<Vec<Killed>> {
        let mut killed = end(victims, grace)?;
        // What a server forked may still have its socket. One that it forks meanwhile comes up in the next look; a server
        // whose workers have workers comes to an end soon.
        for _ in 0..5 {
            if self.sockets.is_empty() {
                break;
            }
            let left = holders(&self.sockets, &inspect::Table::all());
            let foreign = left.iter().filter(|one| spare(views, one.pid).is_ok());
            let workers: Vec<Victim> = foreign.filter_map(|one| Victim::hold(one.pid)).collect();
            if workers.is_empty() {
                break;
            }
            killed.extend(end(&workers, grace)?);
        }
        Ok(killed)
    }
}

impl Victim {
    /// `None` when it is gone.
    fn hold(pid: Pid) -> Option<Self> {
        let process = process::read(pid)?;
        let handle = Handle::open(&process.identity())?;
        let command = process::argv(pid).join(" ");
        let command = if command.is_empty() { process.comm.to_string() } else { command };
        Some(Victim { handle, pid, command: command.chars().take(120).collect() })
    }

    fn signal(&self, number: i32) -> Result<()> {
        match self.handle.signal(number) {
            // Gone is what we want.
            Err(error) if self.handle.is_alive() => {
                Err(Error::failed(format!("cannot kill PID {}: {}", self.pid, plain(&error))))
            }
            _ => Ok(()),
        }
    }
}

fn end(victims: &[Victim], grace: Option<Duration>) -> Result<Vec<Killed>> {
    let left = |patience: Duration| -> Vec<&Victim> {
        // One by one, but each for what is left of the same time.
        let end = std::time::Instant::now() + patience;
        victims
            .iter()
            .filter(|victim| {
                let rest = end.saturating_duration_since(std::time::Instant::now());
                !wait_all(std::slice::from_ref(&victim.handle), rest).is_empty()
            })
            .collect()
    };
    let mut stubborn: Vec<&Victim> = victims.iter().collect();
    if let Some(grace) = grace {
        for victim in victims {
            victim.signal(signals::TERM)?;
            // One that is halted acts on it only then.
            victim.signal(signals::CONT)?;
        }
        stubborn = left(grace);
    }
    stubborn.iter().try_for_each(|victim| victim.signal(signals::KILL))?;
    if let Some(victim) = left(UNKILLABLE).first() {
        let text = format!("PID {} is still alive after KILL", victim.pid);
        return Err(Error::new(Kind::TimedOut, text));
    }
    Ok(stubborn
        .into_iter()
        .map(|victim| Killed { pid: victim.pid.get(), command: victim.command.clone() })
        .collect())
}

/// `tsm kill` of what TSM does not manage.
pub(super) fn kill(context: &Context, target: &Foreign, force: bool, print: bool) -> Result<Vec<Done>> {
    let views = context.all();
    let victims = target.hold(&views)?;
    if !force {
        for victim in &victims {
            if !agreed(context, &target.what, victim)? {
                return Err(Error::failed("nothing was killed"));
            }
        }
    }
    let mut all = Vec::new();
    for killed in target.end(&victims, None, &views)? {
        if print {
            let text = format!("Killed: PID {} ({})", killed.pid, sanitize::text(&killed.command));
            context.output.line(&text)?;
        }
        all.push(Done { name: killed.command.clone(), id: None, what: "killed", killed: vec![killed] });
    }
    Ok(all)
}

/// # Errors
/// Usage for this very process, a conflict for what TSM does manage: killing a supervisor would leave its program alone,
/// and a part of a tree has a whole that can be named.
fn spare(views: &[View], pid: Pid) -> Result<()> {
    if i64::from(pid.get()) == i64::from(std::process::id()) {
        return Err(Error::usage(format!("PID {pid} is this tsm itself")));
    }
    let Some(view) = manager(pid, views) else { return Ok(()) };
    let part = if view.supervisor_pid == Some(pid.get()) { "supervises" } else { "is part of" };
    Err(Error::conflict(format!("PID {pid} {part} {}", view.title())).hint(format!("tsm kill {}", view.name)))
}

fn agreed(context: &Context, what: &str, victim: &Victim) -> Result<bool> {
    let (pid, command) = (victim.pid, sanitize::text(&victim.command));
    let question = format!("{what} is held by PID {pid}, which TSM does not manage:\n  {command}\nKill it?");
    confirm(context, &question, || {
        Error::conflict(format!("{what} is held by PID {pid} ({command}), which TSM does not manage"))
            .hint("tsm kill --force, if it is the right one")
    })
}
