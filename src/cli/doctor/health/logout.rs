//! Whether processes survive the logout of their user, by the rules of systemd-logind.
//!
//! What was started in a login session is in that session's scope: `KillUserProcesses=` of logind.conf(5) decides about
//! it. What was started by a program of the user's service manager (a desktop's terminal, say) ends with that manager,
//! after the last logout, unless the user lingers (`loginctl(1)`).

use std::fs;
use std::path::Path;

use super::Finding;
use crate::sys::{session, user};

/// The directories of configuration, the most important first (logind.conf(5)).
const CONFIG: [&str; 4] = ["etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"];

/// Who ends a process at logout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The scope of a login session.
    Session,
    /// Below the user's service manager.
    Manager,
    /// Neither: a container, a system service, cron.
    Elsewhere,
}

/// What logind is told about the end of sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Config {
    /// `KillUserProcesses=`.
    kill: Option<bool>,
    /// The default that a comment of the shipped file shows.
    default: Option<bool>,
    /// `KillOnlyUsers=`.
    only: Vec<String>,
    /// `KillExcludeUsers=`; none when it is not set, which excludes root.
    exclude: Option<Vec<String>>,
}

/// What is known of the machine and this user.
pub(super) struct Facts {
    /// systemd runs this machine (`sd_booted(3)`).
    systemd: bool,
    place: Place,
    config: Config,
    linger: bool,
    user: String,
}

impl Facts {
    /// Reads the files below `root`, which is `/` but for tests.
    pub(super) fn gather(root: &Path) -> Self {
        let user = user::name(user::uid()).unwrap_or_else(|| user::uid().to_string());
        Facts {
            systemd: root.join("run/systemd/system").is_dir(),
            place: place(session::control_group().as_deref().unwrap_or_default()),
            config: config(root),
            linger: root.join("var/lib/systemd/linger").join(&user).exists(),
            user,
        }
    }
}

fn place(group: &str) -> Place {
    let is_part = |first: &str, last: &str| {
        group.split('/').any(|part| part.starts_with(first) && part.ends_with(last))
    };
    if is_part("user@", ".service") {
        Place::Manager
    } else if is_part("session-", ".scope") {
        Place::Session
    } else {
        Place::Elsewhere
    }
}

/// The main file, of which the first counts, and then the files of the `.d` directories in the order of their names, of
/// which the first of a name counts.
fn config(root: &Path) -> Config {
    let mut config = Config::default();
    let read = |path: &Path| fs::read_to_string(path).ok();
    if let Some(text) = CONFIG.iter().find_map(|dir| read(&root.join(dir).join("logind.conf"))) {
        config.take(&text);
    }
    let mut parts = Vec::new();
    for dir in CONFIG {
        let listing = fs::read_dir(root.join(dir).join("logind.conf.d"));
        for item in listing.into_iter().flatten().flatten() {
            let name = item.file_name();
            let is_config = Path::new(&name).extension().is_some_and(|ending| ending == "conf");
            if is_config && parts.iter().all(|(known, _)| *known != name) {
                parts.push((name, item.path()));
            }
        }
    }
    parts.sort();
    for text in parts.iter().filter_map(|(_, path)| read(path)) {
        config.take(&text);
    }
    config
}

impl Config {
    fn take(&mut self, text: &str) {
        let mut ours = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                ours = line == "[Login]";
            }
            let comment = line.starts_with(['#', ';']);
            let Some((key, value)) = line.trim_start_matches(['#', ';']).split_once('=') else { continue };
            let (key, value) = (key.trim(), value.trim());
            let users = || value.split_whitespace().map(str::to_owned).collect();
            match key {
                "KillUserProcesses" if ours && comment => self.default = boolean(value).or(self.default),
                _ if comment || !ours => {}
                "KillUserProcesses" => self.kill = boolean(value).or(self.kill),
                "KillOnlyUsers" => self.only = users(),
                "KillExcludeUsers" => self.exclude = Some(users()),
                _ => {}
            }
        }
    }

    /// Whether the scope of a session of `user` is ended with the session; none when only the build of logind knows.
    fn ends(&self, user: &str) -> Option<bool> {
        let excluded = match &self.exclude {
            None => user == "root",
            Some(users) => users.iter().any(|one| one == user),
        };
        if excluded {
            return Some(false);
        }
        if !self.only.is_empty() {
            return Some(self.only.iter().any(|one| one == user));
        }
        self.kill.or(self.default)
    }
}

