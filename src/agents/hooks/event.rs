//! One event of Claude Code, as a hook gets it on standard input, and what it means for the state of its session.
//!
//! Events and fields are those of Anthropic's "Hooks reference" (`code.claude.com/docs/en/hooks`, as of October 2026).

use std::fmt;
use std::path::PathBuf;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use crate::agents::AgentState;

/// The names in an event. What was said, asked for or answered is passed over while it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The conversation, fit to be the name of a file.
    pub session_id: String,
    /// What happened: `hook_event_name`.
    pub name: String,
    /// The file of the conversation.
    pub transcript: Option<PathBuf>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// Which tool is meant, if one is.
    pub tool: Option<String>,
    /// The sub-agent in which it happened, if in one.
    pub agent: Option<String>,
    /// The kind of it: `notification_type`, `source`, `trigger` or the kind of an error.
    pub kind: Option<String>,
    /// True when its user broke it off: `is_interrupt`.
    pub interrupted: bool,
}

/// What an event says about its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is in this state, for this reason.
    Is(AgentState, String),
    /// The session is over.
    Forget,
    /// Nothing about its state.
    Nothing,
}

impl Event {
    /// Reads the beginning of an event, of which `whole` is false when more of it was not read.
    ///
    /// The names stand in front of what a tool was given and has answered, which can be megabytes; so they are known
    /// from a beginning too.
    ///
    /// # Errors
    /// A reason, when it is no JSON object or lacks a name that is needed.
    pub fn parse(bytes: &[u8], whole: bool) -> Result<Event, String> {
        let mut event = Event::default();
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = Names(&mut event).deserialize(&mut json).and_then(|()| json.end());
        match read {
            // Its own words may quote what was read.
            Err(error) if whole || !error.is_eof() => {
                return Err(format!(
                    "not the JSON of an event (line {} column {})",
                    error.line(),
                    error.column()
                ));
            }
            _ => {}
        }
        if event.session_id.is_empty() {
            return Err("no session_id that could be one".into());
        }
        if event.name.is_empty() {
            return Err("no hook_event_name".into());
        }
        Ok(event)
    }

    /// What it says.
    pub fn meaning(&self) -> Meaning {
        use AgentState::{Idle, NeedsInput, Working};
        let is = |state, reason: &str| Meaning::Is(state, reason.to_owned());
        match (self.name.as_str(), self.kind.as_deref()) {
            ("UserPromptSubmit", _) => is(Working, "a prompt was sent"),
            ("PreToolUse" | "PermissionRequest", _) if self.question().is_some() => {
                is(NeedsInput, self.question().unwrap_or_default())
            }
            ("PermissionRequest", _) => Meaning::Is(NeedsInput, self.about("permission", "permission")),
            ("PreToolUse", _) => Meaning::Is(Working, self.about("tool", "uses a tool")),
            ("PostToolUse", _) => Meaning::Is(Working, self.about("after tool", "used a tool")),
            // No `Stop` follows ("does not run if the stoppage occurred due to a user interrupt").
            ("PostToolUseFailure", _) if self.interrupted => is(Idle, "interrupted"),
            ("PostToolUseFailure", _) => Meaning::Is(Working, self.about("after tool", "a tool failed")),
            ("SubagentStart", _) => is(Working, "a sub-agent has begun"),
            ("SubagentStop", _) => is(Working, "a sub-agent has ended"),
            ("PreCompact", _) => is(Working, "compacts the conversation"),
            ("Notification", Some("permission_prompt")) => is(NeedsInput, "permission"),
            ("Notification", Some("elicitation_dialog")) => is(NeedsInput, "question of an MCP server"),
            ("Notification", Some("idle_prompt")) => is(Idle, YOUR_TURN),
            ("Stop", _) => is(Idle, YOUR_TURN),
            ("StopFailure", kind) => {
                is(NeedsInput, &kind.map_or("error".into(), |kind| format!("error: {kind}")))
            }
            // It goes on with what it did: a turn, or nothing after a `/compact` that was typed.
            ("SessionStart", Some("compact")) => Meaning::Nothing,
            ("SessionStart", _) => is(Idle, "no prompt yet"),
            ("SessionEnd", _) => Meaning::Forget,
            _ => Meaning::Nothing,
        }
    }

