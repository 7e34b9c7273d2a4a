//! The complete lines of a part of a file, from its beginning to its end, in memory that is bounded also where a line is
//! not.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::shorten::Shorten;

/// How much is read at once, in bytes.
pub(super) const CHUNK: usize = 64 * 1024;

/// A longer line is shortened while it is read, in bytes.
const LONG: usize = 1024 * 1024;

/// A file that counts what is read of it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    file: &'a File,
    /// Bytes read so far.
    pub(super) read: u64,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Source { file, read: 0 }
    }

    /// Appends up to `length` bytes from `offset` on; nothing at the end of the file.
    pub(super) fn append(&mut self, to: &mut Vec<u8>, offset: u64, length: usize) -> io::Result<usize> {
        let before = to.len();
        to.resize(before + length, 0);
        let got = loop {
            match self.file.read_at(&mut to[before..], offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        to.truncate(before + got.as_ref().map_or(0, |got| *got));
        self.read += got.as_ref().map_or(0, |got| *got as u64);
        got
    }

    /// Where the first newline of a part of the file is.
    pub(super) fn newline(&mut self, from: u64, to: u64) -> io::Result<Option<u64>> {
        let mut buffer = Vec::new();
        let mut at = from;
        while at < to {
            buffer.clear();
            let length = (to - at).min(CHUNK as u64) as usize;
            let got = self.append(&mut buffer, at, length)?;
            if got == 0 {
                break;
            }
            if let Some(found) = memchr::memchr(b'\n', &buffer) {
                return Ok(Some(at + found as u64));
            }
            at += got as u64;
        }
        Ok(None)
    }
}

/// Reads line after line.
#[derive(Debug)]
pub(super) struct Lines<'s, 'f> {
    source: &'s mut Source<'f>,
    /// What has been read and not been given out: from `begun` on.
    buffer: Vec<u8>,
    begun: usize,
    /// Where in the file the buffer ends.
    at: u64,
    /// Where the part of the file ends.
    end: u64,
    short: Shorten,
}

/// What one line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its text without the newline; a line over 1 MiB has shortened texts.
    pub(super) text: &'a [u8],
    /// Where the next line begins.
    pub(super) end: u64,
}

impl<'s, 'f> Lines<'s, 'f> {
    /// The lines between two offsets, of which the first is the beginning of a line. In lines over 1 MiB each text is cut
    /// to `text_limit` bytes.
    pub(super) fn new(source: &'s mut Source<'f>, from: u64, end: u64, text_limit: usize) -> Self {
        Lines { source, buffer: Vec::new(), begun: 0, at: from, end, short: Shorten::new(text_limit) }
    }

    /// The next complete line; none at the end, where half a line may follow.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = self.begun;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let (begun, newline) = (self.begun, searched + found);
                self.begun = newline + 1;
                let end = self.at - (self.buffer.len() - self.begun) as u64;
                return Ok(Some(Line { text: &self.buffer[begun..newline], end }));
            }
            if self.buffer.len() - self.begun > LONG {
                return self.long();
            }
            self.buffer.drain(..self.begun);
            self.begun = 0;
            searched = self.buffer.len();
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    fn more(&mut self) -> io::Result<bool> {
        let length = (self.end - self.at).min(CHUNK as u64) as usize;
        let got = self.source.append(&mut self.buffer, self.at, length)?;
        self.at += got as u64;
        Ok(got > 0)
    }

    /// A line that goes on behind the buffer.
    fn long(&mut self) -> io::Result<Option<Line<'_>>> {
        self.short.clear();
        self.short.feed(&self.buffer[self.begun..]);
        loop {
            self.buffer.clear();
            self.begun = 0;
            if !self.more()? {
                return Ok(None);
            }
            match memchr::memchr(b'\n', &self.buffer) {
                None => self.short.feed(&self.buffer),
                Some(newline) => {
                    self.short.feed(&self.buffer[..newline]);
                    self.begun = newline + 1;
                    let end = self.at - (self.buffer.len() - self.begun) as u64;
                    return Ok(Some(Line { text: self.short.line(), end }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// The lines of a text and where each ends, and how many bytes were read.
    fn all(text: &[u8], from: u64, limit: usize) -> (Vec<(Vec<u8>, u64)>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut source = Source::new(&file);
        let mut lines = Lines::new(&mut source, from, text.len() as u64, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.text.to_vec(), line.end));
        }
        (all, source.read)
    }

    #[test]
    fn lines_are_complete_and_say_where_they_end() {
        let (lines, read) = all(b"skipped\na\n\nbc\nhalf", 8, 100);
        assert_eq!(lines, [(b"a".to_vec(), 10), (b"".to_vec(), 11), (b"bc".to_vec(), 14)]);
        assert_eq!(read, 10);
        assert_eq!(all(b"half", 0, 100).0, []);
    }

    #[test]
    fn lines_over_several_chunks_are_whole() {
        let long = vec![b'x'; 3 * CHUNK + 7];
        let text = [&long[..], b"\ny\n", &long[..], b"\n"].concat();
        let (lines, read) = all(&text, 0, 100);
        assert_eq!(lines.iter().map(|(line, _)| line.len()).collect::<Vec<_>>(), [long.len(), 1, long.len()]);
        assert_eq!(read, text.len() as u64, "each byte once");
    }

    #[test]
    fn a_line_over_a_mebibyte_comes_with_short_texts() {
        let body = "é\\n".repeat(LONG / 2);
        let text =
            format!("{{\"a\":1}}\n{{\"type\":\"user\",\"big\":\"{body}\",\"last\":\"z\"}}\n{{\"b\":2}}\nha");
        let (lines, read) = all(text.as_bytes(), 0, 100);
        assert_eq!(lines.len(), 3);
        let (line, end) = &lines[1];
        assert!(line.len() < 200, "{}", line.len());
        let value: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!((&value["type"], &value["last"]), (&"user".into(), &"z".into()));
        assert_eq!(*end, text.rfind("{\"b\"").unwrap() as u64);
        assert_eq!(read, text.len() as u64);
        // Without its end it is no line.
        assert_eq!(all(&text.as_bytes()[..text.len() - 12], 0, 100).0.len(), 1);
    }

    #[test]
    fn a_newline_is_found_over_chunks() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[&vec![b'x'; 2 * CHUNK][..], b"\nab"].concat()).unwrap();
        let end = 2 * CHUNK as u64;
        let find = |from, to| Source::new(&file).newline(from, to).unwrap();
        assert_eq!(find(0, end + 3), Some(end));
        assert_eq!(find(0, end), None);
        assert_eq!(find(end + 1, end + 9), None);
    }
}