/// A truth value as systemd.syntax(7) has it.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    const KEPT: &str =
        "printf '[Login]\\nKillUserProcesses=no\\n' | sudo tee /etc/systemd/logind.conf.d/tsm.conf";
    if !facts.systemd {
        return vec![Finding::ok("Processes survive logout: there is no systemd-logind to end them")];
    }
    let manager =
        |what: &str| Finding::warning(what.to_owned(), format!("loginctl enable-linger {}", facts.user));
    vec![match (facts.place, facts.config.ends(&facts.user), facts.linger) {
        (Place::Session, Some(true), _) => Finding::warning(
            "logind ends what was started in a login session at logout (KillUserProcesses=yes)",
            format!("{KEPT}, and restart systemd-logind"),
        ),
        (Place::Session, None, _) => Finding::warning(
            "logind may end processes at logout: KillUserProcesses is not set, and its default differs",
            format!("{KEPT}, and restart systemd-logind"),
        ),
        (Place::Session, Some(false), _) => {
            Finding::ok("Processes survive logout: logind leaves them alone (KillUserProcesses=no)")
        }
        (Place::Manager, _, false) => manager(
            "processes that are started here end with the last logout: the user's service manager ends then",
        ),
        (Place::Manager, _, true) => Finding::ok("Processes survive logout: this user lingers"),
        (Place::Elsewhere, ..) => Finding::ok("Processes survive logout: this is no login session"),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn drop_ins_win_by_name_and_the_first_directory_masks() {
        for (files, ends) in [
            (&[][..], None),
            (&[("usr/lib/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\n")], Some(false)),
            (&[("etc/systemd/logind.conf", "[Login]\nKillUserProcesses = yes\n")], Some(true)),
            (&[("etc/systemd/logind.conf", "[Other]\nKillUserProcesses=yes\n")], None),
            // The file in /etc hides the one that was shipped.
            (
                &[
                    ("etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\n"),
                    ("usr/lib/systemd/logind.conf", "[Login]\nKillUserProcesses=yes\n"),
                ],
                Some(false),
            ),
            (
                &[
                    ("etc/systemd/logind.conf", "[Login]\nKillUserProcesses=no\n"),
                    ("usr/lib/systemd/logind.conf.d/10-a.conf", "[Login]\nKillUserProcesses=on\n"),
                ],
                Some(true),
            ),
            (
                &[
                    ("run/systemd/logind.conf.d/20-b.conf", "[Login]\nKillUserProcesses=no\n"),
                    ("etc/systemd/logind.conf.d/10-a.conf", "[Login]\nKillUserProcesses=yes\n"),
                ],
                Some(false),
            ),
            (
                &[
                    ("etc/systemd/logind.conf.d/10-a.conf", ""),
                    ("usr/lib/systemd/logind.conf.d/10-a.conf", "[Login]\nKillUserProcesses=yes\n"),
                ],
                None,
            ),
            (&[("etc/systemd/logind.conf.d/note.txt", "[Login]\nKillUserProcesses=yes\n")], None),
            (
                &[("etc/systemd/logind.conf", "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=bob ann\n")],
                Some(false),
            ),
            (&[("etc/systemd/logind.conf", "[Login]\nKillOnlyUsers=ann\n")], Some(true)),
            (
                &[("etc/systemd/logind.conf", "[Login]\nKillUserProcesses=yes\nKillOnlyUsers=bob\n")],
                Some(false),
            ),
        ] {
            assert_eq!(config(tree(files).path()).ends("ann"), ends, "{files:?}");
        }
    }

    #[test]
    fn root_is_excluded_unless_the_list_is_given() {
        let config = Config { kill: Some(true), ..Config::default() };
        assert_eq!(config.ends("root"), Some(false));
        assert_eq!(Config { exclude: Some(Vec::new()), ..config }.ends("root"), Some(true));
    }

    #[test]
    fn who_decides_depends_on_where_it_was_started() {
        for (group, expected) in [
            ("/user.slice/user-1000.slice/session-3.scope", Place::Session),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", Place::Manager),
            ("/system.slice/cron.service", Place::Elsewhere),
            ("", Place::Elsewhere),
        ] {
            assert_eq!(place(group), expected, "{group}");
        }
        let kill = |kill| Config { kill, ..Config::default() };
        for (systemd, place, config, linger, level) in [
            (false, Place::Session, kill(Some(true)), false, Level::Ok),
            (true, Place::Session, kill(Some(true)), true, Level::Warning),
            (true, Place::Session, kill(Some(false)), false, Level::Ok),
            (true, Place::Session, kill(None), false, Level::Warning),
            (true, Place::Manager, kill(Some(false)), false, Level::Warning),
            (true, Place::Manager, kill(Some(true)), true, Level::Ok),
            (true, Place::Elsewhere, kill(Some(true)), false, Level::Ok),
        ] {
            let facts = Facts { systemd, place, config, linger, user: "ann".into() };
            let found = findings(&facts);
            assert_eq!(found[0].level, level, "{place:?} {found:?}");
            assert_eq!(found[0].remedy.is_some(), level == Level::Warning);
        }
    }

    #[test]
    fn a_user_lingers_by_a_file_of_that_name() {
        let me = user::name(user::uid()).unwrap_or_else(|| user::uid().to_string());
        let file = format!("var/lib/systemd/linger/{me}");
        assert!(Facts::gather(tree(&[(&file, ""), ("run/systemd/system/x", "")]).path()).linger);
        let other = Facts::gather(tree(&[("var/lib/systemd/linger/somebody-else", "")]).path());
        assert!(!other.linger && !other.systemd);
    }
}
