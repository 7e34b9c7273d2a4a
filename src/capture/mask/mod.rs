//! Taking secrets out of a text: what is left says that one was there, and of which kind.
//!
//! Pure. One pass over the bytes stops only at the few that every form of a secret has (`=`, `:`, `-`, `_`, `.`, …), so that
//! ordinary text costs little more than reading it; then one of the files beside this one looks at what is around.

mod header;
mod named;
mod pem;
mod scan;
mod shapes;
mod url;
mod value;

use std::borrow::Cow;

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked<'a> {
    /// The text; borrowed when there was nothing to mask.
    pub text: Cow<'a, str>,
    /// How many secrets were masked.
    pub count: usize,
}

/// What is replaced: bytes of the text, and what to call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Find {
    start: usize,
    end: usize,
    kind: &'static str,
}

/// What a masked image is called; it is left out for its size, and is no secret.
const IMAGE: &str = "[image]";

/// How everything begins that stands for a secret.
const MASK: &str = "[masked: ";

/// The bytes that a look is worth at.
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let all = b"=:-_.IJBb>";
    let mut at = 0;
    while at < all.len() {
        stops[all[at] as usize] = true;
        at += 1;
    }
    stops
};

/// `text` with every secret replaced by `[masked: KIND]`: private keys, tokens of known shapes, values whose name looks
/// secret, and passwords of URLs. Names stay, and so does what only looks like a secret: expressions, types, hashes.
pub fn mask(text: &str) -> Masked<'_> {
    let bytes = text.as_bytes();
    let mut made = String::new();
    let (mut copied, mut count, mut at) = (0, 0, 0);
    while let Some(stop) =
        bytes[at..].iter().position(|byte| STOPS[usize::from(*byte)]).map(|found| at + found)
    {
        at = stop + 1;
        let Some(Find { start, end, kind }) = look(text, stop) else { continue };
        let start = start.max(copied);
        if start >= end || !text.is_char_boundary(start) || !text.is_char_boundary(end) {
            continue;
        }
        made.push_str(&text[copied..start]);
        if kind == IMAGE {
            made.push_str(IMAGE);
        } else {
            made.push_str(MASK);
            made.push_str(kind);
            made.push(']');
            count += 1;
        }
        copied = end;
        at = end.max(at);
    }
    if copied == 0 {
        return Masked { text: Cow::Borrowed(text), count: 0 };
    }
    made.push_str(&text[copied..]);
    Masked { text: Cow::Owned(made), count }
}

/// The secret that the byte at `at` is a part of, or that it announces.
fn look(text: &str, at: usize) -> Option<Find> {
    let bytes = text.as_bytes();
    match bytes[at] {
        b'=' => named::assigned(text, at),
        b':' => url::find(text, at)
            .or_else(|| shapes::telegram(bytes, at))
            .or_else(|| named::assigned(text, at))
            .or_else(|| url::basic(text, at)),
        b'-' => pem::find(bytes, at).or_else(|| named::flag(text, at)).or_else(|| shapes::find(bytes, at)),
        b'_' | b'.' => shapes::find(bytes, at),
        b'I' => shapes::find(bytes, at)
            .or_else(|| shapes::find(bytes, at + 1))
            .or_else(|| shapes::find(bytes, at + 2)),
        b'J' => shapes::jwt(bytes, at),
        b'B' | b'b' => header::scheme(text, at),
        b'>' => named::element(text, at),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
