//! Taking our hook away again: what was there before is then as it was, to the byte.

use std::fs;
use std::path::Path;

use super::files;
use super::gitconfig;
use super::hook::{self, BEFORE, NAMES, POST_COMMIT};
use super::install::{Done, STAND_INS, UNDO, global_dir, read_undo};
use super::installed::{Installed, Way};
use super::repo::{Git, Place};
use crate::error::{Error, Result};
use crate::store::Layout;

/// Takes it out of one repository; `None` when it is not there.
///
/// # Errors
/// When a file cannot be written, or was changed by somebody so that it cannot be taken back.
pub fn uninstall(layout: &Layout, place: &Place, dry_run: bool) -> Result<Option<Done>> {
    let git = place.git();
    let notes = Installed::read(layout)?;
    let note = notes.of(&place.common_dir);
    let stand_ins = place.common_dir.join(STAND_INS);
    let done = if stand_ins.join(UNDO).exists() {
        Some(take_stand_ins(&git, &stand_ins, dry_run)?)
    } else {
        let made_dir = note.is_some_and(|note| note.made_dir);
        take(&place.common_dir.join("hooks"), made_dir, dry_run)?
    };
    if !dry_run && note.is_some() {
        Installed::change(layout, |all| {
            all.repositories.retain(|known| known.common_dir.as_ref() != Some(&place.common_dir));
        })?;
    }
    Ok(done)
}

/// Takes the one for all repositories away; `None` when it is not there.
///
/// # Errors
/// As [`uninstall`].
pub fn uninstall_global(layout: &Layout, git: &Git, dry_run: bool) -> Result<Option<Done>> {
    let note = Installed::read(layout)?.global;
    let ours = global_dir(layout);
    let configured = gitconfig::effective(git)?.map(|(_, dir)| dir);
    let mut done = if ours.join(UNDO).exists() {
        Some(take_stand_ins(git, &ours, dry_run)?)
    } else {
        let of_note = note.as_ref().and_then(|note| note.hook.parent().map(Path::to_owned));
        let made_dir = note.as_ref().is_some_and(|note| note.made_dir);
        match of_note.or(configured) {
            Some(dir) => take(&dir, made_dir, dry_run)?,
            None => None,
        }
    };
    if let Some(done) = &mut done {
        done.global = true;
    }
    if !dry_run && note.is_some() {
        Installed::change(layout, |all| all.global = None)?;
    }
    Ok(done)
}

/// Our hook out of a directory of hooks.
fn take(dir: &Path, made_dir: bool, dry_run: bool) -> Result<Option<Done>> {
    let path = dir.join(POST_COMMIT);
    let before = dir.join(BEFORE);
    let text = files::read(&path)?.unwrap_or_default();
    if !hook::is_ours(&text) {
        if !hook::has_line(&text) {
            return Ok(None);
        }
        if !dry_run {
            gitconfig::replace(&path, &hook::without_line(&text))?;
        }
        return Ok(Some(Done::new(&path, Way::Line, true)));
    }
    if !hook::is_unchanged(&text) {
        return Err(Error::conflict(format!("somebody has changed {} since", path.display()))
            .hint(format!("edit {}, and take out what is marked with tsm", path.display())));
    }
    let is_beside = before.is_symlink() || before.exists();
    if !dry_run {
        if is_beside {
            fs::rename(&before, &path).map_err(|error| Error::io("rename", &before, &error))?;
        } else {
            files::remove(&path)?;
        }
        if made_dir {
            // It stays where somebody else has put something there.
            let _ = fs::remove_dir(dir);
        }
    }
    Ok(Some(Done::new(&path, if is_beside { Way::Beside } else { Way::File }, true)))
}

/// The stand-ins out of git's configuration, and then away.
fn take_stand_ins(git: &Git, dir: &Path, dry_run: bool) -> Result<Done> {
    let undo = read_undo(dir)?;
    let mut done = Done::new(&dir.join(POST_COMMIT), Way::StandIn, true);
    done.config = Some(undo.change.file.clone());
    if dry_run {
        return Ok(done);
    }
    if !gitconfig::undo(git, &undo.change)? {
        done.remarks.push("core.hooksPath was changed since, and stays as it is".into());
    }
    for name in NAMES {
        let path = dir.join(name);
        if files::read(&path)?.is_some_and(|text| hook::is_ours(&text)) {
            files::remove(&path)?;
        }
    }
    files::remove(&dir.join(UNDO))?;
    if fs::remove_dir(dir).is_err() {
        done.remarks.push(format!("{} stays: there is more in it than ours", dir.display()));
    }
    Ok(done)
}
