//! What the beginning of a transcript tells: where and when it began, and what it is about.

use std::io;

use super::detect::Preview;
use super::lines::{CHUNK, Lines, Source};
use super::record::{Kind, Record};
use super::tail::TEXT_LIMIT;

/// How many records are looked at for the first prompt.
const RECORDS: usize = 100;

/// How far the beginning goes, in bytes, when no record in it is longer.
const LENGTH: u64 = 256 * 1024;

/// What stands in the line of a title; only lines with one of these are parsed behind the first prompt.
const TITLES: [&[u8]; 3] = [b"\"custom-title\"", b"\"ai-title\"", b"\"summary\""];

/// The beginning of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The working directory in which the conversation began.
    pub(super) cwd: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub(super) first_ms: Option<u64>,
    /// True when it began with a `/clear` in another conversation.
    pub(super) is_clear: bool,
    pub(super) preview: Preview,
    /// True when the file may grow as it likes: all this stays.
    pub(super) is_complete: bool,
}

impl Head {
    /// Reads the beginning of a file of `size` bytes.
    pub(super) fn read(source: &mut Source, size: u64) -> io::Result<Head> {
        let mut head = Head::default();
        let mut lines = Lines::new(source, 0, size, TEXT_LIMIT);
        let mut records = 0;
        let mut end = 0;
        while !head.is_complete && records < RECORDS && end < LENGTH {
            let Some(line) = lines.next()? else { break };
            (records, end) = (records + 1, line.end);
            let record = Record::parse(line.text);
            // A conversation of a sub-agent is none of this process.
            if !record.is_side {
                head.push(&record);
            }
        }
        head.is_complete |= records == RECORDS || end >= LENGTH;
        while end < CHUNK as u64 {
            let Some(line) = lines.next()? else { break };
            end = line.end;
            if TITLES.iter().any(|title| memchr::memmem::find(line.text, title).is_some()) {
                let record = Record::parse(line.text);
                if matches!(record.kind, Kind::Title(..)) {
                    head.preview.push(&record.kind);
                }
            }
        }
        Ok(head)
    }

    fn push(&mut self, record: &Record) {
        self.cwd = self.cwd.take().or_else(|| record.cwd.clone());
        self.first_ms = self.first_ms.or(record.at_ms);
        self.is_clear |= matches!(record.kind, Kind::Aside { is_clear: true });
        if matches!(record.kind, Kind::Title(..) | Kind::Prompt(_)) {
            self.preview.push(&record.kind);
        }
        self.is_complete = matches!(record.kind, Kind::Prompt(_)) && self.cwd.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::fs::File;
    use std::io::Write;

    fn file(text: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn of(text: &str) -> Head {
        Head::read(&mut Source::new(&file(text)), text.len() as u64).unwrap()
    }

    #[test]
    fn the_first_record_with_a_directory_and_the_first_prompt_count() {
        let head = of(concat!(
            r#"{"type":"summary","summary":"of before"}"#,
            "\n",
            r#"{"type":"user","cwd":"/a","timestamp":"2026-01-01T00:00:00Z","#,
            r#""message":{"content":"<command-name>/clear</command-name>"}}"#,
            "\n",
            r#"{"type":"user","cwd":"/a/b","timestamp":"2026-01-01T00:00:09Z","message":{"content":"first"}}"#,
            "\n",
            r#"{"type":"user","cwd":"/c","message":{"content":"second"}}"#,
            "\n",
            r#"{"type":"ai-title","aiTitle":"a title"}"#,
            "\n",
        ));
        assert_eq!(head.cwd.as_deref(), Some("/a"));
        assert_eq!(head.first_ms, Some(1_767_225_600_000));
        assert!(head.is_clear && head.is_complete);
        assert_eq!(head.preview.line(), Some("a title"));
    }

    #[test]
    fn a_beginning_without_a_prompt_is_looked_at_again() {
        assert_eq!(of(""), Head::default());
        let half = of(concat!(
            r#"{"type":"user","cwd":"/a","message":{"content":"<command-name>/x"}}"#,
            "\n",
            r#"{"type":"us"#
        ));
        assert_eq!((half.cwd.as_deref(), half.is_complete), (Some("/a"), false));
    }

    #[test]
    fn only_the_beginning_is_read() {
        let mut text = String::new();
        for _ in 0..9_000 {
            writeln!(text, r#"{{"type":"progress","cwd":"/a","data":"{}"}}"#, "x".repeat(50)).unwrap();
        }
        let file = file(&text);
        let mut source = Source::new(&file);
        let head = Head::read(&mut source, text.len() as u64).unwrap();
        assert!(head.is_complete && head.preview.line().is_none());
        assert!(source.read <= 2 * CHUNK as u64, "{}", source.read);
    }

    #[test]
    fn a_side_conversation_has_no_directory() {
        let side = r#"{"type":"user","isSidechain":true,"cwd":"/a","message":{"content":"x"}}"#;
        assert_eq!(of(&format!("{side}\n")).cwd, None);
    }
}
