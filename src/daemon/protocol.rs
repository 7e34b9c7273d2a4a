//! What client and daemon say to each other: JSON-RPC 2.0, and the older forms that are read as such.
//!
//! The one place that client, server, `docs/api.md` and the schema share.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::seeds;
use crate::error::{Error, Kind};

/// A request, or a notification when it has no `id`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Request {
    /// Always `"2.0"`.
    pub jsonrpc: String,
    /// Comes back with the answer: a number, a text or null; a request without it gets no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// What to do.
    pub method: String,
    /// With what.
    #[serde(default)]
    pub params: Value,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// A number of JSON-RPC, or -32000 minus the exit code that the verb would have had.
    pub code: i32,
    /// In words.
    pub message: String,
    /// More for programs.
    #[serde(default)]
    pub data: Box<FailureData>,
}

/// What a program can act on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailureData {
    /// `usage`, `not-found`, `conflict`, `not-running`, `unreachable`, `timed-out`, `failed`, `busy`, `too-large`,
    /// `too-slow`, `too-many-connections`, `ending`, `refused`, `parse`, `invalid`, `unknown-method`; of capture also
    /// `unknown-session`, `session-closed`, `wrong-role`, `not-a-repository`, `disabled`.
    pub kind: String,
    /// The exit code of the verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When to ask again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The limit that was reached: bytes, milliseconds, or how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What the verb did before it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// The numbers of JSON-RPC 2.0.
pub mod code {
    /// The frame is no JSON.
    pub const PARSE: i32 = -32_700;
    /// It is no request.
    pub const INVALID: i32 = -32_600;
    /// There is no such method.
    pub const UNKNOWN: i32 = -32_601;
    /// The parameters are wrong.
    pub const PARAMS: i32 = -32_602;
    /// What a verb's exit code is taken from.
    pub const VERB: i32 = -32_000;
    /// A limit was reached.
    pub const LIMIT: i32 = -32_200;
}

/// The longest message of a failure, in characters.
const LONGEST_MESSAGE: usize = 2000;

impl Failure {
    /// A failure of that kind.
    pub fn new(code: i32, kind: &str, message: impl Into<String>) -> Self {
        let data = Box::new(FailureData { kind: kind.to_owned(), ..FailureData::default() });
        let mut message = message.into();
        // It may repeat a word of the client's, which may be a megabyte.
        if let Some((at, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(at);
            message.push('…');
        }
        Failure { code, message, data }
    }

    /// Says after how many milliseconds to ask again.
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.data.retry_after_ms = Some(ms);
        self
    }

    /// Names the limit that was reached.
    pub fn limit(mut self, limit: u64) -> Self {
        self.data.limit = Some(limit);
        self
    }

    /// The failure of a verb.
    pub fn of(error: &Error) -> Self {
        let exit = i32::from(error.kind().exit_code());
        let mut failure = Failure::new(code::VERB - exit, kind_name(exit), error.message());
        failure.data.exit_code = Some(exit);
        failure.data.hint = error.hint_text().map(str::to_owned);
        failure
    }

    /// The error that the command line reports.
    pub fn into_error(self) -> Error {
        let kind = match self.data.exit_code {
            Some(2) => Kind::Usage,
            Some(3) => Kind::NotRunning,
            Some(4) => Kind::NotFound,
            Some(6) => Kind::Conflict,
            Some(124) => Kind::TimedOut,
            Some(_) => Kind::Failed,
            None if matches!(self.data.kind.as_str(), "parse" | "invalid" | "unknown-method" | "usage") => {
                Kind::Usage
            }
            None => Kind::Unreachable,
        };
        let error = Error::new(kind, self.message);
        match self.data.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The word for an exit code (design.md section 7).
pub fn kind_name(exit: i32) -> &'static str {
    match exit {
        2 => "usage",
        3 => "not-running",
        4 => "not-found",
        5 => "unreachable",
        6 => "conflict",
        124 => "timed-out",
        130 => "interrupted",
        _ => "failed",
    }
}

/// How the answer to a frame is to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// JSON-RPC with this `id`; none for a notification, which gets no answer.
    Rpc(Option<Value>),
    /// `{"ok":true,…}`, for a bare verb and `{"command":…}`.
    Plain,
    /// The same, for `{"action":…,"args":…}`: a list has `sessions` beside its `result`.
    Action,
}

/// A frame that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What to do, in the words of today.
    pub method: String,
    /// With what: an object.
    pub params: Map<String, Value>,
    /// How to answer.
    pub form: Form,
}

