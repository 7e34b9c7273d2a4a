//! A machine of namespaces in which a real `systemd --user` runs: its own processes, control groups, `/run` and linger.
//!
//! Nothing of it is seen outside, and all of it ends with its first process: as a machine without power does.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::kit::{Ran, User, WITHOUT, do_without, eventually, run, say};

/// Makes the control group of the machine, runs [`INIT`] in it, and removes what is left of the group.
const OUTSIDE: &str = r#"
set -eu
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup/tsm-test-$$
mkdir "$group"
( echo "$BASHPID" >"$group/cgroup.procs"; exec unshare -C -p -f --kill-child --mount-proc bash -c "$1" "$0" )
until ! [ -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.05; done
"#;

/// The first process: it lives as long as its standard input is open, and reaps.
const INIT: &str = r#"
set -eu
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
for dir in /run /var/lib/systemd /etc/systemd; do mount -t tmpfs -o mode=755 none "$dir"; done
mkdir -p /run/systemd/system /run/user/0 /var/lib/systemd/linger
chmod 700 /run/user/0
mkdir /sys/fs/cgroup/session-1.scope /sys/fs/cgroup/user@0.service
echo up
while read -r _; do :; done
"#;

/// The machine of a user; it is switched off when dropped.
pub(crate) struct Machine<'a> {
    user: &'a User,
    power: Option<(Child, ChildStdin)>,
    /// The PID of its first process, seen from outside.
    init: String,
    manager: Option<Child>,
}

/// The program of systemd; where it is depends on the distribution.
fn systemd() -> Option<PathBuf> {
    ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
}

impl<'a> Machine<'a> {
    /// Switches on a machine, without a user manager; none where the tests were told to do without.
    pub(crate) fn new(user: &'a User) -> Option<Self> {
        if do_without("systemd") {
            return None;
        }
        assert!(
            systemd().is_some(),
            "there is no systemd to test with: apt-get install systemd, or set {WITHOUT}=systemd"
        );
        let mut machine = Machine { user, power: None, init: String::new(), manager: None };
        machine.switch_on();
        Some(machine)
    }

    fn switch_on(&mut self) {
        let mut outside = self.user.command("unshare");
        outside.args(["--mount", "--propagation", "private", "bash", "-c", OUTSIDE, "tsm-machine", INIT]);
        outside.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = outside.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "up\n" {
            let said = child.wait_with_output().unwrap().stderr;
            panic!(
                "cannot make a machine of namespaces; run as root where that is allowed, or set {WITHOUT}=systemd: {}",
                String::from_utf8_lossy(&said)
            );
        }
        // The first process is the child of `unshare`, which is the child of the script.
        let child_of = |pid: &str| {
            let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
            text.split_whitespace().next().unwrap_or_else(|| panic!("{pid} has no child")).to_owned()
        };
        self.init = child_of(&child_of(&child.id().to_string()));
        let power = child.stdin.take().unwrap();
        self.power = Some((child, power));
    }

    /// A command in the machine, in one of its control groups.
    fn inside(&self, group: &str, program: impl AsRef<Path>) -> Command {
        const JOIN: &str = r#"echo $$ >"/sys/fs/cgroup/$0/cgroup.procs"; exec "$@""#;
        let mut command = self.user.command("nsenter");
        command.args(["--target", &self.init, "--mount", "--pid", "--cgroup"]);
        command.args(["--wd=/", "sh", "-c", JOIN, group]).arg(program.as_ref());
        command
    }

    /// A command that the user types in a login session.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = self.inside("session-1.scope", program);
        command.args(args).env("XDG_RUNTIME_DIR", "/run/user/0");
        command
    }

    /// Runs `tsm` in a login session.
    pub(crate) fn tsm(&self, args: &[&str]) -> Ran {
        run(self.command(env!("CARGO_BIN_EXE_tsm"), args))
    }

    /// Runs `tsm`, which must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Ran {
        self.tsm(args).code(0)
    }

    /// What `tsm … --json` prints.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let ran = self.tsm(&[args, &["--json"]].concat());
        serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"))
    }

    /// Runs `systemctl --user`, which must succeed.
    pub(crate) fn systemctl(&self, args: &[&str]) -> String {
        run(self.command("systemctl", &[&["--user"], args].concat())).code(0).stdout
    }

    /// A property of the unit.
    pub(crate) fn property(&self, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, "tsm.service"]).trim().to_owned()
    }

    /// Starts the user's manager, as a login does, or boot for a user who lingers; returns when all it wants is started.
    pub(crate) fn log_in(&mut self) {
        assert!(self.manager.is_none());
        let mut manager = self.inside("user@0.service", "sh");
        manager.args(["-c", "echo $$ >/run/manager.pid; exec \"$0\" --user"]).arg(systemd().unwrap());
        // What pam_systemd and the system's manager set, and nothing of the login shell.
        manager.env_clear().env("HOME", self.user.home()).env("USER", "root").env("LOGNAME", "root");
        manager.env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/bash").env("XDG_RUNTIME_DIR", "/run/user/0");
        manager.env("SYSTEMD_LOG_TARGET", "console").stdout(Stdio::null());
        let log = fs::OpenOptions::new().append(true).create(true).open(self.user.home().join("manager.log"));
        manager.stderr(log.unwrap());
        self.manager = Some(manager.spawn().unwrap());
        eventually("the user's manager is up", || {
            let ran = run(self.command("systemctl", &["--user", "is-system-running"]));
            matches!(ran.stdout.trim(), "running" | "degraded")
        });
    }

    /// Ends the user's manager as the system's does after the last logout: TERM for it, KILL for what is then left in its
    /// control group.
    pub(crate) fn log_out(&mut self) {
        const END: &str = r#"
            kill -s TERM "$(cat /run/manager.pid)"
            while kill -s 0 "$(cat /run/manager.pid)" 2>/dev/null; do sleep 0.01; done
            while pids=$(find /sys/fs/cgroup/user@0.service -name cgroup.procs -exec cat {} +) && [ -n "$pids" ]; do
                kill -s KILL $pids; sleep 0.01
            done"#;
        let mut manager = self.manager.take().unwrap();
        run(self.command("sh", &["-c", END])).code(0);
        manager.wait().unwrap();
    }

    /// Ends the login session as systemd does at a shutdown: TERM for all that is in it.
    pub(crate) fn end_session(&self) {
        // A supervisor may have ended its program before that gets a signal of its own.
        const END: &str = "for pid in $(cat /sys/fs/cgroup/session-1.scope/cgroup.procs); do \
            kill -s TERM $pid 2>/dev/null || :; done";
        let mut end = self.inside(".", "sh");
        end.args(["-c", END]);
        run(end).code(0);
        eventually("nothing of the session is left", || {
            let mut cat = self.inside(".", "cat");
            cat.arg("/sys/fs/cgroup/session-1.scope/cgroup.procs");
            run(cat).stdout.is_empty()
        });
    }

    /// Takes the power from it and switches it on anew.
    pub(crate) fn lose_power(&mut self) {
        self.switch_off();
        self.switch_on();
    }

    fn switch_off(&mut self) {
        let Some((mut child, mut power)) = self.power.take() else { return };
        let _ = power.flush();
        drop(power);
        let _ = child.wait();
        if let Some(mut manager) = self.manager.take() {
            let _ = manager.wait();
        }
    }

    /// The file of the unit.
    pub(crate) fn unit(&self) -> PathBuf {
        self.user.home().join(".config/systemd/user/tsm.service")
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.user.home().join("manager.log")).unwrap_or_default();
            say(&format!("the user's manager has said:\n{log}"));
        }
        self.switch_off();
    }
}
