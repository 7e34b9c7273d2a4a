//! What is right and what is wrong with the ports that are listened on, measured by what was planned.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::{Held, View};
use crate::model::{Pid, State};

/// A tracked process, as far as ports are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its ID.
    pub id: Option<u32>,
    /// The port that was planned for it.
    pub port: Option<u16>,
    /// The ports that its tree listens on.
    pub ports: Vec<u16>,
    /// Its state.
    pub state: State,
    /// The main process.
    pub pid: Option<Pid>,
    /// Its supervisor and its whole tree.
    pub tree: Vec<Pid>,
}

impl From<&View> for Planned {
    fn from(view: &View) -> Self {
        let supervisor = view.supervisor_pid.and_then(Pid::new);
        Planned {
            name: view.name.to_string(),
            id: view.id,
            port: view.port,
            ports: view.ports.clone(),
            state: view.status,
            pid: view.pid.and_then(Pid::new),
            tree: supervisor.into_iter().chain(view.tree.iter().map(|process| process.pid)).collect(),
        }
    }
}

impl Planned {
    /// `web-3000 (TSM ID: 0)`.
    pub fn title(&self) -> String {
        self.id.map_or_else(|| self.name.clone(), |id| format!("{} (TSM ID: {id})", self.name))
    }
}

/// What is to be said of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortStatus {
    /// Somebody listens, and nothing is wrong with that.
    Used,
    /// Two programs meet there: a foreign one on a reserved port, or different ones by IPv4 and IPv6.
    Conflict,
    /// A tracked process listens here, not on the port that was planned for it.
    Elsewhere,
    /// It is reserved for a tracked process, and nobody listens.
    Silent,
}

impl fmt::Display for PortStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortStatus::Used => "USED",
            PortStatus::Conflict => "CONFLICT",
            PortStatus::Elsewhere => "ELSEWHERE",
            PortStatus::Silent => "SILENT",
        })
    }
}

/// A port, and who listens on it or has it reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortRow {
    /// The port.
    pub port: u16,
    /// What is to be said of it.
    pub status: PortStatus,
    /// True when a tracked process listens, or should.
    pub tsm: bool,
    /// The tracked process's name.
    pub name: Option<String>,
    /// Its ID.
    pub id: Option<u32>,
    /// The process that listens, or the main process of one that should; none when it cannot be seen or does not run.
    pub pid: Option<Pid>,
    /// The user who made the sockets; none where nobody listens.
    pub uid: Option<u32>,
    /// The addresses that are listened on.
    pub addrs: Vec<IpAddr>,
    /// What is worth words, and what to type about it.
    pub remark: Option<Remark>,
}

/// What is worth words, and the next command to type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// A sentence without a full stop.
    pub text: String,
    /// The next command.
    pub next: String,
}

impl Remark {
    fn new(text: impl Into<String>, next: impl Into<String>) -> Self {
        Remark { text: text.into(), next: next.into() }
    }
}

/// Who listens on what (`held`), joined with what was planned: by port.
///
/// Whom a listener belongs to is decided by process tree, never by the port that was planned.
pub fn census(held: &[Held], planned: &[Planned]) -> Vec<PortRow> {
    let mut rows: Vec<PortRow> = held.iter().map(|one| listening(one, held, planned)).collect();
    for process in planned.iter().filter(|process| process.state.live()) {
        let Some(port) = process.port.filter(|port| held.iter().all(|one| one.port != *port)) else {
            continue;
        };
        rows.push(PortRow {
            port,
            status: PortStatus::Silent,
            tsm: true,
            name: Some(process.name.clone()),
            id: process.id,
            pid: process.pid,
            uid: None,
            addrs: Vec::new(),
            remark: silent(process, port),
        });
    }
    rows.sort_by_key(|row| row.port);
    rows
}

/// The tracked process to whose tree a listener belongs.
fn owner<'a>(held: &Held, planned: &'a [Planned]) -> Option<&'a Planned> {
    let pid = held.pid?;
    planned.iter().find(|process| process.tree.contains(&pid))
}

fn listening(one: &Held, all: &[Held], planned: &[Planned]) -> PortRow {
    let owner = owner(one, planned);
    let (status, remark) = verdict(one, owner, all, planned);
    PortRow {
        port: one.port,
        status,
        tsm: owner.is_some(),
        name: owner.map(|owner| owner.name.clone()),
        id: owner.and_then(|owner| owner.id),
        pid: one.pid,
        uid: Some(one.uid),
        addrs: one.addrs.clone(),
        remark,
    }
}

