//! The framing, frozen: UTF-8 lines that end with a newline, at most 4 KiB each.

/// The longest request line, in bytes, newline included.
pub const MAX_LINE: usize = 4096;

/// How long a line may take from its first byte to its newline, in milliseconds.
pub const LINE_MS: u64 = 5_000;

/// The most connections at a time.
pub const MAX_CLIENTS: usize = 32;

/// Collects bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// When the first byte of the unfinished line came.
    since: Option<u64>,
}

/// A line was longer than [`MAX_LINE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    /// Adds what was read at `now` (monotonic milliseconds).
    pub fn push(&mut self, bytes: &[u8], now: u64) {
        if self.since.is_none() && !bytes.is_empty() {
            self.since = Some(now);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line without its newline and a carriage return before it.
    ///
    /// # Errors
    /// When the line, whole or not, is over the limit.
    pub fn next_line(&mut self, now: u64) -> Result<Option<String>, TooLong> {
        let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') else {
            return if self.bytes.len() >= MAX_LINE { Err(TooLong) } else { Ok(None) };
        };
        if end >= MAX_LINE {
            return Err(TooLong);
        }
        let line = String::from_utf8_lossy(&self.bytes[..end]).trim_end_matches('\r').to_owned();
        self.bytes.drain(..=end);
        self.since = (!self.bytes.is_empty()).then_some(now);
        if self.bytes.is_empty() {
            // An idle connection costs no buffer.
            self.bytes = Vec::new();
        }
        Ok(Some(line))
    }

    /// When the unfinished line is to be dropped, in monotonic milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.since.map(|since| since + LINE_MS)
    }

    /// Drops the unfinished line.
    pub fn clear(&mut self) {
        *self = Lines::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_over_the_limit_is_refused_whether_it_ends_or_not() {
        for text in [vec![b'x'; MAX_LINE], [vec![b'x'; MAX_LINE], b"\n".to_vec()].concat()] {
            let mut lines = Lines::default();
            lines.push(&text, 0);
            assert_eq!(lines.next_line(0), Err(TooLong));
        }
    }

    #[test]
    fn only_an_unfinished_line_has_a_deadline() {
        let mut lines = Lines::default();
        assert_eq!(lines.deadline(), None);
        lines.push(b"STAT", 10);
        lines.push(b"US", 500);
        assert_eq!(lines.deadline(), Some(10 + LINE_MS));
        lines.push(b"\nHE", 600);
        assert_eq!(lines.next_line(600), Ok(Some("STATUS".into())));
        assert_eq!(lines.deadline(), Some(600 + LINE_MS));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(texts in proptest::collection::vec("[a-z ]{0,20}", 0..8), cut in 1usize..7) {
            let stream = texts.iter().flat_map(|text| format!("{text}\n").into_bytes()).collect::<Vec<_>>();
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            for part in stream.chunks(cut) {
                lines.push(part, 0);
                while let Ok(Some(line)) = lines.next_line(0) {
                    seen.push(line);
                }
            }
            prop_assert_eq!(seen, texts);
        }
    }
}
