//! Removes the head of a file in place, which lets a log be rotated under a writer that appends to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Removes the first `bytes` bytes of `file`; what followed moves to the front, and appends that happen meanwhile land
/// behind it.
///
/// # Errors
///
/// `Unsupported` where the file system (all but ext4, xfs and f2fs) or the kernel cannot do it: copy and truncate
/// instead. `InvalidInput` when `bytes` is 0, not a multiple of [`block_size`], or reaches the end of the file
/// (`fallocate(2)`).
#[cfg(target_os = "linux")]
pub fn collapse_head(file: &File, bytes: u64) -> io::Result<()> {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};

    let length = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        match fallocate(file, FallocateFlags::FALLOC_FL_COLLAPSE_RANGE, 0, length) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::ENODEV) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Removes the first `bytes` bytes of `file`: not possible on this system.
///
/// # Errors
///
/// Always `Unsupported`: copy and truncate instead.
#[cfg(not(target_os = "linux"))]
pub fn collapse_head(_file: &File, _bytes: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The block size of the file system that holds `file`: the unit of [`collapse_head`].
pub fn block_size(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.blksize().max(1))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_head_is_removed_in_place_or_the_file_is_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut file = File::options().create(true).append(true).open(&path).unwrap();
        let block = block_size(&file).unwrap();
        file.write_all(&vec![b'a'; block as usize]).unwrap();
        file.write_all(b"tail\n").unwrap();
        match collapse_head(&file, block) {
            Ok(()) => {
                file.write_all(b"more\n").unwrap();
                assert_eq!(fs::read(&path).unwrap(), b"tail\nmore\n");
                let error = collapse_head(&file, 1).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::Unsupported);
                assert_eq!(fs::metadata(&path).unwrap().len(), block + 5);
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_in_memory_says_that_it_cannot() {
        let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
        let file = fs::File::create(dir.path().join("x.log")).unwrap();
        file.set_len(3 * 4096).unwrap();
        assert_eq!(collapse_head(&file, 4096).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}
