//! The framing of the daemon's socket: one JSON text a line, at most 1 MiB each.

/// The longest frame, in bytes, its newline not counted.
pub(super) const MAX_FRAME: usize = 1 << 20;

/// How long a frame may take from its first byte to its newline, in milliseconds.
pub(super) const FRAME_MS: u64 = 30_000;

/// Collects bytes into frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Where the first frame that was not handed out begins.
    from: usize,
    /// How far the search for its end has come.
    looked: usize,
    /// When the first byte of the unfinished frame came.
    since: Option<u64>,
}

/// A frame was longer than [`MAX_FRAME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Frames {
    /// Adds what was read at `now` (monotonic milliseconds).
    pub(super) fn push(&mut self, bytes: &[u8], now: u64) {
        if self.since.is_none() && !bytes.is_empty() {
            self.since = Some(now);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, without its newline; blank lines are none.
    ///
    /// # Errors
    /// When the frame, whole or not, is over the limit.
    pub(super) fn next_frame(&mut self, now: u64) -> Result<Option<&[u8]>, TooLong> {
        loop {
            let unseen = &self.bytes[self.looked..];
            let Some(at) = unseen.iter().position(|byte| *byte == b'\n') else {
                self.looked = self.bytes.len();
                if self.bytes.len() - self.from > MAX_FRAME {
                    return Err(TooLong);
                }
                self.compact();
                return Ok(None);
            };
            let (from, end) = (self.from, self.looked + at);
            (self.from, self.looked) = (end + 1, end + 1);
            self.since = (self.from < self.bytes.len()).then_some(now);
            if end - from > MAX_FRAME {
                return Err(TooLong);
            }
            if !self.bytes[from..end].trim_ascii().is_empty() {
                return Ok(Some(self.bytes[from..end].trim_ascii()));
            }
        }
    }

    /// Lets go of what was handed out; an idle connection keeps no buffer.
    fn compact(&mut self) {
        if self.from == self.bytes.len() {
            *self = Frames::default();
        } else if self.from > 0 {
            self.bytes.drain(..self.from);
            self.looked -= self.from;
            self.from = 0;
        }
    }

    /// When the unfinished frame has taken too long, in monotonic milliseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.since.map(|since| since + FRAME_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_over_the_limit_is_refused_whether_it_ends_or_not() {
        let long = vec![b'x'; MAX_FRAME + 1];
        for text in [long.clone(), [long, b"\n".to_vec()].concat()] {
            let mut frames = Frames::default();
            frames.push(&text, 0);
            assert_eq!(frames.next_frame(0), Err(TooLong));
        }
        let mut frames = Frames::default();
        frames.push(&[vec![b'x'; MAX_FRAME], b"\n".to_vec()].concat(), 0);
        assert_eq!(frames.next_frame(0).unwrap().unwrap().len(), MAX_FRAME);
    }

    #[test]
    fn only_an_unfinished_frame_has_a_deadline() {
        let mut frames = Frames::default();
        frames.push(b"{\n", 10);
        assert_eq!(frames.next_frame(10), Ok(Some(&b"{"[..])));
        assert_eq!(frames.next_frame(10), Ok(None));
        assert_eq!(frames.deadline(), None);
        frames.push(b"x", 20);
        frames.push(b"y", 900);
        assert_eq!(frames.next_frame(900), Ok(None));
        assert_eq!(frames.deadline(), Some(20 + FRAME_MS));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(texts in proptest::collection::vec("[a-z]{1,20}", 0..8), cut in 1usize..9) {
            let stream = texts.iter().flat_map(|text| format!("{text}\r\n\n").into_bytes()).collect::<Vec<_>>();
            let mut frames = Frames::default();
            let mut seen = Vec::new();
            for part in stream.chunks(cut) {
                frames.push(part, 0);
                while let Ok(Some(frame)) = frames.next_frame(0) {
                    seen.push(String::from_utf8(frame.to_vec()).unwrap());
                }
            }
            prop_assert_eq!(seen, texts);
            prop_assert!(frames.bytes.capacity() == 0 || !frames.bytes.is_empty());
        }
    }
}
