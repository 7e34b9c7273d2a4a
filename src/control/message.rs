//! What can be asked over a control socket, and what is answered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::{Exit, Killed, Kind, Name, State, Status};

/// A request, read from a bare verb or a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The state.
    Status,
    /// Is it alive, and does its port accept connections?
    Health,
    /// HUP to the main process, or the definition's command.
    Reload,
    /// The graceful stop.
    Stop,
    /// The stop without grace.
    Kill,
    /// Stop, then start again from `spec.json` and the environment file as they now are.
    Restart,
    /// The names of the variables that were declared for the program.
    Declared,
    /// Answer when that has come true.
    Wait(Until),
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The program runs, or will not.
    Running,
    /// The program is ready, or will not be.
    Ready,
    /// Nothing of the tree is alive and the supervisor is about to end.
    Ended,
}

/// The verbs, for the error of an unknown one.
const VERBS: &str =
    "STATUS, HEALTH, RELOAD, STOP, KILL, RESTART, DECLARED, WAIT-RUNNING, WAIT-READY, WAIT-ENDED";

impl Request {
    /// Reads a request line: a bare verb in any case, or an object whose `command` (or `action`, `method`) is one.
    ///
    /// # Errors
    /// A sentence that says what was wrong with the line.
    pub fn parse(line: &str) -> Result<Self, String> {
        let line = line.trim();
        if line.starts_with('{') {
            let object: Map<String, Value> =
                serde_json::from_str(line).map_err(|why| format!("invalid JSON: {why}"))?;
            let verb = ["command", "action", "method"].iter().find_map(|key| object.get(*key));
            return match verb.and_then(Value::as_str) {
                Some(verb) => Self::verb(verb),
                None => Err("the object has no \"command\" that is a string".into()),
            };
        }
        Self::verb(line)
    }

    fn verb(word: &str) -> Result<Self, String> {
        Ok(match word.to_ascii_uppercase().as_str() {
            "STATUS" => Request::Status,
            "HEALTH" | "PING" => Request::Health,
            "RELOAD" => Request::Reload,
            "STOP" => Request::Stop,
            "KILL" => Request::Kill,
            "RESTART" => Request::Restart,
            "DECLARED" => Request::Declared,
            "WAIT-RUNNING" => Request::Wait(Until::Running),
            "WAIT-READY" => Request::Wait(Until::Ready),
            "WAIT-ENDED" => Request::Wait(Until::Ended),
            "" => return Err(format!("an empty request; verbs are {VERBS}")),
            _ => {
                let shown: String = word.chars().take(40).collect();
                return Err(format!("unknown verb {shown:?}; verbs are {VERBS}"));
            }
        })
    }

    /// The line that asks it.
    pub fn line(self) -> &'static str {
        match self {
            Request::Status => "STATUS\n",
            Request::Health => "HEALTH\n",
            Request::Reload => "RELOAD\n",
            Request::Stop => "STOP\n",
            Request::Kill => "KILL\n",
            Request::Restart => "RESTART\n",
            Request::Declared => "DECLARED\n",
            Request::Wait(Until::Running) => "WAIT-RUNNING\n",
            Request::Wait(Until::Ready) => "WAIT-READY\n",
            Request::Wait(Until::Ended) => "WAIT-ENDED\n",
        }
    }
}

/// The answer to STATUS, and to the waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Always true: an error is another object.
    pub ok: bool,
    /// The process's name.
    pub name: Name,
    /// The TSM ID.
    pub id: u32,
    /// What it is to TSM.
    pub kind: Kind,
    /// The state.
    pub status: State,
    /// The main process.
    pub pid: Option<i32>,
    /// The planned port.
    pub port: Option<u16>,
    /// How long the current run lasts, in milliseconds; 0 when it does not run.
    pub uptime_ms: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// Counts the runs from 1.
    #[serde(default)]
    pub run: u64,
    /// How the last run ended.
    pub exit: Option<Exit>,
    /// Why the state is what it is, or what the program said of itself.
    #[serde(default)]
    pub note: Option<String>,
    /// What had to be killed.
    #[serde(default)]
    pub killed: Vec<Killed>,
}

impl StatusReply {
    /// The answer for `status` at `now_ms` (wall time).
    pub fn of(status: &Status, now_ms: u64) -> Self {
        let running = status.main.filter(|_| status.state.live());
        StatusReply {
            ok: true,
            name: status.name.clone(),
            id: status.id,
            kind: status.kind,
            status: status.state,
            pid: running.map(|main| main.pid.get()),
            port: status.port,
            uptime_ms: if running.is_some() { now_ms.saturating_sub(status.started_ms) } else { 0 },
            restarts: status.restarts,
            run: status.run,
            exit: status.exit,
            note: status.note.clone(),
            killed: status.killed.clone(),
        }
    }
}

/// A reply line: `value` with its newline.
pub fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_else(|_| r#"{"ok":false}"#.into());
    text.push('\n');
    text
}

/// The reply line of an error.
pub fn error_line(why: &str) -> String {
    line(&json!({ "ok": false, "error": why }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bare_verbs_and_the_three_spellings_of_an_object_are_the_same() {
        for text in [
            "STATUS",
            "status",
            " Status\r",
            r#"{"command":"status"}"#,
            r#"{"action":"STATUS"}"#,
            r#"{"method":"status","x":1}"#,
        ] {
            assert_eq!(Request::parse(text), Ok(Request::Status), "{text}");
        }
        for (text, why) in [
            ("", "empty"),
            ("FLY", "unknown verb \"FLY\""),
            ("{", "invalid JSON"),
            ("{}", "no \"command\""),
            (r#"{"command":7}"#, "no \"command\""),
        ] {
            assert!(Request::parse(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn each_request_reads_its_own_line() {
        for request in [
            Request::Status,
            Request::Health,
            Request::Reload,
            Request::Stop,
            Request::Kill,
            Request::Restart,
            Request::Wait(Until::Running),
            Request::Wait(Until::Ready),
            Request::Wait(Until::Ended),
        ] {
            assert_eq!(Request::parse(request.line()), Ok(request));
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_strange_to_answer(text in "\\PC{0,200}") {
            if let Err(why) = Request::parse(&text) {
                prop_assert!(error_line(&why).len() < 1000);
            }
        }
    }
}
