//! A session as it is written in JSON: in full, in the form of the first tool of this kind, and as a piece of news.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::register::{Change, What};
use super::session::{AgentState, Evidence, Session, Source};
use crate::model::SCHEMA;

/// A point in time in milliseconds since the Unix epoch, as ISO 8601 in UTC: `2026-08-01T07:30:00.123Z`.
pub fn time(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    moment.unwrap_or(DateTime::UNIX_EPOCH).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A session, as in `tsm agents --json`; what is not known is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Document {
    /// The version of this object's form.
    pub schema: u32,
    /// Its process.
    pub pid: i32,
    /// The conversation.
    pub session_id: Option<String>,
    /// Which agent: claude, codex, gemini and so on.
    pub agent: String,
    /// What the user calls it.
    pub label: Option<String>,
    /// Whether it works, or whose turn it is.
    pub state: AgentState,
    /// Why that is so, in a few words.
    pub reason: String,
    /// Where that was read.
    pub source: Source,
    /// Since when it is in that state, in UTC.
    pub since: Option<String>,
    /// Since when it waits for its user, in UTC; kept while idle follows on needs-input.
    pub waiting_since: Option<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The top of the project that it is in.
    pub project: Option<String>,
    /// The branch that is checked out there.
    pub git_branch: Option<String>,
    /// The linked worktree that it is in.
    pub worktree: Option<String>,
    /// One line of what it is about or has said last.
    pub preview: Option<String>,
    /// The i3 or sway workspace where it is seen.
    pub workspace: Option<String>,
    /// Its terminal, as it is called below /dev.
    pub tty: Option<String>,
    /// How long its process runs, in milliseconds.
    pub age_ms: u64,
    /// Resident memory of its whole tree, in bytes.
    pub memory_bytes: u64,
    /// The ports that its tree listens on.
    pub ports: Vec<u16>,
    /// The file of its conversation.
    pub transcript: Option<String>,
    /// The process of TSM that it is, if it was started by `tsm start`.
    pub managed: Option<String>,
}

impl From<&Session> for Document {
    fn from(session: &Session) -> Self {
        Document {
            schema: SCHEMA,
            pid: session.pid().get(),
            session_id: session.session_id.clone(),
            agent: session.agent.clone(),
            label: session.label.clone(),
            state: session.state,
            reason: session.reason.clone(),
            source: session.source,
            since: session.since_ms.map(time),
            waiting_since: session.waiting_since_ms.map(time),
            cwd: session.cwd.as_deref().map(text),
            project: session.project.as_deref().map(text),
            git_branch: session.git_branch.clone(),
            worktree: session.worktree.clone(),
            preview: session.preview.clone(),
            workspace: session.workspace.clone(),
            tty: session.tty.clone(),
            age_ms: session.age_ms,
            memory_bytes: session.memory_bytes,
            ports: session.ports.clone(),
            transcript: session.transcript.as_deref().map(text),
            managed: None,
        }
    }
}

/// One thing that was looked at, as in `tsm agents explain --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvidenceDocument {
    /// What kind of source it is.
    pub source: Source,
    /// True for the one that decided.
    pub decided: bool,
    /// Where it stands, when it is a file.
    pub path: Option<String>,
    /// What was found there, or why it does not count.
    pub found: String,
    /// The state that it speaks for.
    pub state: Option<AgentState>,
}

impl From<&Evidence> for EvidenceDocument {
    fn from(evidence: &Evidence) -> Self {
        EvidenceDocument {
            source: evidence.source,
            decided: evidence.decided,
            path: evidence.path.as_deref().map(text),
            found: evidence.found.clone(),
            state: evidence.state,
        }
    }
}

/// A session with all that was looked at: the object of `tsm agents explain --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explained {
    /// The session.
    #[serde(flatten)]
    pub session: Document,
    /// What was looked at, the best source first.
    pub evidence: Vec<EvidenceDocument>,
}

impl From<&Session> for Explained {
    fn from(session: &Session) -> Self {
        Explained {
            session: session.into(),
            evidence: session.evidence.iter().map(EvidenceDocument::from).collect(),
        }
    }
}

