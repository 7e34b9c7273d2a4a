//! Setting `core.hooksPath` in a configuration file of git, and taking that back to the byte.
//!
//! git writes the file, because only git knows how; what that changed is remembered as one piece of the file, and put back
//! in its place. Where the file was changed there since, git takes the value back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::repo::Git;
use crate::error::{Error, Result};

const KEY: &str = "core.hooksPath";

/// Which of git's configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// That of the repository.
    Local,
    /// That of one linked working tree.
    Worktree,
    /// That of the user.
    Global,
}

impl Scope {
    fn option(self) -> &'static str {
        match self {
            Scope::Local => "--local",
            Scope::Worktree => "--worktree",
            Scope::Global => "--global",
        }
    }
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In which of the files.
    pub scope: Scope,
    /// The file.
    pub file: PathBuf,
    /// What we have set.
    pub ours: String,
    /// What was set there before.
    pub before: Option<String>,
    /// True when there was no such file.
    made: bool,
    /// The piece that was changed, as it was and as it is, and where it begins, in bytes.
    piece: Option<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    at: usize,
    was: String,
    is: String,
}

/// The value that counts, with the name of the file's scope: `local`, `worktree`, `global`, `system`, `command`.
///
/// # Errors
/// When git fails.
pub fn effective(git: &Git) -> Result<Option<(String, PathBuf)>> {
    let words = ["config", "--show-scope", "--type=path", "--get", KEY];
    let answer = git.run(&words)?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    match (answer.code, text.trim_end_matches('\n').split_once('\t')) {
        // An empty path is none.
        (0, Some((_, ""))) => Ok(None),
        (0, Some((scope, value))) => Ok(Some((scope.to_owned(), PathBuf::from(value)))),
        (1, _) => Ok(None),
        _ => Err(Error::failed(format!("git config failed: {}", answer.complaint()))),
    }
}

/// The value in one of the files.
fn value(git: &Git, scope: Scope) -> Result<Option<String>> {
    let answer = git.run(&["config", scope.option(), "--get", KEY])?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    match answer.code {
        0 => Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned())),
        1 => Ok(None),
        // The file does not exist yet.
        _ if !answer.stdout.is_empty() || !answer.complaint().contains("unable to read config file") => {
            Err(Error::failed(format!("git config failed: {}", answer.complaint())))
        }
        _ => Ok(None),
    }
}

