//! Where the environment file of a start is.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Environments that go by two names.
const ALIASES: &[(&str, &str)] = &[("prod", "production"), ("dev", "development")];

/// Files that are read without being named, the first that exists.
const NEARBY: &[&str] = &["env/local.env", "env/dev.env", ".env"];

/// The file that `--env VALUE` means in `dir`: a path where it has a `/` or ends in `.env`, otherwise `env/VALUE.env`, the
/// same under VALUE's alias, then `.env.VALUE`. `~/` is the directory `home`.
///
/// # Errors
/// `NotFound`, naming every path that was tried.
pub fn locate(dir: &Path, value: &str, home: Option<&Path>) -> Result<PathBuf> {
    let tried = candidates(dir, value, home);
    if let Some(found) = tried.iter().find(|path| path.exists() && !path.is_dir()) {
        return Ok(found.clone());
    }
    let list: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
    let error = Error::not_found(format!("no env file for {value:?}: there is no {}", list.join(", no ")));
    Err(if is_path(value) { error } else { error.hint(format!("tsm env init {value}")) })
}

fn is_path(value: &str) -> bool {
    value.contains('/') || value.strip_suffix(".env").is_some()
}

fn candidates(dir: &Path, value: &str, home: Option<&Path>) -> Vec<PathBuf> {
    if let (Some(rest), Some(home)) = (value.strip_prefix("~/"), home) {
        return vec![home.join(rest)];
    }
    if is_path(value) {
        return vec![dir.join(value)];
    }
    let alias = ALIASES.iter().find_map(|&(short, long)| match value {
        _ if value == short => Some(long),
        _ if value == long => Some(short),
        _ => None,
    });
    let names = || std::iter::once(value).chain(alias);
    let folder = names().map(|name| dir.join(format!("env/{name}.env")));
    folder.chain(names().map(|name| dir.join(format!(".env.{name}")))).collect()
}

/// The env files of a directory when none was named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nearby {
    /// The one that is read.
    pub read: Option<PathBuf>,
    /// `env/production.env`, which is never read unasked: only worth a word to the user.
    pub production: Option<PathBuf>,
}

/// Looks for env files in `dir`. A directory of such a name (a virtualenv `.env`) is none.
pub fn nearby(dir: &Path) -> Nearby {
    Nearby {
        read: NEARBY.iter().map(|name| dir.join(name)).find(|path| path.is_file()),
        production: Some(dir.join("env/production.env")).filter(|path| path.is_file()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::fs;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    #[test]
    fn a_word_is_looked_up_by_its_aliases_and_a_path_is_itself() {
        for (files, value, expected) in [
            (&["env/dev.env", "env/development.env"][..], "dev", "env/dev.env"),
            (&["env/development.env", ".env.dev"], "dev", "env/development.env"),
            (&["env/prod.env"], "production", "env/prod.env"),
            (&[".env.staging"], "staging", ".env.staging"),
            (&[".env.production"], "prod", ".env.production"),
            (&["x.env", "env/x.env"], "x.env", "x.env"),
            (&["conf/x", "env/conf.env"], "conf/x", "conf/x"),
            (&["home/x"], "~/x", "home/x"),
        ] {
            let dir = tree(files);
            let found = locate(dir.path(), value, Some(&dir.path().join("home"))).unwrap();
            assert_eq!(found, dir.path().join(expected), "{value}");
        }
    }

    #[test]
    fn a_missing_one_names_what_was_tried() {
        let dir = tree(&["env/development.env/x"]);
        let error = locate(dir.path(), "dev", None).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        for name in ["env/dev.env", "env/development.env", ".env.dev", ".env.development"] {
            assert!(error.message().contains(&format!("{}/{name}", dir.path().display())), "{error}");
        }
        assert_eq!(error.hint_text(), Some("tsm env init dev"));
    }

    #[test]
    fn production_is_only_ever_mentioned() {
        for (files, expected) in [
            (&["env/dev.env", "env/local.env"][..], Some("env/local.env")),
            (&["env/dev.env", ".env"], Some("env/dev.env")),
            (&[".env", "env/production.env"], Some(".env")),
            (&[".env/bin/python", "env/production.env"], None),
        ] {
            let dir = tree(files);
            let found = nearby(dir.path());
            assert_eq!(found.read, expected.map(|name| dir.path().join(name)), "{files:?}");
            assert_eq!(found.production.is_some(), files.contains(&"env/production.env"), "{files:?}");
        }
    }
}
