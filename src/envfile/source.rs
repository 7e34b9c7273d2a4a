//! Sourcing an env file that the user named: what to run, and what its answer means.
//!
//! Split so that the supervisor can run it inside its own poll loop; `run` does it blocking. The answer is complete when
//! the shell has exited, not when its pipes end: what the file left running in the background holds them open.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("source.bash");

/// Variables that would change what bash does before or while it reads the file: it does not get them.
const WITHHELD: &[&str] = &["BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "BASH_XTRACEFD"];

/// Variables that bash sets by itself: never a result of the file.
const NOISE: &[&str] = &["SHLVL", "_", "PWD", "OLDPWD", "SHELLOPTS", "BASHOPTS"];

/// What to execute so that an env file is sourced; [`parse`] reads the answer.
///
/// Run it with standard input from `/dev/null`, standard output and error on pipes, in a process group of its own, and
/// with a time limit: the file may do anything.
#[derive(Clone, Debug)]
pub struct Sourcing {
    /// The words, `argv[0]` an absolute path.
    pub argv: Vec<OsString>,
    /// The working directory.
    pub dir: PathBuf,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
}

/// What an env file changes in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Variables that it sets or changes.
    pub set: BTreeMap<String, String>,
    /// Variables that it removes.
    pub unset: Vec<String>,
    /// What the file printed, on either stream.
    pub printed: String,
}

impl Overlay {
    /// `base` with the changes made.
    pub fn apply(&self, base: &[(OsString, OsString)]) -> Vec<(OsString, OsString)> {
        let gone = |name: &OsStr| {
            name.to_str()
                .is_some_and(|name| self.set.contains_key(name) || self.unset.iter().any(|u| u == name))
        };
        let kept = base.iter().filter(|(name, _)| !gone(name)).cloned();
        kept.chain(self.set.iter().map(|(name, value)| (name.into(), value.into()))).collect()
    }
}

/// What to run to source `path` (relative ones are relative to `dir`) over the environment `base`.
///
/// # Errors
/// `NotFound` when there is no such file, or no bash.
pub fn command(path: &Path, dir: &Path, base: &[(OsString, OsString)]) -> Result<Sourcing> {
    // Absolute, because `.` looks for a bare word along PATH.
    let path = std::path::absolute(dir.join(path)).map_err(|error| Error::io("find", path, &error))?;
    match fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => {
            return Err(Error::failed(format!("the env file {} is a directory", path.display())));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::not_found(format!("the env file {} does not exist", path.display())));
        }
        Err(error) => return Err(Error::io("read", &path, &error)),
    }
    let words = ["--noprofile", "--norc", "-c", SCRIPT, "bash"].map(OsString::from);
    let argv = std::iter::once(bash(dir, base)?.into()).chain(words).chain([path.into()]).collect();
    Ok(Sourcing {
        argv,
        dir: dir.to_owned(),
        env: base.iter().filter(|(name, _)| passed(name)).cloned().collect(),
    })
}

/// The bash of the environment's PATH, which on macOS may be newer than the system's.
pub(super) fn bash(dir: &Path, base: &[(OsString, OsString)]) -> Result<PathBuf> {
    let system = Path::new("/bin/bash");
    let search = base.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    if let Some(found) = search.and_then(|search| which::which_in("bash", Some(search), dir).ok()) {
        return Ok(found);
    }
    if system.exists() {
        Ok(system.to_owned())
    } else {
        Err(Error::not_found("cannot source env files: there is no bash on PATH"))
    }
}

/// True for a variable that bash gets from the base environment.
fn passed(name: &OsStr) -> bool {
    !WITHHELD.iter().any(|held| name == *held) && !name.as_bytes().starts_with(b"BASH_FUNC_")
}

/// True for a variable that bash can show: it knows nothing of `a.b` and passes it on untouched.
fn shown(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.first().is_some_and(|byte| !byte.is_ascii_digit())
}

