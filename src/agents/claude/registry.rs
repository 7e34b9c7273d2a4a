//! The file that Claude Code keeps about each of its processes: `sessions/PID.json`.
//!
//! It is documented nowhere. Seen since 2.1.139: `pid`, `procStart`, `sessionId`, `cwd`, `status`, `statusUpdatedAt`, `name`,
//! `kind`; from 2.1.220 `waitingFor` (omnigent-ai/omnigent#3906, herdrdev/herdr#3414, nimbalyst/nimbalyst#1246). Files of
//! processes that were killed stay, so one counts only for the process that it was written by.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use chrono::{Local, NaiveDateTime, TimeZone, Utc};
use serde::Deserialize;

use super::lenient::{Maybe, Moment, Shape, objects};
use super::locate::is_session_id;
use crate::agents::AgentState;
use crate::model::{Identity, Pid};

/// The most that is read of a file, in bytes; they have a few hundred.
const LENGTH: u64 = 64 * 1024;

/// How long after its start a process may say that it was started, where it does not say when the kernel did it.
const STARTED_WITHIN_MS: u64 = 120_000;

/// By how much two statements of one start may differ, in milliseconds: one of them has only seconds.
const SECOND_MS: u64 = 2_000;

/// What the file about a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Registry {
    /// There is none.
    Missing,
    /// It cannot be read, or is only half written.
    Unreadable(String),
    /// It is about an earlier process of the same PID.
    OfAnother(String),
    /// It is about this process.
    Fits(Entry),
}

/// What Claude Code says of its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) session_id: Option<String>,
    pub(super) cwd: Option<PathBuf>,
    /// The status, in its own word; none when the file does not prove that it is about this process.
    pub(super) status: Option<String>,
    /// What is waited for, as in `permission prompt`.
    pub(super) waiting_for: Option<String>,
    /// Since when it is so, in milliseconds since the Unix epoch.
    pub(super) at_ms: Option<u64>,
    /// What the session is called.
    pub(super) name: Option<String>,
    /// `interactive`, `bg`, …
    pub(super) kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw {
    pid: Maybe<u64>,
    proc_start: Maybe<Start>,
    started_at: Maybe<Moment>,
    session_id: Maybe<String>,
    cwd: Maybe<String>,
    status: Maybe<String>,
    waiting_for: Maybe<String>,
    status_updated_at: Maybe<Moment>,
    updated_at: Maybe<Moment>,
    name: Maybe<String>,
    kind: Maybe<String>,
}

objects!(Raw);

/// When the kernel started a process.
enum Start {
    /// Field 22 of `/proc/PID/stat`.
    Ticks(u64),
    /// A date as `ps -o lstart` prints it, on macOS.
    Date(NaiveDateTime),
    Other(String),
}

impl Shape<'_> for Start {
    fn number(number: f64) -> Option<Self> {
        Some(Start::Ticks(number as u64))
    }

    fn text(text: &str) -> Option<Self> {
        if let Ok(ticks) = text.trim().parse() {
            return Some(Start::Ticks(ticks));
        }
        let date = NaiveDateTime::parse_from_str(text.trim(), "%a %b %e %H:%M:%S %Y");
        Some(date.map_or_else(|_| Start::Other(text.to_owned()), Start::Date))
    }
}

impl Start {
    fn fits(&self, process: Identity, started_ms: u64) -> bool {
        match self {
            Start::Ticks(ticks) => *ticks == process.start,
            // In the time zone of Claude Code, which is mostly ours.
            Start::Date(date) => {
                let local = Local.from_local_datetime(date).earliest().map(|date| date.timestamp_millis());
                let moments = [local, Some(Utc.from_utc_datetime(date).timestamp_millis())];
                moments.into_iter().flatten().any(|at| started_ms.abs_diff(at as u64) <= SECOND_MS)
            }
            Start::Other(_) => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Start::Ticks(ticks) => ticks.to_string(),
            Start::Date(date) => date.to_string(),
            Start::Other(text) => format!("{text:?}"),
        }
    }
}

/// Where the file about a process is.
pub(super) fn path(claude_dir: &Path, pid: Pid) -> PathBuf {
    claude_dir.join(format!("sessions/{pid}.json"))
}

