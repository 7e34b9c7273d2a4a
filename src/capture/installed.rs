//! The note of where capture is installed, and since when: `TSM_DIR/capture/installed.json`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use crate::error::{Error, Result};
use crate::store::{self, Durability, Layout};
use crate::sys::lock::Lock;

const SCHEMA: u32 = 1;

/// How a hook was put where git looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A file of ours, where there was none.
    File,
    /// A file of ours, which runs the one that was there and has now the ending `.before-tsm`.
    Beside,
    /// A line in the shell script that was there.
    Line,
    /// A directory of ours is git's core.hooksPath; each hook in it runs the one that git would have run.
    StandIn,
}

/// One installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The working tree where it was asked for; none for all repositories of the user.
    pub root: Option<PathBuf>,
    /// What its linked working trees share.
    pub common_dir: Option<PathBuf>,
    /// When, in milliseconds since the Unix epoch: nothing that was said before is captured.
    pub time_ms: u64,
    /// The hook that calls us.
    pub hook: PathBuf,
    /// How it got there.
    pub way: Way,
    /// True when the directory of the hook is ours, too.
    #[serde(default)]
    pub made_dir: bool,
    /// The file of git's configuration that was changed, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
}

/// Everything that is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    schema: u32,
    /// One for each repository.
    #[serde(default)]
    pub repositories: Vec<Note>,
    /// That of `--global`.
    #[serde(default)]
    pub global: Option<Note>,
}

fn path(layout: &Layout) -> PathBuf {
    dir(layout).join("installed.json")
}

/// The directory of everything that capture keeps.
pub(super) fn dir(layout: &Layout) -> PathBuf {
    layout.root().join("capture")
}

/// Makes a directory of ours and its missing parents, for this user only.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Error::io("create", dir, &error))
}

impl Installed {
    /// What the note says; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read, is broken, or is of a newer TSM.
    pub fn read(layout: &Layout) -> Result<Self> {
        let path = path(layout);
        let Some(bytes) = files::read(&path)? else {
            return Ok(Installed { schema: SCHEMA, repositories: Vec::new(), global: None });
        };
        let read: Installed = serde_json::from_slice(&bytes)
            .map_err(|why| Error::failed(format!("{} is broken: {why}", path.display())))?;
        if read.schema > SCHEMA {
            return Err(Error::failed(format!("{} is of a newer tsm", path.display())).hint("update tsm"));
        }
        Ok(read)
    }

    /// Changes the note; one at a time.
    ///
    /// # Errors
    /// As [`Installed::read`], and when it cannot be written.
    pub(super) fn change(layout: &Layout, change: impl FnOnce(&mut Self)) -> Result<()> {
        let dir = dir(layout);
        make_dir(&dir)?;
        let lock = dir.join("installed.lock");
        let _held = Lock::take(&lock).map_err(|error| Error::io("lock", &lock, &error))?;
        let mut all = Self::read(layout)?;
        change(&mut all);
        let text = serde_json::to_vec_pretty(&all).map_err(|why| Error::failed(why.to_string()))?;
        store::write(&path(layout), &text, Durability::Synced)
    }

    /// The note on one repository.
    pub fn of(&self, common_dir: &Path) -> Option<&Note> {
        self.repositories.iter().find(|note| note.common_dir.as_deref() == Some(common_dir))
    }

    /// Since when a repository is captured, in milliseconds since the Unix epoch; none when it is not.
    pub fn since(&self, common_dir: &Path) -> Option<u64> {
        self.of(common_dir).into_iter().chain(&self.global).map(|note| note.time_ms).min()
    }
}
