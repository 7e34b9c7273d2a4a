//! Answering HEALTH: is it alive, and does its port accept a connection?

use std::os::fd::{AsFd, BorrowedFd};

use serde_json::{Value, json};

use crate::control::server::Token;
use crate::inspect;
use crate::model::{Kind, Pid, State};
use crate::sys::sockets::{self, Listener};
use crate::sys::tcp::Connecting;

use super::tree::Tree;

/// How long a port may take to accept, in milliseconds.
const ACCEPT_MS: u64 = 1_000;

/// A connection attempt on behalf of a client.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) token: Token,
    attempt: Connecting,
    port: u16,
    /// When it counts as failed, in monotonic milliseconds.
    pub(super) deadline: u64,
}

/// The answer, or the attempt that will bring it.
pub(super) enum Health {
    Now(Value),
    Later(Check),
}

/// The reply of a healthy process.
fn healthy() -> Value {
    json!({ "ok": true, "health": "healthy", "pong": true })
}

/// The reply of one that is not, and why.
fn unhealthy(reason: impl Into<String>) -> Value {
    json!({ "ok": true, "health": "unhealthy", "pong": true, "reason": reason.into() })
}

/// Begins to find out how `tree` is.
pub(super) fn begin(
    token: Token,
    state: State,
    kind: Kind,
    port: Option<u16>,
    tree: &Tree,
    now: u64,
) -> Health {
    if !matches!(state, State::Starting | State::Online) {
        return Health::Now(unhealthy(format!("it is {state}")));
    }
    let (Kind::Port, Some(port)) = (kind, port) else { return Health::Now(healthy()) };
    let listeners = sockets::listeners().unwrap_or_default();
    let tree: Vec<Pid> = tree.members().into_iter().map(|member| member.pid).collect();
    let ours = inspect::ports_of(tree.iter().copied(), &listeners);
    if !ours.contains(&port) {
        return Health::Now(unhealthy(not_listening(port, &ours, &listeners)));
    }
    let Some(listener) = listeners.iter().find(|listener| listener.port == port) else {
        return Health::Now(unhealthy(not_listening(port, &ours, &listeners)));
    };
    match Connecting::begin(listener.addr, port) {
        Ok(attempt) => Health::Later(Check { token, attempt, port, deadline: now + ACCEPT_MS }),
        Err(error) => Health::Now(refused(port, &error)),
    }
}

fn not_listening(port: u16, ours: &[u16], all: &[Listener]) -> String {
    let taken = all.iter().any(|listener| listener.port == port);
    match (ours, taken) {
        ([], true) => format!("another program listens on port {port}"),
        ([], false) => format!("it does not listen on port {port}"),
        (ours, _) => {
            let ours = ours.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            format!("it listens on {ours}, not on the planned port {port}")
        }
    }
}

fn refused(port: u16, error: &std::io::Error) -> Value {
    unhealthy(format!("port {port} does not accept connections: {}", crate::error::plain(error)))
}

impl Check {
    /// What the loop must wait for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.attempt.as_fd()
    }

    /// The answer, now that the descriptor is ready or the deadline is past.
    pub(super) fn answer(&self, ready: bool) -> Value {
        if !ready {
            return unhealthy(format!("port {} does not accept connections", self.port));
        }
        match self.attempt.finish() {
            Ok(()) => healthy(),
            Err(error) => refused(self.port, &error),
        }
    }
}
