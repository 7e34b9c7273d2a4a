//! The workspaces of i3 or sway on which sessions are seen.

use std::collections::HashMap;

use super::chain::Chain;
use super::environment::Environment;
use super::tmux;
use super::window::Desk;
use crate::agents::Session;
use crate::model::{Identity, Pid};

/// How long an answer holds, in milliseconds: as long as it takes until the next look of the daemon.
const FRESH_MS: u64 = 5000;

/// What was answered, for who looks again and again.
#[derive(Debug, Default)]
pub struct Workspaces {
    at_ms: u64,
    of: HashMap<Identity, Option<String>>,
}

impl Workspaces {
    /// Says at each session where it is seen. Asked anew after 5 s, and for a session that was not there before. `ours` is the
    /// environment of this process.
    ///
    /// Without a window manager this costs the look into a directory; with one two questions to it, and one program for each
    /// server of tmux, if a session sits in one.
    pub fn note(&mut self, sessions: &mut [Session], ours: &Environment, now_ms: u64) {
        let is_known = |session: &Session| self.of.contains_key(&session.identity);
        let is_fresh = (self.at_ms..self.at_ms.saturating_add(FRESH_MS)).contains(&now_ms);
        if !is_fresh || !sessions.iter().all(is_known) {
            let pids: Vec<Pid> = sessions.iter().map(Session::pid).collect();
            let found = of(&pids, ours);
            self.of = sessions.iter().map(|session| session.identity).zip(found).collect();
            self.at_ms = now_ms;
        }
        for session in sessions {
            session.workspace = self.of.get(&session.identity).cloned().flatten();
        }
    }
}

/// The workspaces of these processes.
fn of(pids: &[Pid], ours: &Environment) -> Vec<Option<String>> {
    let environments: Vec<Environment> =
        std::iter::once(ours.clone()).chain(pids.iter().map(|pid| Environment::of(*pid))).collect();
    let desk = Desk::at(&environments);
    if desk.managers.is_empty() {
        return vec![None; pids.len()];
    }
    let chains: Vec<Chain> = pids.iter().map(|pid| Chain::of(*pid)).collect();
    let servers: Vec<tmux::Server> = if chains.iter().any(|chain| chain.servers().next().is_some()) {
        let sockets = tmux::sockets(&chains, &environments);
        sockets.iter().filter_map(|socket| tmux::Server::at(socket, ours).ok()).collect()
    } else {
        Vec::new()
    };
    let workspace = |chain: &Chain| {
        // One that nobody shows is seen nowhere.
        match servers.iter().find(|server| server.has(chain)) {
            Some(server) => desk.workspace(&Chain::of(server.seen_by(chain)?)),
            None => desk.workspace(chain),
        }
    };
    chains.iter().map(workspace).collect()
}
