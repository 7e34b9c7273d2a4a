//! What is left of processes that are gone: found without a lock, and removed under the locks that prove it nobody's.
//!
//! A process that could be started again is no such thing; forgetting it is `tsm cleanup`, or what was asked for with
//! `--aggressive`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::super::context::Context;
use super::super::{delete, start};
use crate::error::{Error, Result};
use crate::inspect::{View, orphan_tree, port_owner};
use crate::model::{Name, Pid};
use crate::render::human;
use crate::store::{self, ProcessDir};
use crate::sys::lock::{self, Lock};
use crate::sys::{boot, process, sockets, unix};

/// The prefix of what is being made, and of what is being taken away.
const UNFINISHED: &str = ".new-";

/// A PID file is written in a moment, without a lock: what is older was left by a supervisor that was killed at it.
const MOMENT: Duration = Duration::from_secs(60);

/// Kinds of leftovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// What was being written when its writer was killed.
    Unfinished,
    /// A process directory that says nothing of how to start the process.
    NoSpec,
    /// A PID file of no process that lives.
    PidFile,
    /// A socket or FIFO of a supervisor that is dead.
    Socket,
    /// A short link in the temporary directory to a process directory that is gone.
    ShortLink,
    /// A link to a service definition that is gone.
    ServiceLink,
    /// A process that does not run and whose working directory is gone.
    GoneDirectory,
    /// A process that does not run and whose port somebody else has.
    TakenPort,
    /// The log of a process that is not tracked.
    Log,
}

impl What {
    /// True when somebody may still want it.
    pub(super) fn needs_asking(self) -> bool {
        matches!(self, What::GoneDirectory | What::TakenPort | What::Log)
    }
}

/// One leftover.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stale {
    /// What it is.
    pub(super) what: What,
    /// Where it is.
    pub(super) path: PathBuf,
    /// The process that it was part of.
    pub(super) name: Option<Name>,
    /// Why it is nobody's.
    pub(super) why: String,
    /// Its size, where that matters.
    pub(super) bytes: Option<u64>,
}

impl Stale {
    fn new(what: What, path: PathBuf, name: Option<&Name>, why: impl Into<String>) -> Self {
        Stale { what, path, name: name.cloned(), why: why.into(), bytes: None }
    }
}

/// Everything that is left over beside the processes `views`, with what only `--aggressive` removes.
pub(super) fn find(context: &Context, views: &[View]) -> Vec<Stale> {
    let mut found = unfinished(context);
    for view in views {
        of_process(view, &mut found);
    }
    found.extend(pid_files(context, views));
    let parent = context.layout.processes();
    found.extend(unix::dead_short_links(&parent).into_iter().map(|(link, target)| {
        Stale::new(What::ShortLink, link, None, format!("leads to {}, which is gone", target.display()))
    }));
    found.extend(service_links(&context.layout.services_enabled()));
    found.extend(logs(context));
    found
}

/// What a start or a deletion left: both hold the runtime lock from the first to the last moment of such a thing.
fn unfinished(context: &Context) -> Vec<Stale> {
    let layout = &context.layout;
    let runtime = layout.runtime_lock().parent().map(Path::to_owned);
    let mut found = in_work(&layout.processes());
    found.extend(runtime.into_iter().flat_map(|dir| in_work(&dir)));
    if lock::is_held(&layout.runtime_lock()) {
        found.clear();
    }
    found.extend(in_work(&layout.pids()).into_iter().filter(|path| is_older(path, MOMENT)));
    let why = "its writer was killed";
    // What was seen before the lock was seen free, and still is there, is nobody's.
    found
        .into_iter()
        .filter(|path| is_there(path))
        .map(|path| Stale::new(What::Unfinished, path, None, why))
        .collect()
}

fn in_work(dir: &Path) -> Vec<PathBuf> {
    let is_in_work =
        |item: &fs::DirEntry| item.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
    fs::read_dir(dir).into_iter().flatten().flatten().filter(is_in_work).map(|item| item.path()).collect()
}

