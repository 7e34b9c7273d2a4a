//! Values whose name looks secret: `KEY=value`, `key: value`, `"key": "value"`, `--password value`, `<password>value<`.

use super::Find;
use super::header;
use super::scan::{ALNUM, DASH, DOT, LOW, begins_word, blanks, is, run, run_back};
use super::value::{Name, Place, is_secret, judge_name};

/// The longest value that is looked at, in bytes.
const LONGEST: usize = 4096;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;

const NAME: u8 = ALNUM | LOW | DASH | DOT;

const KIND: &str = "secret";

/// Words after a flag in a sentence: `use --password to be asked`.
const PROSE: [&str; 24] = [
    "a", "an", "and", "are", "as", "can", "flag", "flags", "for", "from", "if", "in", "instead", "is", "of",
    "on", "option", "or", "the", "to", "via", "was", "when", "with",
];

/// A value that was found: where it is, and whether it stands in quotation marks.
struct Value {
    start: usize,
    end: usize,
    quoted: bool,
}

/// The secret that is given to a name by the `=` or `:` at `at`.
pub(super) fn assigned(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    let (op_start, op_end) = operator(bytes, at)?;
    let name_end = back_over_blanks(bytes, op_start);
    let (start, end, name_quoted) = name_before(bytes, name_end)?;
    let name = text.get(start..end)?;
    let arrow = bytes.get(op_end - 1) == Some(&b'>');
    let Some(sure) = judge_name(name) else {
        if name.eq_ignore_ascii_case("value") {
            return paired(text, start, op_end);
        }
        return typed(text, at, name_end, op_end);
    };
    let value = value_at(bytes, op_end, name_quoted || bytes[at] == b':', start)?;
    if value.quoted {
        let mark = bytes[value.start - 1];
        // `says("TOKEN=")`: the mark ends the string that the name is in.
        if value.start == op_end + 1 && !name_quoted && is_within_string(bytes, start, mark) {
            return None;
        }
        let is_mention = mark == b'`' && bytes[at] == b':';
        return quoted(text, &value, if is_mention { Name::Weak } else { sure }, name);
    }
    if arrow {
        return None;
    }
    let spaced = op_start != name_end || blanks(bytes, op_end) != op_end;
    let capitals =
        name.bytes().any(|b| b.is_ascii_uppercase()) && !name.bytes().any(|b| b.is_ascii_lowercase());
    let is_header =
        bytes[at] == b':' && (name.to_ascii_lowercase().ends_with("authorization") || ends_cookie(name));
    if is_header {
        return header_value(text, &value, ends_cookie(name));
    }
    let place = if capitals && !spaced && bytes[at] == b'=' && op_end == at + 1 {
        Place::Variable
    } else if is_parameter(bytes, start)
        || (is_alone(bytes, start, value.end) && (bytes[at] == b':' || !spaced))
    {
        Place::Alone
    } else {
        Place::Within
    };
    find(text, &value, sure, name, place)
}

fn find(text: &str, value: &Value, sure: Name, name: &str, place: Place) -> Option<Find> {
    let content = text.get(value.start..value.end)?;
    is_secret(content, sure, name, place).then_some(Find { start: value.start, end: value.end, kind: KIND })
}

/// A quoted value; of the credentials of a header the scheme stays.
fn quoted(text: &str, value: &Value, sure: Name, name: &str) -> Option<Find> {
    let content = text.get(value.start..value.end)?;
    for scheme in ["Bearer ", "bearer ", "Basic ", "Token ", "token "] {
        if content.starts_with(scheme) {
            let value = Value { start: value.start + scheme.len(), ..*value };
            return find(text, &value, Name::Strong, name, Place::Quoted);
        }
    }
    find(text, value, sure, name, Place::Quoted)
}

