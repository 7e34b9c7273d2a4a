//! One tracked process as its files tell it, and all of them.

use std::fs;

use super::{Layout, ProcessDir, Record, read_spec, read_status};
use crate::model::{Name, Spec, Status};
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
    /// True when a supervisor (or a `start` under way) holds its lock.
    pub supervised: bool,
}

impl Entry {
    fn load(name: Name, dir: ProcessDir) -> Self {
        // The lock first: a supervisor that ends writes its last status before it lets go, so a status that is read
        // after the lock was seen free is final.
        let supervised = lock::is_held(&dir.lock());
        let status = read_status(&dir);
        Entry { name, dir, status, supervised }
    }

    /// What was asked.
    pub fn spec(&self) -> Record<Spec> {
        read_spec(&self.dir)
    }
}

/// The process of that name, if its directory is there.
pub fn entry(layout: &Layout, name: &Name) -> Option<Entry> {
    let dir = layout.process(name);
    dir.path().is_dir().then(|| Entry::load(name.clone(), dir))
}

/// Every tracked process, in the order of names; a directory that is not a process is passed over.
pub fn entries(layout: &Layout) -> Vec<Entry> {
    let Ok(listing) = fs::read_dir(layout.processes()) else { return Vec::new() };
    let mut names: Vec<Name> =
        listing.flatten().filter_map(|item| Name::parse(item.file_name().to_str()?).ok()).collect();
    names.sort();
    let load = |names: &[Name]| -> Vec<Entry> {
        names.iter().map(|name| Entry::load(name.clone(), layout.process(name))).collect()
    };
    // Hundreds of small files are read by two threads; for a few, starting one costs more than it saves.
    if names.len() < 64 {
        return load(&names);
    }
    let (left, right) = names.split_at(names.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| load(right));
        let mut all = load(left);
        all.extend(other.join().unwrap_or_default());
        all
    })
}
