//! Writing a file so that every reader sees the old content or the new one, never a part.

use std::fs::File;
use std::io::Write;
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
    use std::os::unix::fs::PermissionsExt;

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
    fn a_directory_that_is_not_there_is_an_error_with_the_path() {
        let error = write(Path::new("/does/not/exist/x.json"), b"x", Durability::Cached).unwrap_err();
        assert!(error.message().starts_with("cannot write /does/not/exist/x.json:"), "{error}");
    }
}
