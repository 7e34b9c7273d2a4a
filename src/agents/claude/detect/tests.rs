//! The rules of the detector, row by row, with the records as lines of JSON.

use chrono::{DateTime, SecondsFormat};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use AgentState::{Idle, NeedsInput, Unknown, Working};

/// The time of every case, in milliseconds since the Unix epoch.
const NOW: u64 = 1_800_000_000_000;

/// One record, so many milliseconds before [`NOW`].
fn at(ago_ms: u64, mut record: Value) -> Record {
    let moment = DateTime::from_timestamp_millis((NOW - ago_ms) as i64).unwrap();
    record["timestamp"] = json!(moment.to_rfc3339_opts(SecondsFormat::Millis, true));
    record["uuid"] = json!("u");
    Record::parse(record.to_string().as_bytes())
}

fn user(content: Value) -> Value {
    json!({"type": "user", "message": {"role": "user", "content": content}})
}

fn prompt() -> Value {
    user(json!("do it"))
}

fn result(id: &str) -> Value {
    user(json!([{"type": "tool_result", "tool_use_id": id, "content": "ok"}]))
}

fn said(id: &str, block: Value, stop: Option<&str>) -> Value {
    json!({"type": "assistant", "message": {"id": id, "role": "assistant", "content": [block], "stop_reason": stop}})
}

fn text(stop: Option<&str>) -> Value {
    said("m1", json!({"type": "text", "text": "hello"}), stop)
}

fn tool(id: &str, name: &str) -> Value {
    said("m1", json!({"type": "tool_use", "id": id, "name": name, "input": {"command": "make"}}), None)
}

fn system(subtype: &str) -> Value {
    json!({"type": "system", "subtype": subtype})
}

fn with(mut record: Value, key: &str, value: Value) -> Value {
    record[key] = value;
    record
}

fn summary(records: &[Record]) -> Summary {
    let mut summary = Summary::default();
    records.iter().for_each(|record| summary.push(record));
    summary
}

fn detect(records: &[Record]) -> Verdict {
    summary(records).verdict(&Facts { now_ms: NOW, ..Facts::default() })
}

const MINUTE: u64 = 60_000;

/// What is checked of each row: its records with their ages, the state, the reason, and the age of it.
type Row = (&'static str, Vec<(u64, Value)>, AgentState, &'static str, Option<u64>);

