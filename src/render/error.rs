//! Shows an error: what went wrong, and what to type next.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{sanitize, style};
use crate::error::Error;

/// Writes `tsm: message` and, where the error has a hint, `  try: hint`.
pub fn write(out: &mut dyn Write, error: &Error, color: bool) -> io::Result<()> {
    let pick = |wanted| if color { wanted } else { style::PLAIN };
    let (bad, next) = (pick(style::ERROR), pick(style::HINT));
    // The message may quote a name, a path or a command of others.
    let mut text = format!("{bad}tsm:{bad:#} {}\n", sanitize::lines(error.message()));
    if let Some(hint) = error.hint_text() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {next}try:{next:#} {}", sanitize::lines(hint));
    }
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &Error, color: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, error, color).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_sentence_and_the_next_command() {
        let error = Error::not_found("no process named web");
        assert_eq!(shown(&error, false), "tsm: no process named web\n");
        assert_eq!(
            shown(&error.hint("tsm list all"), false),
            "tsm: no process named web\n  try: tsm list all\n"
        );
    }

    #[test]
    fn colours_mark_the_labels_and_foreign_text_brings_none() {
        let error = Error::failed("cannot run \x1b[2Jx\n  a\n  b").hint("tsm logs x");
        assert_eq!(
            shown(&error, true),
            "\x1b[1m\x1b[31mtsm:\x1b[0m cannot run \\x1b[2Jx\n  a\n  b\n  \x1b[36mtry:\x1b[0m tsm logs x\n"
        );
    }
}
