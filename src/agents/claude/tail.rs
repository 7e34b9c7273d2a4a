//! The end of one transcript: read backwards until it decides, then only what is new.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::detect::Summary;
use super::head::Head;
use super::lines::{CHUNK, Lines, Source};
use super::record::Record;

/// Texts of records over 1 MiB are cut to this, in bytes: nothing longer is shown.
pub(super) const TEXT_LIMIT: usize = 4096;

/// How far back is read for more than the state: for something to show.
const FAR: u64 = 1024 * 1024;

/// What a file was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was written, in nanoseconds.
    mtime_ns: i128,
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
        }
    }

    fn is_same_file(&self, other: &Stamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// One transcript, as far as it has been read. What is kept does not grow with it.
#[derive(Debug)]
pub(super) struct Tail {
    stamp: Stamp,
    /// Where the first record begins that has not been taken.
    offset: u64,
    /// Up to where there is no end of that record.
    searched: u64,
    summary: Summary,
    head: Head,
    /// Bytes read in all looks.
    read: u64,
}

impl Tail {
    /// Reads the end of the file.
    pub(super) fn open(path: &Path) -> io::Result<Tail> {
        let file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let mut tail = Tail {
            stamp,
            offset: 0,
            searched: 0,
            summary: Summary::default(),
            head: Head::default(),
            read: 0,
        };
        tail.measure(&file, Tail::restart)?;
        Ok(tail)
    }

    /// Takes what has been written since; opens and reads nothing when that is nothing.
    pub(super) fn look(&mut self, path: &Path) -> io::Result<()> {
        if Stamp::of(&fs::metadata(path)?) == self.stamp {
            return Ok(());
        }
        let file = File::open(path)?;
        let now = Stamp::of(&file.metadata()?);
        let has_grown = now.is_same_file(&self.stamp) && now.size > self.stamp.size;
        self.stamp = now;
        self.measure(&file, if has_grown { Tail::resume } else { Tail::restart })
    }

    /// What is known of the conversation.
    pub(super) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What its beginning tells.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// When the file was written last, in milliseconds since the Unix epoch.
    pub(super) fn mtime_ms(&self) -> u64 {
        (self.stamp.mtime_ns / 1_000_000).try_into().unwrap_or(0)
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Reads by `how`, and counts.
    fn measure(&mut self, file: &File, how: fn(&mut Tail, &mut Source) -> io::Result<()>) -> io::Result<()> {
        let mut source = Source::new(file);
        let result = how(self, &mut source);
        self.read += source.read;
        if result.is_err() {
            // Nothing is known to have been taken: the next look begins anew.
            self.stamp.size = u64::MAX;
        }
        result
    }

    /// Forgets all, and reads from the end back: more and more, until that decides.
    fn restart(&mut self, source: &mut Source) -> io::Result<()> {
        let size = self.stamp.size;
        self.head = Head::read(source, size)?;
        (self.summary, self.offset, self.searched) = (Summary::default(), 0, size);
        let mut length = CHUNK as u64;
        // No line that is known to be complete begins further back than here.
        let mut reached = size;
        loop {
            let from = size.saturating_sub(length);
            let begun = match from {
                0 => Some(0),
                _ => {
                    source.newline(from, reached)?.map(|newline| newline + 1).filter(|begun| *begun < reached)
                }
            };
            if let Some(begun) = begun {
                self.summary = Summary::default();
                self.offset = begun;
                self.take(source)?;
            }
            let lacks = self.summary.lacks_something() && self.head.preview.line().is_none() && length < FAR;
            if from == 0 || self.summary.decides() && !lacks {
                return Ok(());
            }
            reached = begun.unwrap_or(from);
            length = length.saturating_mul(4);
        }
    }

    /// Goes on where the last look ended.
    fn resume(&mut self, source: &mut Source) -> io::Result<()> {
        let size = self.stamp.size;
        let mut byte = Vec::new();
        if self.offset > 0 {
            source.append(&mut byte, self.offset - 1, 1)?;
            if byte != b"\n" {
                // It was written anew, in place.
                return self.restart(source);
            }
        }
        // A record that is being written for long is not read again for each of its pieces.
        if self.searched > self.offset && source.newline(self.searched, size)?.is_none() {
            self.searched = size;
            return Ok(());
        }
        self.take(source)?;
        self.searched = size;
        if !self.head.is_complete {
            self.head = Head::read(source, size)?;
        }
        Ok(())
    }

    /// Takes the complete records from the offset on.
    fn take(&mut self, source: &mut Source) -> io::Result<()> {
        let mut lines = Lines::new(source, self.offset, self.stamp.size, TEXT_LIMIT);
        while let Some(line) = lines.next()? {
            self.offset = line.end;
            self.summary.push(&Record::parse(line.text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