/// A session in the vmux seed's own answers: its nine fields, each text a text. What is not known is empty, and
/// `label` and `waiting_since` are left out then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SessionInfo {
    /// Its process.
    pub pid: i32,
    /// The conversation.
    pub session_id: String,
    /// The working directory.
    pub cwd: String,
    /// The branch that is checked out there.
    pub git_branch: String,
    /// Whether it works, or whose turn it is.
    pub state: AgentState,
    /// One line of what it is about or has said last.
    pub preview: String,
    /// The i3 or sway workspace where it is seen.
    pub workspace: String,
    /// What the user calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Since when it waits for its user, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<String>,
}

impl From<&Session> for SessionInfo {
    fn from(session: &Session) -> Self {
        SessionInfo {
            pid: session.pid().get(),
            session_id: session.session_id.clone().unwrap_or_default(),
            cwd: session.cwd.as_deref().map(text).unwrap_or_default(),
            git_branch: session.git_branch.clone().unwrap_or_default(),
            state: session.state,
            preview: session.preview.clone().unwrap_or_default(),
            workspace: session.workspace.clone().unwrap_or_default(),
            label: session.label.clone().filter(|label| !label.is_empty()),
            waiting_since: session.waiting_since_ms.map(time),
        }
    }
}

/// Something that happened to a session: a line of `tsm agents -w --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeDocument {
    /// When it was seen, in UTC.
    pub time: String,
    /// What happened.
    pub event: What,
    /// The state before, where there was one.
    pub from: Option<AgentState>,
    /// The session, as it is now, or as it was last.
    pub session: Document,
}

impl ChangeDocument {
    /// What was seen at `now_ms`.
    pub fn new(change: &Change, now_ms: u64) -> Self {
        ChangeDocument {
            time: time(now_ms),
            event: change.what,
            from: change.from,
            session: (&change.session).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::agents::session::tests::session;

    #[test]
    fn points_in_time_are_in_utc_with_milliseconds() {
        assert_eq!(time(1_785_569_400_123), "2026-08-01T07:30:00.123Z");
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(u64::MAX), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut session = session(7);
        let unknown = serde_json::to_value(Document::from(&session)).unwrap();
        for name in ["session_id", "label", "since", "waiting_since", "cwd", "git_branch", "preview", "tty"] {
            assert_eq!(unknown[name], Value::Null, "{name}");
        }
        session.label = Some("review MR".into());
        session.since_ms = Some(1_785_569_400_123);
        session.waiting_since_ms = Some(1_785_569_400_000);
        session.cwd = Some("/home/u/api".into());
        let known = serde_json::to_value(Document::from(&session)).unwrap();
        assert_eq!(known["pid"], 7);
        assert_eq!(known["state"], "working");
        assert_eq!(known["label"], "review MR");
        assert_eq!(known["since"], "2026-08-01T07:30:00.123Z");
        assert_eq!(known["waiting_since"], "2026-08-01T07:30:00.000Z");
        assert_eq!(known["cwd"], "/home/u/api");
        assert_eq!(known["schema"], 1);
    }

    #[test]
    fn response_with_sessions() {
        let mut session = session(7);
        let bare = serde_json::to_value(SessionInfo::from(&session)).unwrap();
        assert_eq!(
            bare,
            json!({"pid": 7, "session_id": "", "cwd": "", "git_branch": "", "state": "working", "preview": "",
                "workspace": ""})
        );
        session.workspace = Some("3: web".into());
        session.label = Some("review MR".into());
        session.waiting_since_ms = Some(1_785_569_400_123);
        let full = serde_json::to_value(SessionInfo::from(&session)).unwrap();
        assert_eq!(full["workspace"], "3: web");
        assert_eq!(full["label"], "review MR");
        assert_eq!(full["waiting_since"], "2026-08-01T07:30:00.123Z");
    }

    #[test]
    fn news_says_what_was_before() {
        let change = Change { what: What::State, from: Some(AgentState::NeedsInput), session: session(7) };
        let shown = serde_json::to_value(ChangeDocument::new(&change, 1_785_569_400_123)).unwrap();
        assert_eq!(shown["event"], "state");
        assert_eq!(shown["from"], "needs-input");
        assert_eq!(shown["session"]["state"], "working");
        assert_eq!(shown["time"], "2026-08-01T07:30:00.123Z");
    }
}
