//! The requests of `vmuxd`, `{"action":"list|label|switch|stop","args":{…}}`: what they are called here.

use serde_json::{Map, Value};

use super::protocol::{Failure, code};

/// The method that an action is, and its parameters. What says nothing of agents is a method by its own name.
///
/// # Errors
/// When a session is to be switched to, and none is named.
pub(super) fn method(
    action: &str,
    mut args: Map<String, Value>,
) -> Result<(String, Map<String, Value>), Failure> {
    let named = args.contains_key("session_id") || args.contains_key("query");
    let name = match action {
        "label" => return Ok(("agents.label".into(), args)),
        "switch" if !named => {
            return Err(Failure::new(code::PARAMS, "usage", "switch: missing field `query`"));
        }
        "switch" => "agents.switch".into(),
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

#[cfg(test)]
mod tests {
    use super::super::protocol::{self, Form};
    use super::*;
    use serde_json::json;

    #[test]
    fn request_round_trip() {
        for request in [
            json!({"action": "list"}),
            json!({"action": "label", "args": {"session_id": "a", "label": "b"}}),
            json!({"action": "switch", "args": {"query": "a"}}),
            json!({"action": "stop", "args": {"session_id": "a"}}),
        ] {
            let asked = protocol::read(request.to_string().as_bytes()).unwrap();
            let args = request.get("args").and_then(Value::as_object).cloned().unwrap_or_default();
            let (name, params) = super::method(request["action"].as_str().unwrap(), args).unwrap();
            assert_eq!((asked.method, asked.params, &asked.form), (name, params, &Form::Action));
            let answer = |outcome| protocol::answer::<Value>(&asked.form, outcome);
            assert_eq!(answer(Ok(json!({"sessions": []}))), b"{\"ok\":true,\"sessions\":[]}\n");
            let failed: Value =
                serde_json::from_slice(&answer(Err(Failure::new(code::PARAMS, "usage", "no")))).unwrap();
            assert_eq!((&failed["ok"], &failed["error"]), (&json!(false), &json!("no")));
        }
    }

    #[test]
    fn an_action_is_a_method_by_its_arguments() {
        for (action, args, method, params) in [
            ("list", json!({}), "list", json!({})),
            (
                "label",
                json!({"session_id": "a", "label": "b"}),
                "agents.label",
                json!({"session_id": "a", "label": "b"}),
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
        assert_eq!(super::method("switch", Map::new()).unwrap_err().data.kind, "usage");
    }
}
