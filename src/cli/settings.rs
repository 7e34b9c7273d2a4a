//! Every environment variable that TSM itself reads, read once.

use std::env;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::agents::switch::Environment;
use crate::error::{Error, Result};

/// What the environment says.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where the state is: `TSM_DIR`, else `TETRA_DIR/tsm`, else the XDG state directory.
    pub(super) root: PathBuf,
    /// `TSM_PORT_RANGE`, 8000 to 8999 unless said otherwise.
    pub(super) port_range: RangeInclusive<u16>,
    /// `HOME`.
    pub(super) home: Option<PathBuf>,
    /// `TSM_SHELL_PID`: the shell whose `tsm` function this is, as that function says it for one call.
    pub(super) shell_pid: Option<String>,
    /// `TETRA_DIR`: where tetra keeps things, the first TSM among it.
    pub(super) tetra_dir: Option<PathBuf>,
    /// `PM2_HOME`: where pm2 keeps things.
    pub(super) pm2_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub(super) config_home: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`: where Claude Code keeps things.
    pub(super) claude_dir: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub(super) runtime_dir: Option<PathBuf>,
    /// `GIT_DIR`, as git sets it for a hook.
    pub(super) git_dir: Option<PathBuf>,
    /// `PATH`.
    pub(super) path: Option<OsString>,
    /// `TSM_NONINTERACTIVE` is set: never ask, never wait on its own account.
    pub(super) noninteractive: bool,
    /// `SHELL`.
    pub(super) shell: Option<PathBuf>,
    /// `TSM_DAEMON=never`: no verb starts the daemon on its own account.
    pub(super) no_daemon: bool,
    /// `TMUX`, `I3SOCK`, `DISPLAY` and the like: where terminals are seen.
    pub(super) seat: Environment,
    /// `NO_COLOR`.
    pub(super) no_color: Option<String>,
    /// `CLICOLOR_FORCE`.
    pub(super) clicolor_force: Option<String>,
    /// `FORCE_COLOR`.
    pub(super) force_color: Option<String>,
    /// `CLICOLOR`.
    pub(super) clicolor: Option<String>,
    /// `TERM`.
    pub(super) term: Option<String>,
    /// `COLUMNS`, when it was exported.
    pub(super) columns: Option<usize>,
}

/// A variable that is set and not empty.
fn var(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// A directory of the XDG base directory specification, which has relative ones ignored.
fn absolute(name: &str) -> Option<PathBuf> {
    var(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn text(name: &str) -> Option<String> {
    var(name).map(|value| value.to_string_lossy().into_owned())
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// When there is neither `TSM_DIR` nor a home directory, or `TSM_PORT_RANGE` makes no sense.
    pub(super) fn read() -> Result<Self> {
        let home = var("HOME").map(PathBuf::from);
        Ok(Settings {
            root: root(home.as_deref())?,
            port_range: match var("TSM_PORT_RANGE") {
                None => 8000..=8999,
                Some(text) => port_range(&text.to_string_lossy())?,
            },
            home,
            shell_pid: text("TSM_SHELL_PID"),
            tetra_dir: var("TETRA_DIR").map(PathBuf::from),
            pm2_home: var("PM2_HOME").map(PathBuf::from),
            config_home: absolute("XDG_CONFIG_HOME"),
            claude_dir: var("CLAUDE_CONFIG_DIR").map(PathBuf::from),
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
            git_dir: var("GIT_DIR").map(PathBuf::from),
            path: var("PATH"),
            noninteractive: var("TSM_NONINTERACTIVE").is_some(),
            shell: var("SHELL").map(PathBuf::from),
            no_daemon: var("TSM_DAEMON").is_some_and(|value| value == "never"),
            seat: Environment::new(var),
            no_color: text("NO_COLOR"),
            clicolor_force: text("CLICOLOR_FORCE"),
            force_color: text("FORCE_COLOR"),
            clicolor: text("CLICOLOR"),
            term: text("TERM"),
            columns: var("COLUMNS")
                .and_then(|text| text.to_str()?.parse().ok())
                .filter(|columns| *columns > 0),
        })
    }

    /// A file of the user's below the XDG configuration directory: `~/.config/tsm/NAME`.
    pub(super) fn config_file(&self, name: &str) -> Option<PathBuf> {
        let in_home = || Some(self.home.as_ref()?.join(".config"));
        Some(self.config_home.clone().or_else(in_home)?.join("tsm").join(name))
    }
}

fn root(home: Option<&Path>) -> Result<PathBuf> {
    let chosen = var("TSM_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(var("TETRA_DIR")?).join("tsm")))
        .or_else(|| Some(PathBuf::from(var("XDG_STATE_HOME")?).join("tsm")).filter(|path| path.is_absolute()))
        .or_else(|| Some(home?.join(".local/state/tsm")))
        .ok_or_else(|| {
            Error::usage("cannot tell where to keep state: neither TSM_DIR nor HOME is set")
                .hint("export TSM_DIR=/some/directory")
        })?;
    std::path::absolute(&chosen).map_err(|error| Error::io("find", &chosen, &error))
}

fn port_range(text: &str) -> Result<RangeInclusive<u16>> {
    let bad = || {
        Error::usage(format!("TSM_PORT_RANGE is {text:?}, not two ports from 1 to 65535 such as 8000-8999"))
    };
    let (first, last) = text.split_once('-').ok_or_else(bad)?;
    let first: u16 = first.trim().parse().map_err(|_| bad())?;
    let last: u16 = last.trim().parse().map_err(|_| bad())?;
    if first == 0 || first > last { Err(bad()) } else { Ok(first..=last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_range_is_two_ports_in_order() {
        assert_eq!(port_range("3000-3999").unwrap(), 3000..=3999);
        for text in ["", "8000", "9000-8000", "0-10", "8000-70000", "a-b"] {
            assert!(port_range(text).is_err(), "{text:?}");
        }
    }
}