    /// What a tool asks that is a question by itself.
    fn question(&self) -> Option<&'static str> {
        match self.tool.as_deref() {
            Some("AskUserQuestion") => Some("question"),
            Some("ExitPlanMode") => Some("plan to approve"),
            _ => None,
        }
    }

    fn about(&self, what: &str, otherwise: &str) -> String {
        self.tool.as_deref().map_or_else(|| otherwise.to_owned(), |tool| format!("{what}: {tool}"))
    }
}

/// Why a session is idle that has done something.
const YOUR_TURN: &str = "your turn";

/// A session's ID that can be the name of a file: a UUID, or what a later version may make of it.
pub(super) fn is_session_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}

/// The name of a tool, a sub-agent or a kind; anything else might be content, and is not kept.
fn name(text: String) -> Option<String> {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'@');
    ((1..=100).contains(&text.len()) && text.bytes().all(fits)).then_some(text)
}

fn path(text: String) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    (path.is_absolute() && path.as_os_str().len() <= 4096).then_some(path)
}

/// Reads the names into an event one by one, so that those in front of an end that is missing stay.
struct Names<'a>(&'a mut Event);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Names(event) = self;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::SessionId => {
                    event.session_id = text(&mut map)?.filter(|id| is_session_id(id)).unwrap_or_default();
                }
                Key::HookEventName => event.name = text(&mut map)?.and_then(name).unwrap_or_default(),
                Key::TranscriptPath => event.transcript = text(&mut map)?.and_then(path),
                Key::Cwd => event.cwd = text(&mut map)?.and_then(path),
                Key::ToolName => event.tool = text(&mut map)?.and_then(name),
                Key::AgentId => event.agent = text(&mut map)?.and_then(name),
                Key::IsInterrupt => event.interrupted = map.next_value::<Flag>()?.is_true(),
                Key::NotificationType | Key::Source | Key::Trigger | Key::Error => {
                    // A tool's error is a sentence; the kind of a turn's is a word.
                    event.kind = text(&mut map)?.and_then(name).or(event.kind.take());
                }
            }
        }
        Ok(())
    }
}

/// A value that should be text; `None` for any other.
fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    Ok(match map.next_value::<Text>()? {
        Text::Text(text) => Some(text),
        Text::Other(_) => None,
    })
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Other(IgnoredAny),
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Flag {
    Flag(bool),
    Other(IgnoredAny),
}

