//! Small steps through the bytes of a text: words, runs, escapes and line ends.

/// Letters and digits.
pub(super) const ALNUM: u8 = 1;
/// `_`
pub(super) const LOW: u8 = 2;
/// `-`
pub(super) const DASH: u8 = 4;
/// `.`
pub(super) const DOT: u8 = 8;
/// `+`, `/` and `=`: with [`ALNUM`] the alphabet of base64.
pub(super) const BASE64: u8 = 16;
/// `~` and `%`
pub(super) const TILDE: u8 = 32;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => ALNUM,
            b'_' => LOW,
            b'-' => DASH,
            b'.' => DOT,
            b'+' | b'/' | b'=' => BASE64,
            b'~' | b'%' => TILDE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// True when `byte` is of one of these classes.
pub(super) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[usize::from(byte)] & classes != 0
}

/// Where the run of these classes ends that begins at `from`.
pub(super) fn run(bytes: &[u8], from: usize, classes: u8) -> usize {
    let from = from.min(bytes.len());
    from + bytes[from..].iter().position(|byte| !is(*byte, classes)).unwrap_or(bytes.len() - from)
}

/// Where the run of these classes begins that ends before `end`, at most `most` bytes back.
pub(super) fn run_back(bytes: &[u8], end: usize, classes: u8, most: usize) -> usize {
    let floor = end.saturating_sub(most);
    floor + bytes[floor..end].iter().rposition(|byte| !is(*byte, classes)).map_or(0, |at| at + 1)
}

/// True when a word can begin at `at`: after anything but a letter or digit, and after what an escape stands for
/// (`\n` and `\u000a` in JSON, `%3D` in a URL, `ESC[31m` on a terminal).
pub(super) fn begins_word(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).and_then(|at| bytes.get(at)) else { return true };
    if !is(*before, ALNUM) {
        return true;
    }
    let back = |steps: usize| at.checked_sub(steps).map_or(0, |at| bytes[at]);
    let hex = |steps: usize| (1..=steps).all(|step| back(step).is_ascii_hexdigit());
    (matches!(before, b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0') && back(2) == b'\\')
        || (hex(2) && back(3) == b'%')
        || (hex(2) && back(3) == b'x' && back(4) == b'\\')
        || (hex(4) && back(5) == b'u' && back(6) == b'\\')
        || (*before == b'm' && {
            let digits =
                bytes[..at - 1].iter().rev().take(12).take_while(|b| b.is_ascii_digit() || **b == b';');
            at.checked_sub(2 + digits.count()).is_some_and(|at| bytes[at] == b'[')
        })
}

/// Where the text goes on after a line end at `at` and the indentation or quotation marks of the next line.
pub(super) fn next_line(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let end = if rest.starts_with(b"\r\n") {
        2
    } else if rest.starts_with(b"\n") {
        1
    } else {
        return None;
    };
    let indent =
        rest[end..].iter().take(64).take_while(|byte| matches!(byte, b' ' | b'\t' | b'>' | b'|')).count();
    Some(at + end + indent)
}

/// Where blanks end that begin at `from`.
pub(super) fn blanks(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// True for what looks drawn by lot: capitals, small letters and digits.
pub(super) fn is_random(bytes: &[u8]) -> bool {
    bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().any(u8::is_ascii_lowercase)
}
