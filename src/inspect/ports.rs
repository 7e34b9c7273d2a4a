//! Which process listens on which port: listening sockets joined with the sockets that processes hold.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;

use super::Table;
use crate::model::{Identity, Pid};
use crate::sys::process::{self, Process};
use crate::sys::sockets::{self, Listener};
use crate::sys::user;

/// The ports that these processes listen on, sorted, each once. Looks at no further process once nothing is left to
/// find.
pub fn ports_of(pids: impl IntoIterator<Item = Pid>, listeners: &[Listener]) -> Vec<u16> {
    let mut ports: Vec<u16> = ports_by_process(pids, listeners).into_values().flatten().collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The ports that each of these processes listens on, sorted; for many trees at once. Processes without one are left
/// out.
///
/// A socket that several of them hold (a server and its forked workers) counts for the first: name parents first.
pub fn ports_by_process(
    pids: impl IntoIterator<Item = Pid>,
    listeners: &[Listener],
) -> BTreeMap<Pid, Vec<u16>> {
    // What others made cannot be seen in their processes; looking for it would only keep the search from ending early.
    let own = user::uid();
    let mut wanted = Wanted::new(listeners.iter().filter(|one| own == 0 || one.uid == own));
    let mut found = BTreeMap::new();
    for pid in pids {
        if wanted.left == 0 {
            break;
        }
        let mut ports: Vec<u16> = wanted.take_from(pid).into_iter().map(|(_, port)| port).collect();
        if !ports.is_empty() {
            ports.sort_unstable();
            ports.dedup();
            found.insert(pid, ports);
        }
    }
    found
}

/// Sockets whose holder is looked for.
struct Wanted {
    /// Inode, port, and whether it was found; sorted by inode.
    sockets: Vec<(u64, u16, bool)>,
    left: usize,
}

impl Wanted {
    fn new<'a>(listeners: impl IntoIterator<Item = &'a Listener>) -> Self {
        // Inode 0 is a socket that no process holds.
        let mut sockets: Vec<_> = listeners
            .into_iter()
            .filter(|one| one.inode != 0)
            .map(|one| (one.inode, one.port, false))
            .collect();
        sockets.sort_unstable();
        sockets.dedup_by_key(|socket| socket.0);
        Wanted { left: sockets.len(), sockets }
    }

    /// Inode and port of the wanted sockets that this process holds; they are not wanted any more.
    fn take_from(&mut self, pid: Pid) -> Vec<(u64, u16)> {
        let mut taken = Vec::new();
        process::each_socket(pid, &mut |inode| {
            if let Ok(at) = self.sockets.binary_search_by_key(&inode, |socket| socket.0) {
                let (_, port, found) = &mut self.sockets[at];
                if !std::mem::replace(found, true) {
                    taken.push((inode, *port));
                    self.left -= 1;
                }
            }
            if self.left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        taken
    }
}

/// A port, and one of those who listen on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The port.
    pub port: u16,
    /// The process: of a server and its workers the topmost. `None` when it cannot be seen.
    pub pid: Option<Pid>,
    /// Its parent; 0 when it cannot be seen.
    pub parent: i32,
    /// The user who made the sockets.
    pub uid: u32,
    /// The addresses that it listens on, sorted.
    pub addrs: Vec<IpAddr>,
}

/// Who listens on what: each port and process once, sorted.
pub fn held(listeners: &[Listener], table: &Table) -> Vec<Held> {
    // As in `ports_by_process`: what cannot be found must not keep the search from ending early.
    let own = user::uid();
    let mut wanted = Wanted::new(listeners.iter().filter(|one| own == 0 || one.uid == own));
    let mut holders: BTreeMap<u64, &Process> = BTreeMap::new();
    for process in table.processes().iter().filter(|process| !process.is_dead()) {
        if wanted.left == 0 {
            break;
        }
        for (inode, _) in wanted.take_from(process.pid) {
            let socket: Vec<Listener> = listeners.iter().filter(|one| one.inode == inode).cloned().collect();
            holders.insert(inode, topmost(process, &socket, table));
        }
    }
    let mut all: BTreeMap<(u16, Option<Pid>, u32), Held> = BTreeMap::new();
    for one in listeners {
        let process = holders.get(&one.inode);
        let pid = process.map(|process| process.pid);
        // Two sockets of one process may have different users; its own is asked of the process.
        let uid = if pid.is_some() { 0 } else { one.uid };
        let held = all.entry((one.port, pid, uid)).or_insert_with(|| Held {
            port: one.port,
            pid,
            parent: process.map_or(0, |process| process.ppid),
            uid: one.uid,
            addrs: Vec::new(),
        });
        held.addrs.push(one.addr);
        held.addrs.sort_unstable();
    }
    all.into_values().collect()
}

/// Every process that holds one of these sockets, workers too, parents before what they forked.
pub fn holders(sockets: &[Listener], table: &Table) -> Vec<Identity> {
    let mut found: Vec<&Process> = table
        .processes()
        .iter()
        .filter(|process| !process.is_dead() && !Wanted::new(sockets).take_from(process.pid).is_empty())
        .collect();
    found.sort_unstable_by_key(|process| (process.start, process.pid));
    found.into_iter().map(Process::identity).collect()
}

/// Who listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOwner {
    /// The port.
    pub port: u16,
    /// The addresses that it is listened on.
    pub addrs: Vec<IpAddr>,
    /// The process that holds it: of a server and its workers the topmost. `None` when it belongs to another user.
    pub pid: Option<Pid>,
    /// All such processes: more than one when IPv4 and IPv6 have different ones, or several share it by
    /// `SO_REUSEPORT`.
    pub pids: Vec<Pid>,
    /// The user who made the socket.
    pub uid: u32,
    /// The command line of `pid` as one text, any bytes, so sanitize before printing; empty when unknown.
    pub command: String,
}

