//! Executing the program of a spec.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::environment::Var;
use crate::error::{Error, Result, plain};
use crate::model::{Pid, Spec};
use crate::store::{Layout, ProcessDir};
use crate::sys::{fd, spawn};

/// `ENOEXEC`: the same number on Linux and macOS.
const NOT_A_PROGRAM: i32 = 8;

/// Opens the live log of `spec` for appending, made when missing, and its directory too: people throw logs away.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn open_log(layout: &Layout, spec: &Spec) -> Result<File> {
    let path = layout.log(&spec.name);
    let open = || OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
    let opened = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            layout.create()?;
            open()
        }
        other => other,
    };
    opened.map_err(|error| Error::io("open", &path, &error))
}

/// Executes the program of `spec` with `env`, its output going to `log`.
///
/// # Errors
/// Not found when the program or the working directory is missing; failed with the kernel's word otherwise.
pub(super) fn execute(spec: &Spec, env: &[Var], dir: &ProcessDir, log: &File) -> Result<Pid> {
    std::env::set_current_dir(&spec.dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found(format!("cannot start {}: no directory {}", spec.name, spec.dir.display()))
        }
        _ => Error::io("enter", &spec.dir, &error),
    })?;
    let started = execute_here(spec, env, dir, log);
    // Not to keep a filesystem busy that the program has left.
    let _ = std::env::set_current_dir("/");
    started
}

fn execute_here(spec: &Spec, env: &[Var], dir: &ProcessDir, log: &File) -> Result<Pid> {
    let Some(word) = spec.argv.first() else {
        return Err(Error::usage("a command is required"));
    };
    let program = find(word, env, &spec.dir).ok_or_else(|| {
        Error::not_found(format!("cannot start {}: command not found: {word}", spec.name))
            .hint("check the spelling, or give the path of the program")
    })?;
    let stdin = dir.stdin();
    let input = fd::endless_input(&stdin).map_err(|error| Error::io("create", &stdin, &error))?;
    let argv: Vec<OsString> = spec.argv.iter().map(OsString::from).collect();
    let fds = [input.as_fd(), log.as_fd(), log.as_fd()];
    let command = spawn::Command { program: &program, argv: &argv, env, fds: &fds };
    match command.spawn() {
        // As a shell does with an executable text file without `#!`.
        Err(error) if error.raw_os_error() == Some(NOT_A_PROGRAM) => {
            let shell = Path::new("/bin/sh");
            let argv: Vec<OsString> = [OsString::from("sh"), program.clone().into()]
                .into_iter()
                .chain(argv.into_iter().skip(1))
                .collect();
            spawn::Command { program: shell, argv: &argv, env, fds: &fds }.spawn()
        }
        other => other,
    }
    .map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let what = if missing { "its interpreter does not exist".to_owned() } else { plain(&error) };
        let text = format!("cannot start {}: cannot execute {}: {what}", spec.name, program.display());
        match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(text),
            io::ErrorKind::PermissionDenied => Error::failed(text)
                .hint(format!("chmod +x {}", shell_words::quote(&program.to_string_lossy()))),
            _ => Error::failed(text),
        }
    })
}

/// The file that `word` means: itself when it is a path, else the first on the program's own PATH.
fn find(word: &str, env: &[Var], dir: &Path) -> Option<PathBuf> {
    if word.contains('/') {
        let path = dir.join(word);
        return path.exists().then_some(path);
    }
    let path = env.iter().find(|(name, _)| name == OsStr::new("PATH")).map(|(_, value)| value.clone());
    which::which_in(word, Some(path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())), dir).ok()
}
