//! Writes answers as JSON: one document, or one line for each event of a stream.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::sanitize::hidden;

/// Writes one answer, indented, with a newline at its end.
pub fn document(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    write(out, serde_json::to_string_pretty(value)?)
}

/// Writes one event of a stream: one line (NDJSON).
pub fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    write(out, serde_json::to_string(value)?)
}

fn write(out: &mut dyn Write, text: String) -> io::Result<()> {
    let mut text = visible(text);
    text.push('\n');
    out.write_all(text.as_bytes())
}

/// JSON (RFC 8259) lets all characters but C0 stand as they are, also those that a terminal obeys or hides. They can only
/// be inside of strings, where an escape means the same.
fn visible(text: String) -> String {
    let suspicious = |c: char| c != '\n' && hidden(c);
    if !text.chars().any(suspicious) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if suspicious(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn documents_are_indented_and_events_are_lines() {
        let value = json!([{"id": 0, "port": null}]);
        let (mut pretty, mut event) = (Vec::new(), Vec::new());
        document(&mut pretty, &value).unwrap();
        line(&mut event, &value).unwrap();
        assert_eq!(
            String::from_utf8(pretty).unwrap(),
            "[\n  {\n    \"id\": 0,\n    \"port\": null\n  }\n]\n"
        );
        assert_eq!(event, b"[{\"id\":0,\"port\":null}]\n");
    }

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped_and_means_the_same() {
        let value = json!({"command": "a\u{9b}\u{202e}\u{e0041}\u{7f}\nü"});
        let mut out = Vec::new();
        line(&mut out, &value).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{\"command\":\"a\\u009b\\u202e\\udb40\\udc41\\u007f\\nü\"}\n");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
