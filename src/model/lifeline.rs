//! The other process whose end is the end of a managed one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Identity;

/// The process that a managed one is bound to: when it ends, the managed one is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifeline {
    /// Which process it is.
    pub identity: Identity,
    /// The boot in which that is meant.
    pub boot_id: String,
    /// What it is to the user: `shell`, `with` (a running `tsm with`) or `agent`.
    pub what: String,
    /// Its short name when it was bound, such as `bash`.
    #[serde(default)]
    pub program: String,
}

impl Lifeline {
    /// What the user calls it.
    pub fn holder(&self) -> &str {
        if self.what == "with" { "tsm with" } else { &self.what }
    }
}

impl fmt::Display for Lifeline {
    /// `bash (PID 123)`, `tsm with (PID 123)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.what == "with" || self.program.is_empty() { self.holder() } else { &self.program };
        write!(f, "{name} (PID {})", self.identity.pid)
    }
}
