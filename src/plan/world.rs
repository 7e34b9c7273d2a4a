//! A world of plain values for the tests of this module.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::request::{EnvAsk, Facts, Holder, Ports};
use crate::error::{Error, Result};
use crate::model::{EnvFile, EnvSource, Name};

/// The directory that every test is in.
pub(super) const DIR: &str = "/home/u/my-api";

/// Files, programs and ports, as a test wants them.
#[derive(Default)]
pub(super) struct World {
    files: BTreeMap<PathBuf, (bool, String)>,
    absent: BTreeSet<String>,
    env: BTreeMap<String, String>,
    taken: BTreeMap<u16, String>,
    sticky: BTreeMap<String, u16>,
    pub(super) reads: Cell<usize>,
}

impl World {
    pub(super) fn file(self, name: &str, text: &str) -> Self {
        self.put(name, false, text)
    }

    pub(super) fn executable(self, name: &str, text: &str) -> Self {
        self.put(name, true, text)
    }

    fn put(mut self, name: &str, executable: bool, text: &str) -> Self {
        self.files.insert(Path::new(DIR).join(name), (executable, text.to_owned()));
        self
    }

    /// These programs are not on PATH, though all others are that have no ending of a script.
    pub(super) fn without(mut self, programs: &[&str]) -> Self {
        self.absent.extend(programs.iter().map(|&program| program.to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn taken(mut self, port: u16) -> Self {
        self.taken.insert(port, format!("other {port} (PID 77)"));
        self
    }

    pub(super) fn sticky(mut self, base: &str, port: u16) -> Self {
        self.sticky.insert(base.to_owned(), port);
        self
    }
}

impl Facts for World {
    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn is_executable(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|(executable, _)| *executable)
    }

    fn read_head(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        self.files.get(path).map(|(_, text)| text.as_bytes()[..text.len().min(limit)].to_vec())
    }

    fn on_path(&self, program: &str) -> bool {
        !self.absent.contains(program) && super::program::stem(program) == program
    }

    fn find_env(&self, ask: &EnvAsk, dir: &Path) -> Result<(Option<EnvFile>, Vec<String>)> {
        let file = |name: &str, source| Some(EnvFile { path: dir.join(name), source });
        match ask {
            EnvAsk::Named(name) if name == "missing" => Err(Error::not_found("no env file for \"missing\"")),
            EnvAsk::Named(name) => Ok((file(&format!("env/{name}.env"), EnvSource::Named), Vec::new())),
            EnvAsk::Discover if !self.env.is_empty() => {
                Ok((file(".env", EnvSource::Found), vec!["a remark".into()]))
            }
            _ => Ok((None, Vec::new())),
        }
    }

    fn load_env(&self, _: &EnvFile) -> Result<BTreeMap<String, String>> {
        Ok(self.env.clone())
    }
}

impl Ports for World {
    fn holder(&self, port: u16) -> Option<Holder> {
        self.taken.get(&port).map(|text| Holder { text: text.clone(), hint: None })
    }

    fn sticky(&self, _: &Path, base: &Name) -> Option<u16> {
        self.sticky.get(base.as_str()).copied()
    }

    fn range(&self) -> RangeInclusive<u16> {
        8000..=8003
    }
}