/// The file that git writes for this scope.
///
/// # Errors
/// When there is no home directory.
pub fn file(git: &Git, scope: Scope, git_dir: &Path, common_dir: &Path) -> Result<PathBuf> {
    match scope {
        Scope::Local => Ok(common_dir.join("config")),
        Scope::Worktree => Ok(git_dir.join("config.worktree")),
        Scope::Global => {
            if let Some(path) = git.var("GIT_CONFIG_GLOBAL") {
                return Ok(path.into());
            }
            let home = git.var("HOME").map(PathBuf::from);
            let home =
                home.ok_or_else(|| Error::failed("HOME is not set, so git has no global configuration"))?;
            let usual = home.join(".gitconfig");
            let other = git.var("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
            let other = other.join("git/config");
            // git-config(1), FILES.
            Ok(if !usual.exists() && other.exists() { other } else { usual })
        }
    }
}

/// Sets it; `note` is told what is about to be changed, and once more when it is.
///
/// # Errors
/// When git cannot write the file; it is then as it was. What `note` fails with.
pub fn set(
    git: &Git,
    scope: Scope,
    file: &Path,
    ours: &Path,
    note: impl Fn(&Change) -> Result<()>,
) -> Result<()> {
    let ours = ours.to_str().ok_or_else(|| {
        Error::failed(format!("{} is not UTF-8, and cannot be named in git's configuration", ours.display()))
    })?;
    let before = value(git, scope)?;
    let was = fs::read(file).ok();
    let made = was.is_none();
    let mut change =
        Change { scope, file: file.to_owned(), ours: ours.to_owned(), before, made, piece: None };
    note(&change)?;
    git.ask(&["config", scope.option(), KEY, ours])?;
    let is = fs::read(file).map_err(|error| Error::io("read", file, &error))?;
    change.piece = piece(was.as_deref().unwrap_or_default(), &is);
    note(&change)
}

/// Takes it back; false when somebody else has set another value meanwhile, which stays.
///
/// # Errors
/// When the file cannot be written.
pub fn undo(git: &Git, change: &Change) -> Result<bool> {
    if value(git, change.scope)?.as_deref() != Some(change.ours.as_str()) {
        return Ok(false);
    }
    let now = fs::read(&change.file).map_err(|error| Error::io("read", &change.file, &error))?;
    if let Some(was) = change.piece.as_ref().and_then(|piece| restored(&now, piece)) {
        if change.made && was.is_empty() {
            fs::remove_file(&change.file).map_err(|error| Error::io("remove", &change.file, &error))?;
        } else {
            replace(&change.file, &was)?;
        }
        return Ok(true);
    }
    match &change.before {
        Some(before) => git.ask(&["config", change.scope.option(), KEY, before])?,
        None => git.ask(&["config", change.scope.option(), "--unset", KEY])?,
    };
    Ok(true)
}

/// What is different: one piece between what both begin and end with.
fn piece(was: &[u8], is: &[u8]) -> Option<Piece> {
    let at = was.iter().zip(is).take_while(|(a, b)| a == b).count();
    let end = was[at..].iter().rev().zip(is[at..].iter().rev()).take_while(|(a, b)| a == b).count();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(Piece { at, was: text(&was[at..was.len() - end])?, is: text(&is[at..is.len() - end])? })
}

/// The file as it was, if the piece is still where it was put.
fn restored(now: &[u8], piece: &Piece) -> Option<Vec<u8>> {
    let end = piece.at.checked_add(piece.is.len())?;
    if now.get(piece.at..end)? != piece.is.as_bytes() {
        return None;
    }
    Some([&now[..piece.at], piece.was.as_bytes(), &now[end..]].concat())
}

/// Writes a file of somebody else's: its mode stays, and a link stays a link.
///
/// # Errors
/// When its directory cannot be written.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let real = path.canonicalize().map_err(|error| Error::io("find", path, &error))?;
    let mode = fs::metadata(&real).map_err(|error| Error::io("read", &real, &error))?.permissions().mode();
    super::files::place(&real, bytes, mode & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(config: Option<&str>) -> (tempfile::TempDir, Git, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        if let Some(config) = config {
            fs::write(&file, config).unwrap();
        }
        let git =
            Git::at(dir.path()).with("GIT_CONFIG_GLOBAL", &file).with("GIT_CONFIG_NOSYSTEM", Path::new("1"));
        assert_eq!(super::file(&git, Scope::Global, dir.path(), dir.path()).unwrap(), file);
        (dir, git, file)
    }

    fn set(git: &Git, file: &Path, ours: &str) -> Change {
        let told = std::cell::RefCell::new(Vec::new());
        super::set(git, Scope::Global, file, Path::new(ours), |change| {
            // As it is kept meanwhile.
            let kept = serde_json::to_string(change).unwrap();
            told.borrow_mut().push(serde_json::from_str(&kept).unwrap());
            Ok(())
        })
        .unwrap();
        assert_eq!(told.borrow().len(), 2);
        told.into_inner().remove(1)
    }

    #[test]
    fn it_is_set_and_taken_back_to_the_byte() {
        for config in [
            None,
            Some(""),
            Some("[user]\n\tname = A"),
            Some("# mine\n[core]\n\n[user]\n\tname = A\n"),
            Some("[core]\n  hooksPath=~/my-hooks ; why\n[user]\nname=\"B\"\n"),
            Some("[core]\n\thooksPath =\n\teditor = vi\n"),
            Some("[CORE]\n\tpager = cat\n# end\n"),
        ] {
            let (dir, git, file) = home(config);
            let change = set(&git, &file, "/o u/rs");
            assert_eq!(effective(&git).unwrap(), Some(("global".into(), PathBuf::from("/o u/rs"))));
            assert!(undo(&git, &change).unwrap());
            assert_eq!(fs::read_to_string(&file).ok().as_deref(), config);
            assert!(!undo(&git, &change).unwrap(), "once");
            drop(dir);
        }
    }

    #[test]
    fn what_was_changed_since_stays() {
        let (_dir, git, file) = home(Some("[core]\n\thooksPath = /theirs\n"));
        let change = set(&git, &file, "/ours");
        git.ask(&["config", "--global", "user.name", "New"]).unwrap();
        fs::write(&file, format!("# above\n{}", fs::read_to_string(&file).unwrap())).unwrap();
        assert!(undo(&git, &change).unwrap());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("hooksPath = /theirs") && text.contains("name = New"), "{text}");

        let change = set(&git, &file, "/ours");
        git.ask(&["config", "--global", KEY, "/other"]).unwrap();
        assert!(!undo(&git, &change).unwrap());
        assert_eq!(effective(&git).unwrap().unwrap().1, Path::new("/other"));
    }
}
