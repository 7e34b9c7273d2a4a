//! The last lines of a log, read backwards.

use std::fs::File;
use std::path::Path;

use super::{Source, hold, length, open, read_at};
use crate::error::Result;

/// How much is read at a time: some hundred lines.
const BLOCK: u64 = 32 * 1024;

/// The end of a log.
#[derive(Debug, Default)]
pub struct Tail {
    /// The lines, as they are in the files.
    pub bytes: Vec<u8>,
    /// The position behind them, where a [`Follower`](super::Follower) goes on without a gap.
    pub end: u64,
}

/// The last `lines` lines of a log, across its rotated files; a last line without its newline counts as one. A log that
/// does not exist is empty.
pub fn tail(source: &Source, lines: usize) -> Result<Tail> {
    let live = open(&source.live)?;
    let _held = live.as_ref().and_then(hold);
    let mut end = (source.base)().unwrap_or(0);
    let mut search = Search { missing: lines, blocks: Vec::new() };
    if let Some(file) = &live {
        let length = length(file, &source.live)?;
        end += length;
        search.backwards(file, &source.live, length)?;
    }
    for number in 1..=source.keep {
        if search.missing == 0 {
            break;
        }
        let path = source.rotated(number);
        let Some(file) = open(&path)? else { break };
        search.backwards(&file, &path, length(&file, &path)?)?;
    }
    search.blocks.reverse();
    Ok(Tail { bytes: search.blocks.concat(), end })
}

struct Search {
    /// How many lines are still to be found.
    missing: usize,
    /// What was read, the last block first.
    blocks: Vec<Vec<u8>>,
}

impl Search {
    /// Reads `file` from its end until no line is missing, or to its beginning.
    fn backwards(&mut self, file: &File, path: &Path, length: u64) -> Result<()> {
        let mut end = length;
        while end > 0 && self.missing > 0 {
            let start = end.saturating_sub(BLOCK);
            let mut block = vec![0; (end - start) as usize];
            let filled = read_at(file, path, &mut block, start)?;
            block.truncate(filled);
            end = start;
            self.take(block);
        }
        Ok(())
    }

    /// Keeps of `block` what belongs to the wanted lines.
    fn take(&mut self, mut block: Vec<u8>) {
        // The newline at the very end closes the last line; each other one is where a line that is wanted begins.
        let closing = usize::from(self.blocks.is_empty() && block.last() == Some(&b'\n'));
        let inner = &block[..block.len() - closing];
        // Counting is many times faster than searching from the end, and all but one block are only counted.
        #[expect(
            clippy::naive_bytecount,
            reason = "the compiler makes vector code of it, and it is the only one"
        )]
        let newlines = inner.iter().filter(|&&byte| byte == b'\n').count();
        if newlines < self.missing {
            self.missing -= newlines;
        } else {
            let mut ends =
                inner.iter().enumerate().rev().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at);
            let begin = ends.nth(self.missing - 1).map_or(0, |at| at + 1);
            block.drain(..begin);
            self.missing = 0;
        }
        if !block.is_empty() {
            self.blocks.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::kit::Logs;

    fn naive(stream: &[u8], lines: usize) -> Vec<u8> {
        let all: Vec<&[u8]> = stream.split_inclusive(|&byte| byte == b'\n').collect();
        all[all.len().saturating_sub(lines)..].concat()
    }

    #[test]
    fn the_last_lines_of_one_file() {
        let logs = Logs::new();
        for (text, lines, expected) in [
            ("", 5, ""),
            ("a", 1, "a"),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 9, "a\nb\n"),
            ("a\n\n\n", 2, "\n\n"),
            ("a\nb\n", 0, ""),
        ] {
            logs.write(&[text.as_bytes()], 7);
            let tail = tail(&logs.source, lines).unwrap();
            assert_eq!(String::from_utf8_lossy(&tail.bytes), expected, "{text:?} {lines}");
            assert_eq!(tail.end, 7 + text.len() as u64);
        }
    }

    #[test]
    fn a_missing_log_is_empty_and_a_missing_live_file_hides_no_rotated_one() {
        let logs = Logs::new();
        assert!(tail(&logs.source, 3).unwrap().bytes.is_empty());
        logs.write(&[b"a\nb\n", b""], 4);
        std::fs::remove_file(&logs.source.live).unwrap();
        let tail = tail(&logs.source, 1).unwrap();
        assert_eq!((tail.bytes.as_slice(), tail.end), (b"b\n".as_slice(), 4));
    }

    #[test]
    fn blocks_and_files_are_joined_seamlessly() {
        let logs = Logs::new();
        let long = [vec![b'x'; 3 * BLOCK as usize], b"\nlast".to_vec()].concat();
        let (head, rest) = long.split_at(BLOCK as usize / 2);
        logs.write(&[b"first\n", head, rest], 0);
        assert_eq!(tail(&logs.source, 1).unwrap().bytes, b"last");
        assert_eq!(tail(&logs.source, 2).unwrap().bytes, long);
        assert_eq!(tail(&logs.source, 3).unwrap().bytes, [b"first\n", long.as_slice()].concat());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_the_naive_reading(
            stream in proptest::collection::vec(prop_oneof![2 => Just(b'\n'), 5 => any::<u8>()], 0..400),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
            lines in 0usize..40,
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut - (stream.len() - rest.len()));
                pieces.push(head);
                rest = tail;
            }
            pieces.push(rest);
            let logs = Logs::new();
            logs.write(&pieces, 0);
            prop_assert_eq!(tail(&logs.source, lines).unwrap().bytes, naive(&stream, lines));
        }
    }
}
