//! Shortens the texts in a line of JSON that is too long to be parsed, as it streams by: a record of 50 MB, most of which
//! is one picture or one output, becomes a small one that says the same otherwise.

/// A line that is taken in piece by piece.
#[derive(Debug)]
pub(super) struct Shorten {
    limit: usize,
    out: Vec<u8>,
    place: Place,
    /// Bytes of the text that is being read which were kept, or [`CUT`].
    kept: usize,
}

/// Nothing more of this text is kept.
const CUT: usize = usize::MAX;

#[derive(Debug)]
enum Place {
    Outside,
    Text,
    /// In a text, in an escape of which this has come.
    Escape(Vec<u8>),
}

impl Shorten {
    /// Texts are cut to `limit` bytes as they stand in the line.
    pub(super) fn new(limit: usize) -> Self {
        Shorten { limit, out: Vec::new(), place: Place::Outside, kept: 0 }
    }

    /// Begins a new line.
    pub(super) fn clear(&mut self) {
        self.out.clear();
        self.place = Place::Outside;
        self.kept = 0;
    }

    /// The line so far.
    pub(super) fn line(&self) -> &[u8] {
        &self.out
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let used = match &mut self.place {
                Place::Outside => {
                    let quote = memchr::memchr(b'"', piece);
                    let used = quote.map_or(piece.len(), |quote| quote + 1);
                    self.out.extend_from_slice(&piece[..used]);
                    if quote.is_some() {
                        (self.place, self.kept) = (Place::Text, 0);
                    }
                    used
                }
                Place::Text => self.text(piece),
                Place::Escape(begun) => {
                    begun.push(piece[0]);
                    let whole = if begun.get(1) == Some(&b'u') { 6 } else { 2 };
                    if begun.len() == whole {
                        let escape = std::mem::take(begun);
                        self.place = Place::Text;
                        self.keep(&escape);
                    }
                    1
                }
            };
            piece = &piece[used..];
        }
    }

    /// Takes what is plain text of a piece that begins in one, and the byte behind it.
    fn text(&mut self, piece: &[u8]) -> usize {
        let special = memchr::memchr2(b'"', b'\\', piece);
        let plain = special.unwrap_or(piece.len());
        let cut = match self.kept {
            CUT => Some(0),
            kept => {
                // Not in the middle of a character, which may go on in the next piece.
                let room = self.limit.saturating_sub(kept);
                (room..plain).find(|at| piece[*at] & 0xC0 != 0x80)
            }
        };
        self.out.extend_from_slice(&piece[..cut.unwrap_or(plain)]);
        self.kept = if cut.is_some() { CUT } else { self.kept + plain };
        match special.map(|special| piece[special]) {
            None => return plain,
            Some(b'"') => {
                self.out.push(b'"');
                self.place = Place::Outside;
            }
            Some(_) => self.place = Place::Escape(vec![b'\\']),
        }
        plain + 1
    }

    /// Keeps an escape as a whole, where there is room.
    fn keep(&mut self, escape: &[u8]) {
        if self.kept < self.limit {
            self.out.extend_from_slice(escape);
            self.kept += escape.len();
        } else {
            self.kept = CUT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn shortened(line: &[u8], limit: usize, piece: usize) -> Vec<u8> {
        let mut short = Shorten::new(limit);
        short.feed(b"{\"left\":\"ov");
        short.clear();
        line.chunks(piece).for_each(|piece| short.feed(piece));
        short.line().to_vec()
    }

    #[test]
    fn long_texts_are_cut_and_all_else_stays() {
        let line = json!({"a": ["x".repeat(20), {"b\"": "short \\ \" é"}], "n": 1.5, "z": null}).to_string();
        for piece in [1, 2, 3, 7, 1000] {
            let value: Value = serde_json::from_slice(&shortened(line.as_bytes(), 16, piece)).unwrap();
            assert_eq!(value, json!({"a": ["x".repeat(16), {"b\"": "short \\ \" é"}], "n": 1.5, "z": null}));
        }
    }

    #[test]
    fn characters_and_escapes_are_not_cut_in_two() {
        for limit in 0..12 {
            for piece in 1..8 {
                for text in
                    [r#""éüßéüß""#, r#""a\u00e9\n\u00e9\n\"b""#, r#""\\\\\\\\\\""#, r#""\ud83d\ude00x""#]
                {
                    let short = shortened(text.as_bytes(), limit, piece);
                    let short = std::str::from_utf8(&short).unwrap();
                    let sound = super::super::text::repaired(short.as_bytes()).unwrap_or(short.to_owned());
                    serde_json::from_str::<String>(&sound).unwrap_or_else(|error| panic!("{short}: {error}"));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn short_json_is_left_alone(text in ".{0,40}", piece in 1..9_usize) {
            let line = json!({"k": text, "l": [text]}).to_string();
            prop_assert_eq!(shortened(line.as_bytes(), 1000, piece), line.as_bytes());
        }

        #[test]
        fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..80), limit in 0..9_usize, piece in 1..9_usize) {
            prop_assert!(shortened(&bytes, limit, piece).len() <= bytes.len());
        }
    }
}
