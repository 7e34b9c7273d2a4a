//! Files in places that are not ours: written as a whole or not at all, with the mode that they should have.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// How the name of a file begins that is not complete yet; git ignores hooks and everybody else files of such a name.
pub(super) const UNFINISHED: &str = ".tsm-new-";

/// Writes a file through a new one in the same directory and a rename; it is on the disk when this returns.
///
/// # Errors
/// When the directory cannot be written or is full; nothing else is left then.
pub(super) fn place(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fresh = fresh(path, bytes, mode)?;
    fresh.persist(path).map_err(|error| Error::io("write", path, &error.error))?;
    sync_dir(path.parent().unwrap_or(Path::new("/")))
}

/// As [`place`], for this user only and where no file is yet; false when there is one.
///
/// # Errors
/// As [`place`].
pub(super) fn place_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    match fresh(path, bytes, 0o600)?.persist_noclobber(path) {
        Ok(_) => sync_dir(path.parent().unwrap_or(Path::new("/"))).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("write", path, &error.error)),
    }
}

/// A file that is on the disk and has no name of its own yet.
fn fresh(path: &Path, bytes: &[u8], mode: u32) -> Result<NamedTempFile> {
    let failed = |error: &io::Error| Error::io("write", path, error);
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut fresh = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir).map_err(|e| failed(&e))?;
    fresh.write_all(bytes).map_err(|e| failed(&e))?;
    fresh.as_file().set_permissions(Permissions::from_mode(mode)).map_err(|e| failed(&e))?;
    fresh.as_file().sync_data().map_err(|e| failed(&e))?;
    Ok(fresh)
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
/// When the disk fails.
pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", dir, &error))
}

/// Takes a file away; one that is not there is gone already.
///
/// # Errors
/// When it stays.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// The content of a file; none when there is none.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Error::io("read", path, &error)),
    }
}