/// Reads one frame that is not blank.
///
/// # Errors
/// Why it is none, and in what form to say so.
pub fn read(frame: &[u8]) -> Result<Asked, (Form, Failure)> {
    let rpc = |failure| (Form::Rpc(Some(Value::Null)), failure);
    let plain = |method: &str, params| Asked { method: method_of(method), params, form: Form::Plain };
    let wrong = |what: String| (Form::Plain, Failure::new(code::PARAMS, "usage", what));
    if frame.iter().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_' | b'.')) {
        return Ok(plain(&String::from_utf8_lossy(frame), Map::new()));
    }
    let value: Value = serde_json::from_slice(frame)
        .map_err(|why| rpc(Failure::new(code::PARSE, "parse", format!("the frame is no JSON: {why}"))))?;
    let Value::Object(mut object) = value else {
        let what = "a request is a JSON object; several in an array are not taken";
        return Err(rpc(Failure::new(code::INVALID, "invalid", what)));
    };
    for (verb, args) in [("command", None), ("action", Some("args"))] {
        if object.contains_key("method") || object.contains_key("jsonrpc") {
            break;
        }
        let Some(name) = object.remove(verb) else { continue };
        let Value::String(name) = name else {
            return Err(wrong(format!("{verb} must be a text")));
        };
        let Some(args) = args else { return Ok(plain(&name, object)) };
        let params = match object.remove(args) {
            None | Some(Value::Null) => object,
            Some(Value::Object(params)) => match object.keys().next() {
                None => params,
                Some(other) => return Err(wrong(format!("beside args there is no field {other:?}"))),
            },
            Some(_) => return Err(wrong("args must be an object".into())),
        };
        let (method, params) =
            seeds::method(&method_of(&name), params).map_err(|failure| (Form::Action, failure))?;
        return Ok(Asked { method, params, form: Form::Action });
    }
    let id = object.get("id").cloned();
    let is_rpc = object.contains_key("jsonrpc");
    let invalid = |what: &str| {
        let id = id.clone().filter(|id| !id.is_object() && !id.is_array()).unwrap_or(Value::Null);
        (Form::Rpc(Some(id)), Failure::new(code::INVALID, "invalid", what))
    };
    if let Some(unknown) =
        object.keys().find(|key| !["jsonrpc", "id", "method", "params"].contains(&key.as_str()))
    {
        return Err(invalid(&format!("a request has no field {unknown:?}")));
    }
    if object.get("jsonrpc").is_some_and(|version| version != "2.0") {
        return Err(invalid("jsonrpc must be \"2.0\""));
    }
    if id.as_ref().is_some_and(|id| !(id.is_number() || id.is_string() || id.is_null())) {
        return Err(invalid("id must be a number, a text or null"));
    }
    let Some(Value::String(method)) = object.remove("method") else {
        return Err(invalid("a request has a method, which is a text"));
    };
    let params = match object.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            return Err((Form::Rpc(id), Failure::new(code::PARAMS, "usage", "params must be an object")));
        }
    };
    // Without a word of JSON-RPC it is the `method` of a control socket, and whoever sends it waits for an answer.
    let form = if id.is_none() && !is_rpc { Form::Plain } else { Form::Rpc(id) };
    Ok(Asked { method, params, form })
}

/// The method of an older form's verb: `STATUS`, `getStatus`.
fn method_of(verb: &str) -> String {
    if verb.chars().all(|c| !c.is_ascii_lowercase()) { verb.to_ascii_lowercase() } else { verb.to_owned() }
}

impl Form {
    /// True when an answer is due.
    pub fn wants_answer(&self) -> bool {
        *self != Form::Rpc(None)
    }
}

/// The answer of JSON-RPC: one of the two.
#[derive(Serialize)]
struct Answer<'a, Outcome> {
    id: &'a Value,
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// The frame that answers, with its newline; empty when none is due.
pub fn answer<Outcome: Serialize>(form: &Form, outcome: Result<Outcome, Failure>) -> Vec<u8> {
    match (form, outcome) {
        (Form::Rpc(None), _) => Vec::new(),
        // Written as it is: a list would take most of its time to become a tree of values first.
        (Form::Rpc(Some(id)), outcome) => {
            let (result, error) = outcome.map_or_else(|why| (None, Some(why)), |result| (Some(result), None));
            frame(&Answer { id, jsonrpc: "2.0", result, error })
        }
        (Form::Plain | Form::Action, Ok(result)) => {
            frame(&match serde_json::to_value(result).unwrap_or_default() {
                Value::Object(mut fields) => {
                    fields.insert("ok".into(), true.into());
                    Value::Object(fields)
                }
                result => json!({"ok": true, "result": result}),
            })
        }
        (Form::Plain | Form::Action, Err(failure)) => {
            frame(&json!({"ok": false, "error": failure.message, "code": failure.code, "data": failure.data}))
        }
    }
}