/// What the answer of a [`command`] means: `stdout` and `stderr` as read until the shell exited with `code` (`None` when
/// a signal ended it), for the file `path` over the environment `base`.
///
/// # Errors
/// A syntax error or a non-zero end of the file, as `FILE:LINE: why`.
pub fn parse(
    stdout: &[u8],
    stderr: &[u8],
    code: Option<i32>,
    path: &Path,
    base: &[(OsString, OsString)],
) -> Result<Overlay> {
    let printed = String::from_utf8_lossy(stderr);
    // A value may end in a newline but never in NUL, so two of them are the end and nothing else.
    let mut records = stdout.strip_suffix(b"\0\0").unwrap_or_default().split(|&byte| byte == 0);
    let header = String::from_utf8_lossy(records.next().unwrap_or_default());
    let mut words = header.split(' ');
    let how = words.next().unwrap_or_default();
    let status: Option<i32> = words.next().and_then(|word| word.parse().ok()).or(code);
    let line: usize = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
    if how != "end" || status != Some(0) {
        return Err(failure(path, how, status, line, &printed));
    }

    let before: BTreeMap<&OsStr, &OsStr> = base
        .iter()
        .filter(|(name, _)| passed(name) && shown(name))
        .map(|(n, v)| (n.as_os_str(), v.as_os_str()))
        .collect();
    let mut after = BTreeMap::new();
    for record in records {
        let Some(split) = record.iter().position(|&byte| byte == b'=') else { continue };
        after.insert(OsStr::from_bytes(&record[..split]), OsStr::from_bytes(&record[split + 1..]));
    }
    let noise = |name: &OsStr| NOISE.iter().any(|noise| name == *noise);
    let mut overlay = Overlay { printed: printed.into_owned(), ..Overlay::default() };
    for (name, value) in &after {
        if !noise(name) && before.get(name) != Some(value) {
            let name = name.to_string_lossy();
            let Some(value) = value.to_str() else {
                return Err(Error::failed(format!(
                    "{}: the value of {name} is not UTF-8 text",
                    path.display()
                )));
            };
            overlay.set.insert(name.into_owned(), value.to_owned());
        }
    }
    let removed = before.keys().filter(|name| !noise(name) && !after.contains_key(*name));
    overlay.unset = removed.map(|name| name.to_string_lossy().into_owned()).collect();
    Ok(overlay)
}

/// The error of a file that did not end well: where, by what bash said or the last line it was at, and why.
pub(super) fn failure(path: &Path, how: &str, status: Option<i32>, line: usize, printed: &str) -> Error {
    // A message about an earlier line is a failure that the file lived with.
    let said = printed.lines().filter_map(|text| message(path, text)).find(|(at, _)| *at >= line);
    let file = path.display();
    if let Some((at, why)) = said {
        return Error::failed(format!("{file}:{at}: {why}"));
    }
    let place = if line > 0 { format!("{file}:{line}") } else { file.to_string() };
    match (how, status) {
        ("end", Some(status)) => Error::failed(format!(
            "{place}: the file's last command ended with exit code {status}"
        ))
        .hint("end the file with a command that succeeds; 'if …; then …; fi' does, '[ … ] && …' may not"),
        (_, Some(status)) => {
            Error::failed(format!("{place}: the file ended its shell with exit code {status}"))
                .hint("an env file is sourced: it must not call exit or exec, nor fail under set -e")
        }
        (_, None) => Error::failed(format!("{place}: a signal ended the shell that read the file")),
    }
}

/// The line and text of a message of bash about `path`: `PATH: line N: text`, with "line" in the user's language.
fn message<'a>(path: &Path, text: &'a str) -> Option<(usize, &'a str)> {
    let rest = text.strip_prefix(&*path.to_string_lossy())?.strip_prefix(": ")?;
    let (place, why) = rest.split_once(": ")?;
    let line = place.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some((line, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn read(stdout: &str) -> Result<Overlay> {
        let base = env(&[("A", "1"), ("GONE", "x"), ("a.b", "1"), ("SHLVL", "1"), ("BASH_ENV", "f")]);
        parse(stdout.as_bytes(), b"", Some(0), Path::new("/e"), &base)
    }

    #[test]
    fn the_difference_is_what_counts() {
        let overlay = read("end 0 3\0A=1\0B=x=y\nz\0SHLVL=2\0PWD=/\0\0").unwrap();
        assert_eq!(overlay.set, BTreeMap::from([("B".to_owned(), "x=y\nz".to_owned())]));
        assert_eq!(overlay.unset, ["GONE"], "not a.b, which bash cannot show, nor what it was not given");
        let applied = overlay.apply(&env(&[("GONE", "x"), ("B", "old"), ("C", "3")]));
        assert_eq!(applied, env(&[("C", "3"), ("B", "x=y\nz")]));
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for cut in [
            "",
            "end 0 3\0",
            "end 0 3\0A=1\0",
            "end 0 3\0A=1\0B=",
            "exit 0 2\0\0",
            "end 1 2\0A=1\0\0",
            "\0\0",
        ] {
            assert!(read(cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn the_line_is_found_in_any_language() {
        for (text, expected) in [
            ("/e: line 3: syntax error", Some((3, "syntax error"))),
            ("/e: Zeile 12: Dateiende: x", Some((12, "Dateiende: x"))),
            ("/e: x", None),
            ("/f: line 3: x", None),
            ("", None),
        ] {
            assert_eq!(message(Path::new("/e"), text), expected, "{text:?}");
        }
    }
}
