//! The states of a process, as users read them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a process (design.md section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The program is about to run, or runs and is not ready yet.
    Starting,
    /// It runs.
    Online,
    /// It failed and will be started again after a delay.
    Backoff,
    /// It is being stopped.
    Stopping,
    /// It was stopped; nothing of its tree is alive.
    Stopped,
    /// It ended by itself and its restart policy leaves it at that.
    Exited,
    /// It failed too often, or could not be started again.
    Errored,
    /// Seen from outside: the supervisor is gone, the program lives.
    Unsupervised,
    /// Seen from outside: supervisor and program are gone without a word, or the machine was rebooted.
    Lost,
}

impl State {
    /// The word that users read.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Online => "online",
            State::Backoff => "backoff",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Exited => "exited",
            State::Errored => "errored",
            State::Unsupervised => "unsupervised",
            State::Lost => "lost",
        }
    }

    /// True when a supervisor must be there for the state to be true.
    pub const fn supervised(self) -> bool {
        matches!(self, State::Starting | State::Online | State::Backoff | State::Stopping)
    }

    /// True when something of it runs or is about to: what a port or a name stays reserved for.
    pub const fn live(self) -> bool {
        self.supervised() || matches!(self, State::Unsupervised)
    }

    /// True when `tsm list` shows it without being asked for all: what is up, or should be.
    pub const fn listed(self) -> bool {
        self.live() || matches!(self, State::Errored)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
