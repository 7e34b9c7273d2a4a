//! Lines as Claude Code writes them, and lines that it should never write.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn kind(record: &Value) -> Kind {
    Record::parse(record.to_string().as_bytes()).kind
}

fn user(content: &Value) -> Kind {
    kind(&json!({"type": "user", "message": {"role": "user", "content": content}}))
}

#[test]
fn the_common_fields_are_read() {
    let record = Record::parse(
        br#"{"parentUuid":null,"isSidechain":true,"userType":"external","cwd":"/w","sessionId":"s","version":"2.1.141",
        "gitBranch":"main","type":"user","message":{"role":"user","content":"hello"},"uuid":"u",
        "timestamp":"2026-01-01T00:00:00.123Z","permissionMode":"plan"}"#,
    );
    assert_eq!(record.at_ms, Some(1_767_225_600_123));
    assert_eq!((record.uuid.as_deref(), record.session_id.as_deref()), (Some("u"), Some("s")));
    assert_eq!((record.cwd.as_deref(), record.branch.as_deref()), (Some("/w"), Some("main")));
    assert_eq!((record.mode.as_deref(), record.is_side), (Some("plan"), true));
    assert_eq!(record.kind, Kind::Prompt("hello".into()));
    let outside = Record::parse(br#"{"type":"user","gitBranch":"","cwd":""}"#);
    assert_eq!((outside.branch, outside.cwd), (None, None));
}

#[test]
fn a_prompt_is_what_was_typed() {
    assert_eq!(user(&json!("do it")), Kind::Prompt("do it".into()));
    assert_eq!(user(&json!([{"type": "text", "text": "do it"}])), Kind::Prompt("do it".into()));
    let reminded = json!([{"type": "text", "text": "<system-reminder>x"}, {"type": "text", "text": "do it"}]);
    assert_eq!(user(&reminded), Kind::Prompt("do it".into()));
    let picture = json!([{"type": "image", "source": {"type": "base64", "data": "AAAA"}}]);
    assert_eq!(user(&picture), Kind::Prompt(String::new()));
    for aside in
        ["<command-name>/cost</command-name>", "<local-command-stdout>x", "Caveat: y", "<task-notification>z"]
    {
        assert_eq!(user(&json!(aside)), Kind::Aside { is_clear: false }, "{aside}");
    }
    let clear = "<command-name>/clear</command-name>\n<command-message>clear</command-message>";
    assert_eq!(user(&json!(clear)), Kind::Aside { is_clear: true });
    assert_eq!(user(&json!([])), Kind::Skipped);
    assert_eq!(user(&json!(null)), Kind::Skipped);
}

#[test]
fn interruptions_are_found_in_every_form() {
    for content in [
        json!("[Request interrupted by user]"),
        json!([{"type": "text", "text": "[Request interrupted by user for tool use]"}]),
        json!([{"type": "tool_result", "tool_use_id": "t", "content": "[Request interrupted by user for tool use]"}]),
        json!([{"type": "tool_result", "tool_use_id": "t", "content": "x"},
               {"type": "text", "text": "[Request interrupted by user]"}]),
    ] {
        assert_eq!(user(&content), Kind::Interrupted, "{content}");
    }
}

#[test]
fn results_name_their_tools() {
    let content = json!([
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}]},
        {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": true},
        {"type": "tool_result"},
    ]);
    let results =
        [("a", false), ("b", true)].map(|(tool, is_error)| ToolResult { tool: tool.into(), is_error });
    assert_eq!(user(&content), Kind::Results(results.to_vec()));
}

#[test]
fn what_the_agent_says_has_parts() {
    let said = kind(&json!({"type": "assistant", "message": {
    "id": "m", "role": "assistant", "stop_reason": "end_turn", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "done"},
        {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "make", "description": "Build"}},
        {"type": "new_thing"},
    ]}}));
    let Kind::Said { message, parts, stop, is_error } = said else { panic!("{said:?}") };
    assert_eq!((message.as_deref(), stop.as_deref(), is_error), (Some("m"), Some("end_turn"), false));
    let input = Input { about: Some("make".into()), ..Input::default() };
    let tool = Tool { id: "t".into(), name: "Bash".into(), input };
    assert_eq!(parts, [Part::Other, Part::Text("done".into()), Part::Tool(tool), Part::Other]);
}

