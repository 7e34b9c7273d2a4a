//! Which process is meant: a PID alone is reused, a PID with its start time and boot is not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process ID that can be signalled: never 0, 1 or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Pid(i32);

impl Pid {
    /// A PID above 1; `None` otherwise, because 0, 1 and negative numbers address groups, init or everybody.
    pub const fn new(raw: i32) -> Option<Self> {
        if raw > 1 { Some(Pid(raw)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for Pid {
    type Error = String;

    fn try_from(raw: i32) -> Result<Self, String> {
        Pid::new(raw).ok_or_else(|| format!("{raw} is not a process ID"))
    }
}

impl From<Pid> for i32 {
    fn from(pid: Pid) -> i32 {
        pid.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One incarnation of a process: its PID and when the kernel started it.
///
/// `start` counts in the kernel's own unit (clock ticks since boot on Linux, microseconds since the epoch on macOS)
/// and is compared for equality only. The boot it belongs to is recorded once per file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The process ID.
    pub pid: Pid,
    /// The kernel's start time of it.
    pub start: u64,
}