/// The value of a header: to the end of its line or of the string that it is in.
fn header_value(text: &str, value: &Value, cookie: bool) -> Option<Find> {
    let bytes = text.as_bytes();
    let tail = &bytes[value.start..bytes.len().min(value.start + LONGEST)];
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\');
    let end = value.start + tail.iter().position(is_end).unwrap_or(tail.len());
    let mut start = value.start;
    if !cookie {
        let word = run(bytes, start, ALNUM | DASH);
        let next = blanks(bytes, word);
        let scheme = text.get(start..word)?;
        if next > word
            && ["bearer", "basic", "token", "digest", "negotiate", "aws4-hmac-sha256", "apikey"]
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            start = next;
        } else if next > word {
            // A sentence: `Authorization: the header that …`.
            return None;
        }
    }
    let content = text.get(start..end)?.trim_end();
    let ok = is_secret(content, Name::Strong, "authorization", Place::Quoted)
        && (!cookie || content.contains('='))
        && (cookie || !content.contains(' ') || header::is_long(content));
    ok.then_some(Find { start, end: start + content.len(), kind: KIND })
}

fn ends_cookie(name: &str) -> bool {
    let name = name.as_bytes();
    name.len() >= 6 && name[name.len() - 6..].eq_ignore_ascii_case(b"cookie")
}

/// Where the operator begins and ends that the byte at `at` belongs to; none for `::`, `>=`, `://` and the like.
fn operator(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let next = bytes.get(at + 1).copied();
    let before = at.checked_sub(1).map(|at| bytes[at]);
    if bytes[at] == b':' {
        return match (before, next) {
            (Some(b':'), _) | (_, Some(b':')) => None,
            (_, Some(b'=')) => Some((at, at + 2)),
            _ => Some((at, at + 1)),
        };
    }
    match before {
        Some(b'=' | b'<' | b'>' | b':') => return None,
        Some(b'!' | b'+' | b'?') => return Some((at - 1, at + 1 + usize::from(next == Some(b'=')))),
        _ => {}
    }
    let length = match next {
        Some(b'=') if bytes.get(at + 2) == Some(&b'=') => 3,
        Some(b'=' | b'>') => 2,
        _ => 1,
    };
    Some((at, at + length))
}

fn back_over_blanks(bytes: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(40);
    let blank = bytes[floor..end].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    end - blank
}

/// The name that ends before `end`, and whether it stands in quotation marks: `KEY`, `"key"`, `env["KEY"]`, `**Key**`.
fn name_before(bytes: &[u8], end: usize) -> Option<(usize, usize, bool)> {
    let mut end = end;
    let mut last = |set: &[u8]| {
        let found = end > 0 && set.contains(&bytes[end - 1]);
        end -= usize::from(found);
        found
    };
    let indexed = last(b"]");
    let quoted = last(b"\"'`");
    if indexed && !quoted {
        return None;
    }
    if quoted {
        while last(b"\\") {}
    } else {
        while last(b"*") {}
    }
    let mut start = run_back(bytes, end, NAME, LONGEST_NAME);
    // The letter of an escape such as `\n` is no letter of the name.
    if start > 0 && start + 1 < end && bytes[start - 1] == b'\\' && !quoted && begins_word(bytes, start + 1) {
        start += 1;
    }
    (start < end).then_some((start, end, quoted))
}

/// The value that begins at `from` or behind blanks; over the end of a line only to a quotation mark.
fn value_at(bytes: &[u8], from: usize, may_wrap: bool, name_start: usize) -> Option<Value> {
    let mut at = blanks(bytes, from);
    if may_wrap {
        let space = bytes[at..].iter().take(80).take_while(|byte| byte.is_ascii_whitespace()).count();
        let next = bytes.get(at + space).copied().unwrap_or(b' ');
        if matches!(next, b'"' | b'\'') {
            at += space;
        }
    }
    // `password: |` and `password: >-` of YAML, whose value is the next line.
    if matches!(bytes.get(at), Some(b'|' | b'>')) {
        let sign = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'-' | b'+')));
        if bytes.get(sign) == Some(&b'\n') {
            let start = blanks(bytes, sign + 1);
            let end = bytes[start..]
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(bytes.len(), |length| start + length);
            return (start > sign + 1 && end > start).then_some(Value { start, end, quoted: false });
        }
        return None;
    }
    // Strings of Python, Rust, C# and C++ have a letter before their mark.
    let prefix = bytes.get(at).is_some_and(|byte| b"rbfuRBFUL@$".contains(byte));
    if prefix && bytes.get(at + 1).is_some_and(|byte| matches!(byte, b'"' | b'\'')) {
        at += 1;
    }
    let escapes = bytes[at..].iter().take(16).take_while(|byte| **byte == b'\\').count();
    let mark = bytes.get(at + escapes).copied().unwrap_or(b' ');
    if matches!(mark, b'"' | b'\'' | b'`') {
        let triple = bytes[at + escapes..].starts_with(&[mark; 3]) && escapes == 0;
        let start = at + escapes + if triple { 3 } else { 1 };
        return string_end(bytes, start, mark, escapes, triple).map(|end| Value { start, end, quoted: true });
    }
    let end = unquoted_end(bytes, at, from == at && begins_line(bytes, name_start));
    (end > at).then_some(Value { start: at, end, quoted: false })
}

