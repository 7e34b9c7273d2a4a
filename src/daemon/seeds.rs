//! The requests of `vmuxd`, `{"action":"list|label|switch|stop","args":{…}}`: what they are called here, and its words for a
//! session.

use serde_json::{Map, Value, json};

use super::agents;
use super::protocol::{Failure, code};
use crate::agents::Session;

/// The method that an action is, and its parameters. What says nothing of agents is a method by its own name.
///
/// # Errors
/// When a session is to be switched to or labelled, and none is named.
pub(super) fn method(
    action: &str,
    mut args: Map<String, Value>,
) -> Result<(String, Map<String, Value>), Failure> {
    let named = args.contains_key("session_id") || args.contains_key("query");
    let name = match action {
        "label" | "switch" if !named => {
            let wanted = if action == "label" { "session_id" } else { "query" };
            return Err(Failure::new(code::PARAMS, "usage", format!("{action}: missing field `{wanted}`")));
        }
        "label" | "switch" => format!("agents.{action}"),
        // Of a daemon that stops no process it was the end.
        "stop" if args.is_empty() => "shutdown".into(),
        "stop" if named => "agents.stop".into(),
        other => return Ok((other.to_owned(), args)),
    };
    if let Some(query) = args.remove("query").or_else(|| args.remove("session_id")) {
        args.insert("ref".into(), query);
    }
    Ok((name, args))
}

/// A session in the words of `vmuxd`: what is unknown is an empty text, but for what it left out then.
pub(super) fn session(session: &Session) -> Value {
    let path = session.cwd.as_ref().map(|path| path.to_string_lossy());
    let mut info = json!({
        "pid": session.pid(),
        "session_id": session.session_id.as_deref().unwrap_or_default(),
        "cwd": path.unwrap_or_default(),
        "git_branch": session.git_branch.as_deref().unwrap_or_default(),
        "state": session.state,
        "preview": session.preview.as_deref().unwrap_or_default(),
        "workspace": session.workspace.as_deref().unwrap_or_default(),
    });
    if let Some(label) = &session.label {
        info["label"] = label.as_str().into();
    }
    if let Some(since) = session.waiting_since_ms {
        info["waiting_since"] = agents::time(since).into();
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_method_by_its_arguments() {
        for (action, args, method, params) in [
            ("list", json!({}), "list", json!({})),
            (
                "label",
                json!({"session_id": "a", "label": "b"}),
                "agents.label",
                json!({"ref": "a", "label": "b"}),
            ),
            ("switch", json!({"query": "a"}), "agents.switch", json!({"ref": "a"})),
            ("stop", json!({}), "shutdown", json!({})),
            ("stop", json!({"query": "a"}), "agents.stop", json!({"ref": "a"})),
            ("stop", json!({"session_id": "a"}), "agents.stop", json!({"ref": "a"})),
            ("stop", json!({"refs": ["web"]}), "stop", json!({"refs": ["web"]})),
            ("ping", json!({}), "ping", json!({})),
        ] {
            let args = args.as_object().unwrap().clone();
            let (name, got) = super::method(action, args).unwrap();
            assert_eq!((name.as_str(), Value::Object(got)), (method, params), "{action}");
        }
        for action in ["label", "switch"] {
            assert_eq!(super::method(action, Map::new()).unwrap_err().data.kind, "usage");
        }
    }
}
