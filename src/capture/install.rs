//! Putting our hook where git looks for one, beside what is there.
//!
//! A hook that somebody else has made is never changed where git or others keep an eye on it: where the hooks are files
//! of the working tree, or are shared by several repositories, a directory of ours stands in for theirs.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use super::gitconfig::{self, Change, Scope};
use super::hook::{self, BEFORE, Call, NAMES, Next, POST_COMMIT};
use super::installed::{self, Installed, Note, Way, make_dir};
use super::repo::{Git, Place};
use crate::error::{Error, Result};
use crate::store::Layout;

/// The directory of stand-ins in a repository, beside its own `hooks`.
pub(super) const STAND_INS: &str = "tsm-hooks";

/// How it is taken back, kept with the stand-ins: no other file has to survive for that.
pub(super) const UNDO: &str = "undo.json";

/// The mode of a hook.
const EXECUTABLE: u32 = 0o755;

/// What an installation needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Where everything is kept.
    pub layout: &'a Layout,
    /// This program.
    pub program: &'a Path,
    /// Now, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The hook.
    pub hook: PathBuf,
    /// How it got there, or went.
    pub way: Way,
    /// False when everything was so already.
    pub changed: bool,
    /// True when it is the one for all repositories.
    pub global: bool,
    /// The configuration file of git that was changed, if one was.
    pub config: Option<PathBuf>,
    /// What else there is to know, a sentence each.
    pub remarks: Vec<String>,
    #[serde(skip)]
    made_dir: bool,
}

impl Done {
    pub(super) fn new(hook: &Path, way: Way, changed: bool) -> Self {
        Done {
            hook: hook.to_owned(),
            way,
            changed,
            global: false,
            config: None,
            remarks: Vec::new(),
            made_dir: false,
        }
    }
}

/// What stands in for other hooks, and how to take that back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StandIn {
    pub(super) change: Change,
    /// The hooks that it leads to; none for those of each repository.
    next: Option<PathBuf>,
}

/// The directory of stand-ins for all repositories of the user.
pub(super) fn global_dir(layout: &Layout) -> PathBuf {
    installed::dir(layout).join("git-hooks")
}

/// True when a directory has our hook in any form.
fn is_in(dir: &Path) -> bool {
    fs::read(dir.join(POST_COMMIT)).is_ok_and(|text| hook::has_line(&text))
}

/// True when commits of this repository call us; whose TSM it is does not matter.
///
/// # Errors
/// When git fails.
pub fn is_installed(place: &Place) -> Result<bool> {
    Ok(is_in(&hooks_dir(place)?))
}

/// Where git looks for the hooks of a commit.
fn hooks_dir(place: &Place) -> Result<PathBuf> {
    place.git().path(&["rev-parse", "--git-path", "hooks"])
}

/// Installs it in one repository.
///
/// # Errors
/// When something is in the way, or a file cannot be written; then everything is as it was.
pub fn install(order: Order<'_>, place: &Place) -> Result<Done> {
    let git = place.git();
    let notes = Installed::read(order.layout)?;
    let since = notes.of(&place.common_dir).map_or(order.now_ms, |note| note.time_ms);
    let call = Call::new(order.program, order.layout.root(), since)?;
    let configured = gitconfig::effective(&git)?;
    let stand_ins = place.common_dir.join(STAND_INS);
    let default = place.common_dir.join("hooks");
    let done = match configured {
        Some((_, dir)) if place.root.join(&dir) == stand_ins => refresh(order, &stand_ins, &call)?,
        Some((scope, dir))
            if matches!(scope.as_str(), "global" | "system") && is_in(&place.root.join(&dir)) =>
        {
            let mut done = Done::new(&place.root.join(dir).join(POST_COMMIT), Way::StandIn, false);
            done.global = true;
            done.remarks.push("it is installed for all repositories of yours".into());
            done
        }
        Some((scope, dir)) => {
            let to = if scope == "worktree" { Scope::Worktree } else { Scope::Local };
            let file = gitconfig::file(&git, to, &place.git_dir, &place.common_dir)?;
            let mut done = stand_in(order, &git, (to, &file), &stand_ins, Some(&dir), &call)?;
            done.remarks.push(format!(
                "core.hooksPath was {} ({scope}), and its files stay as they are: what sets it anew, such as husky in npm \
                 install, switches capture off",
                dir.display()
            ));
            done
        }
        None if is_elsewhere(&default, &place.common_dir) => {
            let file = place.common_dir.join("config");
            let mut done = stand_in(order, &git, (Scope::Local, &file), &stand_ins, Some(&default), &call)?;
            done.remarks
                .push(format!("{} is a link, and what it leads to stays as it is", default.display()));
            done
        }
        None => put(order, &default, &call)?,
    };
    if done.changed && !order.dry_run && !done.global {
        let mut note = note(&done, since);
        note.root = Some(place.root.clone());
        note.common_dir = Some(place.common_dir.clone());
        Installed::change(order.layout, |all| {
            all.repositories.retain(|known| known.common_dir != note.common_dir);
            all.repositories.push(note);
        })?;
    }
    Ok(done)
}

