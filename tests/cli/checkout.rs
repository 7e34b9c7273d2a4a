//! A copy of this checkout with a home directory of its own, as a person who cloned it would have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

/// No command of these tests takes a second; a hang must not stop the suite.
const LIMIT: Duration = Duration::from_secs(120);

/// A throwaway directory with `co/` (the checkout), `home/`, `tmp/` and `bin/` (first on PATH, empty).
pub(crate) struct Checkout {
    dir: TempDir,
}

impl Checkout {
    /// The checkout's files without a built binary.
    pub(crate) fn unbuilt() -> Self {
        // Its path holds a blank and a quote, as a person's may.
        let dir = tempfile::Builder::new().prefix("it's tsm ").tempdir().unwrap();
        let checkout = Checkout { dir };
        for name in ["co", "home", "tmp", "bin"] {
            fs::create_dir(checkout.path(name)).unwrap();
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["shell", "services-available", "install.sh", "includes.sh", "patterns.txt", "Cargo.toml"]
        {
            if source.join(name).exists() {
                copy(&source.join(name), &checkout.path("co").join(name));
            }
        }
        checkout
    }

    /// The checkout with a binary that prints `NAME:<argument>...` and exits with 7.
    pub(crate) fn with_echo() -> Self {
        let checkout = Self::unbuilt();
        checkout.echo("co/target/release/tsm", "checkout");
        checkout
    }

    /// Makes `path` such a program.
    pub(crate) fn echo(&self, path: &str, name: &str) {
        self.program(path, &format!("printf '{name}:'; printf '<%s>' \"$@\"; echo; exit 7"));
    }

    /// Makes `path` a bash script with this body; written by another process, see [`copy`].
    pub(crate) fn program(&self, path: &str, body: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bash = which::which("bash").unwrap();
        let text = format!("#!{}\n{body}\n", bash.display());
        let mut write = Command::new("sh");
        write.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(&path).write_stdin(text).assert().success();
    }

    /// A path in the throwaway directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// `bin/`, then the system's programs.
    pub(crate) fn search_path(&self) -> String {
        format!("{}:/usr/local/bin:/usr/bin:/bin", self.text("bin"))
    }

    /// `program` in the home directory, with nothing of the caller's environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().timeout(LIMIT).current_dir(self.path("home"));
        command.env("PATH", self.search_path());
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp")).env("CO", self.path("co"));
        command
    }

    /// Bash with `script`, in which `$CO` is the checkout.
    pub(crate) fn bash(&self, script: &str) -> Command {
        let mut command = self.command(which::which("bash").unwrap());
        command.args(["--norc", "--noprofile", "-c", script]);
        command
    }

    /// What such a script prints; it must succeed and say nothing on standard error.
    pub(crate) fn answer(&self, script: &str) -> String {
        let output = self.bash(script).output().unwrap();
        let shown = show(&output);
        assert!(output.status.success() && output.stderr.is_empty(), "{script}\n{shown}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A run as text, for the message of an assertion.
pub(crate) fn show(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Copies a file or a tree in a process of its own. A file that this process had open for writing could not be executed
/// for as long as a child that another test forks just then holds the same descriptor.
pub(crate) fn copy(from: &Path, to: &Path) {
    Command::new("cp").arg("-R").args([from, to]).assert().success();
}
