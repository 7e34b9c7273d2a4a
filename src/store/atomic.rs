//! Writing a file so that every reader sees the old content or the new one, never a part.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::{NamedTempFile, PersistError};

use crate::error::{Error, Result};

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: the content is on the disk before the name is.
    Synced,
    /// The last change: for what is true only as long as the machine runs.
    Cached,
}

/// How the name of a file begins that is not complete yet.
pub const UNFINISHED: &str = ".new-";

/// Writes `bytes` to `path` through a new file (mode 0600) in the same directory, and a rename.
///
/// # Errors
/// When the directory cannot be written or is full; the old file is then as it was and nothing else is left.
pub fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    place(path, bytes, durability, |fresh| fresh.persist(path))
}

/// As [`write`], where no file is yet: one that is there, or comes to be there meanwhile, stays.
///
/// # Errors
/// As [`write`]; a conflict when a file is there.
pub fn write_new(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let placed = place(path, bytes, durability, |fresh| fresh.persist_noclobber(path));
    placed.map_err(|error| match error.io_kind() {
        Some(std::io::ErrorKind::AlreadyExists) => {
            Error::conflict(format!("{} exists already", path.display()))
        }
        _ => error,
    })
}

/// Replaces a file that is its user's own: only if it still holds `before` (`None`: is not there), and with the mode `mode`.
///
/// # Errors
/// As [`write`]; a conflict when it has changed, and what somebody else wrote stays.
pub fn replace(path: &Path, before: Option<&[u8]>, bytes: &[u8], mode: u32) -> Result<()> {
    let mut changed = false;
    let placed = place(path, bytes, Durability::Synced, |fresh| {
        changed = std::fs::read(path).ok().as_deref() != before;
        let allowed = if changed {
            Err(std::io::Error::other("changed"))
        } else {
            fresh.as_file().set_permissions(Permissions::from_mode(mode))
        };
        match allowed {
            Err(error) => Err(PersistError { error, file: fresh }),
            Ok(()) if before.is_none() => fresh.persist_noclobber(path),
            Ok(()) => fresh.persist(path),
        }
    });
    if changed {
        return Err(Error::conflict(format!("{} was changed by somebody else just now", path.display())));
    }
    placed
}

fn place(
    path: &Path,
    bytes: &[u8],
    durability: Durability,
    persist: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let failed = |error: &std::io::Error| Error::io("write", path, error);
    let mut fresh = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir).map_err(|e| failed(&e))?;
    fresh.write_all(bytes).map_err(|e| failed(&e))?;
    if durability == Durability::Synced {
        fresh.as_file().sync_data().map_err(|e| failed(&e))?;
    }
    persist(fresh).map_err(|e| failed(&e.error))?;
    if durability == Durability::Synced {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| failed(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file_is_private_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        for (text, durability) in [("first", Durability::Synced), ("2", Durability::Cached)] {
            write(&path, text.as_bytes(), durability).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_replaces_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write_new(&path, b"first", Durability::Synced).unwrap();
        let error = write_new(&path, b"second", Durability::Synced).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Conflict);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_somebody_else_has_changed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        replace(&path, None, b"first", 0o640).unwrap();
        replace(&path, Some(b"first"), b"second", 0o640).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        for before in [None, Some(&b"first"[..])] {
            let error = replace(&path, before, b"third", 0o600).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Conflict);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_with_the_path() {
        let error = write(Path::new("/does/not/exist/x.json"), b"x", Durability::Cached).unwrap_err();
        assert!(error.message().starts_with("cannot write /does/not/exist/x.json:"), "{error}");
    }
}
