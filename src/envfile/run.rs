//! Sourcing a named env file and waiting for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::{self, Overlay, Sourcing};
use crate::error::{Error, Kind, Result, plain};
use crate::sys::capture::{self, Captured};

/// How long an env file may take when nobody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Sources `path` over the environment `base` in the directory `dir`, and says what it changed.
///
/// # Errors
/// `NotFound` when the file does not exist, `TimedOut` when it takes longer than `timeout` (what it started is ended), and
/// otherwise as [`source::parse`].
pub fn source_named(
    path: &Path,
    base: &[(OsString, OsString)],
    dir: &Path,
    timeout: Duration,
) -> Result<Overlay> {
    let sourcing = source::command(path, dir, base)?;
    let file = std::path::absolute(dir.join(path)).unwrap_or_else(|_| path.to_owned());
    let failed =
        |error: std::io::Error| Error::failed(format!("cannot source {}: {}", file.display(), plain(&error)));
    let ran = run(&sourcing, timeout).map_err(failed)?;
    let Some(Captured { code, stdout, stderr }) = ran else {
        let text = format!(
            "the env file {} did not end within {}",
            file.display(),
            humantime::format_duration(timeout)
        );
        return Err(Error::new(Kind::TimedOut, text)
            .hint("an env file is sourced before each start; it must not wait"));
    };
    source::parse(&stdout, &stderr, code, &file, base)
}

/// Checks that bash can read the file `path`, found from `dir`, without executing any of it.
///
/// # Errors
/// `NotFound` when the file does not exist; a syntax error as `FILE:LINE: why`.
pub fn check_named(path: &Path, dir: &Path) -> Result<()> {
    let file = std::path::absolute(dir.join(path)).unwrap_or_else(|_| path.to_owned());
    let mut sourcing = source::command(path, dir, &[])?;
    sourcing.argv.truncate(1);
    sourcing.argv.extend(["--noprofile", "--norc", "-n", "--"].map(Into::into));
    sourcing.argv.push(file.clone().into());
    let ran = run(&sourcing, TIMEOUT)
        .map_err(|error| Error::failed(format!("cannot read {}: {}", file.display(), plain(&error))))?;
    match ran {
        // What takes so long to read is found out when it is sourced.
        None | Some(Captured { code: Some(0), .. }) => Ok(()),
        Some(Captured { code, stderr, .. }) => {
            Err(source::failure(&file, "", code, 0, &String::from_utf8_lossy(&stderr)))
        }
    }
}

/// The bash that files are sourced with, and its version, such as `5.2.15(1)-release`; none without a bash.
pub fn bash_version() -> Option<(PathBuf, String)> {
    let dir = Path::new("/");
    let env: Vec<_> = std::env::vars_os().filter(|(name, _)| name == "PATH").collect();
    let path = source::bash(dir, &env).ok()?;
    let mut argv: Vec<OsString> = vec![path.clone().into()];
    argv.extend(["--noprofile", "--norc", "-c", "printf %s \"$BASH_VERSION\""].map(Into::into));
    match run(&Sourcing { argv, dir: dir.to_owned(), env }, TIMEOUT) {
        Ok(Some(Captured { code: Some(0), stdout, .. })) => {
            Some((path, String::from_utf8_lossy(&stdout).into_owned()))
        }
        _ => None,
    }
}