/// Where the string ends that began before `start`; a line end ends it, too, where its mark is missing.
fn string_end(bytes: &[u8], start: usize, mark: u8, escapes: usize, triple: bool) -> Option<usize> {
    let reach = bytes.len().min(start + LONGEST);
    let mut at = start;
    let mut slashes = 0;
    while at < reach {
        let byte = bytes[at];
        if byte == mark {
            let closes = if escapes == 0 { slashes % 2 == 0 } else { slashes <= escapes };
            if closes && (!triple || bytes[at..].starts_with(&[mark; 3])) {
                return Some(at - if escapes == 0 { 0 } else { slashes });
            }
        }
        slashes = if byte == b'\\' { slashes + 1 } else { 0 };
        at += 1;
    }
    let line =
        bytes[start..reach].iter().position(|byte| *byte == b'\n').map_or(reach, |length| start + length);
    (line > start).then_some(line)
}

/// Where a value without quotation marks ends. What a shell would end it at belongs to it in an env file.
fn unquoted_end(bytes: &[u8], from: usize, literal: bool) -> usize {
    let mut at = from;
    while at < bytes.len() && at - from < LONGEST {
        let byte = bytes[at];
        let escape = byte == b'\\' && bytes.get(at + 1).is_none_or(|next| b"nrt\"'\\\n".contains(next));
        let ends = byte.is_ascii_whitespace()
            || byte.is_ascii_control()
            || escape
            || matches!(byte, b'"' | b'`')
            || (!literal && b"',;&|<>)}]".contains(&byte));
        if ends {
            break;
        }
        at += 1;
    }
    at
}

/// True when what begins at `at` is within a string of its line that `mark` began.
fn is_within_string(bytes: &[u8], at: usize, mark: u8) -> bool {
    let line = bytes[at.saturating_sub(512)..at].iter().rev().take_while(|byte| **byte != b'\n').count();
    let line = &bytes[at - line..at];
    let is_mark = |(at, byte): (usize, &u8)| *byte == mark && (at == 0 || line[at - 1] != b'\\');
    line.iter().enumerate().filter(|one| is_mark(*one)).count() % 2 == 1
}

/// True for a parameter of an address: `?token=…`, `&key=…`.
fn is_parameter(bytes: &[u8], start: usize) -> bool {
    start > 0 && matches!(bytes[start - 1], b'?' | b'&')
}

/// True when name and value have their line to themselves, but for what lists, quotations and diffs put before them.
fn is_alone(bytes: &[u8], start: usize, end: usize) -> bool {
    let escaped = bytes[..start].ends_with(b"\\n") || bytes[..start].ends_with(b"\\t");
    let rest = &bytes[end..];
    let after = blanks(bytes, end) - end;
    let closed = rest.get(after).is_none_or(|byte| matches!(byte, b'\n' | b'\r' | b'#'))
        || rest[after..].starts_with(b"\\n")
        || (escaped && rest.first().is_some_and(|byte| matches!(byte, b'"' | b'\\')));
    closed && begins_line(bytes, start)
}

/// True when only what lists, quotations, diffs and shells put there stands between the line's begin and `at`.
fn begins_line(bytes: &[u8], at: usize) -> bool {
    let line = bytes[..at].iter().rev().take(64).take_while(|byte| **byte != b'\n').count();
    let before = bytes[at - line..at].trim_ascii();
    let before = before.strip_suffix(b"export").or_else(|| before.strip_suffix(b"set")).unwrap_or(before);
    before.iter().all(|byte| byte.is_ascii_whitespace() || b"-+*>#|$".contains(byte))
        || before.ends_with("→".as_bytes())
        || before.ends_with(b"\\n")
        || before.ends_with(b"\\t")
}