/// Reads the file about a process, which was started at `started_ms`, milliseconds since the Unix epoch.
pub(super) fn read(claude_dir: &Path, process: Identity, started_ms: u64) -> Registry {
    match bytes(&path(claude_dir, process.pid)) {
        Ok(bytes) => parse(&bytes, process, started_ms),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Registry::Missing,
        Err(error) => Registry::Unreadable(error.to_string()),
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LENGTH).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn raw(bytes: &[u8]) -> Result<Raw, String> {
    // Only the first object: a shorter text that is written over a longer one leaves the end of that behind it.
    let first = Maybe::deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    first.map_err(|error| error.to_string())?.0.ok_or_else(|| "another value".into())
}

fn parse(bytes: &[u8], process: Identity, started_ms: u64) -> Registry {
    let raw = match raw(bytes) {
        Ok(raw) => raw,
        Err(error) => return Registry::Unreadable(format!("no JSON object: {error}")),
    };
    if let Some(pid) = raw.pid.0.filter(|pid| *pid != process.pid.get() as u64) {
        return Registry::OfAnother(format!("of another process: it says PID {pid}"));
    }
    let is_proved = match &raw.proc_start.0 {
        Some(start) if start.fits(process, started_ms) => true,
        Some(start) => {
            let (says, has) = (start.words(), process.start);
            return Registry::OfAnother(format!(
                "of another process: it says procStart {says}, the process has {has}"
            ));
        }
        // Before 2.1.139: enough to know the conversation, not to believe a status.
        None => {
            let late = raw.started_at.0.map(|at| at.0.saturating_add(SECOND_MS).checked_sub(started_ms));
            if late.is_some_and(|late| late.is_none_or(|late| late > STARTED_WITHIN_MS)) {
                return Registry::OfAnother("of another process: it was started at another time".into());
            }
            if late.is_none() {
                return Registry::OfAnother("it does not say of which process it is: no procStart".into());
            }
            false
        }
    };
    Registry::Fits(Entry {
        session_id: raw.session_id.0.filter(|id| is_session_id(id)),
        cwd: raw.cwd.0.map(PathBuf::from),
        status: raw.status.0.filter(|_| is_proved),
        waiting_for: raw.waiting_for.0.filter(|text| !text.is_empty()),
        at_ms: raw.status_updated_at.0.or(raw.updated_at.0).map(|at| at.0),
        name: raw.name.0,
        kind: raw.kind.0,
    })
}

/// The conversations that files about other processes than these name, whether those run or not.
pub(super) fn of_others(claude_dir: &Path, processes: &HashSet<Pid>) -> HashSet<String> {
    let is_other = |path: &Path| {
        let pid = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).and_then(Pid::new);
        path.extension().is_some_and(|ending| ending == "json")
            && pid.is_none_or(|pid| !processes.contains(&pid))
    };
    let Ok(listing) = fs::read_dir(claude_dir.join("sessions")) else { return HashSet::new() };
    let paths = listing.flatten().map(|item| item.path()).filter(|path| is_other(path));
    paths.filter_map(|path| raw(&bytes(&path).ok()?).ok()?.session_id.0).collect()
}

impl Entry {
    /// The state that the status stands for; none for a word that is not known, and for none.
    pub(super) fn state(&self) -> Option<AgentState> {
        match self.status.as_deref()? {
            "busy" => Some(AgentState::Working),
            "waiting" => Some(AgentState::NeedsInput),
            "idle" | "shell" => Some(AgentState::Idle),
            _ => None,
        }
    }

