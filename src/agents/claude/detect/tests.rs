//! The rules of the detector, row by row.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::*;
use AgentState::{Idle, NeedsInput, Unknown, Working};

mod properties;

/// The time of every case, in milliseconds since the Unix epoch.
const NOW: u64 = 1_800_000_000_000;

/// One record, so many milliseconds before [`NOW`].
fn at(ago_ms: u64, mut record: Value) -> Record {
    let moment = DateTime::from_timestamp_millis((NOW - ago_ms) as i64).unwrap();
    record["timestamp"] = json!(moment.to_rfc3339_opts(SecondsFormat::Millis, true));
    record["uuid"] = json!("u");
    Record::parse(record.to_string().as_bytes())
}

/// A record by its name: `prompt`, `bash:a` (a tool of that ID), `result:a`, `text:end_turn`, `retry:500`, …
fn record(name: &str) -> Value {
    let (kind, more) = name.split_once(':').unwrap_or((name, ""));
    let user = |content: Value| json!({"type": "user", "message": {"role": "user", "content": content}});
    let said = |message: &str, block: Value, stop: Option<&str>| {
        let message = json!({"id": message, "role": "assistant", "content": [block], "stop_reason": stop});
        json!({"type": "assistant", "message": message})
    };
    let text = |stop: Option<&str>| said("m1", json!({"type": "text", "text": "hello"}), stop);
    let tool = |name: &str| {
        let input = match name {
            "AskUserQuestion" => json!({"questions": [{"question": "Which\ncolour?"}]}),
            _ => json!({"command": "make"}),
        };
        said("m1", json!({"type": "tool_use", "id": more, "name": name, "input": input}), None)
    };
    let with = |mut record: Value, key: &str, value: Value| {
        record[key] = value;
        record
    };
    let prompt = || user(json!("do it"));
    match kind {
        "prompt" if more.is_empty() => prompt(),
        "prompt" => with(prompt(), "permissionMode", json!(more)),
        "mode" => json!({"type": "permission-mode", "permissionMode": more}),
        "own" => with(prompt(), more, json!(true)),
        "side-bash" => with(tool("Bash"), "isSidechain", json!(true)),
        "command" => user(json!("<command-name>/clear</command-name>")),
        "interrupted" => user(json!("[Request interrupted by user for tool use]")),
        "interrupted-text" => user(json!([{"type": "text", "text": "[Request interrupted by user]"}])),
        "result" => user(json!([{"type": "tool_result", "tool_use_id": more, "content": "ok"}])),
        "text" => text(Some(more).filter(|stop| !stop.is_empty())),
        "thinking" => said("m1", json!({"type": "thinking", "thinking": "hm"}), None),
        "next" => {
            said("m2", json!({"type": "text", "text": "x"}), Some(more).filter(|stop| !stop.is_empty()))
        }
        "failed" => with(text(None), "isApiErrorMessage", json!(true)),
        "bash" => tool("Bash"),
        "edit" => tool("Edit"),
        "read" => tool("Read"),
        "task" => tool("Task"),
        "question" => tool("AskUserQuestion"),
        "plan" => tool("ExitPlanMode"),
        "retry" => with(record("system:api_error"), "retryInMs", json!(more.parse::<f64>().unwrap())),
        "system" => json!({"type": "system", "subtype": more}),
        "of-tomorrow" => json!({"type": "of-tomorrow", "message": {"content": "x"}}),
        "summary" => json!({"type": "summary", "summary": "x"}),
        "progress" => json!({"type": "progress"}),
        _ => panic!("{name}"),
    }
}

/// The records of a line such as `prompt@20 text@10`: each so many milliseconds before [`NOW`].
fn records(line: &str) -> Vec<Record> {
    let one = |word: &str| {
        let (name, ago) = word.split_once('@').unwrap();
        at(ago.parse().unwrap(), record(name))
    };
    line.split_whitespace().map(one).collect()
}

fn summary(records: &[Record]) -> Summary {
    let mut summary = Summary::default();
    for record in records {
        summary.push(record);
    }
    summary
}

const NONE: &str = "no record of a turn";
const ENDED: &str = "its turn has ended";
const ASKS: &str = "probably permission: Bash: make";
const BASH: &str = "tool: Bash: make";

