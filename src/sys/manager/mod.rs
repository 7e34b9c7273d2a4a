//! The user's service manager: systemd's on Linux, launchd on macOS.

#[cfg(target_os = "macos")]
mod launchd;
#[cfg(target_os = "linux")]
mod systemd;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::capture::{self, Captured};

#[cfg(target_os = "macos")]
pub use launchd::Manager;
#[cfg(target_os = "linux")]
pub use systemd::Manager;

/// What kind of file a manager reads, and where it looks for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A unit in `$XDG_CONFIG_HOME/systemd/user`.
    Systemd,
    /// A property list in `~/Library/LaunchAgents`.
    Launchd,
}

/// The manager of this platform.
#[cfg(target_os = "linux")]
pub const FORM: Form = Form::Systemd;
/// The manager of this platform.
#[cfg(target_os = "macos")]
pub const FORM: Form = Form::Launchd;

/// What a manager says of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It is started at boot or login.
    pub enabled: bool,
    /// It runs and has said that it is ready.
    pub active: bool,
    /// The state in the manager's own words.
    pub state: String,
    /// Its main process.
    pub pid: Option<i32>,
    /// The file was changed since the manager has read it.
    pub outdated: bool,
}

/// How long a command to the manager may take: as long as systemd waits for a start.
const PATIENCE: Duration = Duration::from_secs(100);

/// Runs a program of the manager to its end, with the variables of this process and `env`.
///
/// # Errors
/// When it cannot be executed or does not end.
fn ask(argv: &[&str], env: &[(&str, OsString)]) -> io::Result<Captured> {
    let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    let mut all: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    all.extend([("LC_ALL".into(), "C".into())]);
    all.extend(env.iter().map(|(name, value)| ((*name).into(), value.clone())));
    capture::run(&argv, &all, Path::new("/"), PATIENCE)?.ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// As [`ask`], for what must succeed.
///
/// # Errors
/// Also with what the program says when it fails.
fn tell(argv: &[&str], env: &[(&str, OsString)]) -> io::Result<Captured> {
    let line = argv.join(" ");
    let ran = ask(argv, env)
        .map_err(|error| io::Error::new(error.kind(), format!("{line}: {}", crate::error::plain(&error))))?;
    if ran.code == Some(0) {
        return Ok(ran);
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said =
        said.lines().map(str::trim).find(|text| !text.is_empty()).unwrap_or("it failed without a word");
    Err(io::Error::other(format!("{line}: {}", said.trim_end_matches('.'))))
}
