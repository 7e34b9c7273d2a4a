//! What was said and changed in a conversation, read forward from where the last look ended: for who keeps it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::{Lines, Source};
use super::record::{Edit as RawEdit, Kind, Part, Record, Tool};

/// Texts are cut to this in records over 1 MiB, in bytes: a little more than anybody keeps of one, so that it is seen that
/// it was too long.
const TEXT_LIMIT: usize = 1024 * 1024 + 64;

/// How far a transcript has been read. It is kept by who reads, also on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The inode of the file; 0 before the first look.
    pub inode: u64,
    /// Where the next record begins, in bytes.
    pub offset: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: Option<u64>,
    /// The record's own ID; several moments can be of one record.
    pub uuid: Option<String>,
    /// Where its record begins in the file, in bytes.
    pub start: u64,
    /// The conversation that the record is of; of a copy, the one that it was copied from.
    pub session_id: Option<String>,
    /// The working directory of the record.
    pub cwd: Option<PathBuf>,
    /// The branch that was checked out.
    pub git_branch: Option<String>,
    /// True when a sub-agent did it.
    pub by_sub_agent: bool,
    /// What happened.
    pub what: What,
}

/// What can happen in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The user typed this.
    Prompt(String),
    /// The agent said this. Texts with the same message ID are parts of one message.
    Answer {
        /// The ID of the message.
        message: Option<String>,
        /// The text.
        text: String,
    },
    /// The agent wants to change a file.
    Change(Change),
    /// A tool has failed or was refused: if it is one of a [`Change`], the file is as before.
    Failed {
        /// The ID of the tool's use.
        tool_use: String,
    },
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The ID of the tool's use, by which [`What::Failed`] names it.
    pub tool_use: String,
    /// `Write`, `Edit`, `MultiEdit` or `NotebookEdit`.
    pub tool: String,
    /// The file, as the agent named it: mostly absolute.
    pub file: PathBuf,
    /// What was replaced by what, in this order.
    pub edits: Vec<Edit>,
}

/// A piece of a file that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What stood there; `None` where the whole file or cell is written.
    pub before: Option<String>,
    /// What stands there then.
    pub after: String,
}

/// What a look has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What happened since, in the order of the file.
    pub moments: Vec<Moment>,
    /// How far the file has been read now.
    pub position: Position,
    /// True when the file was another or had shrunk, so that it was read from its beginning: what comes may be known.
    pub restarted: bool,
    /// True when more can be read at once.
    pub has_more: bool,
}

/// Reads the transcript `path` on from `from`, about `budget` bytes of it and one record at least; half a record at its
/// end is left for the next look. When nothing is new nothing is opened or read.
///
/// # Errors
/// When the file cannot be opened or read.
pub fn read(path: &Path, from: Position, budget: u64) -> io::Result<Found> {
    let known = fs::metadata(path)?;
    if known.ino() == from.inode && known.len() == from.offset {
        return Ok(Found { moments: Vec::new(), position: from, restarted: false, has_more: false });
    }
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let is_same = meta.ino() == from.inode && meta.len() >= from.offset;
    let offset = if is_same { from.offset } else { 0 };
    let mut found = Found {
        moments: Vec::new(),
        position: Position { inode: meta.ino(), offset },
        restarted: !is_same && from.inode != 0,
        has_more: false,
    };
    let mut source = Source::new(&file);
    let mut lines = Lines::new(&mut source, offset, meta.len(), TEXT_LIMIT);
    while let Some(line) = lines.next()? {
        let start = std::mem::replace(&mut found.position.offset, line.end);
        add(Record::parse(line.text), start, &mut found.moments);
        if line.end - offset >= budget {
            found.has_more = line.end < meta.len();
            break;
        }
    }
    Ok(found)
}