fn rows() -> Vec<Row> {
    let ended = |ago| vec![(ago + 5, prompt()), (ago, text(Some("end_turn")))];
    let bash = |ago| vec![(ago + 5, prompt()), (ago, tool("t", "Bash"))];
    let mode = |mode: &str| {
        vec![(MINUTE + 9, with(prompt(), "permissionMode", json!(mode))), (MINUTE, tool("t", "Bash"))]
    };
    let question = json!({"type": "tool_use", "id": "t", "name": "AskUserQuestion",
        "input": {"questions": [{"question": "Which\ncolour?"}]}});
    let silent = |ago, stop| vec![(ago + 5, prompt()), (ago, text(stop))];
    let thinking = || said("m1", json!({"type": "thinking", "thinking": "hm"}), None);
    let failed = |ago, wait: u64| {
        vec![(ago + 5, prompt()), (ago, with(system("api_error"), "retryInMs", json!(wait)))]
    };
    vec![
        // Rule 1: what is dropped, and what is left.
        ("no record", vec![], Unknown, "no record of a turn", None),
        (
            "only unknown types",
            vec![(1, json!({"type": "of-tomorrow"}))],
            Unknown,
            "no record of a turn",
            None,
        ),
        (
            "only a summary",
            vec![(1, json!({"type": "summary", "summary": "x"}))],
            Unknown,
            "no record of a turn",
            None,
        ),
        (
            "a command only",
            vec![(7, user(json!("<command-name>/clear</command-name>")))],
            Idle,
            "no prompt yet",
            Some(7),
        ),
        (
            "only isMeta",
            vec![(7, with(prompt(), "isMeta", json!(true)))],
            Unknown,
            "no record of a turn",
            None,
        ),
        (
            "isSidechain",
            vec![(9, with(prompt(), "isSidechain", json!(true)))],
            Unknown,
            "no record of a turn",
            None,
        ),
        (
            "a side prompt is no prompt",
            [ended(50), vec![(1, with(prompt(), "isSidechain", json!(true)))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(50),
        ),
        (
            "a side tool is no tool",
            [ended(50), vec![(1, with(tool("s", "Bash"), "isSidechain", json!(true)))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(50),
        ),
        (
            "isMeta is no prompt",
            [ended(50), vec![(1, with(prompt(), "isMeta", json!(true)))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(50),
        ),
        (
            "nor is isCompactSummary",
            [ended(50), vec![(1, with(prompt(), "isCompactSummary", json!(true)))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(50),
        ),
        (
            "nor are unknown types and subtypes",
            [
                ended(50),
                vec![
                    (2, json!({"type": "progress"})),
                    (1, system("compact_boundary")),
                    (1, json!({"type": "new", "message": {"content": "x"}})),
                ],
            ]
            .concat(),
            NeedsInput,
            "its turn has ended",
            Some(50),
        ),
        // Rule 2.
        ("a prompt", vec![(40 * MINUTE, prompt())], Working, "a prompt was sent", Some(40 * MINUTE)),
        ("a result", [bash(9), vec![(8, result("t"))]].concat(), Working, "a tool has answered", Some(8)),
        (
            "a result of long ago",
            [bash(40 * MINUTE), vec![(39 * MINUTE, result("t"))]].concat(),
            Working,
            "a tool has answered",
            Some(39 * MINUTE),
        ),
        (
            "interrupted",
            [bash(9), vec![(8, user(json!("[Request interrupted by user for tool use]")))]].concat(),
            NeedsInput,
            "interrupted",
            Some(8),
        ),
        (
            "interrupted in a text",
            [
                silent(9, None),
                vec![(
                    8,
                    user(json!([{"type": "text",
            "text": "[Request interrupted by user]"}])),
                )],
            ]
            .concat(),
            NeedsInput,
            "interrupted",
            Some(8),
        ),
        ("a retry to come", failed(100, 101), Working, "tries again after an API error", Some(100)),
        ("a retry that is due", failed(100, 100), NeedsInput, "API error", Some(100)),
        ("no retry", vec![(9, prompt()), (8, system("api_error"))], NeedsInput, "API error", Some(8)),
        (
            "an error as a message",
            vec![
                (9, prompt()),
                (8, with(text(None), "isApiErrorMessage", json!(true))),
                (7, system("turn_duration")),
            ],
            NeedsInput,
            "API error",
            Some(8),
        ),
        // Rule 3.
        ("end_turn", ended(50), NeedsInput, "its turn has ended", Some(50)),
        ("stop_sequence", silent(50, Some("stop_sequence")), NeedsInput, "its turn has ended", Some(50)),
        ("max_tokens", silent(50, Some("max_tokens")), NeedsInput, "its turn has ended", Some(50)),
        (
            "turn_duration",
            [silent(50, None), vec![(40, system("turn_duration"))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(40),
        ),
        (
            "stop_hook_summary",
            [silent(50, None), vec![(40, system("stop_hook_summary"))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(40),
        ),
        (
            "the end of the end",
            [ended(50), vec![(40, system("stop_hook_summary")), (30, system("turn_duration"))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(50),
        ),
        (
            "turn_duration after a tool",
            [bash(50), vec![(40, system("turn_duration"))]].concat(),
            NeedsInput,
            "its turn has ended",
            Some(40),
        ),
        (
            "a new prompt after the end",
            [ended(50), vec![(3, prompt())]].concat(),
            Working,
            "a prompt was sent",
            Some(3),
        ),
        // Rule 4.
        (
            "a question",
            vec![(9, prompt()), (1, said("m1", question.clone(), None))],
            NeedsInput,
            "question: Which colour?",
            Some(1),
        ),
        (
            "a question, permissions bypassed",
            vec![
                (9, with(prompt(), "permissionMode", json!("bypassPermissions"))),
                (1, said("m1", question, None)),
            ],
            NeedsInput,
            "question: Which colour?",
            Some(1),
        ),
        (
            "a plan",
            vec![(9, prompt()), (1, tool("t", "ExitPlanMode"))],
            NeedsInput,
            "plan to approve",
            Some(1),
        ),
        ("a tool, in grace", bash(9_999), Working, "tool: Bash: make", Some(9_999)),
        ("a tool, grace over", bash(10_000), NeedsInput, "probably permission: Bash: make", Some(10_000)),
        ("bypassPermissions", mode("bypassPermissions"), Working, "tool: Bash: make", Some(MINUTE)),
        ("dontAsk", mode("dontAsk"), Working, "tool: Bash: make", Some(MINUTE)),
        ("default", mode("default"), NeedsInput, "probably permission: Bash: make", Some(MINUTE)),
        (
            "the mode is changed",
            [
                vec![(MINUTE + 99, with(prompt(), "permissionMode", json!("default")))],
                vec![
                    (MINUTE + 9, json!({"type": "permission-mode", "permissionMode": "bypassPermissions"})),
                    (MINUTE, tool("t", "Bash")),
                ],
            ]
            .concat(),
            Working,
            "tool: Bash: make",
            Some(MINUTE),
        ),
        (
            "a tool that never asks",
            vec![(MINUTE + 5, prompt()), (MINUTE, tool("t", "Task"))],
            Working,
            "tool: Task: make",
            Some(MINUTE),
        ),
        (
            "one of two asks",
            vec![(MINUTE + 5, prompt()), (MINUTE + 1, tool("r", "Read")), (MINUTE, tool("t", "Bash"))],
            NeedsInput,
            "probably permission: Bash: make",
            Some(MINUTE),
        ),
        (
            "one of two has answered",
            vec![
                (MINUTE + 5, prompt()),
                (MINUTE + 2, tool("a", "Bash")),
                (MINUTE + 1, tool("b", "Edit")),
                (MINUTE, result("a")),
            ],
            NeedsInput,
            "probably permission: Edit: make",
            Some(MINUTE),
        ),
        (
            "both have answered",
            vec![
                (MINUTE + 5, prompt()),
                (MINUTE + 2, tool("a", "Bash")),
                (MINUTE + 1, tool("b", "Edit")),
                (MINUTE, result("b")),
                (9, result("a")),
            ],
            Working,
            "a tool has answered",
            Some(9),
        ),
        (
            "results among the parts of a message",
            vec![
                (MINUTE + 5, prompt()),
                (MINUTE + 2, tool("a", "Bash")),
                (MINUTE + 1, result("a")),
                (MINUTE, tool("b", "Bash")),
            ],
            NeedsInput,
            "probably permission: Bash: make",
            Some(MINUTE),
        ),
        (
            "a tool whose session was killed",
            vec![
                (9 * MINUTE, prompt()),
                (8 * MINUTE, tool("lost", "Bash")),
                (MINUTE, said("m2", json!({"type": "text", "text": "x"}), Some("end_turn"))),
            ],
            NeedsInput,
            "its turn has ended",
            Some(MINUTE),
        ),
        (
            "a tool in front of a prompt",
            vec![(9 * MINUTE, prompt()), (8 * MINUTE, tool("lost", "Bash")), (5, prompt())],
            Working,
            "a prompt was sent",
            Some(5),
        ),
        // Rule 5.
        ("a text, young", silent(14_999, None), Working, "talks", Some(14_999)),
        ("a text, silent", silent(15_000, None), NeedsInput, "it has stopped talking", Some(15_000)),
        ("thinking, young", vec![(20_000, prompt()), (14_999, thinking())], Working, "talks", Some(14_999)),
        (
            "thinking, silent",
            vec![(20_000, prompt()), (15_000, thinking())],
            NeedsInput,
            "it has stopped talking",
            Some(15_000),
        ),
        (
            "a reason to stop of tomorrow",
            silent(15_000, Some("of_tomorrow")),
            NeedsInput,
            "it has stopped talking",
            Some(15_000),
        ),
        // Rule 6.
        ("half an hour", ended(30 * MINUTE), NeedsInput, "its turn has ended", Some(30 * MINUTE)),
        ("more than that", ended(30 * MINUTE + 1), Idle, "its turn has ended", Some(30 * MINUTE + 1)),
        ("a tool of long ago", bash(31 * MINUTE), Idle, "probably permission: Bash: make", Some(31 * MINUTE)),
    ]
}

#[test]
fn every_row_of_the_state_table() {
    for (name, records, state, reason, ago) in rows() {
        let records: Vec<Record> = records.into_iter().map(|(ago, record)| at(ago, record)).collect();
        let verdict = detect(&records);
        assert_eq!((verdict.state, verdict.reason.as_str()), (state, reason), "{name}");
        assert_eq!(verdict.since_ms.map(|since| NOW - since), ago, "{name}");
        let waits = matches!(state, NeedsInput | Idle) && reason != "no prompt yet";
        assert_eq!(verdict.waiting_since_ms, verdict.since_ms.filter(|_| waits), "{name}");
    }
}

#[test]
fn a_file_that_was_just_written_is_not_silent() {
    let summary = summary(&[at(20_000, prompt()), at(15_000, text(None))]);
    let of = |mtime_ms| {
        summary.verdict(&Facts { now_ms: NOW, mtime_ms: Some(mtime_ms), ..Facts::default() }).state
    };
    assert_eq!(of(NOW - 14_999), Working);
    assert_eq!(of(NOW - 15_000), NeedsInput);
    assert_eq!(of(NOW - 99_000), NeedsInput);
}

#[test]
fn a_child_of_the_tool_is_work_and_an_older_one_is_not() {
    let summary = summary(&[at(2 * MINUTE, prompt()), at(MINUTE, tool("t", "Bash"))]);
    let of = |child_ago: u64| {
        let youngest_child_ms = Some(NOW - child_ago);
        summary.verdict(&Facts { now_ms: NOW, youngest_child_ms, ..Facts::default() }).state
    };
    assert_eq!(of(MINUTE - 100), Working);
    assert_eq!(of(MINUTE + 2_000), Working, "its start is known to the second");
    assert_eq!(of(MINUTE + 2_001), NeedsInput, "a server that was there before");
}

#[test]
fn records_without_a_time_are_dated_by_the_file() {
    let bare = |record: Value| Record::parse(record.to_string().as_bytes());
    let summary = summary(&[bare(prompt()), bare(tool("t", "Bash"))]);
    let of = |mtime_ms| summary.verdict(&Facts { now_ms: NOW, mtime_ms, ..Facts::default() });
    assert_eq!(of(Some(NOW - 9_999)).state, Working);
    assert_eq!(of(Some(NOW - 10_000)).since_ms, Some(NOW - 10_000));
    assert_eq!(of(None).state, NeedsInput);
}

#[test]
fn the_end_of_a_conversation_decides_when_nothing_before_could_change_it() {
    let of = |records: &[Value]| {
        let records: Vec<Record> = records.iter().map(|record| at(5, record.clone())).collect();
        summary(&records).decides()
    };
    assert!(of(&[prompt()]));
    assert!(of(&[text(Some("end_turn"))]), "a turn that has ended");
    assert!(of(&[system("turn_duration")]));
    assert!(!of(&[result("t")]), "another tool may have no result");
    assert!(!of(&[tool("t", "Bash")]), "another tool of this message may ask");
    assert!(!of(&[text(None)]));
    assert!(!of(&[json!({"type": "progress"})]));
    assert!(
        of(&[text(None), said("m2", json!({"type": "text", "text": "x"}), None)]),
        "the second message has begun"
    );
}

fn any_record() -> impl Strategy<Value = Value> {
    let simple = prop::sample::select(vec![
        prompt(),
        result("a"),
        result("b"),
        text(None),
        text(Some("end_turn")),
        tool("a", "Bash"),
        tool("b", "Read"),
        tool("a", "AskUserQuestion"),
        said("m2", json!({"type": "text", "text": "x"}), None),
        system("turn_duration"),
        with(system("api_error"), "retryInMs", json!(1e300)),
        user(json!("[Request interrupted by user]")),
        user(json!("<command-name>/clear</command-name>")),
        with(prompt(), "permissionMode", json!("dontAsk")),
        json!({"type": "ai-title", "aiTitle": "t"}),
        json!({"type": "progress"}),
    ]);
    simple
}

proptest! {
    #[test]
    fn no_order_of_records_is_too_strange(
        records in prop::collection::vec((any_record(), 0..3_000_000_u64), 0..40),
        mtime_ms in any::<Option<u64>>(),
        youngest_child_ms in any::<Option<u64>>(),
        now_ms in any::<u64>(),
    ) {
        let records: Vec<Record> = records.into_iter().map(|(record, ago)| at(ago, record)).collect();
        let verdict = summary(&records).verdict(&Facts { now_ms, mtime_ms, youngest_child_ms });
        prop_assert!(!verdict.reason.is_empty());
        prop_assert!(verdict.state != Working || verdict.waiting_since_ms.is_none());
    }

    #[test]
    fn unknown_types_are_never_work(
        types in prop::collection::vec(("[a-z-]{1,12}", "[a-z_]{0,12}"), 0..20),
        now_ms in any::<u64>(),
    ) {
        let known = ["user", "assistant", "system"];
        let records: Vec<Record> = types
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, other)| at(1, json!({"type": name, "subtype": other, "message": {"content": "do it"}})))
            .collect();
        let verdict = summary(&records).verdict(&Facts { now_ms, ..Facts::default() });
        prop_assert_eq!(verdict.state, Unknown);
    }

    /// A look at the end of a file says the same as one at the whole of it, when it says that it is enough.
    #[test]
    fn what_decides_is_not_changed_by_what_was_before(
        records in prop::collection::vec((any_record(), 0..60_000_u64), 0..30),
        cut in 0..30_usize,
    ) {
        let records: Vec<Record> = records.into_iter().map(|(record, ago)| at(ago, record)).collect();
        let end = summary(&records[cut.min(records.len())..]);
        // The mode is set apart: `lacks_something` tells when it is missing.
        if end.decides() && !end.lacks_something() {
            let facts = Facts { now_ms: NOW, ..Facts::default() };
            prop_assert_eq!(end.verdict(&facts), summary(&records).verdict(&facts));
        }
    }
}
