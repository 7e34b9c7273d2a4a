//! From inside of what a process was started.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Identity;

/// The session of a program from inside of which somebody started a managed process, such as a coding agent. It is kept
/// to be shown; nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Starter {
    /// Which program: `claude`, …
    pub what: String,
    /// Its process.
    pub identity: Identity,
    /// The boot in which that is meant.
    pub boot_id: String,
    /// What the program calls its session.
    #[serde(default)]
    pub session_id: Option<String>,
    /// Where it was at work.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
}

impl fmt::Display for Starter {
    /// `claude (PID 123)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (PID {})", self.what, self.identity.pid)
    }
}