#[test]
fn tools_that_change_files_say_what() {
    let edits = |name: &str, input: Value| {
        let content = json!([{"type": "tool_use", "id": "t", "name": name, "input": input}]);
        let said = kind(&json!({"type": "assistant", "message": {"content": content}}));
        let Kind::Said { parts, .. } = said else { panic!("{said:?}") };
        let [Part::Tool(tool)] = parts.as_slice() else { panic!("{parts:?}") };
        (tool.input.file.clone().unwrap(), tool.input.edits.clone())
    };
    let edit =
        |before: Option<&str>, after: &str| Edit { before: before.map(str::to_owned), after: after.into() };
    let write = edits("Write", json!({"file_path": "/a", "content": "new"}));
    assert_eq!(write, ("/a".into(), vec![edit(None, "new")]));
    let one =
        edits("Edit", json!({"file_path": "/a", "old_string": "x", "new_string": "", "replace_all": true}));
    assert_eq!(one, ("/a".into(), vec![edit(Some("x"), "")]));
    let two = json!({"file_path": "/a", "edits": [
        {"old_string": "x", "new_string": "y"}, {"old_string": "p", "new_string": "q"}, {"old_string": "only"}]});
    assert_eq!(edits("MultiEdit", two), ("/a".into(), vec![edit(Some("x"), "y"), edit(Some("p"), "q")]));
    let cell = edits("NotebookEdit", json!({"notebook_path": "/n.ipynb", "new_source": "1+1"}));
    assert_eq!(cell, ("/n.ipynb".into(), vec![edit(None, "1+1")]));
}

#[test]
fn records_of_the_program_are_told_apart() {
    let system = |subtype: &str| kind(&json!({"type": "system", "subtype": subtype, "content": ""}));
    assert_eq!(system("turn_duration"), Kind::TurnEnded);
    assert_eq!(system("stop_hook_summary"), Kind::TurnEnded);
    assert_eq!(system("local_command"), Kind::Aside { is_clear: false });
    assert_eq!(system("compact_boundary"), Kind::Skipped);
    let failed = json!({"type": "system", "subtype": "api_error", "retryInMs": 538.43, "retryAttempt": 1});
    assert_eq!(kind(&failed), Kind::ApiError { retry_in_ms: Some(538) });
    assert_eq!(system("api_error"), Kind::ApiError { retry_in_ms: None });
    assert_eq!(kind(&json!({"type": "ai-title", "aiTitle": "T"})), Kind::Title(Title::Ai, "T".into()));
    assert_eq!(
        kind(&json!({"type": "custom-title", "customTitle": "T"})),
        Kind::Title(Title::Custom, "T".into())
    );
    assert_eq!(kind(&json!({"type": "summary", "summary": "T"})), Kind::Title(Title::Summary, "T".into()));
    for other in ["progress", "file-history-snapshot", "queue-operation", "attachment", "mode", "of-tomorrow"]
    {
        assert_eq!(kind(&json!({"type": other, "content": "x"})), Kind::Skipped, "{other}");
    }
    for own in [json!({"isMeta": true}), json!({"isCompactSummary": true})] {
        let mut record = json!({"type": "user", "message": {"content": "hello"}});
        record.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        assert_eq!(kind(&record), Kind::Skipped);
    }
}

#[test]
fn a_text_that_was_cut_in_a_pair_is_still_read() {
    let line = br#"{"type":"user","message":{"content":"look \ud83d"},"timestamp":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(Record::parse(line).kind, Kind::Prompt("look \u{fffd}".into()));
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "user",
        "assistant",
        "system",
        "type",
        "message",
        "content",
        "text",
        "tool_use",
        "tool_result",
        "id",
        "input",
        "timestamp",
        "2026-01-01T00:00:00Z",
        "subtype",
        "edits",
        "questions",
        "isMeta",
        "stop_reason",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(word.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Record::parse(&bytes).kind, Kind::Skipped);
    }

    #[test]
    fn no_json_is_too_strange(value in any_json()) {
        Record::parse(value.to_string().as_bytes());
    }
}
