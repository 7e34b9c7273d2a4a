//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The end of a process as `waitpid(2)` reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// The exit code, when it exited by itself.
    pub code: Option<i32>,
    /// The signal's number, when a signal ended it.
    pub signal: Option<i32>,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

impl Exit {
    /// True when it exited by itself with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => match super::policy::signal_name(signal) {
                Some(name) => write!(f, "signal {signal} (SIG{name})"),
                None => write!(f, "signal {signal}"),
            },
            (None, None) => f.write_str("exit status unknown"),
        }
    }
}