fn note(done: &Done, time_ms: u64) -> Note {
    Note {
        root: None,
        common_dir: None,
        time_ms,
        hook: done.hook.clone(),
        way: done.way,
        made_dir: done.made_dir,
        config: done.config.clone(),
    }
}

/// Installs it for all repositories of the user.
///
/// # Errors
/// As [`install`].
pub fn install_global(order: Order<'_>, git: &Git) -> Result<Done> {
    let notes = Installed::read(order.layout)?;
    let since = notes.global.as_ref().map_or(order.now_ms, |note| note.time_ms);
    let call = Call::new(order.program, order.layout.root(), since)?;
    let ours = global_dir(order.layout);
    let mut done = match gitconfig::effective(git)? {
        Some((_, dir)) if dir == ours => refresh(order, &ours, &call)?,
        Some((scope, dir)) if !dir.is_absolute() => {
            return Err(Error::conflict(format!(
                "core.hooksPath of your {scope} configuration is {}, which is another directory in each repository",
                dir.display()
            ))
            .hint("tsm capture install, in each repository"));
        }
        // What the user has for all repositories is where the hook for all of them belongs.
        Some((scope, dir)) if scope == "global" => {
            let mut done = put(order, &dir, &call)?;
            done.remarks.push(format!("your core.hooksPath is {}, and stays so", dir.display()));
            done
        }
        other => {
            let next = other.map(|(_, dir)| dir);
            let file = gitconfig::file(git, Scope::Global, git.dir(), git.dir())?;
            make_dir(&installed::dir(order.layout))?;
            stand_in(order, git, (Scope::Global, &file), &ours, next.as_deref(), &call)?
        }
    };
    done.global = true;
    done.remarks.push(
        "repositories with a core.hooksPath of their own are not reached: tsm capture install, in each"
            .into(),
    );
    if done.changed && !order.dry_run {
        let note = note(&done, since);
        Installed::change(order.layout, |all| all.global = Some(note))?;
    }
    Ok(done)
}

/// True when a directory is, behind its links, no part of the repository itself.
fn is_elsewhere(dir: &Path, common_dir: &Path) -> bool {
    dir.canonicalize().is_ok_and(|real| !real.starts_with(common_dir))
}

