//! Logs in a temporary directory, for the tests of this module.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::Source;
use crate::sys::collapse::{block_size, collapse_head};
use crate::sys::flock::lock_exclusive;

/// `log_base` as its reader sees it.
pub(super) type Base = Arc<Mutex<Option<u64>>>;

pub(super) struct Logs {
    pub(super) source: Source,
    pub(super) base: Base,
    _dir: TempDir,
}

impl Logs {
    pub(super) fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    pub(super) fn in_dir(dir: TempDir) -> Self {
        let base = Base::default();
        let seen = Arc::clone(&base);
        let source = Source {
            name: "web".into(),
            live: dir.path().join("web.log"),
            keep: 1000,
            base: Box::new(move || *seen.lock().unwrap()),
        };
        Logs { source, base, _dir: dir }
    }

    /// Makes the rotated files and the live one of `pieces`, the oldest first; the live file keeps its inode.
    pub(super) fn write(&self, pieces: &[&[u8]], base: u64) {
        for (number, piece) in pieces.iter().rev().enumerate() {
            let path =
                if number == 0 { self.source.live.clone() } else { self.source.rotated(number as u32) };
            fs::write(path, piece).unwrap();
        }
        *self.base.lock().unwrap() = Some(base);
    }

    pub(super) fn append(&self, bytes: &[u8]) {
        let mut file = File::options().create(true).append(true).open(&self.source.live).unwrap();
        file.write_all(bytes).unwrap();
    }

    pub(super) fn rotator(&self) -> Rotator {
        Rotator { live: self.source.live.clone() }
    }
}

/// What a supervisor does, in short.
pub(super) struct Rotator {
    live: PathBuf,
}

impl Rotator {
    fn numbered(&self, number: u32) -> PathBuf {
        format!("{}.{number}", self.live.display()).into()
    }

    /// Moves what fills whole blocks to a rotated file, once that is enough; true when it did.
    pub(super) fn rotate(&self, base: &Base, writing: &Mutex<()>) -> bool {
        let file = File::options().read(true).write(true).open(&self.live).unwrap();
        let block = block_size(&file).unwrap();
        let length = file.metadata().unwrap().len();
        if length <= 4 * block {
            return false;
        }
        let mut head = Vec::new();
        (&file).take((length - 1) / block * block).read_to_end(&mut head).unwrap();
        let _rotating = lock_exclusive(&file).unwrap();
        let truncating = match collapse_head(&file, head.len() as u64) {
            Ok(()) => None,
            Err(_) => Some(writing.lock().unwrap()),
        };
        if truncating.is_some() {
            (&file).read_to_end(&mut head).unwrap();
            file.set_len(0).unwrap();
        }
        let rotated = (1..1000).take_while(|&number| self.numbered(number).exists()).count() as u32;
        for number in (1..=rotated).rev() {
            fs::rename(self.numbered(number), self.numbered(number + 1)).unwrap();
        }
        fs::write(self.numbered(1), &head).unwrap();
        let mut base = base.lock().unwrap();
        *base = Some(base.unwrap_or(0) + head.len() as u64);
        true
    }
}