fn run(sourcing: &Sourcing, timeout: Duration) -> std::io::Result<Option<Captured>> {
    capture::run(&sourcing.argv, &sourcing.env, &sourcing.dir, timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::thread;
    use std::time::Instant;

    use nix::sys::signal::Signal;
    use nix::unistd::Pid;

    struct Fixture {
        dir: tempfile::TempDir,
        base: Vec<(OsString, OsString)>,
    }

    impl Fixture {
        fn new() -> Self {
            let base = [
                ("PATH", "/usr/bin:/bin"),
                ("OLD", "old"),
                ("odd.name", "1"),
                ("BASH_FUNC_f%%", "() { :; }"),
            ];
            let base = base.iter().map(|(name, value)| (name.into(), value.into())).collect();
            Fixture { dir: tempfile::tempdir().unwrap(), base }
        }

        fn file(&self) -> PathBuf {
            self.dir.path().join("dev.env")
        }

        fn within(&self, text: &str, timeout: Duration) -> Result<Overlay> {
            std::fs::write(self.file(), text).unwrap();
            source_named(Path::new("dev.env"), &self.base, self.dir.path(), timeout)
        }

        fn source(&self, text: &str) -> Result<Overlay> {
            self.within(text, Duration::from_secs(60))
        }

        /// Only the error's text, with the file's path as `F`.
        fn error(&self, text: &str) -> String {
            let error = self.source(text).unwrap_err();
            error.message().replace(&self.file().display().to_string(), "F")
        }
    }

    fn vars(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_come_back_exactly() {
        let f = Fixture::new();
        for (text, expected) in [
            ("", vec![]),
            ("A=1\nexport B=\"$A $OLD\"", vec![("A", "1"), ("B", "1 old")]),
            ("A='x\ny=z\n\n'\nE=", vec![("A", "x\ny=z\n\n"), ("E", "")]),
            ("A=$(echo run; pwd >/dev/null)\ncd /", vec![("A", "run")]),
            ("OLD=old", vec![]),
            ("OLD=new", vec![("OLD", "new")]),
            ("arr=(a b)\nexport NEVER\nf() { :; }\nA=é", vec![("A", "é")]),
            ("true a b\nA=$_\nfalse\nB=$?", vec![("A", "b"), ("B", "1")]),
            ("PATH=/nowhere\nIFS=x\nA=axb", vec![("A", "axb"), ("IFS", "x"), ("PATH", "/nowhere")]),
            ("set -euf -o pipefail\nset -o noclobber\nA=${X-}1", vec![("A", "1")]),
            ("trap 'echo mine' EXIT DEBUG\nA=1", vec![("A", "1")]),
            (
                "shopt -s expand_aliases\nalias builtin=false printf=false compgen=false\nA=1",
                vec![("A", "1")],
            ),
            ("printf() { echo bad; }\nread() { :; }\nexit() { :; }\nA=1", vec![("A", "1")]),
            ("exec >/dev/null\necho lost\nA=1", vec![("A", "1")]),
            ("readonly A=1", vec![("A", "1")]),
        ] {
            let overlay = f.source(text).unwrap();
            assert_eq!(overlay.set, vars(&expected), "{text}");
            assert_eq!(overlay.unset, [""; 0], "{text}");
        }
    }

    #[test]
    fn what_the_file_removes_is_removed_and_what_it_prints_is_no_data() {
        let f = Fixture::new();
        let overlay = f
            .source("unset OLD\necho 'X=1'\necho said >&2\nread -r x; A=\"<$x>\"; unset x")
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(overlay.unset, ["OLD"]);
        assert_eq!(overlay.set, vars(&[("A", "<>")]));
        assert_eq!(overlay.printed, "X=1\nsaid\n");
    }

    #[test]
    fn errors_say_file_and_line() {
        let f = Fixture::new();
        for (text, expected) in [
            ("A=1\nif then\n", "F:2: syntax error near unexpected token `then'"),
            ("A=1\n(exit 3)\n", "F:2: the file's last command ended with exit code 3"),
            ("false\nA=1\n[[ -n $X ]] && B=1\n", "F:3: the file's last command ended with exit code 1"),
            ("f() {\n  false\n}\nf\n", "F:4: the file's last command ended with exit code 1"),
            ("A=1\nreturn 4\nB=1\n", "F:2: the file's last command ended with exit code 4"),
            ("A=1\nno-such-command\n", "F:2: no-such-command: command not found"),
            ("no-such-command\nA=1\nfalse", "F:3: the file's last command ended with exit code 1"),
            ("set -e\nA=1\nfalse\nB=1\n", "F:3: the file ended its shell with exit code 1"),
            ("set -u\nA=$NOPE\n", "F:2: NOPE: unbound variable"),
            ("A=1\nexit 0\n", "F:2: the file ended its shell with exit code 0"),
            ("exec true", "F: the file ended its shell with exit code 0"),
            ("kill -9 $$", "F: a signal ended the shell that read the file"),
            ("A=$'\\xff'", "F: the value of A is not UTF-8 text"),
        ] {
            assert_eq!(f.error(text), expected, "{text}");
        }
        let unclosed = f.error("A=1\nB=\"x\nC=1\n");
        assert!(unclosed.starts_with("F:2: unexpected EOF") || unclosed.starts_with("F:4: "), "{unclosed}");
    }

    #[test]
    fn a_missing_file_is_not_found_and_a_directory_is_no_file() {
        let f = Fixture::new();
        let source = |name: &str| source_named(Path::new(name), &f.base, f.dir.path(), TIMEOUT).unwrap_err();
        assert_eq!(source("none.env").kind(), Kind::NotFound);
        assert!(source(".").message().contains("is a directory"));
    }

    #[test]
    fn a_file_that_hangs_is_ended_with_what_it_started() {
        let f = Fixture::new();
        let pids = f.dir.path().join("pids");
        let text = format!("sleep 1000 &\necho $$ $! >{}\nwait", pids.display());
        // Longer than bash needs to get to `wait`; the answer is the same if it does not.
        let error = f.within(&text, Duration::from_millis(500)).unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
        for pid in std::fs::read_to_string(pids).unwrap_or_default().split_whitespace() {
            let pid = Pid::from_raw(pid.parse().unwrap());
            // The sleeper becomes somebody else's zombie before it is gone; it must not be running.
            let deadline = Instant::now() + Duration::from_secs(20);
            while nix::sys::signal::kill(pid, None).is_ok() && !zombie(pid) {
                assert!(Instant::now() < deadline, "{pid} still runs");
                thread::yield_now();
            }
        }
    }

    fn zombie(pid: Pid) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    #[test]
    fn a_background_child_that_keeps_the_streams_is_not_waited_for() {
        let f = Fixture::new();
        let overlay = f.source("sleep 1000 &\nPID=$!").unwrap();
        let pid: i32 = overlay.set["PID"].parse().unwrap();
        assert!(
            nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok(),
            "it lives on, as with any `.`"
        );
    }

    #[test]
    fn a_file_that_prints_much_does_not_block() {
        let f = Fixture::new();
        let overlay =
            f.source("for i in {1..3000}; do printf '%0100d' 0; done\nA=$(printf '%0100000d' 0)").unwrap();
        assert_eq!((overlay.printed.len(), overlay.set["A"].len()), (300_000, 100_000));
    }
}