    /// True when it is idle and a shell of it runs in the background.
    pub(super) fn has_background(&self) -> bool {
        self.status.as_deref() == Some("shell")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const START: u64 = 123_456;
    const STARTED_MS: u64 = 1_767_225_600_500;

    fn read_text(text: &str) -> Registry {
        parse(text.as_bytes(), Identity { pid: Pid::new(77).unwrap(), start: START }, STARTED_MS)
    }

    fn with(key: &str, value: serde_json::Value) -> Registry {
        let mut whole = json!({"pid": 77, "procStart": START, "sessionId": "s-1", "cwd": "/w", "status": "busy",
            "statusUpdatedAt": 5, "name": "n", "kind": "interactive", "startedAt": STARTED_MS + 3_000});
        whole[key] = value;
        read_text(&whole.to_string())
    }

    fn entry(registry: Registry) -> Entry {
        match registry {
            Registry::Fits(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_of_this_process_is_read() {
        let all = entry(with("new", json!([1])));
        assert_eq!((all.session_id.as_deref(), all.cwd.as_deref()), (Some("s-1"), Some(Path::new("/w"))));
        assert_eq!(
            (all.at_ms, all.name.as_deref(), all.kind.as_deref()),
            (Some(5), Some("n"), Some("interactive"))
        );
        assert_eq!(all.state(), Some(AgentState::Working));
        assert_eq!(entry(with("procStart", json!(START.to_string()))), all, "a text");
        assert_eq!(entry(with("statusUpdatedAt", json!("1970-01-01T00:00:00.005Z"))), all, "a date");
        let updated = entry(read_text(&json!({"procStart": START, "updatedAt": 9}).to_string()));
        assert_eq!(updated, Entry { at_ms: Some(9), ..Entry::default() });
    }

    #[test]
    fn statuses_that_are_not_known_are_no_answer() {
        use AgentState::{Idle, NeedsInput};
        let state = |status: serde_json::Value| entry(with("status", status)).state();
        assert_eq!(state(json!("waiting")), Some(NeedsInput));
        assert_eq!(state(json!("idle")), Some(Idle));
        assert_eq!(state(json!("shell")), Some(Idle));
        assert!(entry(with("status", json!("shell"))).has_background());
        for unknown in [json!("thinking"), json!("Busy"), json!(""), json!(null), json!(1), json!({})] {
            assert_eq!(state(unknown.clone()), None, "{unknown}");
        }
    }

    #[test]
    fn a_file_of_an_earlier_process_does_not_count() {
        for (key, value) in [("procStart", json!(77)), ("procStart", json!("soon")), ("pid", json!(78))] {
            assert!(matches!(with(key, value.clone()), Registry::OfAnother(_)), "{key} {value}");
        }
        let Registry::OfAnother(why) = with("procStart", json!(77)) else { panic!() };
        assert_eq!(why, "of another process: it says procStart 77, the process has 123456");
    }

    #[test]
    fn without_proc_start_the_time_of_the_start_proves_the_conversation_but_no_status() {
        let old = entry(with("procStart", json!(null)));
        assert_eq!((old.session_id.as_deref(), old.status), (Some("s-1"), None));
        let at = |started: u64| {
            read_text(&json!({"sessionId": "s", "startedAt": started, "status": "busy"}).to_string())
        };
        assert!(matches!(at(STARTED_MS - 1_900), Registry::Fits(_)));
        assert!(matches!(at(STARTED_MS - 60_000), Registry::OfAnother(_)), "before it was started");
        assert!(matches!(at(STARTED_MS + 600_000), Registry::OfAnother(_)), "long after");
        assert!(matches!(read_text(r#"{"sessionId":"s","status":"busy"}"#), Registry::OfAnother(_)));
    }

    #[test]
    fn a_date_of_ps_is_compared_to_the_second() {
        assert!(matches!(with("procStart", json!("Thu Jan  1 00:00:00 2026")), Registry::Fits(_)));
        assert!(matches!(with("procStart", json!("Thu Jan  1 00:00:09 2026")), Registry::OfAnother(_)));
    }

    #[test]
    fn half_a_file_is_no_answer_and_what_is_left_behind_one_does_not_matter() {
        for half in ["", "{\"pid\":77,\"procStart\":123456,\"sta", "[]", "null", "\u{0}\u{0}"] {
            assert!(matches!(read_text(half), Registry::Unreadable(_)), "{half:?}");
        }
        assert!(matches!(read_text(r#"{"pid":77,"procStart":123456}tedAt":55}"#), Registry::Fits(_)));
    }

    #[test]
    fn an_id_that_is_a_path_is_none() {
        assert_eq!(entry(with("sessionId", json!("../../etc/passwd"))).session_id, None);
    }

    #[test]
    fn files_of_others_say_which_conversations_are_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = dir.path().join("sessions");
        fs::create_dir(&sessions).unwrap();
        for (name, id) in
            [("77.json", "mine"), ("78.json", "theirs"), ("pid-9.json", "old"), ("79.key", "secret")]
        {
            fs::write(sessions.join(name), json!({"sessionId": id}).to_string()).unwrap();
        }
        fs::write(sessions.join("80.json"), "{").unwrap();
        let mine = HashSet::from([Pid::new(77).unwrap()]);
        assert_eq!(of_others(dir.path(), &mine), HashSet::from(["theirs".to_owned(), "old".to_owned()]));
    }
}