impl Flag {
    fn is_true(&self) -> bool {
        matches!(self, Flag::Flag(true))
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    SessionId,
    HookEventName,
    TranscriptPath,
    Cwd,
    ToolName,
    AgentId,
    NotificationType,
    Source,
    Trigger,
    Error,
    IsInterrupt,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use AgentState::{Idle, NeedsInput, Working};
    use serde_json::json;

    use super::*;

    fn event(name: &str, more: serde_json::Value) -> Event {
        let mut object = json!({"session_id": "s-1", "transcript_path": "/t/s-1.jsonl", "cwd": "/w",
            "permission_mode": "default", "hook_event_name": name});
        let serde_json::Value::Object(more) = more else { panic!("an object") };
        object.as_object_mut().unwrap().extend(more);
        Event::parse(object.to_string().as_bytes(), true).unwrap()
    }

    #[test]
    fn each_event_has_its_meaning() {
        let bash = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}});
        let rows = [
            ("UserPromptSubmit", json!({"prompt": "hello"}), Some((Working, "a prompt was sent"))),
            ("PreToolUse", bash.clone(), Some((Working, "tool: Bash"))),
            ("PreToolUse", json!({}), Some((Working, "uses a tool"))),
            ("PreToolUse", json!({"tool_name": "AskUserQuestion"}), Some((NeedsInput, "question"))),
            ("PreToolUse", json!({"tool_name": "ExitPlanMode"}), Some((NeedsInput, "plan to approve"))),
            ("PermissionRequest", bash.clone(), Some((NeedsInput, "permission: Bash"))),
            (
                "PermissionRequest",
                json!({"tool_name": "mcp__a-b__c"}),
                Some((NeedsInput, "permission: mcp__a-b__c")),
            ),
            ("PermissionRequest", json!({"tool_name": "not a name"}), Some((NeedsInput, "permission"))),
            ("PermissionRequest", json!({"tool_name": "AskUserQuestion"}), Some((NeedsInput, "question"))),
            ("PostToolUse", bash.clone(), Some((Working, "after tool: Bash"))),
            ("PostToolUseFailure", bash, Some((Working, "after tool: Bash"))),
            ("PostToolUseFailure", json!({"error": "exit_1"}), Some((Working, "a tool failed"))),
            (
                "Notification",
                json!({"notification_type": "permission_prompt"}),
                Some((NeedsInput, "permission")),
            ),
            (
                "Notification",
                json!({"notification_type": "elicitation_dialog"}),
                Some((NeedsInput, "question of an MCP server")),
            ),
            ("Notification", json!({"notification_type": "idle_prompt"}), Some((Idle, "your turn"))),
            ("Notification", json!({"notification_type": "auth_success"}), None),
            ("Notification", json!({"message": "Claude needs your permission"}), None),
            ("Stop", json!({"stop_hook_active": false}), Some((Idle, "your turn"))),
            ("StopFailure", json!({"error": "rate_limit"}), Some((NeedsInput, "error: rate_limit"))),
            ("StopFailure", json!({"error": "a sentence of it"}), Some((NeedsInput, "error"))),
            ("SubagentStart", json!({"agent_id": "a1"}), Some((Working, "a sub-agent has begun"))),
            ("SubagentStop", json!({"agent_id": "a1"}), Some((Working, "a sub-agent has ended"))),
            ("PreCompact", json!({"trigger": "auto"}), Some((Working, "compacts the conversation"))),
            ("SessionStart", json!({"source": "startup"}), Some((Idle, "no prompt yet"))),
            ("SessionStart", json!({"source": "resume"}), Some((Idle, "no prompt yet"))),
            ("SessionStart", json!({"source": "clear"}), Some((Idle, "no prompt yet"))),
            ("SessionStart", json!({"source": "compact"}), None),
            ("ConfigChange", json!({}), None),
            ("notification", json!({"notification_type": "idle_prompt"}), None),
        ];
        for (name, more, expected) in rows {
            let expected =
                expected.map_or(Meaning::Nothing, |(state, reason)| Meaning::Is(state, reason.to_owned()));
            assert_eq!(event(name, more.clone()).meaning(), expected, "{name} {more}");
        }
        assert_eq!(event("SessionEnd", json!({"reason": "clear"})).meaning(), Meaning::Forget);
    }

    #[test]
    fn names_are_read_and_content_is_not() {
        let read = event(
            "PostToolUse",
            json!({"tool_name": "Bash", "agent_id": "a1", "tool_input": {"cwd": "/no", "x": [1, {"session_id": 2}]},
                "tool_response": "secret", "prompt": "secret", "message": "secret", "source": 7}),
        );
        assert_eq!(
            read,
            Event {
                session_id: "s-1".into(),
                name: "PostToolUse".into(),
                transcript: Some("/t/s-1.jsonl".into()),
                cwd: Some("/w".into()),
                tool: Some("Bash".into()),
                agent: Some("a1".into()),
                kind: None,
                interrupted: false,
            }
        );
    }

    #[test]
    fn a_beginning_is_enough_only_when_the_rest_was_left_out() {
        let text =
            r#"{"session_id":"s-1","hook_event_name":"PostToolUse","tool_name":"Read","tool_response":"abc"#;
        assert_eq!(Event::parse(text.as_bytes(), false).unwrap().tool.as_deref(), Some("Read"));
        assert!(Event::parse(text.as_bytes(), true).is_err());
        assert!(Event::parse(r#"{"session_id":"s-1","hook_event_name":"St"#.as_bytes(), false).is_err());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"session_id":"s-1"}"#,
            r#"{"hook_event_name":"Stop"}"#,
            r#"{"session_id":"../../x","hook_event_name":"Stop"}"#,
            r#"{"session_id":"","hook_event_name":"Stop"}"#,
            r#"{"session_id":".","hook_event_name":"Stop"}"#,
            r#"{"session_id":7,"hook_event_name":"Stop"}"#,
            r#"{"session_id":"s-1","hook_event_name":"Stop"} x"#,
            "{\"session_id\":\"s-1\",\"hook_event_name\":\"\u{1b}[2J\"}",
        ] {
            assert!(Event::parse(text.as_bytes(), true).is_err(), "{text}");
        }
    }
}
