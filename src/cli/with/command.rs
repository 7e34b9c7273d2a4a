//! The command of `tsm with`: its words, its environment, its life.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::by_signal;
use crate::error::{Error, Result, plain};
use crate::model::{Name, Pid};
use crate::plan;
use crate::supervisor::environment::Var;
use crate::sys::pidfd::Handle;
use crate::sys::reaper::{Reaped, reap};
use crate::sys::signals::{Caught, HUP, Signals, TERM};
use crate::sys::{foreground, poll, process};

/// The codes of a shell for a command that cannot be executed, and for one that is not there.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Where programs are looked for without a PATH, as `execvp(3)` does.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is to be executed: the exact words, or one line as `tsm start` reads it.
///
/// # Errors
/// Usage when there is no command in them, or a quote is not closed.
pub(super) fn words(typed: &[OsString]) -> Result<Vec<OsString>> {
    match typed.iter().map(|word| word.to_str().map(str::to_owned)).collect::<Option<Vec<String>>>() {
        Some(text) => Ok(plan::argv(&text)?.into_iter().map(OsString::from).collect()),
        None => Ok(typed.to_vec()),
    }
}

/// A port of one of several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedPort {
    /// Whose it is.
    pub(super) name: Name,
    /// `API_PORT`.
    pub(super) variable: String,
    /// Its number, as text.
    pub(super) port: String,
}

/// `base` with each of `layers` on top of it, and what each port is called where there are several.
pub(super) fn merged(base: Vec<Var>, layers: &[(Name, Vec<Var>)]) -> (Vec<Var>, Vec<NamedPort>) {
    let mut env: BTreeMap<OsString, OsString> = base.into_iter().collect();
    // It was for this call alone.
    env.remove(OsStr::new("TSM_SHELL_PID"));
    let port_of = |vars: &[Var]| {
        vars.iter().find(|(name, _)| name == "PORT").map(|(_, port)| port.to_string_lossy().into_owned())
    };
    let ports: Vec<NamedPort> = layers
        .iter()
        .filter_map(|(name, vars)| {
            Some(NamedPort { name: name.clone(), variable: variable(name), port: port_of(vars)? })
        })
        .collect();
    let ports = if ports.len() > 1 { ports } else { Vec::new() };
    // Below what was declared: a variable of that name that somebody chose is meant.
    env.extend(ports.iter().map(|one| (one.variable.clone().into(), one.port.clone().into())));
    for (_, vars) in layers {
        env.extend(vars.iter().cloned());
    }
    (env.into_iter().collect(), ports)
}

/// `MY_API_PORT` for `my-api`.
fn variable(name: &Name) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let text: String = name.as_str().chars().map(upper).collect();
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    format!("{}{text}_PORT", if digit { "_" } else { "" })
}

/// Runs the command in the foreground and returns its exit code as a shell gives it.
///
/// A Ctrl-C reaches it from the terminal; TERM and HUP are passed on to it.
///
/// # Errors
/// When no process can be made.
pub(super) fn run(argv: &[OsString], env: &[Var], signals: &Signals) -> Result<u8> {
    let name = argv.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let refuse = |code: u8, why: &str| -> Result<u8> {
        let error = Error::failed(format!("cannot run {name}: {why}"));
        super::super::say(&error, crate::render::style::ColorChoice::Auto);
        Ok(code)
    };
    let program = match find(argv.first().map_or(OsStr::new(""), OsString::as_os_str), env) {
        Found::Program(path) => path,
        Found::NotExecutable => return refuse(NOT_EXECUTABLE, "permission denied"),
        Found::Nothing => return refuse(NOT_FOUND, "command not found"),
    };
    let started = match foreground::start(&program, argv, env) {
        // As a shell does with an executable text file without `#!`.
        Err(error) if error.raw_os_error() == Some(foreground::NOT_A_PROGRAM) => {
            let mut words: Vec<OsString> = vec!["sh".into(), program.into()];
            words.extend(argv.iter().skip(1).cloned());
            foreground::start(Path::new("/bin/sh"), &words, env)
        }
        other => other,
    };
    match started {
        Ok(pid) => Ok(wait(pid, signals)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse(NOT_FOUND, "its interpreter does not exist")
        }
        Err(error) => refuse(NOT_EXECUTABLE, &plain(&error)),
    }
}

