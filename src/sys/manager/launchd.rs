//! launchd, asked through `launchctl(1)`.

use std::io;
use std::path::{Path, PathBuf};

use super::{Standing, ask, tell};
use crate::sys::user;

/// The launchd of this user's graphical login.
#[derive(Debug)]
pub struct Manager {
    label: &'static str,
    domain: String,
}

impl Manager {
    /// Where the file of the agent `label` belongs.
    pub fn file(home: &Path, _config: Option<&Path>, label: &str) -> PathBuf {
        home.join("Library/LaunchAgents").join(format!("{label}.plist"))
    }

    /// Every file there is loaded at login.
    pub fn is_enabled(file: &Path) -> bool {
        file.is_file()
    }

    /// Finds the launchd domain of this user.
    ///
    /// # Errors
    /// What is missing.
    pub fn find(_runtime: Option<&Path>, label: &'static str) -> io::Result<Self> {
        let domain = format!("gui/{}", user::uid());
        tell(&["launchctl", "print", &domain], &[])?;
        Ok(Manager { label, domain })
    }

    fn target(&self) -> String {
        format!("{}/{}", self.domain, self.label)
    }

    /// It reads a file when that is loaded.
    ///
    /// # Errors
    /// None.
    pub fn reload(&self) -> io::Result<()> {
        Ok(())
    }

    /// Loads the agent, which starts it.
    ///
    /// # Errors
    /// What `launchctl` says.
    pub fn enable(&self, file: &Path) -> io::Result<()> {
        // Loaded before, it must be let go to be read anew.
        let _ = ask(&["launchctl", "bootout", &self.target()], &[]);
        tell(&["launchctl", "enable", &self.target()], &[])?;
        tell(&["launchctl", "bootstrap", &self.domain, &file.to_string_lossy()], &[]).map(drop)
    }

    /// Unloads it, which stops it; what it started goes on.
    ///
    /// # Errors
    /// As [`Manager::enable`].
    pub fn disable(&self) -> io::Result<()> {
        self.stop()
    }

    /// Starts it unless it runs.
    ///
    /// # Errors
    /// As [`Manager::enable`].
    pub fn start(&self) -> io::Result<()> {
        tell(&["launchctl", "kickstart", &self.target()], &[]).map(drop)
    }

    /// Starts it, anew when it runs.
    ///
    /// # Errors
    /// As [`Manager::enable`].
    pub fn restart(&self) -> io::Result<()> {
        tell(&["launchctl", "kickstart", "-k", &self.target()], &[]).map(drop)
    }

    /// Unloads it, which stops it; what it started goes on.
    ///
    /// # Errors
    /// As [`Manager::enable`].
    pub fn stop(&self) -> io::Result<()> {
        // Not loaded is stopped.
        if self.standing()? == Standing::default() {
            return Ok(());
        }
        tell(&["launchctl", "bootout", &self.target()], &[]).map(drop)
    }

    /// It remembers nothing.
    pub fn forget(&self) {}

    /// It does not say.
    pub fn is_ending(&self) -> bool {
        false
    }

    /// What it knows of the agent.
    ///
    /// # Errors
    /// When `launchctl` cannot be run.
    pub fn standing(&self) -> io::Result<Standing> {
        let ran = ask(&["launchctl", "print", &self.target()], &[])?;
        if ran.code != Some(0) {
            return Ok(Standing::default());
        }
        let text = String::from_utf8_lossy(&ran.stdout);
        let of =
            |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" = "));
        let state = of("state").unwrap_or("unknown").to_owned();
        let pid = of("pid").and_then(|pid| pid.parse().ok());
        Ok(Standing { enabled: true, active: pid.is_some(), state, pid, outdated: false })
    }

    /// The environment that it gives to every agent is not to be had: it is nearly empty.
    ///
    /// # Errors
    /// None.
    pub fn environment(&self) -> io::Result<Vec<u8>> {
        Ok(b"{}".to_vec())
    }

    /// An agent is started at login, and a macOS without a login has no such thing as linger.
    pub fn lingers(_user: &str) -> bool {
        true
    }
}
