//! What `start` and a new supervisor say to each other, once each, over an inherited socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::model::Identity;

/// The descriptor of the supervisor lock, taken by `start` before the name became visible.
pub(super) const LOCK_FD: i32 = 3;

/// The descriptor of the socket to `start`.
pub(super) const TALK_FD: i32 = 4;

/// What `start` decided beyond `spec.json`. The captured environment, secrets of `--env-var` included, is not in it:
/// it is the supervisor's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The process directory was made by this start: take it away again if the program cannot be executed.
    pub fresh: bool,
    /// Restarts so far, for a process that goes on under a new supervisor.
    pub restarts: u32,
    /// Variables of the environment file, which `start` has just read.
    pub set: BTreeMap<String, String>,
    /// Variables that the environment file takes away.
    pub unset: Vec<String>,
    /// The program runs already: watch it instead of executing it.
    #[serde(default)]
    pub adopt: Option<Running>,
}

/// A program whose supervisor was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its main process, or the oldest of what is left of its tree.
    pub main: Identity,
    /// It was ready before.
    pub ready: bool,
    /// The main process that was recorded is gone: the tree is followed until it is empty.
    pub followed: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// The program runs, under this PID.
    Running(i32),
    /// It does not; nothing is left behind.
    Failed {
        /// True when there is no such program or directory, which is another exit code.
        missing: bool,
        /// Why not.
        message: String,
        /// What to type next.
        hint: Option<String>,
    },
}

impl Outcome {
    /// The outcome of `error`.
    pub(super) fn failed(error: &Error) -> Self {
        Outcome::Failed {
            missing: error.kind() == Kind::NotFound,
            message: error.message().to_owned(),
            hint: error.hint_text().map(str::to_owned),
        }
    }

    /// The PID, or the error that `start` reports.
    ///
    /// # Errors
    /// Not found or failed, in the supervisor's words.
    pub(super) fn into_result(self) -> Result<i32, Error> {
        match self {
            Outcome::Running(pid) => Ok(pid),
            Outcome::Failed { missing, message, hint } => {
                let error = if missing { Error::not_found(message) } else { Error::failed(message) };
                Err(match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }
}
