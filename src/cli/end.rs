//! Ending processes: through their supervisors, or by their trees where the supervisor is gone.

use std::time::Duration;

use crate::control::client::{Client, Waited};
use crate::control::message::{Request, Until};
use crate::error::{Error, Kind, Result, plain};
use crate::inspect::{View, orphan_tree};
use crate::model::{Identity, Killed, Policy, State, Status};
use crate::store::{self, Record};
use crate::sys::lock::Lock;
use crate::sys::pidfd::{Handle, wait_all};
use crate::sys::{process, signals};

/// How long a tree may take to die after KILL before we say that it does not.
const UNKILLABLE: Duration = Duration::from_secs(10);

/// How long a supervisor that is just being born may take to listen.
const BIRTH: Duration = Duration::from_secs(5);

/// A stop that has begun.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing of it was alive.
    Already,
    /// Its supervisor is at it.
    Supervised(Client, Duration),
    /// Its supervisor does not listen to requests, but was told by a signal; how long it may take.
    Told(Handle, Duration),
    /// It is over.
    Over(Vec<Killed>),
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The stop signal, then KILL after the stop timeout.
    Gracefully,
    /// KILL at once.
    AtOnce,
}

/// So many are ended side by side: each takes a descriptor, of which a caller may have few.
pub(super) const AT_ONCE: usize = 128;

/// Begins to end all of `views` before the first is waited for.
pub(super) fn begin_all(views: &[View], how: How) -> Vec<(&View, Result<Ending>)> {
    views.iter().map(|view| (view, begin(view, how))).collect()
}

/// Begins to end `view`; several can be begun before the first is waited for.
///
/// # Errors
/// When the supervisor cannot be reached, or its tree cannot be signalled.
pub(super) fn begin(view: &View, how: How) -> Result<Ending> {
    if view.status == State::Unsupervised {
        return end_tree(view, how).map(Ending::Over);
    }
    if !view.status.live() {
        return Ok(Ending::Already);
    }
    let timeout = store::read_spec(&view.dir).found().map_or(10_000, |spec| spec.policy.stop_timeout_ms);
    let patience = Duration::from_millis(timeout) + UNKILLABLE;
    let request = if how == How::Gracefully { Request::Stop } else { Request::Kill };
    let asked = connect(view).and_then(|mut client| client.ask(request).map(|_| client));
    match asked {
        Ok(client) => Ok(Ending::Supervised(client, patience)),
        Err(error) => begin_unheard(view, how, patience, error),
    }
}

/// Begins to end `view` when its supervisor has not taken the request, for the reason `why`: its socket is gone or all
/// its connections are taken, it is halted, or it has ended just now.
fn begin_unheard(view: &View, how: How, patience: Duration, why: Error) -> Result<Ending> {
    if !store_says_live(view) {
        return match store::read_status(&view.dir) {
            Record::Found(status) if !status.state.live() => Ok(Ending::Already),
            _ => end_tree(view, how).map(Ending::Over),
        };
    }
    let supervisor = view.record.as_ref().and_then(|status| status.supervisor);
    let Some(handle) = supervisor.as_ref().and_then(Handle::open) else { return Err(why) };
    // TERM is its graceful stop; a halted one acts on it only with CONT.
    for number in [signals::TERM, signals::CONT] {
        handle.signal(number).map_err(|error| {
            Error::failed(format!("cannot signal the supervisor of {}: {}", view.name, plain(&error)))
        })?;
    }
    if how == How::AtOnce {
        signal(&view.tree.iter().map(process::Process::identity).collect::<Vec<_>>(), &[signals::KILL]);
    }
    Ok(Ending::Told(handle, patience))
}

/// Connects to the supervisor of `view`, which may be just starting.
///
/// # Errors
/// Unreachable when it does not listen within 5 s.
pub(super) fn connect(view: &View) -> Result<Client> {
    let end = std::time::Instant::now() + BIRTH;
    loop {
        match Client::connect(&view.dir.socket()) {
            Ok(client) => return Ok(client),
            Err(error) => {
                if std::time::Instant::now() >= end || !store_says_live(view) || is_settled(view) {
                    return Err(error);
                }
                crate::sys::poll::pause(Duration::from_millis(2));
            }
        }
    }
}

/// True when its supervisor has written that it is there, which it does after it has begun to listen.
fn is_settled(view: &View) -> bool {
    let written = store::read_status(&view.dir).found().and_then(|status| status.supervisor);
    written.is_some_and(|supervisor| process::alive(&supervisor))
}

fn store_says_live(view: &View) -> bool {
    crate::sys::lock::is_held(&view.dir.lock())
}

