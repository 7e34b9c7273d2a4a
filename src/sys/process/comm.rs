//! The short name of a process, held without an allocation: a listing reads thousands.

use std::fmt;
use std::ops::Deref;

/// The kernel keeps 15 bytes (`TASK_COMM_LEN`); each may become a three-byte replacement character.
const ROOM: usize = 48;

/// A process's short name, as text: what is no UTF-8 is replaced, what is over 48 bytes cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm {
    bytes: [u8; ROOM],
    length: u8,
}

impl Comm {
    /// The text of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut made = Comm { bytes: [0; ROOM], length: 0 };
        let mut push = |part: &str| {
            let mut length = part.len().min(ROOM - usize::from(made.length));
            while !part.is_char_boundary(length) {
                length -= 1;
            }
            let at = usize::from(made.length);
            made.bytes[at..at + length].copy_from_slice(&part.as_bytes()[..length]);
            made.length += length as u8;
        };
        for chunk in bytes.utf8_chunks() {
            push(chunk.valid());
            if !chunk.invalid().is_empty() {
                push("\u{fffd}");
            }
        }
        made
    }
}

impl Deref for Comm {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<&str> for Comm {
    fn from(text: &str) -> Self {
        Comm::new(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_text_and_short_text_is_kept(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let comm = Comm::new(&bytes);
            prop_assert!(comm.len() <= ROOM);
            if bytes.len() <= 15 {
                prop_assert_eq!(&*comm, &*String::from_utf8_lossy(&bytes));
            }
        }
    }
}
