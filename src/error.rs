//! The one error type: what was tried, on what, why not, and what to type next.
//!
//! Kinds decide the exit code (design.md section 7) and carry no text of their own; the message is written where the
//! failure is understood. Printed once, in `main`.

use std::fmt;
use std::io;
use std::path::Path;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error means for the caller; each kind is one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was tried and failed: exit 1.
    Failed,
    /// The words were wrong: exit 2.
    Usage,
    /// The process is not running: exit 3.
    NotRunning,
    /// No such process, service, directory or file: exit 4.
    NotFound,
    /// A control socket cannot be reached: exit 5.
    Unreachable,
    /// A port is taken, a name belongs to another command, a ref is ambiguous: exit 6.
    Conflict,
    /// It took too long: exit 124, as `timeout(1)`.
    TimedOut,
    /// The user interrupted it: exit 130.
    Interrupted,
}

impl Kind {
    /// The process exit code of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::NotRunning => 3,
            Kind::NotFound => 4,
            Kind::Unreachable => 5,
            Kind::Conflict => 6,
            Kind::TimedOut => 124,
            Kind::Interrupted => 130,
        }
    }
}

/// A failure: a kind, a sentence without a full stop, and optionally the next thing to type.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    io: Option<io::ErrorKind>,
}

impl Error {
    /// An error of `kind` that says `message`: lower case, no full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, io: None }
    }

    /// It was tried and failed (exit 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The words were wrong (exit 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Nothing of that name exists (exit 4).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Something else is in the way (exit 6).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// An operating system error while doing `verb` (such as "read") to `path`.
    pub fn io(verb: &str, path: &Path, error: &io::Error) -> Self {
        let mut made = Self::failed(format!("cannot {verb} {}: {}", path.display(), plain(error)));
        made.io = Some(error.kind());
        made.hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("free some space, or set TSM_DIR to a directory on another disk".into())
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Some("check the owner and mode of that path, or set TSM_DIR to a directory of yours".into())
            }
            _ => None,
        };
        made
    }

    /// It failed because of `error`, which is remembered by its kind.
    pub fn io_kind_of(error: &io::Error, message: impl Into<String>) -> Self {
        let mut made = Self::failed(message);
        made.io = Some(error.kind());
        made
    }

    /// The same error with `hint` as the next thing to type (printed after `try:`).
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What it means.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence, without prefix and hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The next thing to type, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The kind of operating system error behind it, if there was one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.io
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// An operating system error without Rust's `(os error N)`, in lower case as the rest of the sentence.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_read_as_a_sentence_and_keep_their_kind() {
        let error = Error::io("read", Path::new("/x/y"), &io::Error::from_raw_os_error(13));
        assert_eq!(error.to_string(), "cannot read /x/y: permission denied");
        assert_eq!(error.kind().exit_code(), 1);
        assert_eq!(error.io_kind(), Some(io::ErrorKind::PermissionDenied));
        assert!(error.hint_text().unwrap().contains("TSM_DIR"));
    }
}
