//! The transcripts that were read, for as long as somebody has them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::head::Head;
use super::lines::Source;
use super::locate::Listed;
use super::tail::Tail;

/// How many beginnings are kept at most.
const HEADS: usize = 2_000;

/// What is known of files, by their paths.
#[derive(Debug, Default)]
pub(super) struct Transcripts {
    tails: HashMap<PathBuf, Tail>,
    heads: HashMap<PathBuf, Seen>,
    /// Bytes read of files that are not in `tails`.
    read: u64,
}

/// The beginning of a file that nobody has yet.
#[derive(Debug)]
struct Seen {
    inode: u64,
    size: u64,
    head: Head,
}

impl Transcripts {
    /// The end of a file as it is now; `None` when it cannot be read.
    pub(super) fn look(&mut self, path: &Path) -> Option<&Tail> {
        let is_read = match self.tails.get_mut(path) {
            Some(tail) => tail.look(path).is_ok(),
            None => Tail::open(path).map(|tail| self.tails.insert(path.to_owned(), tail)).is_ok(),
        };
        if !is_read {
            self.read += self.tails.remove(path).map_or(0, |tail| tail.bytes_read());
        }
        self.tails.get(path)
    }

    /// The beginning of a file; nothing when it cannot be read.
    pub(super) fn head(&mut self, file: &Listed) -> Head {
        let is_known = |seen: &Seen| {
            seen.inode == file.inode
                && (seen.size == file.size || (seen.head.is_complete && file.size > seen.size))
        };
        if let Some(seen) = self.heads.get(&file.path).filter(|seen| is_known(seen)) {
            return seen.head.clone();
        }
        let opened = File::open(&file.path);
        let head = opened.and_then(|opened| {
            let mut source = Source::new(&opened);
            let head = Head::read(&mut source, file.size);
            self.read += source.read;
            head
        });
        let head = head.unwrap_or_default();
        if self.heads.len() >= HEADS {
            self.heads.clear();
        }
        let seen = Seen { inode: file.inode, size: file.size, head: head.clone() };
        self.heads.insert(file.path.clone(), seen);
        head
    }

    /// Forgets the ends of all other files.
    pub(super) fn keep_only<'a>(&mut self, paths: impl Iterator<Item = &'a Path>) {
        let kept: HashSet<&Path> = paths.collect();
        for (_, gone) in self.tails.extract_if(|path, _| !kept.contains(path.as_path())) {
            self.read += gone.bytes_read();
        }
    }

    /// How many bytes have been read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read + self.tails.values().map(Tail::bytes_read).sum::<u64>()
    }
}
