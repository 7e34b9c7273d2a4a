//! One tracked process as its files tell it, and all of them.

use std::fs;

use super::record::{parse, unreadable};
use super::{Layout, ProcessDir, Record, read_spec, read_status};
use crate::model::{Name, Spec, Status};
use crate::sys::dir::Dir;
use crate::sys::lock;

/// The files of one tracked process.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name: the directory's.
    pub name: Name,
    /// Where its files are.
    pub dir: ProcessDir,
    /// What is so, as the supervisor wrote it last.
    pub status: Record<Status>,
}

impl Entry {
    /// What was asked.
    pub fn spec(&self) -> Record<Spec> {
        read_spec(&self.dir)
    }

    /// True when a supervisor, or a `start` under way, holds its lock. When none does, the status is read anew: a
    /// supervisor that ends writes its last one before it lets go.
    pub fn is_supervised(&mut self) -> bool {
        let held = lock::is_held(&self.dir.lock());
        if !held {
            self.status = read_status(&self.dir);
        }
        held
    }
}

/// The process of that name, if its directory is there.
pub fn entry(layout: &Layout, name: &Name) -> Option<Entry> {
    let dir = layout.process(name);
    dir.path().is_dir().then(|| Entry { name: name.clone(), status: read_status(&dir), dir })
}

/// Every tracked process, in the order of names; what is no directory, or has no name for one, is passed over.
pub fn entries(layout: &Layout) -> Vec<Entry> {
    let parent = layout.processes();
    let (Ok(listing), Ok(dir)) = (fs::read_dir(&parent), Dir::open(&parent)) else { return Vec::new() };
    // The listing itself tells the type, without a look at each.
    let is_dir = |item: &fs::DirEntry| item.file_type().is_ok_and(|kind| kind.is_dir());
    let mut names: Vec<Name> = listing
        .flatten()
        .filter(is_dir)
        .filter_map(|item| Name::parse(item.file_name().to_str()?).ok())
        .collect();
    names.sort_unstable();
    let mut buffer = Vec::new();
    let entry = |name: Name| Entry {
        status: match dir.read(&format!("{name}/status.json"), &mut buffer) {
            Ok(()) => parse(&buffer),
            Err(error) => unreadable(&error),
        },
        dir: layout.process(&name),
        name,
    };
    names.into_iter().map(entry).collect()
}
