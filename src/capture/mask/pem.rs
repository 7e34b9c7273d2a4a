//! Private keys in their armour (RFC 7468), also within a string where a line ends with `\n`.

use super::Find;
use super::scan::{ALNUM, BASE64, run};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// The longest private key that is looked for, in bytes.
const LONGEST: usize = 64 << 10;

/// The shortest run of base64 that makes it a key and not a mention of one.
const LEAST: usize = 16;

/// The key whose armour begins at `at`; where its end is missing, as much as looks like one.
pub(super) fn find(bytes: &[u8], at: usize) -> Option<Find> {
    if !bytes[at..].starts_with(BEGIN) {
        return None;
    }
    let label = &bytes[at + BEGIN.len()..];
    let label = &label[..position(&label[..label.len().min(64)], b"-----")?];
    if !label.windows(11).any(|window| window == b"PRIVATE KEY") {
        return None;
    }
    let body = at + BEGIN.len() + label.len() + 5;
    let reach = &bytes[body..bytes.len().min(body + LONGEST)];
    let reach = &reach[..position(reach, BEGIN).unwrap_or(reach.len())];
    let end = match position(reach, END) {
        Some(found) => {
            let tail = &reach[found + END.len()..];
            let label_end = position(&tail[..tail.len().min(64)], b"-----").map_or(0, |at| at + 5);
            body + found + END.len() + label_end
        }
        None => body + cut_off(reach),
    };
    let has_key = {
        let body = &bytes[body..end];
        let mut from = 0;
        std::iter::from_fn(|| {
            (from < body.len()).then(|| {
                let stop = run(body, from, ALNUM | BASE64);
                let length = stop - from;
                from = stop + 1;
                length
            })
        })
        .any(|length| length >= LEAST)
    };
    has_key.then_some(Find { start: at, end, kind: "private key" })
}

/// How much of what follows belongs to a key whose end is not there: lines of base64, headers and nothing else.
fn cut_off(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let newline = rest.iter().position(|byte| *byte == b'\n');
        let escaped = position(&rest[..newline.unwrap_or(rest.len())], b"\\n");
        let (end, next) = match (escaped, newline) {
            (Some(end), _) => (end, end + 2),
            (None, Some(end)) => (end, end + 1),
            (None, None) => (rest.len(), rest.len()),
        };
        let line = &rest[..end];
        // Quotes, commas and plus signs join the lines of a string in a program.
        let mut parts = line.split(|byte| b"\\\"'`,+ \t\r".contains(byte)).filter(|part| !part.is_empty());
        let is_key =
            parts.clone().count() <= 1 && parts.all(|part| run(part, 0, ALNUM | BASE64) == part.len());
        let is_header = line.starts_with(b"Proc-Type:") || line.starts_with(b"DEK-Info:");
        if !is_key && !is_header {
            // What stands around the string may follow at once.
            let tail = run(line, 0, ALNUM | BASE64);
            let closed = line.get(tail).is_some_and(|byte| b"\"'`\\".contains(byte));
            return if tail >= LEAST || (at > 0 && closed) { at + tail } else { at };
        }
        at += next;
    }
    at
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