enum Found {
    Program(PathBuf),
    NotExecutable,
    Nothing,
}

/// The file that a shell would execute for `word` in that environment.
fn find(word: &OsStr, env: &[Var]) -> Found {
    let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    let here = std::env::current_dir().unwrap_or_default();
    if let Ok(program) = which::which_in(word, Some(&path), here) {
        return Found::Program(program);
    }
    let has_slash = word.as_encoded_bytes().contains(&b'/');
    let is_there = if has_slash {
        Path::new(word).exists()
    } else {
        !word.is_empty() && std::env::split_paths(&path).any(|dir| dir.join(word).is_file())
    };
    if is_there { Found::NotExecutable } else { Found::Nothing }
}

/// Waits for the end of `pid`, a child.
fn wait(pid: Pid, signals: &Signals) -> u8 {
    // Held by its start time; as it is our child, it cannot be reaped by anybody else.
    let handle = process::read(pid).and_then(|process| Handle::open(&process.identity()));
    loop {
        // Supervisors of what was started are children, too.
        loop {
            match reap() {
                Reaped::Ended { pid: ended, code, signal } if ended == pid => {
                    return match (code, signal) {
                        (Some(code), _) => u8::try_from(code & 0xff).unwrap_or(u8::MAX),
                        (None, signal) => by_signal(signal.unwrap_or_default()),
                    };
                }
                Reaped::Ended { .. } => {}
                Reaped::NoneEnded => break,
                Reaped::NoChildren => return 1,
            }
        }
        let _ = poll::readable(signals, None);
        for caught in signals.drain() {
            let number = match caught {
                Caught::Terminate => TERM,
                Caught::Hangup => HUP,
                // The terminal has sent these to the command as well.
                Caught::Interrupt | Caught::Quit | Caught::Child => continue,
            };
            if let Some(handle) = &handle {
                let _ = handle.signal(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, vars: &[(&str, &str)]) -> (Name, Vec<Var>) {
        let vars = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
        (Name::parse(name).unwrap(), vars)
    }

    #[test]
    fn later_layers_win_and_several_ports_have_names() {
        let base =
            vec![("A".into(), "0".into()), ("PORT".into(), "1".into()), ("TSM_SHELL_PID".into(), "2".into())];
        let get = |env: &[Var], name: &str| {
            env.iter().find(|(key, _)| key == name).map(|(_, value)| value.to_string_lossy().into_owned())
        };
        let api = layer("my-api", &[("PORT", "8001"), ("A", "api"), ("B", "api")]);
        let db = layer("2db", &[("PORT", "5432"), ("A", "db"), ("MY_API_PORT", "mine")]);
        let job = layer("job", &[("C", "job")]);

        let (env, ports) = merged(base.clone(), &[api.clone(), job.clone()]);
        assert_eq!(ports, []);
        assert_eq!(get(&env, "PORT").as_deref(), Some("8001"));
        assert_eq!((get(&env, "MY_API_PORT"), get(&env, "TSM_SHELL_PID")), (None, None));

        let (env, ports) = merged(base, &[api, db, job]);
        let ports: Vec<(&str, &str)> =
            ports.iter().map(|one| (one.variable.as_str(), one.port.as_str())).collect();
        assert_eq!(ports, [("MY_API_PORT", "8001"), ("_2DB_PORT", "5432")]);
        for (name, value) in [
            ("PORT", "5432"),
            ("A", "db"),
            ("B", "api"),
            ("C", "job"),
            ("_2DB_PORT", "5432"),
            ("MY_API_PORT", "mine"),
        ] {
            assert_eq!(get(&env, name).as_deref(), Some(value), "{name}");
        }
    }
}
