//! Files that grow, shrink, are replaced, and hold lines of any length.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::agents::AgentState::{self, NeedsInput, Unknown, Working};
use crate::agents::claude::detect::Facts;

const MEGABYTE: usize = 1_000_000;

fn record(kind: &str, content: &serde_json::Value, stop: Option<&str>) -> String {
    let record = json!({
        "type": kind, "cwd": "/w", "timestamp": "2026-01-01T00:00:00.000Z", "gitBranch": "main",
        "message": {"role": kind, "id": "m", "content": content, "stop_reason": stop},
    });
    format!("{record}\n")
}

fn prompt(text: &str) -> String {
    record("user", &json!(text), None)
}

fn ended(text: &str) -> String {
    record("assistant", &json!([{"type": "text", "text": text}]), Some("end_turn"))
}

fn tool(id: &str) -> String {
    record("assistant", &json!([{"type": "tool_use", "id": id, "name": "Read", "input": {}}]), None)
}

fn result(id: &str, content: &str) -> String {
    record("user", &json!([{"type": "tool_result", "tool_use_id": id, "content": content}]), None)
}

struct Kept(TempDir);

impl Kept {
    fn new(text: &str) -> Self {
        let kept = Kept(tempfile::tempdir().unwrap());
        kept.append(text);
        kept
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("s.jsonl")
    }

