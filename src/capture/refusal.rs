//! Why something is not captured, in a form that a client of the API can tell apart.

use std::fmt;

use crate::error::{Error, Kind};

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// No session of that name is known.
    UnknownSession,
    /// Nothing was said in it for so long that it is over.
    SessionClosed,
    /// Neither `user` nor `assistant`.
    WrongRole,
    /// Longer than one message may be.
    TooLarge,
    /// The directory is in no git working tree.
    NotARepository,
    /// Capture, or capture of this tool, is switched off in `capture.toml`.
    Disabled,
    /// A word that makes no sense: an empty tool, a name of a commit that is none.
    Invalid,
    /// The disk, a lock, a broken file.
    Failed,
}

impl Code {
    /// The word for it in the API.
    pub fn word(self) -> &'static str {
        match self {
            Code::UnknownSession => "unknown_session",
            Code::SessionClosed => "session_closed",
            Code::WrongRole => "wrong_role",
            Code::TooLarge => "too_large",
            Code::NotARepository => "not_a_repository",
            Code::Disabled => "disabled",
            Code::Invalid => "invalid",
            Code::Failed => "failed",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Code::UnknownSession | Code::NotARepository => Kind::NotFound,
            Code::SessionClosed => Kind::Conflict,
            Code::WrongRole | Code::TooLarge | Code::Invalid => Kind::Usage,
            Code::Disabled | Code::Failed => Kind::Failed,
        }
    }
}

/// A refusal: nothing was stored.
#[derive(Debug)]
pub struct Refusal {
    /// What was wrong.
    pub code: Code,
    /// The sentence for it.
    pub error: Error,
}

impl Refusal {
    /// A refusal for `code` that says `message`: lower case, no full stop.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Refusal { code, error: Error::new(code.kind(), message) }
    }

    /// The same with `hint` as the next thing to type.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal { code: Code::Failed, error }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refusal {}