fn of_process(view: &View, found: &mut Vec<Stale>) {
    let dir = &view.dir;
    let name = Some(&view.name);
    let leftovers: Vec<(PathBuf, &str)> = in_work(dir.path())
        .into_iter()
        .map(|path| (path, "its writer was killed"))
        .chain([dir.socket(), dir.notify(), dir.stdin()].map(|path| (path, "its supervisor is dead")))
        .filter(|(path, _)| is_there(path))
        .collect();
    if lock::is_held(&dir.lock()) {
        return;
    }
    if has_no_spec(dir) && !lives(dir) {
        // The rest of it goes with it.
        let why = "it says nothing of what to start";
        found.push(Stale::new(What::NoSpec, dir.path().to_owned(), name, why));
        return;
    }
    for (path, why) in leftovers.into_iter().filter(|(path, _)| is_there(path)) {
        let unfinished = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".new-"));
        let what = if unfinished { What::Unfinished } else { What::Socket };
        found.push(Stale::new(what, path, name, why));
    }
    if view.status.live() {
        return;
    }
    if !view.cwd.is_empty() && is_gone(Path::new(&view.cwd)) {
        let why = format!("it does not run, and its directory {} is gone", view.cwd);
        found.push(Stale::new(What::GoneDirectory, dir.path().to_owned(), name, why));
    } else if let Some((port, owner)) = view.port.and_then(|port| Some((port, taken_by(port)?))) {
        let why = format!("it does not run, and its port {port} belongs to {owner}");
        found.push(Stale::new(What::TakenPort, dir.path().to_owned(), name, why));
    }
}

/// Who listens on `port`.
fn taken_by(port: u16) -> Option<String> {
    // Asking for the owner reads every process: not before it is known that somebody listens.
    if sockets::port_is_free(port) {
        return None;
    }
    let owner = port_owner(port)?;
    let command: String = owner.command.chars().take(80).collect();
    Some(match owner.pid {
        Some(pid) => format!("{command} (PID {pid})"),
        None => "a program of another user".to_owned(),
    })
}

fn pid_files(context: &Context, views: &[View]) -> Vec<Stale> {
    let files = fs::read_dir(context.layout.pids()).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for item in files {
        let file = item.file_name();
        let name = file.to_str().and_then(|file| Name::parse(file.strip_suffix(".pid")?).ok());
        let Some(name) = name else { continue };
        let live = views.iter().any(|view| view.name == name && view.status.live());
        if !live && is_nobodys(context, &name) {
            found.push(Stale::new(What::PidFile, item.path(), Some(&name), "no such process lives"));
        }
    }
    found
}

/// True when no supervisor of that name is there, and no process that says it is of that name.
fn is_nobodys(context: &Context, name: &Name) -> bool {
    let held = lock::is_held(&context.layout.process(name).lock());
    !held && !has_owner(context, name)
}

/// True when the PID in the PID file of `name` is a process of that name: somebody may have removed the directory of a
/// process that still runs.
fn has_owner(context: &Context, name: &Name) -> bool {
    let text = fs::read_to_string(context.layout.pid_file(name)).unwrap_or_default();
    let pid = text.trim().parse().ok().and_then(Pid::new);
    let Some(pid) = pid.filter(|pid| process::read(*pid).is_some_and(|process| !process.is_dead())) else {
        return false;
    };
    let mark = format!("TSM_NAME={name}");
    // What cannot be read is not proved to be another's.
    process::environ(pid).map_or(true, |all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
}

fn service_links(dir: &Path) -> Vec<Stale> {
    let links = fs::read_dir(dir).into_iter().flatten().flatten().map(|item| item.path());
    links
        .filter(|path| path.is_symlink() && leads_nowhere(path))
        .map(|path| {
            let target = fs::read_link(&path).unwrap_or_default();
            Stale::new(What::ServiceLink, path, None, format!("leads to {}, which is gone", target.display()))
        })
        .collect()
}

fn logs(context: &Context) -> Vec<Stale> {
    let mut found: Vec<Stale> = Vec::new();
    let mut names: Vec<(Name, PathBuf, u64)> = Vec::new();
    for item in fs::read_dir(context.layout.logs()).into_iter().flatten().flatten() {
        let Some(name) = item.file_name().to_str().and_then(name_of_log) else { continue };
        let bytes = item.metadata().map_or(0, |facts| facts.len());
        match names.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, _, sum)) => *sum += bytes,
            None => names.push((name.clone(), context.layout.log(&name), bytes)),
        }
    }
    names.sort();
    for (name, path, bytes) in names {
        if !context.layout.process(&name).path().exists() && is_nobodys(context, &name) {
            let why = format!("{}, of no tracked process", human::bytes(bytes));
            found.push(Stale { bytes: Some(bytes), ..Stale::new(What::Log, path, Some(&name), why) });
        }
    }
    found
}