    fn append(&self, text: &str) {
        let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn open(&self) -> Tail {
        Tail::open(&self.path()).unwrap()
    }

    /// Looks again; says the state and how many bytes were read for it.
    fn look(&self, tail: &mut Tail) -> (AgentState, u64) {
        let before = tail.bytes_read();
        tail.look(&self.path()).unwrap();
        (state(tail), tail.bytes_read() - before)
    }
}

fn state(tail: &Tail) -> AgentState {
    tail.summary().verdict(&Facts { now_ms: 1_767_225_600_000, ..Facts::default() }).state
}

#[test]
fn a_poll_that_finds_nothing_new_reads_no_byte() {
    let kept = Kept::new(&[prompt("a"), ended("b")].concat());
    let mut tail = kept.open();
    assert_eq!(state(&tail), NeedsInput);
    for _ in 0..3 {
        assert_eq!(kept.look(&mut tail), (NeedsInput, 0));
    }
}

#[test]
fn what_is_new_is_read_and_nothing_else() {
    let kept = Kept::new(&[prompt("a"), ended(&"b".repeat(300_000))].concat());
    let mut tail = kept.open();
    let new = prompt("more");
    kept.append(&new);
    assert_eq!(kept.look(&mut tail), (Working, new.len() as u64 + 1));
}

#[test]
fn a_partial_last_line_counts_when_it_is_complete() {
    let new = prompt("more");
    let kept = Kept::new(&[&prompt("a"), &ended("b"), &new[..30]].concat());
    let mut tail = kept.open();
    assert_eq!(state(&tail), NeedsInput);
    kept.append(&new[30..60]);
    assert_eq!(kept.look(&mut tail), (NeedsInput, 31));
    kept.append(&new[60..new.len() - 1]);
    assert_eq!(kept.look(&mut tail).0, NeedsInput, "all of it but the end of its line");
    kept.append("\n");
    assert_eq!(kept.look(&mut tail).0, Working);
    assert_eq!(kept.look(&mut tail), (Working, 0));
}

#[test]
fn only_the_end_of_a_long_file_is_read() {
    let mut text = prompt("the first prompt");
    while text.len() < 5 * MEGABYTE {
        text += &[tool("t"), result("t", &"x".repeat(3_000))].concat();
    }
    text += &ended("done");
    let tail = Kept::new(&text).open();
    assert_eq!(state(&tail), NeedsInput);
    assert_eq!(tail.summary().preview().line(), Some("done"));
    assert_eq!(tail.head().preview.line(), Some("the first prompt"));
    assert!(tail.bytes_read() < 4 * CHUNK as u64, "{}", tail.bytes_read());
}

#[test]
fn more_is_read_until_it_decides() {
    // All results are of one message, whose first tool has none.
    let mut text = [
        prompt("a"),
        record("assistant", &json!([{"type": "tool_use", "id": "q", "name": "AskUserQuestion"}]), None),
    ]
    .concat();
    while text.len() < 2 * MEGABYTE {
        text += &[tool("t"), result("t", &"x".repeat(3_000))].concat();
    }
    let tail = Kept::new(&text).open();
    assert_eq!(state(&tail), NeedsInput);
    let reason = tail.summary().verdict(&Facts::default()).reason;
    assert_eq!(reason, "question");
}

#[test]
fn a_line_of_fifty_megabytes_is_read_once() {
    let huge = result("t", &"x".repeat(50 * MEGABYTE));
    let kept = Kept::new(&[prompt("look"), tool("t"), huge.clone()].concat());
    let mut tail = kept.open();
    assert_eq!(state(&tail), Working);
    assert!(tail.bytes_read() < 3 * huge.len() as u64, "{}", tail.bytes_read());
    assert_eq!(kept.look(&mut tail), (Working, 0));
    let end = ended("seen");
    kept.append(&end);
    assert_eq!(kept.look(&mut tail), (NeedsInput, end.len() as u64 + 1));
    // Opened now, it is not in the way.
    let tail = kept.open();
    assert_eq!(state(&tail), NeedsInput);
    assert!(tail.bytes_read() < huge.len() as u64 + 20 * CHUNK as u64);
}

#[test]
fn a_huge_line_that_is_being_written_is_not_read_again_for_each_piece() {
    let huge = result("t", &"x".repeat(4 * MEGABYTE));
    let kept = Kept::new(&[&prompt("look"), &tool("t"), &huge[..2 * MEGABYTE]].concat());
    let mut tail = kept.open();
    assert_eq!(state(&tail), Working);
    for piece in 0..10 {
        let at = 2 * MEGABYTE + piece * 1000;
        kept.append(&huge[at..at + 1000]);
        assert_eq!(kept.look(&mut tail), (Working, 1001), "piece {piece}");
    }
    kept.append(&huge[2 * MEGABYTE + 10_000..]);
    kept.append(&ended("seen"));
    assert_eq!(kept.look(&mut tail).0, NeedsInput);
}

#[test]
fn a_smaller_or_another_file_is_read_anew() {
    let kept = Kept::new(&[prompt("a"), ended("b")].concat());
    let mut tail = kept.open();
    fs::write(kept.path(), prompt("c")).unwrap();
    assert_eq!(kept.look(&mut tail).0, Working);
    assert_eq!(tail.head().preview.line(), Some("c"));
    let other = kept.0.path().join("other");
    fs::write(&other, [prompt("d"), ended(&"e".repeat(1000))].concat()).unwrap();
    fs::rename(other, kept.path()).unwrap();
    assert_eq!(kept.look(&mut tail).0, NeedsInput);
    assert_eq!(tail.head().preview.line(), Some("d"));
}

#[test]
fn a_file_written_anew_in_place_is_not_taken_for_a_longer_one() {
    let kept = Kept::new(&[prompt("a"), ended("b")].concat());
    let mut tail = kept.open();
    fs::write(kept.path(), [prompt(&"long ".repeat(200)), prompt("c")].concat()).unwrap();
    assert_eq!(kept.look(&mut tail).0, Working);
    assert!(tail.head().preview.line().unwrap().starts_with("long"));
}

#[test]
fn a_file_that_is_gone_is_an_error_and_comes_back() {
    let kept = Kept::new(&[prompt("a"), ended("b")].concat());
    let mut tail = kept.open();
    fs::remove_file(kept.path()).unwrap();
    assert!(tail.look(&kept.path()).is_err());
    kept.append(&prompt("c"));
    assert_eq!(kept.look(&mut tail).0, Working);
}

#[test]
fn an_empty_file_says_nothing_and_grows() {
    let kept = Kept::new("");
    let mut tail = kept.open();
    assert_eq!(state(&tail), Unknown);
    kept.append(&prompt("a"));
    assert_eq!(kept.look(&mut tail).0, Working);
    assert_eq!(tail.head().cwd.as_deref(), Some("/w"));
}

#[test]
fn the_memory_of_a_long_conversation_is_small() {
    let mut text = prompt("a");
    for turn in 0..2_000 {
        text +=
            &[tool(&format!("t{turn}")), result(&format!("t{turn}"), &"x".repeat(500)), ended("e")].concat();
    }
    let kept = Kept::new("");
    let mut tail = kept.open();
    kept.append(&text);
    assert_eq!(kept.look(&mut tail).0, NeedsInput);
    assert!(format!("{tail:?}").len() < 2_000);
}
