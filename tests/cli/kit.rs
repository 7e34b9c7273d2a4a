//! One user with a home directory and a TSM of their own, who types commands and looks at what comes of them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// No single command may take longer: a hang fails the test instead of stopping the suite.
const LIMIT: Duration = Duration::from_secs(60);

/// The variable that names, with commas between them, what tests have to do without; `.ci/run` sets it where that cannot
/// be installed.
pub(crate) const WITHOUT: &str = "TSM_TEST_WITHOUT";

/// A throwaway home. When it is dropped, everything it started is ended, and a process that is left fails the test.
pub(crate) struct User {
    dir: TempDir,
    /// `TSM_DIR`, from the home directory.
    tsm_dir: &'static str,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    #[expect(dead_code, reason = "shown by Debug when an assertion fails")]
    line: String,
}

impl User {
    /// A user whose working directory is `~/my-api`.
    pub(crate) fn new() -> Self {
        Self::within(&std::env::temp_dir(), "tsm")
    }

    /// A user whose home directory is in `parent` and whose `TSM_DIR` is `tsm_dir` in it.
    pub(crate) fn within(parent: &Path, tsm_dir: &'static str) -> Self {
        let dir = tempfile::Builder::new().prefix("tsm-t-").tempdir_in(parent).unwrap();
        let user = User { dir, tsm_dir };
        fs::create_dir_all(user.cwd()).unwrap();
        user
    }

    /// The home directory.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// The working directory.
    pub(crate) fn cwd(&self) -> PathBuf {
        self.dir.path().join("my-api")
    }

    /// `TSM_DIR`.
    pub(crate) fn tsm_dir(&self) -> PathBuf {
        self.home().join(self.tsm_dir)
    }

    /// The directory of one process.
    pub(crate) fn process_dir(&self, name: &str) -> PathBuf {
        self.tsm_dir().join("runtime/processes").join(name)
    }

    /// The live log of one process.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.tsm_dir().join(format!("logs/{name}.log"))
    }

    /// Writes a file below the working directory.
    pub(crate) fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.cwd().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes an executable file below the working directory.
    ///
    /// By another process: a file that this one had open for writing cannot be executed for as long as a child that
    /// another test forks just then holds the same descriptor.
    pub(crate) fn program(&self, path: &str, text: &str) -> PathBuf {
        use std::io::Write;
        let path = self.cwd().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut sh = Command::new("sh");
        sh.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(&path).stdin(Stdio::piped());
        let mut child = sh.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        path
    }

    /// `program` in the working directory, with nothing of the caller's environment but the search path.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home())
            .env("TSM_DIR", self.tsm_dir())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.cwd())
            .stdin(Stdio::null());
        command
    }

    /// The `tsm` of this build, not yet run.
    pub(crate) fn tsm_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_tsm"));
        command.args(args);
        command
    }

    /// Runs `tsm` with these words.
    pub(crate) fn tsm(&self, args: &[&str]) -> Ran {
        run(self.tsm_command(args))
    }

    /// Runs `tsm` with these words, which must succeed.
    pub(crate) fn ok(&self, args: &[&str]) -> Ran {
        self.tsm(args).code(0)
    }

    /// What `tsm … --json` prints; it must be one JSON document whatever the exit code.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut words = args.to_vec();
        // Before the words of a command, which would swallow it.
        words.insert(1, "--json");
        let ran = self.tsm(&words);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {ran:?}"))
    }

    /// The object of one process in `tsm list all --json`.
    pub(crate) fn view(&self, name: &str) -> Value {
        let all = self.json(&["list", "all"]);
        let all = all.as_array().unwrap();
        all.iter()
            .find(|view| view["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {all:#?}"))
            .clone()
    }

    /// The state of one process.
    pub(crate) fn state(&self, name: &str) -> String {
        self.view(name)["status"].as_str().unwrap().to_owned()
    }

    /// The PID of one process's main process.
    pub(crate) fn pid(&self, name: &str) -> i32 {
        self.view(name)["pid"].as_i64().unwrap_or_else(|| panic!("{name} has no PID")) as i32
    }

    /// The PID of one process's supervisor.
    pub(crate) fn supervisor(&self, name: &str) -> i32 {
        self.view(name)["supervisor_pid"].as_i64().unwrap_or_else(|| panic!("{name} has no supervisor"))
            as i32
    }

    /// Waits until the state of `name` is `state`.
    pub(crate) fn until_state(&self, name: &str, state: &str) {
        eventually(&format!("{name} is {state}"), || self.state(name) == state);
    }

    /// Every process whose environment names this user's TSM: PID and command line.
    pub(crate) fn alive(&self) -> Vec<(i32, String)> {
        let marker = format!("TSM_DIR={}", self.tsm_dir().display());
        let mut found = Vec::new();
        for item in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = item.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let Ok(environ) = fs::read(item.path().join("environ")) else { continue };
            if environ.split(|byte| *byte == 0).any(|var| var == marker.as_bytes()) && is_alive(pid) {
                let command = fs::read(item.path().join("cmdline")).unwrap_or_default();
                found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ")));
            }
        }
        found
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if self.alive().is_empty() {
            return;
        }
        // First of all, or it would give new supervisors to what is killed.
        if self.tsm_dir().join("daemon/daemon.lock").exists() {
            let _ = run(self.tsm_command(&["daemon", "stop"]));
        }
        let _ = run(self.tsm_command(&["kill", "all"]));
        let end = Instant::now() + Duration::from_secs(10);
        while !self.alive().is_empty() && Instant::now() < end {
            pause();
        }
        let left = self.alive();
        for (pid, _) in &left {
            kill(*pid, "KILL");
        }
        if !std::thread::panicking() {
            assert!(left.is_empty(), "left behind after `tsm kill all`: {left:?}");
        }
    }
}

