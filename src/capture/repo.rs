//! Asking git about one repository: its programs are run with a limit of time, and never in the place of a hook.
//!
//! The variables that tie git to the commit that is just being made (`git rev-parse --local-env-vars`) are taken out of
//! its environment, because a hook has them and they would lead to another index, or to another repository.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Kind, Result, plain};
use crate::sys::capture;

/// How long one call may take: the history of a large repository on a slow disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// What git says with `rev-parse --local-env-vars`, and what a caller may have set for one commit.
const LOCAL: [&str; 24] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_REFLOG_ACTION",
    "GIT_NAMESPACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_LITERAL_PATHSPECS",
    "GIT_EXTERNAL_DIFF",
];

/// The environment of this program as git is to see it, and what is started for a commit.
pub fn environment() -> Vec<(OsString, OsString)> {
    let local = |name: &OsStr| {
        let numbered = [&b"GIT_CONFIG_KEY_"[..], b"GIT_CONFIG_VALUE_", b"GIT_TRACE", b"BASH_FUNC_"];
        LOCAL.iter().any(|known| name == *known)
            || numbered.iter().any(|start| name.as_bytes().starts_with(start))
    };
    std::env::vars_os().filter(|(name, _)| !local(name)).collect()
}

/// Git in one directory.
#[derive(Clone, Debug)]
pub struct Git {
    dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    patience: Duration,
}

impl Git {
    /// Git as it finds its repository from `dir`.
    pub fn at(dir: &Path) -> Self {
        let mut env = environment();
        for (name, value) in [
            // Messages are told apart by their words; nobody is there to be asked; and looking changes nothing.
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_PAGER", "cat"),
        ] {
            env.retain(|(known, _)| known != name);
            env.push((name.into(), value.into()));
        }
        Git { dir: dir.to_owned(), env, patience: PATIENCE }
    }

    /// Git for the working tree at `root` whose `HEAD` is in `git_dir`, wherever both are.
    pub fn of(root: &Path, git_dir: &Path) -> Self {
        let mut made = Self::at(root);
        made.env.push(("GIT_DIR".into(), git_dir.into()));
        made.env.push(("GIT_WORK_TREE".into(), root.into()));
        made
    }

    /// The same with another limit of time.
    pub(super) fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The same with one more variable.
    #[cfg(test)]
    pub(super) fn with(mut self, name: &str, value: &Path) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
        self
    }

    /// Where it is run.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The value of a variable that it gets.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        let found = self.env.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_os_str()).filter(|value| !value.is_empty())
    }

    /// Runs it: exit code, output, and what it complained of.
    ///
    /// # Errors
    /// When there is no git, or it takes longer than a minute.
    pub fn run<Word: AsRef<OsStr>>(&self, words: &[Word]) -> Result<Answer> {
        let mut argv = vec![OsString::from("git")];
        argv.extend(words.iter().map(|word| word.as_ref().to_owned()));
        // The search path of `Command` is that of this program, which is the same one.
        let ran = capture::run(&argv, &self.env, &self.dir, self.patience).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound && self.dir.is_dir() {
                Error::not_found("git is not installed, or not in PATH")
            } else {
                Error::failed(format!("cannot run git in {}: {}", self.dir.display(), plain(&error)))
            }
        })?;
        let Some(ran) = ran else {
            return Err(Error::new(Kind::TimedOut, format!("git did not answer within {:?}", self.patience)));
        };
        Ok(Answer { code: ran.code.unwrap_or(128), stdout: ran.stdout, stderr: ran.stderr })
    }

    /// What it prints, without the last line feed.
    ///
    /// # Errors
    /// As [`Git::run`], and what it complains of when it fails.
    pub fn ask<Word: AsRef<OsStr>>(&self, words: &[Word]) -> Result<Vec<u8>> {
        let answer = self.run(words)?;
        if answer.code != 0 {
            let verb = words.first().map(|word| word.as_ref().to_string_lossy().into_owned());
            let verb = verb.unwrap_or_default();
            return Err(Error::failed(format!("git {verb} failed: {}", answer.complaint())));
        }
        let mut out = answer.stdout;
        if out.last() == Some(&b'\n') {
            out.pop();
        }
        Ok(out)
    }

    /// As [`Git::ask`], as text.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn text<Word: AsRef<OsStr>>(&self, words: &[Word]) -> Result<String> {
        self.ask(words).map(|out| String::from_utf8_lossy(&out).into_owned())
    }

    /// As [`Git::ask`], as a path; one that is not absolute is from where git was run.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn path<Word: AsRef<OsStr>>(&self, words: &[Word]) -> Result<PathBuf> {
        let path = PathBuf::from(OsString::from_vec(self.ask(words)?));
        Ok(self.dir.join(path))
    }
}

