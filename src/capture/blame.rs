//! The prompt behind a line of a file, through `git blame`.

use std::path::{Component, Path, PathBuf};

use super::history::{self, Kept};
use super::record::{Author, Commit, Facts, Said};
use super::repo::Place;
use super::session::Role;
use crate::error::{Error, Result};

/// What is known of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blamed<'a> {
    /// The file, from the top of the working tree, as it is called in the commit.
    pub file: String,
    /// The line as it is now.
    pub text: String,
    /// The commit that it is from; none when it is not committed yet.
    pub commit: Option<Facts>,
    /// The conversations of that commit; those that changed the file come first. For a line that is not committed, those of
    /// active sessions that changed it.
    pub found: Vec<&'a Kept>,
}

impl<'a> Blamed<'a> {
    /// What the user said that the line came of: before the change of the file, else last of all.
    pub fn prompt(&self) -> Option<(&'a Kept, &'a Said)> {
        let first = *self.found.first()?;
        let messages = &first.record.messages;
        let changed = first.record.files.session.iter().find(|changed| changed.path == self.file);
        let by_change = changed.and_then(|changed| messages.get(changed.prompt?));
        let said = by_change.or_else(|| messages.iter().rev().find(|said| said.role == Role::User))?;
        Some((first, said))
    }
}

/// A file and a line of it, as in `src/main.rs:12`; the file from the top of the working tree.
///
/// # Errors
/// Usage, when it is not of that form or outside of the working tree.
pub fn parse(place: &Place, dir: &Path, word: &str) -> Result<(PathBuf, usize)> {
    let bad =
        || Error::usage(format!("{word:?} is no file and line")).hint("tsm capture blame src/main.rs:12");
    let (file, line) = word.rsplit_once(':').ok_or_else(bad)?;
    let line: usize = line.parse().ok().filter(|line| *line > 0).ok_or_else(bad)?;
    if file.is_empty() {
        return Err(bad());
    }
    let path = tidy(&dir.join(file));
    // The working tree is known without links; the file may be named through one.
    let real = path.parent().and_then(|dir| dir.canonicalize().ok()).zip(path.file_name());
    let real = real.map_or_else(|| path.clone(), |(dir, name)| dir.join(name));
    match real.strip_prefix(&place.root) {
        Ok(inside) => Ok((inside.to_owned(), line)),
        Err(_) => {
            Err(Error::usage(format!("{} is not in the repository {}", path.display(), place.root.display())))
        }
    }
}

/// `a/b/../c` as `a/c`.
fn tidy(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

/// Whose line it is, and what was said for it.
///
/// # Errors
/// `NotFound` when there is no such file or line; when git fails.
pub fn blame<'a>(place: &Place, kept: &'a [Kept], file: &Path, line: usize) -> Result<Blamed<'a>> {
    let git = place.git();
    let range = format!("{line},{line}");
    let words = [
        std::ffi::OsStr::new("blame"),
        "--porcelain".as_ref(),
        "-L".as_ref(),
        range.as_ref(),
        "--".as_ref(),
        file.as_os_str(),
    ];
    let answer = git.run(&words)?;
    if answer.code != 0 {
        let why = answer.complaint();
        return Err(if why.contains("no such path") || why.contains("cannot stat path") {
            Error::not_found(format!("{} is no file that git knows", file.display())).hint("git status")
        } else if why.contains("has only") {
            Error::not_found(format!("there is no line {line}: {why}"))
        } else {
            Error::failed(format!("git blame failed: {why}"))
        });
    }
    let (mut blamed, is_committed) = read(&String::from_utf8_lossy(&answer.stdout))
        .ok_or_else(|| Error::failed("git blame has said nothing that makes sense"))?;
    if is_committed {
        let facts = blamed.commit.clone().unwrap_or_default();
        blamed.found = history::of_commit(&git, kept, &facts)?;
        let has = |one: &&Kept| one.record.files.session.iter().any(|changed| changed.path == blamed.file);
        blamed.found.sort_by_key(|one| !has(one));
    } else {
        blamed.commit = None;
        let active = kept.iter().filter(|one| one.file.is_none());
        let has = |one: &&Kept| one.record.files.session.iter().any(|changed| changed.path == blamed.file);
        blamed.found = active.filter(has).collect();
    }
    Ok(blamed)
}

/// The porcelain form of git-blame(1), and whether the line is committed.
fn read(text: &str) -> Option<(Blamed<'static>, bool)> {
    let sha = text.split(' ').next()?.to_owned();
    let field = |name: &str| {
        let found = text.lines().take_while(|line| !line.starts_with('\t'));
        let mut found = found.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.next().unwrap_or_default().to_owned()
    };
    let is_committed = sha.bytes().any(|byte| byte != b'0');
    let email = field("author-mail");
    let email = email.strip_prefix('<').and_then(|mail| mail.strip_suffix('>')).unwrap_or(&email).to_owned();
    let commit = Commit {
        sha,
        time: history::seconds(&field("author-time")),
        subject: field("summary"),
        amends: None,
    };
    let facts = Facts { author: Author { name: field("author"), email }, commit, ..Facts::default() };
    let line = text.lines().find_map(|line| line.strip_prefix('\t'))?.to_owned();
    Some((
        Blamed { file: field("filename"), text: line, commit: Some(facts), found: Vec::new() },
        is_committed,
    ))
}
