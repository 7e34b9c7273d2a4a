//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The end of a process as `waitpid(2)` reports it to its parent; with neither code nor signal it is unknown, because
/// the supervisor was not the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// An end that nobody could learn anything of but when it was.
    pub const fn unknown(at_ms: u64) -> Self {
        Exit { code: None, signal: None, at_ms }
    }

    /// True when it is not known how it ended.
    pub const fn is_unknown(&self) -> bool {
        self.code.is_none() && self.signal.is_none()
    }

    /// True when it exited by itself with code 0; what is unknown is no success.
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