/// Adds what a record says.
fn add(record: Record, start: u64, to: &mut Vec<Moment>) {
    let Record { at_ms, uuid, session_id, forked_from, cwd, branch, is_side, kind, mode: _ } = record;
    let session_id = forked_from.or(session_id);
    let mut moment = |what| {
        to.push(Moment {
            start,
            at_ms,
            uuid: uuid.clone(),
            session_id: session_id.clone(),
            cwd: cwd.clone().map(PathBuf::from),
            git_branch: branch.clone(),
            by_sub_agent: is_side,
            what,
        });
    };
    match kind {
        // The prompt of a sub-agent was typed by nobody, and its answers go to the agent.
        Kind::Prompt(text) if !is_side && !text.is_empty() => moment(What::Prompt(text)),
        Kind::Results(results) => {
            for failed in results.into_iter().filter(|result| result.is_error) {
                moment(What::Failed { tool_use: failed.tool });
            }
        }
        Kind::Said { message, parts, is_error: false, .. } => {
            for part in parts {
                match part {
                    Part::Text(text) if !is_side && !text.trim().is_empty() => {
                        moment(What::Answer { message: message.clone(), text });
                    }
                    Part::Tool(tool) => {
                        if let Some(change) = change(tool) {
                            moment(What::Change(change));
                        }
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// The change that the use of a tool is, if it is one.
fn change(tool: Tool) -> Option<Change> {
    if !matches!(tool.name.as_str(), "Write" | "Edit" | "MultiEdit" | "NotebookEdit") {
        return None;
    }
    let edits = tool.input.edits.into_iter().map(|RawEdit { before, after }| Edit { before, after });
    Some(Change { tool_use: tool.id, tool: tool.name, file: tool.input.file?.into(), edits: edits.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io::Write;

    const ALL: u64 = u64::MAX;

    fn line(record: &Value) -> String {
        let mut whole = json!({"uuid": "u", "sessionId": "s", "cwd": "/w", "gitBranch": "main",
            "timestamp": "2026-01-01T00:00:00.000Z"});
        whole.as_object_mut().unwrap().extend(record.as_object().unwrap().clone());
        format!("{whole}\n")
    }

    fn prompt(text: &str) -> String {
        line(&json!({"type": "user", "message": {"content": text}}))
    }

    fn said(block: &Value) -> String {
        line(&json!({"type": "assistant", "message": {"id": "m", "content": [block]}}))
    }

    fn edit() -> Value {
        json!({"type": "tool_use", "id": "t1", "name": "Edit",
            "input": {"file_path": "/w/a.rs", "old_string": "x", "new_string": "y"}})
    }

    struct Kept {
        dir: tempfile::TempDir,
    }

    impl Kept {
        fn new(text: &str) -> Self {
            let kept = Kept { dir: tempfile::tempdir().unwrap() };
            kept.append(text);
            kept
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("s.jsonl")
        }

        fn append(&self, text: &str) {
            let mut file = File::options().create(true).append(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn read(&self, from: Position) -> Found {
            read(&self.path(), from, ALL).unwrap()
        }
    }

    fn whats(found: &Found) -> Vec<What> {
        found.moments.iter().map(|moment| moment.what.clone()).collect()
    }

    fn typed(text: &str) -> What {
        What::Prompt(text.into())
    }

    #[test]
    fn prompts_answers_and_changes_come_in_order_with_where_and_when() {
        let refused = json!([{"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": "no"},
            {"type": "tool_result", "tool_use_id": "t2", "content": "yes"}]);
        let text = [
            prompt("do it"),
            said(&json!({"type": "thinking", "thinking": "hm"})),
            said(&json!({"type": "text", "text": "I will"})),
            said(&edit()),
            said(&json!({"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "make"}})),
            line(&json!({"type": "user", "message": {"content": refused}})),
            line(&json!({"type": "progress"})),
            prompt("<command-name>/cost</command-name>"),
        ];
        let found = Kept::new(&text.concat()).read(Position::default());
        let change = Change {
            tool_use: "t1".into(),
            tool: "Edit".into(),
            file: "/w/a.rs".into(),
            edits: vec![Edit { before: Some("x".into()), after: "y".into() }],
        };
        let answer = What::Answer { message: Some("m".into()), text: "I will".into() };
        let failed = What::Failed { tool_use: "t1".into() };
        assert_eq!(whats(&found), [typed("do it"), answer, What::Change(change), failed]);
        let first = &found.moments[0];
        assert_eq!((first.at_ms, first.uuid.as_deref()), (Some(1_767_225_600_000), Some("u")));
        assert_eq!(
            (first.cwd.as_deref(), first.git_branch.as_deref()),
            (Some(Path::new("/w")), Some("main"))
        );
        assert_eq!((first.session_id.as_deref(), first.by_sub_agent), (Some("s"), false));
        assert!(!found.restarted && !found.has_more);
    }

    #[test]
    fn a_look_goes_on_where_the_last_one_ended_and_leaves_half_a_line() {
        let kept = Kept::new(&prompt("one"));
        let whole = prompt("two");
        kept.append(&whole[..20]);
        let first = kept.read(Position::default());
        assert_eq!(whats(&first), [typed("one")]);
        assert_eq!(kept.read(first.position).moments, []);
        kept.append(&whole[20..]);
        let second = kept.read(first.position);
        assert_eq!(whats(&second), [typed("two")]);
        assert!(!second.restarted);
        assert_eq!(kept.read(second.position), Found { moments: vec![], ..second });
    }

    #[test]
    fn another_or_a_smaller_file_is_read_from_its_beginning() {
        let kept = Kept::new(&prompt("one of some length"));
        let first = kept.read(Position::default());
        fs::write(kept.path(), prompt("two")).unwrap();
        let second = kept.read(first.position);
        assert_eq!((whats(&second), second.restarted), (vec![typed("two")], true));
        let other = kept.dir.path().join("other");
        fs::write(&other, prompt("three, which is longer than all before")).unwrap();
        fs::rename(other, kept.path()).unwrap();
        let third = kept.read(second.position);
        assert_eq!((third.moments.len(), third.restarted), (1, true));
    }

    #[test]
    fn a_budget_ends_a_look_early() {
        let kept = Kept::new(&[prompt("one"), prompt("two"), prompt("three")].concat());
        let first = read(&kept.path(), Position::default(), 1).unwrap();
        assert_eq!((whats(&first), first.has_more), (vec![typed("one")], true));
        let rest = read(&kept.path(), first.position, ALL).unwrap();
        assert_eq!((whats(&rest), rest.has_more), (vec![typed("two"), typed("three")], false));
    }

    #[test]
    fn of_a_sub_agent_only_changes_count() {
        let side = |record: &str| {
            let mut record: Value = serde_json::from_str(record).unwrap();
            record["isSidechain"] = json!(true);
            format!("{record}\n")
        };
        let text = json!({"type": "text", "text": "report"});
        let found = Kept::new(&[side(&prompt("task")), side(&said(&text)), side(&said(&edit()))].concat());
        let found = found.read(Position::default());
        assert!(matches!(
            found.moments.as_slice(),
            [Moment { by_sub_agent: true, what: What::Change(_), .. }]
        ));
    }

    #[test]
    fn a_text_of_megabytes_is_cut_where_it_is_too_long_to_keep() {
        let kept = Kept::new(&[prompt(&"x".repeat(3_000_000)), prompt("next")].concat());
        let found = kept.read(Position::default());
        let What::Prompt(long) = &found.moments[0].what else { panic!() };
        assert_eq!(long.len(), TEXT_LIMIT);
        assert_eq!(found.moments[1].what, typed("next"));
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        assert!(read(Path::new("/nowhere/s.jsonl"), Position::default(), ALL).is_err());
    }
}
