//! How a process is stopped, restarted and logged: the knobs of a spec.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When a program that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    No,
    /// After a failure: an exit code other than 0, or a signal.
    #[default]
    OnFailure,
    /// Whenever it ends.
    Always,
}

impl RestartPolicy {
    /// The word that users type and read.
    pub const fn as_str(self) -> &'static str {
        match self {
            RestartPolicy::No => "no",
            RestartPolicy::OnFailure => "on-failure",
            RestartPolicy::Always => "always",
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RestartPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "no" | "never" => Ok(RestartPolicy::No),
            "on-failure" => Ok(RestartPolicy::OnFailure),
            "always" => Ok(RestartPolicy::Always),
            _ => Err("a restart policy is no, on-failure or always".into()),
        }
    }
}

/// Names and numbers of the signals that can be asked for; the numbers of these are the same on Linux and macOS
/// but for USR1 and USR2.
const SIGNALS: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", if cfg!(target_vendor = "apple") { 30 } else { 10 }),
    ("SEGV", 11),
    ("USR2", if cfg!(target_vendor = "apple") { 31 } else { 12 }),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("BUS", if cfg!(target_vendor = "apple") { 10 } else { 7 }),
];

/// The name of a signal, without `SIG`; `None` for one that has no common name.
pub(super) fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(_, n)| *n == number).map(|(name, _)| *name)
}

/// The signal that asks a program to end; TERM unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StopSignal(i32);

impl StopSignal {
    /// The signal's number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl Default for StopSignal {
    fn default() -> Self {
        StopSignal(15)
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(signal_name(self.0).unwrap_or("TERM"))
    }
}

impl FromStr for StopSignal {
    type Err = String;

    /// A name with or without `SIG`, in either case, or a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = text.parse::<i32>().ok();
        SIGNALS
            .iter()
            .find(|(name, n)| *name == bare || Some(*n) == number)
            .map(|(_, n)| StopSignal(*n))
            .ok_or_else(|| format!("{text:?} is not a signal; use a name such as TERM, INT, QUIT or USR1"))
    }
}

impl TryFrom<String> for StopSignal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StopSignal> for String {
    fn from(signal: StopSignal) -> String {
        signal.to_string()
    }
}

/// How much log is kept: `max_bytes` in the live file, and `keep` rotated files of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogLimit {
    /// The size of the live file, in bytes, above which its head is moved to a rotated file.
    pub max_bytes: u64,
    /// How many rotated files are kept; 0 throws the head away.
    pub keep: u32,
}

impl Default for LogLimit {
    fn default() -> Self {
        LogLimit { max_bytes: 10 << 20, keep: 5 }
    }
}

/// How a process is stopped and restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// When it is started again after it ended.
    pub restart: RestartPolicy,
    /// How many restarts are allowed in a row before it is `errored`.
    pub max_restarts: u32,
    /// The signal of a graceful stop.
    pub stop_signal: StopSignal,
    /// How long a graceful stop may take before KILL, in milliseconds.
    pub stop_timeout_ms: u64,
    /// What RELOAD runs, by `bash -c`; HUP to the main process when absent.
    pub reload: Option<String>,
    /// How much log is kept.
    pub log: LogLimit,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            restart: RestartPolicy::OnFailure,
            max_restarts: 10,
            stop_signal: StopSignal::default(),
            stop_timeout_ms: 10_000,
            reload: None,
            log: LogLimit::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_in_every_spelling_and_written_in_one() {
        for text in ["TERM", "sigterm", "15", "SIGTERM"] {
            assert_eq!(text.parse::<StopSignal>().unwrap().to_string(), "TERM", "{text}");
        }
        for text in ["", "NOPE", "0", "-1", "99"] {
            assert!(text.parse::<StopSignal>().is_err(), "{text}");
        }
    }
}
