//! Where the files of agents are, below `TSM_DIR/agents`.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::Layout;

/// The directory of the files of agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    dir: PathBuf,
}

impl Files {
    /// Those of a user's TSM.
    pub fn of(layout: &Layout) -> Self {
        Files { dir: layout.root().join("agents") }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Makes the directory, for this user only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<()> {
        create_dir(&self.dir)
    }

    /// What the user calls sessions.
    pub fn labels(&self) -> PathBuf {
        self.dir.join("labels.json")
    }

    /// Held while the labels are changed.
    pub fn labels_lock(&self) -> PathBuf {
        self.dir.join("labels.lock")
    }

    /// How many sessions need input, for the prompt.
    pub fn waiting(&self) -> PathBuf {
        self.dir.join("waiting")
    }

    /// What hooks have told, a file for each session.
    pub fn hooks(&self) -> PathBuf {
        self.dir.join("hooks")
    }
}

/// Makes `dir` and its missing parents with mode 0700; one that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub(super) fn create_dir(dir: &Path) -> Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", dir, &error)),
        _ => Ok(()),
    }
}
