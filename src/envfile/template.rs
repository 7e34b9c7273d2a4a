//! The env file that `tsm env init` writes for a newcomer.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::model::Name;

/// Writes `env/ENV.env` in `dir`, readable by its owner alone, and returns its path.
///
/// # Errors
/// `Conflict` when the file exists, which is never overwritten; `Usage` when `env` is no name.
pub fn init(dir: &Path, env: &str) -> Result<PathBuf> {
    let name = Name::parse(env.strip_suffix(".env").unwrap_or(env)).map_err(|error| {
        Error::usage(format!("cannot name an environment {env:?}: {error}")).hint("tsm env init dev")
    })?;
    let folder = dir.join("env");
    fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, &error))?;
    let path = folder.join(format!("{name}.env"));
    let failed = |error: &io::Error| Error::io("write", &path, error);
    // A temporary file is made with mode 0600, and takes the name only where the name is free.
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(|error| failed(&error))?;
    file.write_all(content(name.as_str()).as_bytes()).map_err(|error| failed(&error))?;
    file.persist_noclobber(&path).map_err(|error| {
        if error.error.kind() == io::ErrorKind::AlreadyExists {
            Error::conflict(format!("{} exists, and is never overwritten", path.display()))
                .hint(format!("edit it, or start with it: tsm start --env {name} …"))
        } else {
            failed(&error.error)
        }
    })?;
    Ok(path)
}

/// What is written for the environment `env`.
fn content(env: &str) -> String {
    let node = match env {
        "dev" | "local" => "development",
        "prod" => "production",
        other => other,
    };
    format!(
        "# The {env} environment. Start with it: tsm start --env {env} node server.js
# It is sourced by bash at every start, so quotes and $VARIABLES work. Keep it out of version control:
#   echo 'env/*.env' >> .gitignore

# The port that the server listens on, and that TSM waits for and shows.
export PORT=3000
export NODE_ENV={node}

export DB_HOST=localhost
# Replace this; tsm never shows the value of a name like it.
export API_KEY=your-key-here
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_written_once_for_its_owner_and_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = init(dir.path(), "dev").unwrap();
        assert_eq!(path, dir.path().join("env/dev.env"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (read, problems) = super::super::read_found(&path, &|_| None).unwrap();
        assert_eq!(problems, []);
        assert_eq!((read["PORT"].as_str(), read["NODE_ENV"].as_str()), ("3000", "development"));
        assert_eq!((read["DB_HOST"].as_str(), read["API_KEY"].as_str()), ("localhost", "your-key-here"));

        fs::write(&path, "MINE=1\n").unwrap();
        assert_eq!(init(dir.path(), "dev").unwrap_err().kind(), Kind::Conflict);
        assert_eq!(fs::read_to_string(&path).unwrap(), "MINE=1\n");
        assert_eq!(fs::read_dir(dir.path().join("env")).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        for env in ["../x", "/etc/x", "", ".env", "a b"] {
            assert_eq!(init(dir.path(), env).unwrap_err().kind(), Kind::Usage, "{env:?}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
