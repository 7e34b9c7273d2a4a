//! Which service definitions there are.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::definition::Definition;
use super::nearest::nearest;
use crate::error::{Error, Result};
use crate::model::Name;

/// The definitions in some folders, and the folder of links to those that are enabled.
pub struct Catalog {
    available: Vec<PathBuf>,
    pub(super) enabled: PathBuf,
    lookup: fn(&str) -> Option<String>,
}

/// A service as it is listed.
#[derive(Debug)]
pub struct Entry {
    /// The file's name without `.tsm`; no [`Name`] where the file is ill-named.
    pub name: String,
    /// The definition's file; the link, where it leads nowhere.
    pub file: PathBuf,
    /// True when it is started at login or boot.
    pub enabled: bool,
    /// What the file says, or why it cannot be read.
    pub definition: Result<Definition>,
}

impl Catalog {
    /// The definitions in the folders `available`, of which the first that has a name wins, with links in `enabled`.
    /// Folders need not exist. `lookup` gives the variables that definitions may use.
    pub fn new(available: Vec<PathBuf>, enabled: PathBuf, lookup: fn(&str) -> Option<String>) -> Self {
        Catalog { available, enabled, lookup }
    }

    /// All services by name, the broken ones and links that lead nowhere included.
    ///
    /// # Errors
    /// When a folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>> {
        let mut files = BTreeMap::new();
        for folder in self.available.iter().chain([&self.enabled]) {
            for name in names_in(folder)? {
                files.entry(name).or_insert(folder);
            }
        }
        Ok(files.into_iter().map(|(name, folder)| self.entry(name, folder)).collect())
    }

    fn entry(&self, name: String, folder: &Path) -> Entry {
        let link = self.enabled.join(file_name(&name));
        let file = folder.join(file_name(&name));
        Entry { definition: self.read(&file), enabled: link.symlink_metadata().is_ok(), file, name }
    }

    /// The service called `name`.
    ///
    /// # Errors
    /// `NotFound` when there is none, naming those there are; as [`Definition::read`] when its file is wrong.
    pub fn find(&self, name: &Name) -> Result<Definition> {
        self.read(&self.file(name)?)
    }

    /// The file that defines `name`: the first folder's, else what an enabled link leads to.
    pub(super) fn file(&self, name: &Name) -> Result<PathBuf> {
        let files =
            self.available.iter().chain([&self.enabled]).map(|folder| folder.join(file_name(name.as_str())));
        files.into_iter().find(|file| file.symlink_metadata().is_ok()).ok_or_else(|| self.unknown(name))
    }

    /// Reads a file, which may be a link.
    fn read(&self, file: &Path) -> Result<Definition> {
        if let (Ok(target), false) = (fs::read_link(file), file.exists()) {
            let (file, target) = (file.display(), target.display());
            let error = Error::not_found(format!("{file} is a link to {target}, which does not exist"));
            return Err(error.hint("restore the definition, or disable the service"));
        }
        Definition::read(file, &self.lookup)
    }

    /// The error for a name that nothing defines.
    pub(super) fn unknown(&self, name: &Name) -> Error {
        let mut folders = self.available.iter().chain([&self.enabled]);
        let mut names: Vec<String> =
            folders.clone().flat_map(|folder| names_in(folder).unwrap_or_default()).collect();
        names.sort();
        names.dedup();
        let said = format!("no service is called {:?}", name.as_str());
        if names.is_empty() {
            let error = Error::not_found(format!("{said}; there are no services yet"));
            return match folders.next() {
                Some(folder) => {
                    error.hint(format!("write {}", folder.join(file_name(name.as_str())).display()))
                }
                None => error,
            };
        }
        let meant = nearest(name.as_str(), names.iter().map(String::as_str));
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        Error::not_found(format!("{said}{meant} (available: {})", names.join(", ")))
            .hint("tsm list available")
    }
}

/// The file name of the service `name`.
pub(super) fn file_name(name: &str) -> String {
    format!("{name}.tsm")
}

/// The names of the `.tsm` files in `folder`, which need not exist. Editors' hidden files are left out.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let failed = |error: &io::Error| Error::io("read", folder, error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| failed(&error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| failed(&error))?.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".tsm"));
        names.extend(name.filter(|name| !name.is_empty() && !name.starts_with('.')).map(str::to_owned));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::os::unix::fs::symlink;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn catalog(root: &Path) -> Catalog {
        Catalog::new(vec![root.join("available"), root.join("share")], root.join("enabled"), |_| None)
    }

    #[test]
    fn a_broken_one_is_listed_and_hides_no_other() {
        let dir = tree(&[
            ("available/web.tsm", "SERVICE_COMMAND=mine\n"),
            ("available/broken.tsm", "rm -rf x\n"),
            ("available/bad name.tsm", "SERVICE_COMMAND=x\n"),
            ("available/.web.tsm.swp", ""),
            ("available/.x.tsm", ""),
            ("available/notes.txt", ""),
            ("available/dir.tsm/x", ""),
            ("share/web.tsm", "SERVICE_COMMAND=theirs\n"),
            ("share/redis.tsm", "SERVICE_COMMAND=redis-server\n"),
            ("enabled/own.tsm", "SERVICE_COMMAND=x\n"),
        ]);
        symlink("../gone.tsm", dir.path().join("enabled/gone.tsm")).unwrap();
        symlink("../share/redis.tsm", dir.path().join("enabled/redis.tsm")).unwrap();
        let list = catalog(dir.path()).list().unwrap();
        let seen: Vec<_> = list.iter().map(|e| (e.name.as_str(), e.enabled, e.definition.is_ok())).collect();
        let expected = [
            ("bad name", false, false),
            ("broken", false, false),
            ("dir", false, false),
            ("gone", true, false),
            ("own", true, true),
            ("redis", true, true),
            ("web", false, true),
        ];
        assert_eq!(seen, expected);
        assert_eq!(list[6].definition.as_ref().unwrap().command, "mine");
        let gone = list[3].definition.as_ref().unwrap_err();
        assert!(gone.message().ends_with("is a link to ../gone.tsm, which does not exist"), "{gone}");
    }

    #[test]
    fn a_name_that_nothing_defines_shows_what_there_is() {
        let dir =
            tree(&[("available/web.tsm", "SERVICE_COMMAND=x\n"), ("share/redis.tsm", "SERVICE_COMMAND=x\n")]);
        let find = |name: &str| catalog(dir.path()).find(&Name::parse(name).unwrap());
        assert_eq!(find("redis").unwrap().command, "x");
        let error = find("wbe").unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(
            error.message(),
            "no service is called \"wbe\"; did you mean web? (available: redis, web)"
        );
        let empty = tree(&[]);
        let error = catalog(empty.path()).find(&Name::parse("x").unwrap()).unwrap_err();
        assert!(error.hint_text().unwrap().ends_with("available/x.tsm"), "{error}");
        assert_eq!(catalog(empty.path()).list().unwrap().len(), 0);
    }
}
