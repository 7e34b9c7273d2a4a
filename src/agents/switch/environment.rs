//! What the environment of a process says of where it is seen.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::model::Pid;
use crate::sys::process;

/// The variables that say so; no other is kept.
pub const VARIABLES: [&str; 11] = [
    "DISPLAY",
    "HOME",
    "I3SOCK",
    "PATH",
    "STY",
    "SWAYSOCK",
    "TMUX",
    "TMUX_TMPDIR",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "ZELLIJ_SESSION_NAME",
];

/// Those of [`VARIABLES`] that are set and not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<(&'static str, OsString)>);

impl Environment {
    /// What `value` answers for each of [`VARIABLES`].
    pub fn new(value: impl Fn(&str) -> Option<OsString>) -> Self {
        let kept = VARIABLES.into_iter().filter_map(|name| Some((name, value(name)?)));
        Environment(kept.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// That of a process as it was executed; empty for one that this user may not look at.
    pub(super) fn of(pid: Pid) -> Self {
        Self::parse(&process::environ(pid).unwrap_or_default())
    }

    /// Of `NAME=value`, each ended by a NUL; as in `getenv(3)` the first of a name counts.
    fn parse(bytes: &[u8]) -> Self {
        Self::new(|name| {
            bytes.split(|&byte| byte == 0).find_map(|one| {
                let value = one.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
                Some(OsStr::from_bytes(value).to_owned())
            })
        })
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_and_what_is_empty_is_not_set() {
        let environment =
            Environment::parse(b"HOME=/h\0TMUX=\0XTMUX=no\0HOME=/other\0DISPLAY=:1=2\0SHELL=x\0STY");
        let found = VARIABLES.map(|name| environment.get(name).and_then(OsStr::to_str));
        let expected = VARIABLES.map(|name| match name {
            "HOME" => Some("/h"),
            "DISPLAY" => Some(":1=2"),
            _ => None,
        });
        assert_eq!(found, expected);
        assert_eq!(environment.get("SHELL"), None);
    }
}