/// Records with their ages in milliseconds; the state, the reason, and the age of it.
#[rustfmt::skip]
const ROWS: [(&str, AgentState, &str, Option<u64>); 60] = [
    // Rule 1: what is dropped, and what is left.
    ("", Unknown, NONE, None),
    ("of-tomorrow@1", Unknown, NONE, None),
    ("summary@1", Unknown, NONE, None),
    ("own:isMeta@7", Unknown, NONE, None),
    ("own:isSidechain@7", Unknown, NONE, None),
    ("own:isCompactSummary@7", Unknown, NONE, None),
    ("command@7", Idle, "no prompt yet", Some(7)),
    ("progress@9 command@7 system:local_command@6", Idle, "no prompt yet", Some(6)),
    ("prompt@55 text:end_turn@50 own:isSidechain@1", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:end_turn@50 side-bash:s@1", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:end_turn@50 own:isMeta@1", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:end_turn@50 own:isCompactSummary@1", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:end_turn@50 command@1", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:end_turn@50 progress@3 system:compact_boundary@2 of-tomorrow@1", NeedsInput, ENDED, Some(50)),
    // Rule 2.
    ("prompt@2400000", Working, "a prompt was sent", Some(2_400_000)),
    ("prompt@9 bash:a@8 result:a@7", Working, "a tool has answered", Some(7)),
    ("prompt@2400009 bash:a@2400008 result:a@2400007", Working, "a tool has answered", Some(2_400_007)),
    ("prompt@9 bash:a@8 interrupted@7", NeedsInput, "interrupted", Some(7)),
    ("prompt@9 text@8 interrupted-text@7", NeedsInput, "interrupted", Some(7)),
    ("prompt@9 text@8 interrupted@7 system:turn_duration@6", NeedsInput, "interrupted", Some(7)),
    ("prompt@105 retry:101@100", Working, "tries again after an API error", Some(100)),
    ("prompt@105 retry:100@100", NeedsInput, "API error", Some(100)),
    ("prompt@105 retry:101@100 text:end_turn@50", NeedsInput, ENDED, Some(50)),
    ("prompt@9 system:api_error@8", NeedsInput, "API error", Some(8)),
    ("prompt@9 failed@8 system:turn_duration@7", NeedsInput, "API error", Some(8)),
    // Rule 3.
    ("prompt@55 text:end_turn@50", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:stop_sequence@50", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text:max_tokens@50", NeedsInput, ENDED, Some(50)),
    ("prompt@55 text@50 system:turn_duration@40", NeedsInput, ENDED, Some(40)),
    ("prompt@55 text@50 system:stop_hook_summary@40", NeedsInput, ENDED, Some(40)),
    ("prompt@55 text:end_turn@50 system:stop_hook_summary@40 system:turn_duration@30", NeedsInput, ENDED, Some(50)),
    ("prompt@55 bash:a@50 system:turn_duration@40", NeedsInput, ENDED, Some(40)),
    ("prompt@55 text:end_turn@50 prompt@3", Working, "a prompt was sent", Some(3)),
    // Rule 4.
    ("prompt@9 question:a@1", NeedsInput, "question: Which colour?", Some(1)),
    ("prompt:bypassPermissions@9 question:a@1", NeedsInput, "question: Which colour?", Some(1)),
    ("prompt@9 plan:a@1", NeedsInput, "plan to approve", Some(1)),
    ("prompt@10005 bash:a@9999", Working, BASH, Some(9_999)),
    ("prompt@10005 bash:a@10000", NeedsInput, ASKS, Some(10_000)),
    ("prompt:bypassPermissions@60009 bash:a@60000", Working, BASH, Some(60_000)),
    ("prompt:dontAsk@60009 bash:a@60000", Working, BASH, Some(60_000)),
    ("prompt:default@60009 bash:a@60000", NeedsInput, ASKS, Some(60_000)),
    ("prompt:default@60009 mode:bypassPermissions@60005 bash:a@60000", Working, BASH, Some(60_000)),
    ("prompt@60005 task:a@60000", Working, "tool: Task: make", Some(60_000)),
    ("prompt@60005 read:a@60001 bash:b@60000", NeedsInput, ASKS, Some(60_000)),
    ("prompt@60005 edit:a@60002 bash:b@60001 result:a@60000", NeedsInput, ASKS, Some(60_000)),
    ("prompt@60005 edit:a@60002 bash:b@60001 result:b@60000 result:a@9", Working, "a tool has answered", Some(9)),
    // The results of a message may stand among its parts.
    ("prompt@60005 edit:a@60002 result:a@60001 bash:b@60000", NeedsInput, ASKS, Some(60_000)),
    // A session that was killed leaves a tool without a result.
    ("prompt@90000 bash:lost@80000 next:end_turn@60000", NeedsInput, ENDED, Some(60_000)),
    ("prompt@90000 bash:lost@80000 prompt@5", Working, "a prompt was sent", Some(5)),
    ("prompt@90000 bash:lost@80000 next@5", Working, "talks", Some(5)),
    // Rule 5.
    ("prompt@20000 text@14999", Working, "talks", Some(14_999)),
    ("prompt@20000 text@15000", NeedsInput, "it has stopped talking", Some(15_000)),
    ("prompt@20000 thinking@14999", Working, "talks", Some(14_999)),
    ("prompt@20000 thinking@15000", NeedsInput, "it has stopped talking", Some(15_000)),
    ("prompt@20000 text:of_tomorrow@14999", Working, "talks", Some(14_999)),
    ("prompt@20000 text:of_tomorrow@15000", NeedsInput, "it has stopped talking", Some(15_000)),
    // Rule 6.
    ("prompt@1800005 text:end_turn@1800000", NeedsInput, ENDED, Some(1_800_000)),
    ("prompt@1800005 text:end_turn@1800001", Idle, ENDED, Some(1_800_001)),
    ("prompt@1900000 bash:a@1800001", Idle, ASKS, Some(1_800_001)),
    ("prompt@1900000 interrupted@1800001", Idle, "interrupted", Some(1_800_001)),
];

#[test]
fn every_row_of_the_state_table() {
    for (line, state, reason, ago) in ROWS {
        let verdict = summary(&records(line)).verdict(&Facts { now_ms: NOW, ..Facts::default() });
        assert_eq!((verdict.state, verdict.reason.as_str()), (state, reason), "{line}");
        assert_eq!(verdict.since_ms.map(|since| NOW - since), ago, "{line}");
        let waits = matches!(state, NeedsInput | Idle) && reason != "no prompt yet";
        assert_eq!(verdict.waiting_since_ms, verdict.since_ms.filter(|_| waits), "{line}");
    }
}

#[test]
fn a_file_that_was_just_written_is_not_silent() {
    let summary = summary(&records("prompt@20000 text@15000"));
    let of = |mtime_ms| {
        summary.verdict(&Facts { now_ms: NOW, mtime_ms: Some(mtime_ms), ..Facts::default() }).state
    };
    assert_eq!(of(NOW - 14_999), Working);
    assert_eq!(of(NOW - 15_000), NeedsInput);
    assert_eq!(of(NOW - 99_000), NeedsInput);
}

#[test]
fn a_child_of_the_tool_is_work_and_an_older_one_is_not() {
    let summary = summary(&records("prompt@120000 bash:a@60000"));
    let of = |child_ago: u64| {
        let youngest_child_ms = Some(NOW - child_ago);
        summary.verdict(&Facts { now_ms: NOW, youngest_child_ms, ..Facts::default() }).state
    };
    assert_eq!(of(60_000 - 100), Working);
    assert_eq!(of(60_000 + 2_000), Working, "its start is known to the second");
    assert_eq!(of(60_000 + 2_001), NeedsInput, "a server that was there before");
}

#[test]
fn records_without_a_time_are_dated_by_the_file() {
    let bare = ["prompt", "bash:a"].map(|name| Record::parse(record(name).to_string().as_bytes()));
    let summary = summary(&bare);
    let of = |mtime_ms| summary.verdict(&Facts { now_ms: NOW, mtime_ms, ..Facts::default() });
    assert_eq!(of(Some(NOW - 9_999)).state, Working);
    assert_eq!(of(Some(NOW - 10_000)).since_ms, Some(NOW - 10_000));
    assert_eq!(of(None).state, NeedsInput);
}

#[test]
fn the_end_of_a_conversation_decides_when_nothing_before_could_change_it() {
    for (line, decides) in [
        ("prompt@1", true),
        ("text:end_turn@1", true),
        ("interrupted@1", true),
        ("text@2 next@1", true),
        // The turn may have ended before.
        ("system:turn_duration@1", false),
        // Another tool of the message may have no result.
        ("result:a@1", false),
        ("bash:a@1", false),
        ("text@1", false),
        ("progress@1", false),
        ("command@1", false),
        ("", false),
    ] {
        assert_eq!(summary(&records(line)).decides(), decides, "{line}");
    }
}