/// Who listens on `port`; `None` when nobody does that this system lets us see.
pub fn port_owner(port: u16) -> Option<PortOwner> {
    let listeners = sockets::listeners().ok()?;
    // Asking for the whole table costs milliseconds, so not before it is known that somebody is there.
    if listeners.iter().all(|one| one.port != port) {
        return None;
    }
    owner_of(port, &listeners, &Table::all())
}

/// [`port_owner`] within tables that were read already.
pub fn owner_of(port: u16, listeners: &[Listener], table: &Table) -> Option<PortOwner> {
    let here: Vec<Listener> = listeners.iter().filter(|one| one.port == port).cloned().collect();
    let first = here.first()?;
    // Sorted by PID, and without those that cannot be seen.
    let pids: Vec<Pid> = held(&here, table).into_iter().filter_map(|one| one.pid).collect();
    let pid = pids.first().copied();
    Some(PortOwner {
        port,
        addrs: here.iter().map(|one| one.addr).collect(),
        pid,
        uid: first.uid,
        command: pid.map(|pid| command(pid, table)).unwrap_or_default(),
        pids,
    })
}

/// The highest process of an unbroken line of parents from `holder` that hold one of these sockets too: the server
/// that forked it.
fn topmost<'a>(holder: &'a Process, sockets: &[Listener], table: &'a Table) -> &'a Process {
    let mut top = holder;
    while let Some(parent) = Pid::new(top.ppid).and_then(|pid| table.get(pid)) {
        // A parent that is younger is a reused PID; without this look it could also lead in a ring.
        let older = (parent.start, parent.pid) < (top.start, top.pid);
        if !older || Wanted::new(sockets).take_from(parent.pid).is_empty() {
            break;
        }
        top = parent;
    }
    top
}

fn command(pid: Pid, table: &Table) -> String {
    let words = process::argv(pid);
    if words.is_empty() {
        return table.get(pid).map(|process| process.comm.to_string()).unwrap_or_default();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn me() -> Pid {
        Pid::new(std::process::id() as i32).unwrap()
    }

    fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn the_ports_of_a_process_are_those_it_listens_on() {
        let ((_a, first), (_b, second), (c, closed)) = (listen(), listen(), listen());
        drop(c);
        let mut listeners = sockets::listeners().unwrap();
        // Other tests of this process may listen too.
        listeners.retain(|one| [first, second, closed].contains(&one.port));
        let mut expected = vec![first, second];
        expected.sort_unstable();
        assert_eq!(ports_of([me()], &listeners), expected);
        assert!(ports_of([], &listeners).is_empty());
        assert_eq!(ports_by_process([me()], &listeners), BTreeMap::from([(me(), expected)]));
        assert!(ports_by_process([me()], &[]).is_empty());
    }

    #[test]
    fn a_listener_has_an_owner_with_a_command() {
        let (listener, port) = listen();
        let owner = port_owner(port).unwrap();
        assert_eq!(owner.addrs, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!((owner.pid, &owner.pids[..]), (Some(me()), &[me()][..]));
        assert_eq!(owner.uid, crate::sys::user::uid());
        assert_eq!(owner.command, std::env::args().collect::<Vec<_>>().join(" "));
        drop(listener);
    }

    #[test]
    fn who_holds_several_ports_is_named_with_each() {
        let ((_a, first), (b, second)) = (listen(), listen());
        let v6 = TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, first)).ok();
        let mut listeners = sockets::listeners().unwrap();
        listeners.retain(|one| [first, second].contains(&one.port));
        let elsewhere = Listener { port: 1, addr: Ipv4Addr::UNSPECIFIED.into(), inode: u64::MAX, uid: 33 };
        listeners.push(elsewhere);
        let found = held(&listeners, &Table::all());
        let of = |port: u16| found.iter().filter(|one| one.port == port).collect::<Vec<_>>();
        for (port, count) in [(first, 1 + usize::from(v6.is_some())), (second, 1)] {
            let [one] = of(port)[..] else { panic!("{found:?}") };
            assert_eq!((one.pid, one.addrs.len()), (Some(me()), count));
            assert_eq!(one.parent, std::os::unix::process::parent_id() as i32);
        }
        assert!(matches!(of(1)[..], [Held { pid: None, uid: 33, parent: 0, .. }]), "{found:?}");
        let holding: Vec<Pid> = holders(&listeners, &Table::all()).iter().map(|one| one.pid).collect();
        assert_eq!(holding, [me()]);
        drop(b);
    }

    #[test]
    fn a_socket_that_nobody_visible_holds_has_a_user_only() {
        let elsewhere =
            [Listener { port: 8000, addr: Ipv4Addr::UNSPECIFIED.into(), inode: u64::MAX, uid: 33 }];
        let owner = owner_of(8000, &elsewhere, &Table::all()).unwrap();
        assert_eq!((owner.pid, owner.uid, owner.command.as_str()), (None, 33, ""));
        assert_eq!(owner_of(8001, &elsewhere, &Table::default()), None);
    }
}