/// A message that nobody has asked for just now: an event or a log line of a subscription.
pub fn notification(method: &str, params: &impl Serialize) -> Vec<u8> {
    frame(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

fn frame(message: &impl Serialize) -> Vec<u8> {
    // What has no JSON, such as a map with a key that is no text, is in none of our types.
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_a_request_is_read() {
        let refs = json!({"refs": ["web"]}).as_object().unwrap().clone();
        for (frame, method, params, form) in [
            ("STATUS", "status", Map::new(), Form::Plain),
            ("ping", "ping", Map::new(), Form::Plain),
            ("services.list", "services.list", Map::new(), Form::Plain),
            (r#"{"command":"stop","refs":["web"]}"#, "stop", refs.clone(), Form::Plain),
            (r#"{"command":"getConfig"}"#, "getConfig", Map::new(), Form::Plain),
            (r#"{"action":"stop","args":{"refs":["web"]}}"#, "stop", refs.clone(), Form::Action),
            (r#"{"action":"stop","refs":["web"]}"#, "stop", refs.clone(), Form::Action),
            (r#"{"action":"list"}"#, "list", Map::new(), Form::Action),
            (r#"{"action":"LIST","args":null}"#, "list", Map::new(), Form::Action),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"stop","params":{"refs":["web"]}}"#,
                "stop",
                refs.clone(),
                Form::Rpc(Some(json!(7))),
            ),
            (r#"{"method":"ping"}"#, "ping", Map::new(), Form::Plain),
            (r#"{"id":"a","method":"ping"}"#, "ping", Map::new(), Form::Rpc(Some(json!("a")))),
            (r#"{"jsonrpc":"2.0","method":"ping","params":null}"#, "ping", Map::new(), Form::Rpc(None)),
        ] {
            let want = Asked { method: method.into(), params, form };
            assert_eq!(read(frame.as_bytes()), Ok(want), "{frame}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_in_the_form_it_came_in() {
        for (frame, kind, number) in [
            ("{", "parse", code::PARSE),
            ("[1]", "invalid", code::INVALID),
            ("7 7", "parse", code::PARSE),
            (r#"{"id":1}"#, "invalid", code::INVALID),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "invalid", code::INVALID),
            (r#"{"id":{},"method":"ping"}"#, "invalid", code::INVALID),
            (r#"{"id":1,"method":"ping","extra":1}"#, "invalid", code::INVALID),
            (r#"{"id":1,"method":7}"#, "invalid", code::INVALID),
            (r#"{"id":1,"method":"ping","params":[1]}"#, "usage", code::PARAMS),
            (r#"{"command":7}"#, "usage", code::PARAMS),
            (r#"{"action":"stop","args":["web"]}"#, "usage", code::PARAMS),
            (r#"{"action":"switch","args":{"label":"x"}}"#, "usage", code::PARAMS),
            (r#"{"action":"stop","args":{"refs":["web"]},"extra":1}"#, "usage", code::PARAMS),
        ] {
            let (form, failure) = read(frame.as_bytes()).unwrap_err();
            assert_eq!((failure.data.kind.as_str(), failure.code), (kind, number), "{frame}");
            assert!(!answer::<Value>(&form, Err(failure)).is_empty(), "{frame}");
        }
    }

    #[test]
    fn answers_have_the_form_of_the_question() {
        let text = |form: &Form, outcome| String::from_utf8(answer::<Value>(form, outcome)).unwrap();
        let rpc = Form::Rpc(Some(json!(1)));
        assert_eq!(text(&rpc, Ok(json!([1]))), "{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":[1]}\n");
        assert_eq!(text(&Form::Plain, Ok(json!({"pong": true}))), "{\"ok\":true,\"pong\":true}\n");
        assert_eq!(text(&Form::Plain, Ok(json!([]))), "{\"ok\":true,\"result\":[]}\n");
        assert_eq!(text(&Form::Rpc(None), Ok(json!(1))), "");
        let error = Error::not_found("no such process: x").hint("tsm list");
        let failed: Value = serde_json::from_str(&text(&rpc, Err(Failure::of(&error)))).unwrap();
        assert_eq!(failed["error"]["code"], -32_004);
        assert_eq!(failed["error"]["data"]["hint"], "tsm list");
        let back = Failure::of(&error).into_error();
        assert_eq!(
            (back.kind(), back.message(), back.hint_text()),
            (Kind::NotFound, "no such process: x", Some("tsm list"))
        );
    }

    proptest! {
        #[test]
        fn no_frame_is_too_strange(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
            match read(&frame) {
                Ok(asked) => { answer(&asked.form, Ok(Value::Null)); }
                Err((form, failure)) => prop_assert!(!answer::<Value>(&form, Err(failure)).is_empty()),
            }
        }

        #[test]
        fn an_answer_is_one_line(text in "\\PC{0,40}|[\n\r\t]{1,4}") {
            let bytes = answer(&Form::Rpc(Some(json!(1))), Ok(json!(text)));
            prop_assert_eq!(bytes.iter().position(|byte| *byte == b'\n'), Some(bytes.len() - 1));
            let back: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(back["result"].as_str().unwrap(), text);
        }
    }
}
