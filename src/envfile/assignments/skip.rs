//! How much is passed over after a line that is no assignment: the line, or the block or here-document it opens.

use super::cursor::Cursor;

const OPENERS: &[&str] = &["if", "for", "while", "until", "case", "select", "{"];
const CLOSERS: &[&str] = &["fi", "done", "esac", "}", ")"];

/// Passes over the line at `cursor` with those that continue it, and over what it opens.
pub(super) fn past(cursor: &mut Cursor<'_>) {
    let first = cursor.take_line();
    let mut last = first;
    while last.ends_with('\\') && !cursor.rest().is_empty() {
        last = cursor.take_line();
    }
    if let Some(end) = here_document(first) {
        while !cursor.rest().is_empty() && cursor.take_line().trim_start_matches('\t') != end {}
        return;
    }
    let mut depth = step(first).max(0);
    while depth > 0 && !cursor.rest().is_empty() {
        depth += step(cursor.take_line());
    }
}

/// How a line changes the depth of blocks, judged by its first and last word, which is where people put
/// them.
fn step(line: &str) -> i32 {
    let line = line.trim();
    let line = line.split_once(" #").map_or(line, |(code, _)| code).trim_end().trim_end_matches(';');
    if line.starts_with('#') {
        return 0;
    }
    let first = line.split([' ', '\t', ';']).next().unwrap_or_default();
    if CLOSERS.contains(&first) {
        return -1;
    }
    let (before, last) = line.rsplit_once([' ', '\t', ';']).unwrap_or(("", line));
    // `; fi` closes; `echo done` does not.
    let closes = CLOSERS.contains(&last) && line[..=before.len()].trim_end().ends_with(';');
    let group = first.starts_with('(');
    let opens = OPENERS.contains(&first) || group || last == "{" || first.ends_with("(){");
    i32::from(opens) - i32::from(closes || (group && line.ends_with(')')))
}

/// The word that ends the here-document which `line` opens.
fn here_document(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("<<")?;
    let word = after.trim_start_matches(['-', ' ', '\t', '\\']);
    let (word, quote) = match word.chars().next()? {
        '\'' => (&word[1..], '\''),
        '"' => (&word[1..], '"'),
        // `<<<` is a here-string, which is on this line.
        '<' => return None,
        _ => (word, ' '),
    };
    let end = word.find(|c: char| c == quote || c.is_whitespace() || c == ';').unwrap_or(word.len());
    (end > 0).then(|| &word[..end])
}
