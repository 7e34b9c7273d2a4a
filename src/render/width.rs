//! How much room text takes on a terminal, and how it is cut to take less.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

const ELLIPSIS: char = '…';

/// What a text loses when it is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its end.
    End,
    /// Its middle: both ends tell something, as those of a path or of `name-8000` do.
    Middle,
}

/// The columns of a terminal that `text` takes, counted character by character, as it is cut.
pub(super) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_width).sum() }
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// `text`, which takes `full` columns, cut to at most `room`, and what it takes then.
pub(super) fn shorten(text: &str, full: usize, room: usize, cut: Cut) -> (Cow<'static, str>, usize) {
    let left = room.saturating_sub(1);
    let behind = match cut {
        Cut::End => 0,
        Cut::Middle => left / 2,
    };
    let (front, taken) = front(text, left - behind);
    let (back, kept) = back(text, full, behind);
    (Cow::Owned(format!("{front}{ELLIPSIS}{back}")), taken + 1 + kept)
}

/// The longest beginning of `text` that takes at most `room` columns, and what it takes.
fn front(text: &str, room: usize) -> (&str, usize) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        let next = taken + char_width(c);
        if next > room {
            return (&text[..at], taken);
        }
        taken = next;
    }
    (text, taken)
}

/// The longest end of `text` that takes at most `room` columns, and what it takes. It begins with no mark that would land
/// on the character in front of it.
fn back(text: &str, full: usize, room: usize) -> (&str, usize) {
    let mut left = full;
    for (at, c) in text.char_indices() {
        if left <= room && char_width(c) > 0 {
            return (&text[at..], left);
        }
        left -= char_width(c);
    }
    ("", 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sanitize;

    #[test]
    fn wide_characters_are_never_cut_in_half() {
        for (text, room, cut, expected) in [
            ("日本語日本語", 6, Cut::End, ("日本…", 5)),
            ("日本語日本語", 7, Cut::Middle, ("日…語", 5)),
            ("abcdefghij", 5, Cut::Middle, ("ab…ij", 5)),
            ("abcdefghij", 4, Cut::End, ("abc…", 4)),
            ("abe\u{301}fghij", 3, Cut::Middle, ("a…j", 3)),
            ("abcdefghie\u{301}", 3, Cut::Middle, ("a…e\u{301}", 3)),
            ("abc", 1, Cut::Middle, ("…", 1)),
        ] {
            let (short, taken) = shorten(text, width(text), room, cut);
            assert_eq!((short.as_ref(), taken), expected, "{text} {room}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_shortened_text_takes_what_it_says(text in "\\PC{1,30}", room in 1usize..30) {
            let text = sanitize::text(&text).into_owned();
            for cut in [Cut::End, Cut::Middle] {
                let (short, taken) = shorten(&text, width(&text), room, cut);
                proptest::prop_assert_eq!(width(&short), taken);
                proptest::prop_assert!(taken <= room);
            }
        }
    }
}
