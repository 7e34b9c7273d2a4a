//! `tsm daemon enable` and `disable`: has the user's service manager start the daemon at boot.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use crate::error::{Error, Kind, Result, plain};
use crate::render::boot::{Job, Writer, plist, unit, writer};
use crate::store::{self, Durability};
use crate::sys::manager::{FORM, Form, Manager};
use crate::sys::user;

/// The options of both.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also when the file was edited, or written by somebody else.
    #[arg(long)]
    force: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What is known of the daemon at boot; the object of `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Boot {
    /// It is started at boot or login.
    enabled: bool,
    manager: &'static str,
    file: PathBuf,
}

/// What a verb has come to; the object of `--json`.
#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    boot: Boot,
    changed: bool,
    /// The file was left as somebody has edited it.
    edited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    linger: Option<bool>,
}

/// The name that the manager has for the daemon.
pub(super) const NAME: &str = match FORM {
    Form::Systemd => unit::NAME,
    Form::Launchd => plist::LABEL,
};

/// What the manager is called.
pub(super) const MANAGER: &str = match FORM {
    Form::Systemd => "systemd",
    Form::Launchd => "launchd",
};

/// The file for the manager, whether it is there or not.
///
/// # Errors
/// Usage without a home directory.
pub(super) fn file(context: &Context) -> Result<PathBuf> {
    let settings = &context.settings;
    let home = settings.home.as_deref().ok_or_else(|| Error::usage("HOME is not set").hint("export HOME"))?;
    Ok(Manager::file(home, settings.config_home.as_deref(), NAME))
}

/// The manager of this user.
///
/// # Errors
/// Unreachable with what is missing.
pub(super) fn manager(context: &Context) -> Result<Manager> {
    Manager::find(context.settings.runtime_dir.as_deref(), NAME).map_err(|error| {
        let missing = format!("there is no {MANAGER} session of this user: {error}");
        Error::new(Kind::Unreachable, missing).hint(match FORM {
            Form::Systemd => {
                "log in as this user (not with su or sudo); where there is no systemd, have \"tsm daemon run\" started"
            }
            Form::Launchd => "log in at the screen of this Mac",
        })
    })
}

/// The text that stands at `file`; none where nothing is.
///
/// # Errors
/// When it cannot be read.
pub(super) fn text_of(file: &Path) -> Result<Option<String>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", file, &error)),
    }
}

/// The job as the manager is told.
///
/// # Errors
/// Usage, when the manager cannot be told a path.
pub(super) fn text(job: &Job) -> Result<String> {
    match FORM {
        Form::Systemd => unit::text(job),
        Form::Launchd => plist::text(job),
    }
}

/// The job that such a text tells.
pub(super) fn read(text: &str) -> Option<Job> {
    match FORM {
        Form::Systemd => unit::read(text),
        Form::Launchd => plist::read(text),
    }
}

/// What boot is to start: this program, with what a login does not know.
///
/// # Errors
/// Usage, when a path is not UTF-8, which no manager takes.
pub(super) fn job(context: &Context) -> Result<Job> {
    let utf8 = |path: &Path| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::usage(format!("{MANAGER} takes no path that is not UTF-8: {}", path.display()))),
    };
    let settings = &context.settings;
    let mut env = vec![("PATH".to_owned(), path(context))];
    let usual = settings.home.as_ref().map(|home| home.join(".local/state/tsm"));
    if usual.as_deref() != Some(context.layout.root()) {
        env.push(("TSM_DIR".to_owned(), utf8(context.layout.root())?));
    }
    let (first, last) = (settings.port_range.start(), settings.port_range.end());
    if (*first, *last) != (8000, 8999) {
        env.push(("TSM_PORT_RANGE".to_owned(), format!("{first}-{last}")));
    }
    Ok(Job { program: utf8(&program()?)?, env })
}

/// This program: by the path that PATH has for it, which stays when a new version comes, else by its own.
pub(super) fn program() -> Result<PathBuf> {
    let exe = std::env::current_exe()
        .map_err(|error| Error::failed(format!("no path of this program: {}", plain(&error))))?;
    let found = which::which("tsm").ok().filter(|found| found.is_absolute() && is_same(found, &exe));
    Ok(found.unwrap_or(exe))
}

/// True when both lead to one file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

/// The search path as it is now, without what means another place elsewhere.
fn path(context: &Context) -> String {
    let path = context.settings.path.clone().unwrap_or_default();
    let entries: Vec<String> = std::env::split_paths(&path)
        .filter(|entry| entry.is_absolute())
        .filter_map(|entry| Some(entry.to_str()?.to_owned()))
        .collect();
    entries.join(":")
}

/// Whether the daemon is started at boot, by the files alone.
pub(super) fn boot(context: &Context) -> Option<Boot> {
    let file = file(context).ok()?;
    Some(Boot { enabled: file.exists() && Manager::is_enabled(&file), manager: MANAGER, file })
}

impl Boot {
    /// The line of `tsm daemon status`.
    pub(super) fn said(&self) -> String {
        if self.enabled { format!("enabled ({MANAGER}: {NAME})") } else { "not enabled".to_owned() }
    }
}

/// Has the manager start the daemon where boot would start this program for this `TSM_DIR`; false where not.
///
/// So the daemon is the manager's, with its watchdog and the environment of boot, whoever needs it first.
pub(super) fn start(context: &Context) -> bool {
    let ours = || {
        let job = read(&text_of(&file(context).ok()?).ok()??)?;
        let root = job.var("TSM_DIR").map(PathBuf::from);
        let usual = || Some(context.settings.home.as_ref()?.join(".local/state/tsm"));
        let exe = std::env::current_exe().ok()?;
        (is_same(Path::new(&job.program), &exe) && root.or_else(usual)? == context.layout.root())
            .then_some(())
    };
    boot(context).is_some_and(|boot| boot.enabled)
        && ours().is_some()
        && manager(context).is_ok_and(|manager| manager.start().is_ok())
}

fn failed(what: &str, error: &io::Error) -> Error {
    Error::failed(format!("cannot {what} the daemon at boot: {error}")).hint("tsm daemon logs")
}

/// Who wrote the file, where that is not to be overwritten.
fn edited(file: &Path, before: Option<&str>, force: bool) -> Result<bool> {
    match before.map(writer) {
        _ if force => Ok(false),
        None | Some(Writer::Tsm) => Ok(false),
        Some(Writer::Edited) => Ok(true),
        Some(Writer::Other) => Err(Error::conflict(format!("{} was not written by tsm", file.display()))
            .hint("look at it; --force takes it for ours")),
    }
}

pub(super) fn enable(context: &Context, args: &Args) -> Result<()> {
    let (file, text) = (file(context)?, text(&job(context)?)?);
    let manager = manager(context)?;
    let before = text_of(&file)?;
    let edited = edited(&file, before.as_deref(), args.force)?;
    let current = edited || before.as_deref() == Some(&text);
    let standing = manager.standing().map_err(|error| failed("enable", &error))?;
    let changed = !(current && standing.enabled && standing.active && !standing.outdated);
    if changed {
        let made = if current { Vec::new() } else { write(&file, &text)? };
        let done = manager.reload().and_then(|()| manager.enable(&file)).and_then(|()| manager.restart());
        if let Err(error) = done {
            if !standing.enabled {
                let _ = manager.disable();
            }
            match &before {
                Some(before) => store::write(&file, before.as_bytes(), Durability::Synced)?,
                None => drop(fs::remove_file(&file)),
            }
            made.iter().rev().for_each(|dir| drop(fs::remove_dir(dir)));
            let _ = manager.reload();
            manager.forget();
            if standing.active {
                let _ = manager.restart();
            }
            return Err(failed("enable", &error));
        }
    }
    let user = user::name(user::uid()).unwrap_or_else(|| user::uid().to_string());
    let linger = Manager::lingers(&user);
    if args.json {
        let boot = Boot { enabled: true, manager: MANAGER, file: file.clone() };
        context.output.json(&Done { boot, changed, edited, linger: Some(linger) })?;
    } else {
        let said = if changed { "Enabled" } else { "Already enabled" };
        context.output.line(&format!("{said}: {MANAGER} starts the daemon at boot ({})", file.display()))?;
    }
    if edited {
        context.output.advise("the file was edited, and is used as it is", "tsm daemon enable --force");
    }
    if !linger {
        context.output.advise(
            "this user does not linger: the daemon starts at login only, and the last logout ends it with all it started",
            &format!("loginctl enable-linger {user}"),
        );
    }
    Ok(())
}

/// Writes the file, and tells which directories had to be made for it.
fn write(file: &Path, text: &str) -> Result<Vec<PathBuf>> {
    let dir = file.parent().unwrap_or(Path::new("/"));
    let mut made: Vec<PathBuf> =
        dir.ancestors().take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
    made.reverse();
    let written = fs::create_dir_all(dir)
        .map_err(|error| Error::io("create", dir, &error))
        .and_then(|()| store::write(file, text.as_bytes(), Durability::Synced));
    if let Err(error) = written {
        made.iter().rev().for_each(|dir| drop(fs::remove_dir(dir)));
        return Err(error);
    }
    Ok(made)
}

pub(super) fn disable(context: &Context, args: &Args) -> Result<()> {
    let file = file(context)?;
    let manager = manager(context)?;
    let before = text_of(&file)?;
    let edited = edited(&file, before.as_deref(), args.force)?;
    let changed = before.is_some() && {
        let standing = manager.standing().map_err(|error| failed("disable", &error))?;
        let changed = !edited || standing.enabled || standing.active;
        manager.stop().and_then(|()| manager.disable()).map_err(|error| failed("disable", &error))?;
        if !edited {
            fs::remove_file(&file).map_err(|error| Error::io("remove", &file, &error))?;
        }
        manager.reload().map_err(|error| failed("disable", &error))?;
        manager.forget();
        changed
    };
    if args.json {
        let boot = Boot { enabled: false, manager: MANAGER, file: file.clone() };
        context.output.json(&Done { boot, changed, edited, linger: None })?;
    } else if changed {
        context.output.line(&format!(
            "Disabled: {MANAGER} has stopped the daemon and starts it no more; the managed processes go on"
        ))?;
    } else {
        context.output.line("Not enabled")?;
    }
    if edited {
        let left = format!("{} was edited, and is left", file.display());
        context.output.advise(&left, "tsm daemon disable --force");
    }
    Ok(())
}