fn verdict(
    one: &Held,
    owner: Option<&Planned>,
    all: &[Held],
    planned: &[Planned],
) -> (PortStatus, Option<Remark>) {
    let port = one.port;
    let is_owner = |process: &Planned| owner.is_some_and(|owner| owner.name == process.name);
    let mut wanting = planned.iter().filter(|process| process.port == Some(port) && !is_owner(process));
    let holder = match (owner, one.pid) {
        (Some(owner), _) => owner.title(),
        (None, Some(pid)) => format!("PID {pid}"),
        (None, None) => "a program that cannot be seen".to_owned(),
    };
    if let Some(process) = wanting.clone().find(|process| process.state.live()) {
        let has_it_too = all
            .iter()
            .any(|other| other.port == port && other.pid.is_some_and(|pid| process.tree.contains(&pid)));
        // A tracked one gives way by being stopped, whoever it is; the rightful holder keeps its place.
        let away = match (owner, one.pid) {
            (Some(owner), _) => format!("tsm stop {}", owner.name),
            (None, Some(pid)) if has_it_too => format!("tsm kill pid:{pid}"),
            (None, _) => format!("tsm doctor kill {port}"),
        };
        let (title, state) = (process.title(), process.state);
        let text = format!("port {port} is reserved by {title}, which is {state}, but {holder} holds it");
        return (PortStatus::Conflict, Some(Remark::new(text, away)));
    }
    if let Some(other) = all.iter().find(|other| clash(one, other, planned)) {
        // Said once: by the first of the two, or above, of the one that is in the other's place.
        let reserved = [one, other].iter().any(|held| {
            self::owner(held, planned).is_some_and(|owner| owner.state.live() && owner.port == Some(port))
        });
        let first = !reserved && (one.pid, one.uid) < (other.pid, other.uid);
        let text = format!("port {port} leads to {} and to {}", place(one), place(other));
        let remark = first.then(|| Remark::new(text, format!("tsm doctor port {port}")));
        return (PortStatus::Conflict, remark);
    }
    if let Some(owner) = owner
        && let Some(planned_port) = owner.port.filter(|planned| !owner.ports.contains(planned))
    {
        // Said once, by its lowest port.
        let remark = (owner.ports.first() == Some(&port)).then(|| {
            let (title, real) = (owner.title(), numbers(&owner.ports));
            Remark::new(
                format!("{title} listens on {real}, not on its planned port {planned_port}"),
                format!("tsm info {}, which says why that port was planned", owner.name),
            )
        });
        return (PortStatus::Elsewhere, remark);
    }
    // Nothing is wrong yet, but it will be.
    let remark = wanting.find(|_| owner.is_none()).map(|process| {
        Remark::new(
            format!("port {port} is planned for {}, which is {}", process.title(), process.state),
            format!("tsm doctor kill {port}, before you start {} again", process.name),
        )
    });
    (PortStatus::Used, remark)
}

/// True for two that meet on one port and are not one program's: by different address families, or one of them by all
/// addresses. The same addresses twice are shared on purpose (`SO_REUSEPORT`), two of one family are told apart.
fn clash(one: &Held, other: &Held, planned: &[Planned]) -> bool {
    let same = one.pid == other.pid && one.uid == other.uid;
    if one.port != other.port || same {
        return false;
    }
    let below = |one: &Held, other: &Held| other.pid.is_some_and(|pid| pid.get() == one.parent);
    if one.addrs == other.addrs || below(one, other) || below(other, one) {
        return false;
    }
    if let (Some(a), Some(b)) = (owner(one, planned), owner(other, planned))
        && a.name == b.name
    {
        return false;
    }
    let local = |addr: &IpAddr| addr.is_loopback() || addr.is_unspecified();
    one.addrs.iter().any(|a| {
        other.addrs.iter().any(|b| {
            if a.is_ipv4() == b.is_ipv4() {
                a.is_unspecified() != b.is_unspecified()
            } else {
                local(a) && local(b)
            }
        })
    })
}

/// `PID 77 on 127.0.0.1`.
fn place(one: &Held) -> String {
    let who = one.pid.map_or_else(|| format!("a program of user {}", one.uid), |pid| format!("PID {pid}"));
    let addrs: Vec<String> = one.addrs.iter().map(IpAddr::to_string).collect();
    format!("{who} on {}", addrs.join(", "))
}

fn silent(process: &Planned, port: u16) -> Option<Remark> {
    let title = process.title();
    if !process.ports.is_empty() {
        // Said with the port that it does listen on.
        return None;
    }
    let text = match process.state {
        State::Starting => format!("{title} is still starting and does not listen on its port {port} yet"),
        State::Online => format!("{title} runs, but nobody listens on its port {port}"),
        state => format!("{title} is {state}, and nobody listens on its port {port}"),
    };
    Some(Remark::new(text, format!("tsm logs {}", process.name)))
}

fn numbers(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
