//! Enabling a service: a link to its definition, nginx style.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::catalog::{Catalog, file_name};
use crate::error::{Error, Result};
use crate::model::Name;

impl Catalog {
    /// Links `name` into the enabled services; false when it was so already. A link that leads elsewhere is replaced.
    ///
    /// # Errors
    /// `NotFound` when nothing defines it; when its definition is wrong, because it could not start at boot; `Conflict`
    /// when a file stands where the link belongs.
    pub fn enable(&self, name: &Name) -> Result<bool> {
        let file = self.file(name)?;
        self.find(name)?;
        let link = self.link(name);
        if file == link {
            return Ok(false);
        }
        let target = target(&file, &link)?;
        match fs::read_link(&link) {
            Ok(there) if there == target => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Err(occupied(&link)),
        }
        let failed = |error: &io::Error| Error::io("link", &link, error);
        fs::create_dir_all(&self.enabled).map_err(|error| failed(&error))?;
        // Made under another name and renamed, so that a service is never disabled for a moment.
        let made = tempfile::Builder::new().prefix(".").make_in(&self.enabled, |path| symlink(&target, path));
        made.and_then(|made| made.persist(&link).map_err(|error| error.error))
            .map_err(|error| failed(&error))?;
        Ok(true)
    }

    /// Removes the link of `name`; false when there was none.
    ///
    /// # Errors
    /// `NotFound` when nothing defines it either; `Conflict` when a file stands where the link belongs.
    pub fn disable(&self, name: &Name) -> Result<bool> {
        let link = self.link(name);
        match link.symlink_metadata() {
            Ok(there) if there.is_symlink() => {
                fs::remove_file(&link).map(|()| true).map_err(|error| Error::io("remove", &link, &error))
            }
            Ok(_) => Err(occupied(&link)),
            Err(_) => self.file(name).map(|_| false),
        }
    }

    fn link(&self, name: &Name) -> PathBuf {
        self.enabled.join(file_name(name.as_str()))
    }
}

/// What the link says: relative where both folders stand side by side, so that they can be moved together.
fn target(file: &Path, link: &Path) -> Result<PathBuf> {
    let (folder, enabled) = (file.parent(), link.parent());
    let beside = folder.and_then(Path::parent) == enabled.and_then(Path::parent);
    match (folder.and_then(Path::file_name), file.file_name()) {
        (Some(folder), Some(name)) if beside => Ok(Path::new("..").join(folder).join(name)),
        _ => std::path::absolute(file).map_err(|error| Error::io("find", file, &error)),
    }
}

fn occupied(link: &Path) -> Error {
    Error::conflict(format!("{} is a file, not a link that tsm made", link.display()))
        .hint("move it to services-available, then enable it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (file, text) in [
                ("tsm/services-available/web.tsm", "SERVICE_COMMAND=x\n"),
                ("tsm/services-available/broken.tsm", "x\n"),
                ("usr/share/redis.tsm", "SERVICE_COMMAND=x\n"),
            ] {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Fixture(dir)
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().join(path)
        }

        fn catalog(&self) -> Catalog {
            let folders = vec![self.path("tsm/services-available"), self.path("usr/share")];
            Catalog::new(folders, self.path("tsm/services-enabled"), |_| None)
        }

        fn enable(&self, name: &str) -> Result<bool> {
            self.catalog().enable(&Name::parse(name).unwrap())
        }

        fn disable(&self, name: &str) -> Result<bool> {
            self.catalog().disable(&Name::parse(name).unwrap())
        }

        fn leads_to(&self, name: &str) -> PathBuf {
            fs::read_link(self.path("tsm/services-enabled").join(file_name(name))).unwrap()
        }
    }

    #[test]
    fn enabling_and_disabling_twice_changes_nothing_more() {
        let f = Fixture::new();
        assert!(f.enable("web").unwrap());
        assert!(!f.enable("web").unwrap());
        assert_eq!(f.leads_to("web"), Path::new("../services-available/web.tsm"));
        assert!(fs::metadata(f.path("tsm/services-enabled/web.tsm")).unwrap().is_file());
        assert!(f.enable("redis").unwrap());
        assert_eq!(f.leads_to("redis"), f.path("usr/share/redis.tsm"));
        assert_eq!(f.catalog().list().unwrap().iter().filter(|entry| entry.enabled).count(), 2);
        assert!(f.disable("web").unwrap());
        assert!(!f.disable("web").unwrap());
        assert_eq!(fs::read_dir(f.path("tsm/services-enabled")).unwrap().count(), 1);
        assert!(f.path("tsm/services-available/web.tsm").exists());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_mended_or_removed() {
        let f = Fixture::new();
        fs::create_dir_all(f.path("tsm/services-enabled")).unwrap();
        symlink("/nowhere", f.path("tsm/services-enabled/web.tsm")).unwrap();
        symlink("/nowhere", f.path("tsm/services-enabled/gone.tsm")).unwrap();
        assert!(f.enable("web").unwrap());
        assert_eq!(f.leads_to("web"), Path::new("../services-available/web.tsm"));
        assert_eq!(f.enable("gone").unwrap_err().kind(), Kind::NotFound);
        assert!(f.disable("gone").unwrap());
    }

    #[test]
    fn what_cannot_start_is_not_enabled_and_what_is_not_ours_is_not_touched() {
        let f = Fixture::new();
        assert_eq!(f.enable("nope").unwrap_err().kind(), Kind::NotFound);
        assert_eq!(f.disable("nope").unwrap_err().kind(), Kind::NotFound);
        assert!(f.enable("broken").unwrap_err().message().contains("broken.tsm:1:"));
        assert!(!f.path("tsm/services-enabled").exists());
        fs::create_dir_all(f.path("tsm/services-enabled")).unwrap();
        fs::write(f.path("tsm/services-enabled/web.tsm"), "mine").unwrap();
        assert_eq!(f.enable("web").unwrap_err().kind(), Kind::Conflict);
        assert_eq!(f.disable("web").unwrap_err().kind(), Kind::Conflict);
        assert_eq!(fs::read_to_string(f.path("tsm/services-enabled/web.tsm")).unwrap(), "mine");
    }
}
