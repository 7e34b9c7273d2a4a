//! A settings file on disk: read once, written back only over what was read, with a copy of that beside it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::{self, Durability};

/// How many links may lead to a file, and how many copies be beside it.
const MOST: usize = 100;

/// A settings file as it was read.
#[derive(Debug)]
pub struct SettingsFile {
    /// As it was named.
    path: PathBuf,
    /// Where links lead from there: the file itself, perhaps in a repository of dotfiles.
    target: PathBuf,
    /// What it held; `None` when it is not there.
    before: Option<String>,
    mode: u32,
}

impl SettingsFile {
    /// Reads it; one that is not there is an empty one.
    ///
    /// # Errors
    /// When it cannot be read, or is no text.
    pub fn read(path: &Path) -> Result<Self> {
        let target = target(path)?;
        let failed = |error: &io::Error| Error::io("read", path, error);
        let (before, mode) = match fs::read(&target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, 0o600),
            Err(error) => return Err(failed(&error)),
            Ok(bytes) => {
                let mode = fs::metadata(&target).map_err(|error| failed(&error))?.permissions().mode();
                let text = String::from_utf8(bytes)
                    .map_err(|_| Error::failed(format!("cannot read {}: it is not UTF-8", path.display())))?;
                (Some(text), mode & 0o7777)
            }
        };
        Ok(SettingsFile { path: path.to_owned(), target, before, mode })
    }

    /// What it held; nothing when it is not there.
    pub fn text(&self) -> &str {
        self.before.as_deref().unwrap_or_default()
    }

    /// The file itself, where links lead to another place.
    pub fn elsewhere(&self) -> Option<&Path> {
        (self.target != self.path).then_some(&*self.target)
    }

    /// Writes `text` in its place, and returns where what it held is kept.
    ///
    /// # Errors
    /// When it cannot be written, or was changed since it was read; it is then as it was.
    pub fn write(&self, text: &str) -> Result<Option<PathBuf>> {
        if self.before.is_none()
            && let Some(dir) = self.target.parent()
        {
            store::create_dir(dir)?;
        }
        let backup = self.before.as_deref().map(|before| back_up(&self.path, before)).transpose()?;
        let before = self.before.as_deref().map(str::as_bytes);
        match store::replace(&self.target, before, text.as_bytes(), self.mode) {
            Ok(()) => Ok(backup.map(|(path, _)| path)),
            Err(error) => {
                // Of a file that is as it was nobody needs a copy.
                if let Some((path, true)) = backup {
                    let _ = fs::remove_file(path);
                }
                Err(error)
            }
        }
    }
}

/// Where the links at `path` lead, also when nothing is there.
fn target(path: &Path) -> Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&target) {
            Ok(link) => target = target.parent().unwrap_or(Path::new("/")).join(link),
            // No link, or nothing at all.
            Err(_) => return Ok(target),
        }
    }
    Err(Error::failed(format!("cannot read {}: its links lead nowhere", path.display())))
}

/// Keeps `text` beside `path`, and returns where, and whether it was not there already.
fn back_up(path: &Path, text: &str) -> Result<(PathBuf, bool)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1..=MOST {
        let suffix = if number == 1 { String::new() } else { format!(".{number}") };
        let backup = path.with_file_name(format!("{name}.tsm-backup{suffix}"));
        match store::write_new(&backup, text.as_bytes(), Durability::Synced) {
            Ok(()) => return Ok((backup, true)),
            Err(error) if error.kind() != crate::error::Kind::Conflict => return Err(error),
            // The same was kept before.
            Err(_) if fs::read(&backup).is_ok_and(|kept| kept == text.as_bytes()) => {
                return Ok((backup, false));
            }
            Err(_) => {}
        }
    }
    Err(Error::conflict(format!("there are {MOST} copies of {} already", path.display()))
        .hint(format!("rm {name}.tsm-backup.*")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_file_that_changes_between_reading_and_writing_stays_and_leaves_no_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        fs::write(&path, "{}").unwrap();
        let file = SettingsFile::read(&path).unwrap();
        fs::write(&path, "{\"a\":1}").unwrap();
        assert_eq!(file.write("{\"b\":1}").unwrap_err().kind(), Kind::Conflict);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // One that comes to be meanwhile.
        fs::remove_file(&path).unwrap();
        let file = SettingsFile::read(&path).unwrap();
        fs::write(&path, "{}").unwrap();
        assert_eq!(file.write("{\"b\":1}").unwrap_err().kind(), Kind::Conflict);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
    }

    #[test]
    fn links_are_written_through_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (home, dotfiles) = (dir.path().join("home"), dir.path().join("dotfiles"));
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(&dotfiles).unwrap();
        let path = home.join("settings.json");
        symlink("../dotfiles/link.json", &path).unwrap();
        symlink("claude.json", dotfiles.join("link.json")).unwrap();
        let target = dotfiles.join("claude.json");
        // At first nothing is there.
        assert_eq!(SettingsFile::read(&path).unwrap().write("1").unwrap(), None);
        fs::set_permissions(&target, fs::Permissions::from_mode(0o664)).unwrap();
        let file = SettingsFile::read(&path).unwrap();
        assert_eq!(file.text(), "1");
        assert_eq!(file.write("2").unwrap(), Some(home.join("settings.json.tsm-backup")));
        assert!(path.is_symlink() && dotfiles.join("link.json").is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "2");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o664);
        // A ring.
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(SettingsFile::read(&dir.path().join("a")).is_err());
    }

    #[test]
    fn no_copy_is_overwritten_and_none_made_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        let mut copies = Vec::new();
        fs::write(&path, "0").unwrap();
        for text in ["1", "0", "1", "2"] {
            copies.push(SettingsFile::read(&path).unwrap().write(text).unwrap().unwrap());
        }
        let name = |number: &str| dir.path().join(format!("settings.json.tsm-backup{number}"));
        assert_eq!(copies, [name(""), name(".2"), name(""), name(".2")]);
        assert_eq!(fs::read_to_string(name("")).unwrap(), "0");
        assert_eq!(fs::read_to_string(name(".2")).unwrap(), "1");
    }
}