/// The process that a file among the logs belongs to: `NAME.log`, `NAME.log.3`, `NAME.log.head`.
pub(super) fn name_of_log(file: &str) -> Option<Name> {
    let (name, rest) = file.rsplit_once(".log")?;
    let rotated = rest.strip_prefix('.').is_some_and(|end| end == "head" || end.parse::<u32>().is_ok());
    Name::parse(name).ok().filter(|_| rest.is_empty() || rotated)
}

/// Removes a leftover; false when it has turned out to be somebody's, or was removed meanwhile.
///
/// # Errors
/// When the file system refuses.
pub(super) fn remove(context: &Context, stale: &Stale) -> Result<bool> {
    let path = &stale.path;
    let _held = start::runtime_lock(&context.layout)?;
    if !is_there(path) {
        return Ok(false);
    }
    match (stale.what, &stale.name) {
        (What::NoSpec, Some(name)) => with_supervisor_lock(context, name, |dir| {
            if !has_no_spec(dir) || lives(dir) {
                return Ok(false);
            }
            delete::take_away(context, name).map(|()| true)
        }),
        (What::GoneDirectory, Some(name)) => with_supervisor_lock(context, name, |dir| {
            let gone = store::read_spec(dir).found().is_some_and(|spec| is_gone(&spec.dir));
            if gone { delete::take_away(context, name).map(|()| true) } else { Ok(false) }
        }),
        (What::TakenPort, Some(name)) => with_supervisor_lock(context, name, |dir| {
            let taken = store::read_spec(dir).found().and_then(|spec| taken_by(spec.port?)).is_some();
            if taken { delete::take_away(context, name).map(|()| true) } else { Ok(false) }
        }),
        (What::Unfinished | What::Socket, Some(name)) => {
            with_supervisor_lock(context, name, |_| unlink(path).map(|()| true))
        }
        (What::Unfinished | What::Socket, None) => unlink(path).map(|()| true),
        (What::PidFile, Some(name)) => {
            if is_nobodys(context, name) {
                unlink(path).map(|()| true)
            } else {
                Ok(false)
            }
        }
        (What::ShortLink | What::ServiceLink, _) => {
            if leads_nowhere(path) {
                unlink(path).map(|()| true)
            } else {
                Ok(false)
            }
        }
        (What::Log, Some(name)) => {
            if context.layout.process(name).path().exists() || !is_nobodys(context, name) {
                return Ok(false);
            }
            delete::remove_logs(context, name).map(|()| true)
        }
        // The others are always part of a process.
        (_, None) => Ok(false),
    }
}

/// Calls `act` as the holder of the supervisor lock of `name`; false when somebody else has it.
fn with_supervisor_lock(
    context: &Context,
    name: &Name,
    act: impl FnOnce(&ProcessDir) -> Result<bool>,
) -> Result<bool> {
    let dir = context.layout.process(name);
    match Lock::try_take(&dir.lock()) {
        Ok(Some(_lock)) => act(&dir),
        Ok(None) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("lock", &dir.lock(), &error)),
    }
}

fn unlink(path: &Path) -> Result<()> {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir());
    let removed = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// True when something of a process without supervisor is alive; without a status only its marker tells.
fn lives(dir: &ProcessDir) -> bool {
    let socket = dir.address(&dir.socket()).to_string_lossy().into_owned();
    let status = store::read_status(dir).found();
    let same_boot = status.as_ref().is_some_and(|status| status.boot_id == boot::id());
    let main = status.and_then(|status| status.main);
    !orphan_tree(main.as_ref(), same_boot, &socket).is_empty()
}

fn has_no_spec(dir: &ProcessDir) -> bool {
    is_gone(&dir.spec())
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// True only for what is known not to exist: what cannot be looked at may be there.
fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// True for a link whose end does not exist.
fn leads_nowhere(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn is_older(path: &Path, age: Duration) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|facts| facts.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|past| past > age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_by_its_name() {
        for (file, name) in [
            ("web.log", Some("web")),
            ("web.log.3", Some("web")),
            ("web.log.head", Some("web")),
            ("a.log.log", Some("a.log")),
            ("web.log.bak", None),
            ("web.txt", None),
            (".log", None),
        ] {
            assert_eq!(name_of_log(file).as_ref().map(Name::as_str), name, "{file}");
        }
    }
}
