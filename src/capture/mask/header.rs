//! Credentials of HTTP (RFC 7235): what follows `Bearer` and `Basic`.

use super::Find;
use super::scan::{ALNUM, BASE64, DASH, DOT, LOW, TILDE, begins_word, blanks, run};

const TOKEN: u8 = ALNUM | LOW | DASH | DOT | BASE64 | TILDE;

/// The credentials behind the word that begins at `at`.
pub(super) fn scheme(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    let word = bytes.get(at..at + 6)?;
    let (from, is_basic) = if word.eq_ignore_ascii_case(b"bearer") {
        (at + 6, false)
    } else if word[..5].eq_ignore_ascii_case(b"basic") {
        (at + 5, true)
    } else {
        return None;
    };
    let start = blanks(bytes, from);
    if start == from || !begins_word(bytes, at) {
        return None;
    }
    let end = run(bytes, start, TOKEN);
    let token = &bytes[start..end];
    let is_one = if is_basic { is_user_and_password(token) } else { is_token(token) };
    is_one.then_some(Find { start, end, kind: if is_basic { "password" } else { "token" } })
}

/// `Bearer token authentication` is no token.
fn is_token(token: &[u8]) -> bool {
    let has_digit = token.iter().any(u8::is_ascii_digit);
    (token.len() >= 8 && has_digit) || token.len() >= 32
}

/// True for credentials of several parts, as those of AWS: no sentence has words so long.
pub(super) fn is_long(credentials: &str) -> bool {
    credentials.split([' ', ',', '=', '"']).any(|part| part.len() >= 24)
}

/// True for the base64 of `USER:PASSWORD` (RFC 7617).
fn is_user_and_password(token: &[u8]) -> bool {
    let Some(bare) = token.strip_suffix(b"==").or_else(|| token.strip_suffix(b"=")).or(Some(token)) else {
        return false;
    };
    if bare.len() < 4 || bare.len() % 4 == 1 {
        return false;
    }
    let (mut bits, mut held, mut colon) = (0_u32, 0, false);
    for byte in bare {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            let decoded = (bits >> held) as u8;
            bits &= (1 << held) - 1;
            colon |= decoded == b':';
            if decoded.is_ascii_control() {
                return false;
            }
        }
    }
    colon
}