/// A name with a type between it and its value: `let password: &str = "…"`.
fn typed(text: &str, at: usize, type_end: usize, op_end: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    if bytes[at] != b'=' {
        return None;
    }
    let value = value_at(bytes, op_end, false, at).filter(|value| value.quoted)?;
    let is_type = |byte: &u8| is(*byte, ALNUM | LOW | DOT) || b"&'<>[]| ?".contains(byte);
    let floor = type_end.saturating_sub(40);
    let colon = floor + bytes[floor..type_end].iter().rposition(|byte| !is_type(byte))?;
    if bytes[colon] != b':' {
        return None;
    }
    let (start, end, _) = name_before(bytes, back_over_blanks(bytes, colon))?;
    let name = text.get(start..end)?;
    quoted(text, &value, judge_name(name)?, name)
}

/// The value of a pair whose name stands before it: `{"name": "DB_PASSWORD", "value": "…"}`.
fn paired(text: &str, start: usize, op_end: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    let floor = start.saturating_sub(120);
    let before = &bytes[floor..start];
    let found =
        before.windows(4).rposition(|window| window.eq_ignore_ascii_case(b"name") || window == b"\"key")?;
    let after = &before[found + 4..];
    let from = floor + found + 4 + after.iter().position(|byte| !b"\"'\\:= \t".contains(byte))?;
    let end = run(bytes, from, NAME);
    let name = text.get(from..end)?;
    // Another pair has begun since.
    if text.get(end..start)?.contains(['{', '}', '-']) {
        return None;
    }
    let sure = judge_name(name)?;
    let value = value_at(bytes, op_end, true, start)?;
    let place = if value.quoted { Place::Quoted } else { Place::Alone };
    find(text, &value, sure, name, place)
}

/// The value of a flag whose second dash is at `at`: `--password value`, `"--password", "value"`.
pub(super) fn flag(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    if !bytes[at..].starts_with(b"--") || (at > 0 && (bytes[at - 1] == b'-' || !begins_word(bytes, at))) {
        return None;
    }
    let end = run(bytes, at + 2, ALNUM | LOW | DASH);
    let name = text.get(at + 2..end)?;
    let next = bytes.get(end).copied()?;
    if name.is_empty() || !b" \t\\\"'".contains(&next) {
        return None;
    }
    let sure = judge_name(name)?;
    let mut from = end;
    if matches!(next, b'"' | b'\'') {
        // A list of words: the next one is the value.
        from =
            end + 1 + bytes[end + 1..].iter().take(16).take_while(|byte| b", \t\n\r".contains(byte)).count();
        if bytes.get(from) != Some(&next) {
            return None;
        }
    }
    from = blanks(bytes, from);
    if bytes[from..].starts_with(b"\\\n") {
        from = blanks(bytes, from + 2);
    }
    let value = value_at(bytes, from, false, at)?;
    let content = text.get(value.start..value.end)?;
    if value.quoted {
        return quoted(text, &value, sure, name);
    }
    let bare = content.trim_end_matches(['.', ',', ';', ':']);
    if content.starts_with('-') || bare.is_empty() || PROSE.contains(&bare) {
        return None;
    }
    find(text, &value, sure, name, Place::Alone)
}

/// The content of an element whose name ends at `at`: `<password>…</password>`.
pub(super) fn element(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    let start = run_back(bytes, at, NAME, LONGEST_NAME);
    if start == 0 || start == at || bytes[start - 1] != b'<' {
        return None;
    }
    let name = text.get(start..at)?;
    let sure = judge_name(name)?;
    let tail = &bytes[at + 1..bytes.len().min(at + 1 + LONGEST)];
    let end = at + 1 + tail.iter().position(|byte| *byte == b'<')?;
    if !text.get(end..)?.strip_prefix("</")?.starts_with(name) {
        return None;
    }
    find(text, &Value { start: at + 1, end, quoted: true }, sure, name, Place::Quoted)
}
