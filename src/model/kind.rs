//! What a process is to TSM: a network server, a worker spoken to over its control socket, or just a process.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of a process (design.md section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Listens on a TCP port.
    Port,
    /// Has no port; spoken to over its control socket.
    Socket,
    /// Only tracked.
    #[default]
    Pid,
}

impl Kind {
    /// The word that users type and read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Port => "port",
            Kind::Socket => "socket",
            Kind::Pid => "pid",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "port" => Ok(Kind::Port),
            "socket" => Ok(Kind::Socket),
            "pid" => Ok(Kind::Pid),
            _ => Err("a kind is port, socket or pid".into()),
        }
    }
}