/// Waits until nothing of the tree is alive; returns what had to be killed.
///
/// # Errors
/// Timed out when something of it cannot be ended.
pub(super) fn finish(view: &View, ending: Ending) -> Result<Vec<Killed>> {
    let (mut client, patience) = match ending {
        Ending::Already => return Ok(Vec::new()),
        Ending::Over(killed) => return Ok(killed),
        Ending::Told(supervisor, patience) => {
            if !wait_all(std::slice::from_ref(&supervisor), patience).is_empty() {
                return Err(still_alive(view));
            }
            return last_words(view);
        }
        Ending::Supervised(client, patience) => (client, patience),
    };
    match client.wait(Request::Wait(Until::Ended), Some(patience)) {
        Ok(Waited::Answer(reply)) => {
            // Its lock is free when the connection is closed: a start right after this one must not find it held.
            client.until_closed(Duration::from_secs(1));
            Ok(reply.killed)
        }
        Ok(Waited::TimedOut) => Err(still_alive(view)),
        Err(error) if error.kind() == Kind::Unreachable => last_words(view),
        Err(error) => Err(error),
    }
}

/// What a supervisor that is gone has had to kill; one that was killed itself has left its tree to us.
fn last_words(view: &View) -> Result<Vec<Killed>> {
    match store::read_status(&view.dir) {
        Record::Found(status) if !status.state.live() => Ok(status.killed),
        _ => end_tree(view, How::Gracefully),
    }
}

fn still_alive(view: &View) -> Error {
    let tree: Vec<String> = view
        .tree
        .iter()
        .filter(|process| process::alive(&process.identity()))
        .map(|process| format!("{} ({})", process.pid, process.comm))
        .collect();
    Error::new(
        Kind::TimedOut,
        format!("cannot end {}: still alive after KILL: {}", view.name, tree.join(", ")),
    )
    .hint(format!("tsm info {}", view.name))
}

/// Ends a tree whose supervisor is gone, under the supervisor's lock, and writes what became of it.
fn end_tree(view: &View, how: How) -> Result<Vec<Killed>> {
    let locked = Lock::take_within(&view.dir.lock(), Duration::from_secs(2))
        .map_err(|error| Error::io("lock", &view.dir.lock(), &error))?;
    let Some(lock) = locked else {
        return Err(Error::conflict(format!("{} has just been given a new supervisor", view.name))
            .hint(format!("tsm stop {}", view.name)));
    };
    let spec = store::read_spec(&view.dir).found();
    let policy = spec.map(|spec| spec.policy).unwrap_or_default();
    let socket = view.dir.address(&view.dir.socket()).to_string_lossy().into_owned();
    let members = || -> Vec<Identity> {
        orphan_tree(view.main.as_ref(), view.main.is_some(), &socket)
            .iter()
            .map(process::Process::identity)
            .collect()
    };
    let killed = end_members(&members, &policy, how).map_err(|_| still_alive(view))?;
    write_stopped(view, &killed)?;
    drop(lock);
    Ok(killed)
}

/// Ends everything that `members` finds: the stop signal first, KILL for what is left after the stop timeout. Returns
/// what had to be killed.
///
/// # Errors
/// Timed out when something of it cannot be ended.
pub(super) fn end_members(
    members: &dyn Fn() -> Vec<Identity>,
    policy: &Policy,
    how: How,
) -> Result<Vec<Killed>> {
    if how == How::Gracefully {
        let asked = signal(&members(), &[policy.stop_signal.number(), signals::CONT]);
        wait_all(&asked, Duration::from_millis(policy.stop_timeout_ms));
    }
    let mut killed: Vec<Killed> = Vec::new();
    let end = std::time::Instant::now() + UNKILLABLE;
    loop {
        let left = members();
        if left.is_empty() {
            return Ok(killed);
        }
        for member in &left {
            let command = process::argv(member.pid).join(" ");
            if killed.iter().all(|known| known.pid != member.pid.get()) {
                killed.push(Killed { pid: member.pid.get(), command: command.chars().take(120).collect() });
            }
        }
        let handles = signal(&left, &[signals::KILL]);
        wait_all(&handles, Duration::from_millis(500));
        if std::time::Instant::now() >= end {
            let left: Vec<String> = left.iter().map(|member| member.pid.to_string()).collect();
            return Err(Error::new(
                Kind::TimedOut,
                format!("still alive after KILL: PID {}", left.join(", ")),
            ));
        }
    }
}

fn signal(members: &[Identity], numbers: &[i32]) -> Vec<Handle> {
    let handles: Vec<Handle> = members.iter().filter_map(Handle::open).collect();
    for handle in &handles {
        for number in numbers {
            // Gone is what we want; not permitted shows when it is still alive at the end.
            let _ = handle.signal(*number);
        }
    }
    handles
}

/// Writes that nothing of `view` is alive; for whoever holds its lock.
fn write_stopped(view: &View, killed: &[Killed]) -> Result<()> {
    let Some(mut status) = view.record.clone() else { return Ok(()) };
    status.state = State::Stopped;
    status.main = None;
    status.supervisor = None;
    status.adopted = false;
    status.signalled = false;
    status.note = None;
    status.killed = killed.to_vec();
    store::write_status(&view.dir, &Status { schema: Status::SCHEMA, ..status })?;
    let pid_file = view.dir.layout().map(|layout| layout.pid_file(&view.name));
    for leftover in [view.dir.socket(), view.dir.notify()].into_iter().chain(pid_file) {
        match std::fs::remove_file(&leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failed(format!(
                    "cannot remove {}: {}",
                    leftover.display(),
                    plain(&error)
                )));
            }
            _ => {}
        }
    }
    Ok(())
}
