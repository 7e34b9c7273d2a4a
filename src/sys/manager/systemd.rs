//! systemd's user manager, asked through `systemctl(1)`.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{Standing, ask, tell};
use crate::sys::user;

/// The user manager of this user, which answers.
#[derive(Debug)]
pub struct Manager {
    unit: &'static str,
    runtime: PathBuf,
}

impl Manager {
    /// Where the file of the unit `unit` belongs.
    pub fn file(home: &Path, config: Option<&Path>, unit: &str) -> PathBuf {
        config.map_or_else(|| home.join(".config"), Path::to_owned).join("systemd/user").join(unit)
    }

    /// The link that `systemctl enable` makes next to that file for a unit that the default target wants.
    pub fn is_enabled(file: &Path) -> bool {
        let (Some(dir), Some(name)) = (file.parent(), file.file_name()) else { return false };
        dir.join("default.target.wants").join(name).symlink_metadata().is_ok()
    }

    /// Finds the manager by its socket in `runtime`, or in `/run/user/UID` when the session does not say.
    ///
    /// # Errors
    /// What is missing.
    pub fn find(runtime: Option<&Path>, unit: &'static str) -> io::Result<Self> {
        let usual = PathBuf::from(format!("/run/user/{}", user::uid()));
        let told = runtime.is_some();
        let runtime = runtime.map_or(usual, Path::to_owned);
        let socket = runtime.join("systemd/private");
        if let Err(error) = UnixStream::connect(&socket) {
            let missing = if told {
                format!("nobody answers at {} ({})", socket.display(), crate::error::plain(&error))
            } else {
                format!("XDG_RUNTIME_DIR is not set, and nobody answers at {}", socket.display())
            };
            return Err(io::Error::new(io::ErrorKind::NotConnected, missing));
        }
        if which::which("systemctl").is_err() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "systemctl is not found on PATH"));
        }
        Ok(Manager { unit, runtime })
    }

    fn env(&self) -> [(&'static str, OsString); 1] {
        [("XDG_RUNTIME_DIR", self.runtime.clone().into())]
    }

    fn tell(&self, verb: &str, words: &[&str]) -> io::Result<()> {
        let argv = [&["systemctl", "--user", "--no-ask-password", verb], words].concat();
        tell(&argv, &self.env()).map(drop)
    }

    /// Makes it read its files anew.
    ///
    /// # Errors
    /// What `systemctl` says.
    pub fn reload(&self) -> io::Result<()> {
        self.tell("daemon-reload", &[])
    }

    /// Has the unit started at boot or login.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn enable(&self, _file: &Path) -> io::Result<()> {
        self.tell("enable", &[self.unit])
    }

    /// Takes that back.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn disable(&self) -> io::Result<()> {
        self.tell("disable", &[self.unit])
    }

    /// Starts it unless it runs, and waits until it says that it is ready.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn start(&self) -> io::Result<()> {
        self.tell("start", &[self.unit])
    }

    /// Starts it and waits until it says that it is ready; anew when it runs.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn restart(&self) -> io::Result<()> {
        // An earlier failure must not count against this start.
        let _ = self.tell("reset-failed", &[self.unit]);
        self.tell("restart", &[self.unit])
    }

    /// Stops it; what it started goes on.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn stop(&self) -> io::Result<()> {
        self.tell("stop", &[self.unit])
    }

    /// Forgets what has gone wrong with it.
    pub fn forget(&self) {
        let _ = self.tell("reset-failed", &[self.unit]);
    }

    /// True while it ends, and everything with it.
    pub fn is_ending(&self) -> bool {
        // The exit code is that of a state that is not "running".
        ask(&["systemctl", "--user", "is-system-running"], &self.env())
            .is_ok_and(|ran| ran.stdout.trim_ascii() == b"stopping")
    }

    /// What it knows of the unit.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn standing(&self) -> io::Result<Standing> {
        const ASKED: &str = "--property=UnitFileState,ActiveState,SubState,MainPID,NeedDaemonReload";
        let ran = tell(&["systemctl", "--user", "show", ASKED, self.unit], &self.env())?;
        Ok(standing(&String::from_utf8_lossy(&ran.stdout)))
    }

    /// The environment that it gives to every unit, as JSON.
    ///
    /// # Errors
    /// As [`Manager::reload`].
    pub fn environment(&self) -> io::Result<Vec<u8>> {
        Ok(tell(&["systemctl", "--user", "show-environment", "--output=json"], &self.env())?.stdout)
    }

    /// True when the user's manager is started at boot and stays after the last logout (`loginctl(1)`).
    pub fn lingers(user: &str) -> bool {
        // What logind itself looks at, and keeps the answer of `loginctl enable-linger` in.
        Path::new("/var/lib/systemd/linger").join(user).exists()
    }
}

/// The properties that `systemctl show` prints.
fn standing(text: &str) -> Standing {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default()
    };
    Standing {
        enabled: of("UnitFileState") == "enabled",
        active: matches!(of("ActiveState"), "active" | "reloading"),
        state: format!("{} ({})", of("ActiveState"), of("SubState")),
        pid: of("MainPID").parse().ok().filter(|pid| *pid > 0),
        outdated: of("NeedDaemonReload") == "yes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_by_their_whole_names() {
        let text =
            "MainPID=17\nNeedDaemonReload=no\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
        let state = "active (running)".to_owned();
        let expected = Standing { enabled: true, active: true, state, pid: Some(17), outdated: false };
        assert_eq!(standing(text), expected);
        let none = standing("MainPID=0\nActiveState=inactive\nSubState=dead\nUnitFileState=\n");
        assert_eq!((none.enabled, none.active, none.pid), (false, false, None));
    }

    #[test]
    fn without_a_session_it_is_said_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let error = Manager::find(Some(dir.path()), "x.service").unwrap_err();
        assert!(error.to_string().contains("systemd/private (no such file or directory)"), "{error}");
    }
}
