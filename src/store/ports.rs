//! Which port a directory's process had last, so that it gets the same one again.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::{self, Recorded, Step};
use super::{Durability, Layout, Record, write};
use crate::error::{Error, Result};
use crate::model::{Name, SCHEMA};

/// `runtime/ports.json`; read and written under the runtime lock.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct StickyPorts {
    schema: u32,
    /// The file is of a newer TSM and stays as it is.
    #[serde(skip)]
    foreign: bool,
    /// By working directory, then by base name.
    ports: BTreeMap<String, BTreeMap<String, u16>>,
}

impl Recorded for StickyPorts {
    const STEPS: &[Step] = &[];

    fn schema(&self) -> u32 {
        self.schema
    }
}

impl StickyPorts {
    /// Reads the file; a missing, broken or newer one is as good as an empty one, because it only remembers a habit. A
    /// newer one is not written over.
    pub fn read(layout: &Layout) -> Self {
        let record = record::read::<Self>(&layout.ports());
        let foreign = matches!(record, Record::Newer(_));
        record.found().unwrap_or(StickyPorts { foreign, ..StickyPorts::default() })
    }

    /// The port that `base` in `dir` had last.
    pub fn get(&self, dir: &Path, base: &Name) -> Option<u16> {
        self.ports.get(dir.to_string_lossy().as_ref())?.get(base.as_str()).copied()
    }

    /// Remembers a port, and writes the file when that is news.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&mut self, layout: &Layout, dir: &Path, base: &Name, port: u16) -> Result<()> {
        let of_dir = self.ports.entry(dir.to_string_lossy().into_owned()).or_default();
        if of_dir.insert(base.to_string(), port) == Some(port) {
            return Ok(());
        }
        self.write(layout)
    }

    /// Every port that is kept: directory, base name and port.
    pub fn all(&self) -> impl Iterator<Item = (&Path, &str, u16)> {
        self.ports.iter().flat_map(|(dir, names)| {
            names.iter().map(move |(name, port)| (Path::new(dir.as_str()), name.as_str(), *port))
        })
    }

    /// Forgets the ports of every directory that `gone` says so of, and returns how many; the file is written only then.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&mut self, layout: &Layout, gone: impl Fn(&Path) -> bool) -> Result<usize> {
        let before = self.all().count();
        self.ports.retain(|dir, _| !gone(Path::new(dir)));
        let forgotten = before - self.all().count();
        if forgotten > 0 {
            self.write(layout)?;
        }
        Ok(forgotten)
    }

    fn write(&mut self, layout: &Layout) -> Result<()> {
        if self.foreign {
            return Ok(());
        }
        self.schema = SCHEMA;
        let path = layout.ports();
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|why| Error::failed(format!("cannot write {}: {why}", path.display())))?;
        bytes.push(b'\n');
        write(&path, &bytes, Durability::Cached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_remembered_by_directory_and_name_and_a_broken_file_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        layout.create().unwrap();
        let base = Name::reduce("web");
        StickyPorts::read(&layout).remember(&layout, Path::new("/a"), &base, 8001).unwrap();
        StickyPorts::read(&layout).remember(&layout, Path::new("/b"), &base, 8002).unwrap();
        let read = StickyPorts::read(&layout);
        assert_eq!(read.get(Path::new("/a"), &base), Some(8001));
        assert_eq!(read.get(Path::new("/b"), &base), Some(8002));
        assert_eq!(read.get(Path::new("/c"), &base), None);
        let mut kept: Vec<_> =
            read.all().map(|(dir, name, port)| (dir.to_owned(), name.to_owned(), port)).collect();
        kept.sort();
        assert_eq!(kept, [("/a".into(), "web".into(), 8001), ("/b".into(), "web".into(), 8002)]);
        assert_eq!(StickyPorts::read(&layout).forget(&layout, |_| false).unwrap(), 0);
        assert_eq!(StickyPorts::read(&layout).forget(&layout, |dir| dir == Path::new("/a")).unwrap(), 1);
        let read = StickyPorts::read(&layout);
        assert_eq!((read.get(Path::new("/a"), &base), read.get(Path::new("/b"), &base)), (None, Some(8002)));
        let newer = "{\"schema\":99,\"ports\":7}";
        std::fs::write(layout.ports(), newer).unwrap();
        let mut read = StickyPorts::read(&layout);
        assert_eq!(read.get(Path::new("/a"), &base), None);
        read.remember(&layout, Path::new("/a"), &base, 8003).unwrap();
        assert_eq!(std::fs::read_to_string(layout.ports()).unwrap(), newer);
        std::fs::write(layout.ports(), "{").unwrap();
        assert_eq!(StickyPorts::read(&layout).get(Path::new("/a"), &base), None);
    }
}