impl Ran {
    /// The same, having checked the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The same, having checked that standard output contains `text`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} on standard output of {self:#?}");
        self
    }

    /// The same, having checked that standard error contains `text`.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} on standard error of {self:#?}");
        self
    }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(mut command: Command) -> Ran {
    let line = format!("{command:?}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id() as i32;
    let mut pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::Read;
        let mut err = Vec::new();
        let reader = std::thread::spawn(move || {
            let mut out = Vec::new();
            let _ = pipes.0.read_to_end(&mut out);
            out
        });
        let _ = pipes.1.read_to_end(&mut err);
        let _ =
            done.send(Output { status: child.wait().unwrap(), stdout: reader.join().unwrap(), stderr: err });
    });
    let Ok(output) = finished.recv_timeout(LIMIT) else {
        kill(pid, "KILL");
        panic!("{line} did not end within {LIMIT:?}, or left its output open to a child");
    };
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        line,
    }
}

/// Waits until `true_now` holds; the time is only there to end a broken test.
#[track_caller]
pub(crate) fn eventually(what: &str, mut true_now: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !true_now() {
        assert!(Instant::now() < end, "never came true: {what}");
        pause();
    }
}

/// True where the tests were told to do without `what`, which is then said.
pub(crate) fn do_without(what: &str) -> bool {
    let told = std::env::var(WITHOUT).is_ok_and(|words| words.split(',').any(|word| word == what));
    if told {
        say(&format!("!!! NOT CHECKED: what needs a real {what} ({WITHOUT}={what})"));
    }
    told
}

/// Says something to whoever reads what the tests have to say.
#[expect(clippy::print_stderr, reason = "it is no output of a program under test")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// The shortest pause between two looks.
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Sends a signal, by name, to one process.
pub(crate) fn kill(pid: i32, signal: &str) {
    assert!(pid > 1);
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// True when that process runs; a zombie does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with(['Z', 'X']))
}

/// A port that is free now, outside the range that TSM allocates from and the defaults of common tools.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The text of a file; empty when it is missing.
pub(crate) fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
