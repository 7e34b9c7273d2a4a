//! A change of a process, as the journal keeps it and the daemon tells it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Exit, Name};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// The program of a first run, or of a start by hand, runs.
    Started,
    /// It is ready: it listens on its port, said so, or has run for a while.
    Ready,
    /// The main process ended by itself or by a signal; `exit` says how.
    Exited,
    /// The program was started again, by its policy or by hand.
    Restarted,
    /// It failed too often, or cannot be started: nobody starts it again by itself.
    GaveUp,
    /// Nothing of its tree is alive, because it was asked to stop.
    Stopped,
    /// It has a new supervisor; its program did not notice.
    Adopted,
    /// Its supervisor is gone and its program is not.
    Orphaned,
    /// Supervisor and program are gone without a word.
    Lost,
    /// Its tree has begun to listen on `port`.
    PortBound,
    /// Its tree no longer listens on `port`.
    PortLost,
    /// Its service definition was changed, made or removed.
    DefinitionChanged,
    /// A kind of a newer `tsm`.
    #[serde(other)]
    Other,
}

impl Happening {
    /// The word that users read; the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Happening::Started => "started",
            Happening::Ready => "ready",
            Happening::Exited => "exited",
            Happening::Restarted => "restarted",
            Happening::GaveUp => "gave-up",
            Happening::Stopped => "stopped",
            Happening::Adopted => "adopted",
            Happening::Orphaned => "orphaned",
            Happening::Lost => "lost",
            Happening::PortBound => "port-bound",
            Happening::PortLost => "port-lost",
            Happening::DefinitionChanged => "definition-changed",
            Happening::Other => "other",
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// Counts all events of this user from 1, without a gap.
    pub seq: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What.
    pub event: Happening,
    /// Of which process, or service definition.
    #[cfg_attr(test, schemars(with = "String"))]
    pub name: Name,
    /// Its TSM ID.
    #[serde(default)]
    pub id: Option<u32>,
    /// Its run, counted from 1.
    #[serde(default)]
    pub run: Option<u64>,
    /// The main process.
    #[serde(default)]
    pub pid: Option<i32>,
    /// How the main process ended.
    #[serde(default)]
    pub exit: Option<Exit>,
    /// The port that this is about.
    #[serde(default)]
    pub port: Option<u16>,
    /// Why.
    #[serde(default)]
    pub note: Option<String>,
}

impl Event {
    /// An event of that process; the journal gives it its number.
    pub fn of(name: &Name, event: Happening, time_ms: u64) -> Self {
        Event {
            seq: 0,
            time_ms,
            event,
            name: name.clone(),
            id: None,
            run: None,
            pid: None,
            exit: None,
            port: None,
            note: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_the_one_of_the_json_and_an_unknown_one_is_no_error() {
        for one in [Happening::Started, Happening::GaveUp, Happening::PortLost, Happening::DefinitionChanged]
        {
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{one}\""));
        }
        let newer = r#"{"seq":1,"time_ms":2,"event":"flew-away","name":"web","wings":2}"#;
        assert_eq!(serde_json::from_str::<Event>(newer).unwrap().event, Happening::Other);
    }
}
