//! What texts of a transcript are worth: whether a user typed them, one line of them, and what can be read of broken ones.

use std::borrow::Cow;

/// How texts begin that stand in a user's record and were not typed.
const NOT_TYPED: [&str; 5] =
    ["<command-", "<local-command-", "<system-reminder", "<task-notification", "Caveat:"];

/// The longest line that is kept, in characters.
const LINE: usize = 200;

/// True for what a user typed: not for what the program wrote in the user's name.
pub(super) fn is_typed(text: &str) -> bool {
    let text = text.trim_start();
    !text.is_empty() && !NOT_TYPED.iter().any(|beginning| text.starts_with(beginning))
}

/// A text as one line of at most 200 characters: white space and control characters become single spaces. `None` when
/// nothing is left.
pub(super) fn one_line(text: &str) -> Option<String> {
    cut(text, LINE)
}

/// As [`one_line`], with another length in characters.
pub(super) fn cut(text: &str, length: usize) -> Option<String> {
    let mut line = String::new();
    let mut characters = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !line.is_empty();
            continue;
        }
        if characters + usize::from(gap) + 1 > length {
            line.push('…');
            break;
        }
        if gap {
            line.push(' ');
            characters += 1;
            gap = false;
        }
        line.push(c);
        characters += 1;
    }
    (!line.is_empty()).then_some(line)
}

/// A line of JSON that Rust cannot read, as one that it can: each half of a surrogate pair (`\ud83d` alone) and each byte
/// that is no UTF-8 becomes U+FFFD. `None` when there is no such thing in it.
pub(super) fn repaired(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let bytes = text.as_bytes();
    let mut repaired = String::with_capacity(text.len());
    let mut kept = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]).map(|found| at + found) {
        let is_low = |unit: u16| (0xDC00..0xE000).contains(&unit);
        match escaped_unit(&bytes[found..]) {
            Some(high) if (0xD800..0xDC00).contains(&high) => {
                if escaped_unit(&bytes[found + 6..]).is_some_and(is_low) {
                    at = found + 12;
                    continue;
                }
            }
            Some(low) if is_low(low) => {}
            // Any other escape is two bytes at least, the second of which may be a backslash.
            _ => {
                at = (found + 2).min(bytes.len());
                continue;
            }
        }
        repaired.push_str(&text[kept..found]);
        repaired.push_str("\\ufffd");
        at = found + 6;
        kept = at;
    }
    if kept == 0 && matches!(text, Cow::Borrowed(_)) {
        return None;
    }
    repaired.push_str(&text[kept..]);
    Some(repaired)
}

/// The UTF-16 unit of an escape such as `\u00e9` at the beginning of `bytes`.
fn escaped_unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_says_in_the_users_name_is_not_typed() {
        for text in [
            "<command-name>/clear</command-name>",
            "<command-message>review</command-message>",
            "<local-command-stdout></local-command-stdout>",
            "<local-command-caveat>Caveat: …",
            "  <system-reminder>be nice",
            "<task-notification>done",
            "Caveat: The messages below",
            "",
            " \n",
        ] {
            assert!(!is_typed(text), "{text:?}");
        }
        for text in ["fix it", "<b>bold</b>", "what does <command-name> do?", "caveat emptor"] {
            assert!(is_typed(text), "{text:?}");
        }
    }

    #[test]
    fn one_line_has_no_breaks_no_controls_and_an_end() {
        assert_eq!(one_line("  a\n\n\tb  c \u{1b}[31m ").unwrap(), "a b c [31m");
        assert_eq!(one_line(" \n"), None);
        assert_eq!(cut("abcdef", 6).unwrap(), "abcdef");
        assert_eq!(cut("abcdefg", 6).unwrap(), "abcdef…");
        assert_eq!(cut("abcde fg", 6).unwrap(), "abcde…");
        assert_eq!(cut("äöü ß", 5).unwrap(), "äöü ß");
    }

    #[test]
    fn half_a_pair_becomes_a_replacement_and_a_whole_one_stays() {
        let read = |line: &[u8]| serde_json::from_str::<String>(&repaired(line).unwrap()).unwrap();
        assert_eq!(read(br#""cut \ud83d""#), "cut \u{fffd}");
        assert_eq!(read(br#""\ude00 \ud83d\ude00 \ud83d\n""#), "\u{fffd} \u{1f600} \u{fffd}\n");
        assert_eq!(read(br#""\\ud83d \ud83d""#), "\\ud83d \u{fffd}");
        assert_eq!(read(b"\"\xff \xc3\""), "\u{fffd} \u{fffd}");
        for sound in [&br#""a \\ \u00e9 \ud83d\ude00""#[..], br"\", br#""\u12"#, b""] {
            assert_eq!(repaired(sound), None);
        }
    }
}