/// What git has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its exit code; 128 also for a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Answer {
    /// The first line of what it complained of, in the form of our messages.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let first = first.strip_prefix("fatal: ").or_else(|| first.strip_prefix("error: ")).unwrap_or(first);
        first.trim_end_matches('.').to_owned()
    }
}

/// Where the parts of a repository are, links resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The top of the working tree.
    pub root: PathBuf,
    /// Where this working tree's `HEAD` is.
    pub git_dir: PathBuf,
    /// What its linked working trees share.
    pub common_dir: PathBuf,
}

impl Place {
    /// The repository that `dir` is in.
    ///
    /// # Errors
    /// `NotFound` when it is in none, or in one without a working tree.
    pub fn find(dir: &Path) -> Result<Self> {
        let git = Git::at(dir);
        let answer = git.run(&["rev-parse", "--show-toplevel"])?;
        if answer.code != 0 {
            return Err(no_repository(dir, &answer));
        }
        let root = git.path(&["rev-parse", "--show-toplevel"])?;
        let git_dir = git.path(&["rev-parse", "--absolute-git-dir"])?;
        let common_dir = git.path(&["rev-parse", "--git-common-dir"])?;
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        Ok(Place { root: real(root), git_dir: real(git_dir), common_dir: real(common_dir) })
    }

    /// Git for this repository.
    pub fn git(&self) -> Git {
        Git::of(&self.root, &self.git_dir)
    }
}

/// Why there is no working tree here.
fn no_repository(dir: &Path, answer: &Answer) -> Error {
    let complaint = answer.complaint();
    if complaint.contains("must be run in a work tree") {
        return Error::not_found(format!("{} is in no working tree of its repository", dir.display()))
            .hint("cd to a working tree; nothing is committed in a bare repository");
    }
    if complaint.contains("dubious ownership") {
        return Error::failed(format!("git does not trust {}: {complaint}", dir.display()))
            .hint(format!("git config --global --add safe.directory {}", dir.display()));
    }
    Error::not_found(format!("{} is not in a git repository", dir.display()))
        .hint("cd to a repository, or make one: git init")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_repository_says_so_and_a_complaint_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let error = Place::find(dir.path()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.message().ends_with("is not in a git repository"), "{error}");
        let gone = Git::at(&dir.path().join("gone")).run(&["--version"]).unwrap_err();
        assert!(gone.message().contains("cannot run git"), "{gone}");
        let wrong = Git::at(dir.path()).ask(&["no-such-verb"]).unwrap_err();
        assert!(wrong.message().starts_with("git no-such-verb failed: git: 'no-such-verb'"), "{wrong}");
    }

    #[test]
    fn the_variables_of_one_commit_are_not_passed_on() {
        let git = Git::of(Path::new("/x"), Path::new("/x/.git"));
        assert_eq!(git.var("GIT_DIR"), Some(OsStr::new("/x/.git")));
        assert_eq!(git.var("GIT_INDEX_FILE"), None);
        assert_eq!(git.var("LC_ALL"), Some(OsStr::new("C")));
    }
}
