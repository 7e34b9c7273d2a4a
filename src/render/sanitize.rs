//! Makes the invisible in foreign text visible: a command line of someone else must not move the cursor, recolour the
//! screen, or read backwards.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with each control, direction and invisible character escaped as in Rust: `\n`, `\x1b`, `\u{202e}`.
pub fn text(text: &str) -> Cow<'_, str> {
    // Nearly all text is decided by the first look, without decoding it.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) { escape(c, &mut shown) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// As [`text`], line by line: newlines stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && hidden(c)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c != '\n' && hidden(c) { escape(c, &mut shown) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// As [`text`], of bytes that need not be UTF-8: what is not is shown as `\xff`.
pub fn bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(valid) = std::str::from_utf8(bytes) {
        return text(valid);
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&text(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    Cow::Owned(shown)
}

/// True for what a terminal obeys or hides instead of showing it: controls (C0, DEL, C1), the line and paragraph
/// separators, the direction marks of Unicode's UAX 9, and characters that take no room and leave no trace.
pub(super) fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul fillers, Khmer and Mongolian separators.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            // Zero-width space and joiners, direction marks, separators, embeddings and overrides.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, deprecated format characters.
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            // Musical and shorthand formatting, tags.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

fn escape(c: char, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        _ if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        _ => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped() {
        for (from, to) in [
            ("node server.js", "node server.js"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\x1b[2J\x07\x7f", "\\x1b[2J\\x07\\x7f"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}txt.exe\u{2069}", "a\\u{202e}txt.exe\\u{2069}"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("a\u{2028}b\u{e0041}", "a\\u{2028}b\\u{e0041}"),
            ("dépôt 日本 e\u{301} ↺…", "dépôt 日本 e\u{301} ↺…"),
        ] {
            assert_eq!(text(from), to);
        }
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(text("plain"), Cow::Borrowed(_)));
        assert!(matches!(bytes(b"plain"), Cow::Borrowed(_)));
        assert!(matches!(lines("two\nlines"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("a\nb\r\n\x1b"), "a\nb\\r\n\\x1b");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_by_number() {
        assert_eq!(bytes(b"a\xff\xc3(\n"), "a\\xff\\xc3(\\n");
    }

    proptest::proptest! {
        #[test]
        fn nothing_hidden_is_left(from in ".*") {
            proptest::prop_assert!(!text(&from).chars().any(hidden));
        }
    }
}
