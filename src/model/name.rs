//! The name of a process or service: a word that is safe as a file name, in a shell and in a completion.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in characters.
const MAX: usize = 64;

/// `[A-Za-z0-9._-]`, 1 to 64 characters, not starting with `.` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more than 64 characters.
    TooLong,
    /// It starts with `.` or `-`.
    BadStart,
    /// It holds a character outside `[A-Za-z0-9._-]`.
    BadCharacter(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("a name cannot be empty"),
            NameError::TooLong => write!(f, "a name has at most {MAX} characters"),
            NameError::BadStart => f.write_str("a name cannot start with '.' or '-'"),
            NameError::BadCharacter(c) => {
                write!(f, "a name is made of letters, digits, '.', '_' and '-', not {c:?}")
            }
        }
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl Name {
    /// Checks `text` against the rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(bad) = text.chars().find(|&c| !allowed(c)) {
            return Err(NameError::BadCharacter(bad));
        }
        if text.starts_with(['.', '-']) {
            return Err(NameError::BadStart);
        }
        if text.len() > MAX {
            return Err(NameError::TooLong);
        }
        Ok(Name(text.to_owned()))
    }

    /// Makes a name of any text (a directory's, a script's): other characters become one `-`, the rest is cut to 64.
    /// `process` when nothing is left.
    pub fn reduce(text: &str) -> Self {
        let mut out = String::new();
        for c in text.chars() {
            if allowed(c) {
                out.push(c);
            } else if !out.ends_with('-') {
                out.push('-');
            }
        }
        let out: String = out.trim_start_matches(['.', '-']).chars().take(MAX).collect();
        let out = out.trim_end_matches('-');
        Name(if out.is_empty() { "process".into() } else { out.to_owned() })
    }

    /// This name with `-SUFFIX` after it, the name cut where both together would be too long.
    pub fn suffixed(&self, suffix: impl fmt::Display) -> Self {
        let suffix = format!("-{suffix}");
        let keep = MAX.saturating_sub(suffix.len()).min(self.0.len());
        Name(format!("{}{suffix}", &self.0[..keep]))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Name::parse(text)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Name::parse(&text).map_err(|error| format!("{text:?}: {error}"))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_could_leave_the_directory_or_look_like_an_option() {
        for (text, why) in [
            ("", NameError::Empty),
            ("../x", NameError::BadCharacter('/')),
            (".hidden", NameError::BadStart),
            ("-f", NameError::BadStart),
            ("a b", NameError::BadCharacter(' ')),
            (&"x".repeat(65), NameError::TooLong),
        ] {
            assert_eq!(Name::parse(text), Err(why), "{text:?}");
        }
        assert!(Name::parse("my-api_http.2-8000").is_ok());
    }

    proptest! {
        #[test]
        fn a_reduced_or_suffixed_name_is_always_a_name(text in "\\PC{0,90}", port in 1u16..) {
            let name = Name::reduce(&text);
            prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
            let long = name.suffixed(port);
            prop_assert_eq!(Name::parse(long.as_str()), Ok(long.clone()));
            let end = format!("-{port}");
            prop_assert!(long.as_str().ends_with(&end));
        }
    }
}
