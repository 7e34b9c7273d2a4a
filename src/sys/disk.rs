//! How much room a file system has (`statvfs(3)`).

use std::io;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

/// The room of one file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this user may still write, in bytes.
    pub free: u64,
    /// Its size, in bytes.
    pub total: u64,
    /// Nothing can be written.
    pub read_only: bool,
    /// Its table of files is full. Some file systems have no such table.
    pub no_files: bool,
}

/// The room of the file system that `path` is on.
///
/// # Errors
/// When `path` does not exist or cannot be reached.
pub fn space(path: &Path) -> io::Result<Space> {
    let facts = statvfs(path)?;
    #[expect(clippy::useless_conversion, reason = "the counts are narrower on macOS")]
    let (unit, available, blocks, files, free_files) = (
        u64::from(facts.fragment_size()),
        u64::from(facts.blocks_available()),
        u64::from(facts.blocks()),
        u64::from(facts.files()),
        u64::from(facts.files_available()),
    );
    Ok(Space {
        free: available.saturating_mul(unit),
        total: blocks.saturating_mul(unit),
        read_only: facts.flags().contains(FsFlags::ST_RDONLY),
        no_files: files > 0 && free_files == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_directory_can_be_written() {
        let space = space(&std::env::temp_dir()).unwrap();
        assert!(space.free > 0 && space.free <= space.total && !space.read_only, "{space:?}");
        assert!(super::space(Path::new("/does/not/exist")).is_err());
    }
}