/// Our hook in a directory of hooks, beside what is there.
fn put(order: Order<'_>, dir: &Path, call: &Call) -> Result<Done> {
    let path = dir.join(POST_COMMIT);
    let before = dir.join(BEFORE);
    let Some(text) = files::read(&path)? else {
        if path.is_symlink() {
            return Err(Error::conflict(format!("{} is a link that leads nowhere", path.display()))
                .hint(format!("rm {}", path.display())));
        }
        let mut done = Done::new(
            &path,
            if before.is_symlink() || before.exists() { Way::Beside } else { Way::File },
            true,
        );
        if !order.dry_run {
            if !dir.exists() {
                fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
                done.made_dir = true;
            }
            files::place(&path, hook::file(call).as_bytes(), EXECUTABLE)?;
        }
        return Ok(done);
    };
    let meta = fs::symlink_metadata(&path).map_err(|error| Error::io("read", &path, &error))?;
    if hook::has_line(&text) {
        // It calls us already; perhaps a program that has moved.
        let way = match (hook::is_ours(&text), before.exists()) {
            (true, true) => Way::Beside,
            (true, false) => Way::File,
            _ => Way::Line,
        };
        let fresh = hook::with_new_line(&text, call);
        if fresh != text && !order.dry_run {
            gitconfig::replace(&path, &fresh)?;
        }
        return Ok(Done::new(&path, way, fresh != text));
    }
    // One that cannot be executed is switched off, and stays so. A second name of the same file would keep the old one.
    let is_plain = meta.is_file() && meta.permissions().mode() & 0o100 != 0 && meta.nlink() == 1;
    if let Some(fresh) = hook::with_line(&text, call).filter(|_| is_plain) {
        if !order.dry_run {
            gitconfig::replace(&path, &fresh)?;
        }
        return Ok(Done::new(&path, Way::Line, true));
    }
    let mut done = Done::new(&path, Way::Beside, true);
    done.remarks.push(format!("the hook that was there is {BEFORE} now, and is run first"));
    if !order.dry_run {
        set_aside(&path, &before)?;
        let placed = files::place(&path, hook::file(call).as_bytes(), EXECUTABLE);
        if placed.is_err() {
            // It is still in its place, or goes back there.
            let _ = fs::rename(&before, &path);
        }
        placed?;
    }
    Ok(done)
}

/// Gives a hook its second name; at no moment is there none under the first.
fn set_aside(path: &Path, before: &Path) -> Result<()> {
    let identity = |path: &Path| fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    match fs::hard_link(path, before) {
        Ok(()) => Ok(()),
        // A run that was killed in between has left it so.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && identity(path) == identity(before) => {
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::conflict(format!("{} is in the way", before.display()))
                .hint(format!("mv {0} {0}.old", before.display())))
        }
        // A filesystem without links, where for one moment there is none.
        Err(_) => fs::rename(path, before).map_err(|error| Error::io("rename", path, &error)),
    }
}

/// A directory of hooks that run those in `next`, and git's core.hooksPath set to it.
fn stand_in(
    order: Order<'_>,
    git: &Git,
    (scope, file): (Scope, &Path),
    dir: &Path,
    next: Option<&Path>,
    call: &Call,
) -> Result<Done> {
    let mut done = Done::new(&dir.join(POST_COMMIT), Way::StandIn, true);
    done.config = Some(file.to_owned());
    done.made_dir = true;
    if order.dry_run {
        return Ok(done);
    }
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
    write_stand_ins(dir, next, call)?;
    // Noted before and after: a run that is killed in between can be taken back, too.
    gitconfig::set(git, scope, file, dir, |change| {
        let undo = StandIn { change: change.clone(), next: next.map(Path::to_owned) };
        let text = serde_json::to_vec_pretty(&undo).map_err(|why| Error::failed(why.to_string()))?;
        files::place(&dir.join(UNDO), &text, 0o600)
    })?;
    Ok(done)
}

fn write_stand_ins(dir: &Path, next: Option<&Path>, call: &Call) -> Result<bool> {
    let mut changed = false;
    for name in NAMES {
        let text = hook::stand_in(name, next.map_or(Next::OfRepository, Next::In), call)?;
        let path = dir.join(name);
        if files::read(&path)?.as_deref() != Some(text.as_bytes()) {
            files::place(&path, text.as_bytes(), EXECUTABLE)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Stand-ins that are in their place, brought up to date.
fn refresh(order: Order<'_>, dir: &Path, call: &Call) -> Result<Done> {
    let undo = read_undo(dir)?;
    let mut done = Done::new(&dir.join(POST_COMMIT), Way::StandIn, false);
    done.config = Some(undo.change.file);
    done.made_dir = true;
    if !order.dry_run {
        done.changed = write_stand_ins(dir, undo.next.as_deref(), call)?;
    }
    Ok(done)
}

pub(super) fn read_undo(dir: &Path) -> Result<StandIn> {
    let path = dir.join(UNDO);
    let text = fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
    serde_json::from_slice(&text).map_err(|why| {
        Error::failed(format!("{} is broken: {why}", path.display()))
            .hint("git config --unset core.hooksPath")
    })
}
