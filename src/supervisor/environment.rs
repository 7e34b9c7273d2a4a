//! The environment of a program: the captured one, the environment file's, the settings, and TSM's own.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;

use crate::model::{EnvVar, Pid, Spec};
use crate::store::ProcessDir;
use crate::sys::process;

/// A variable and its value.
pub type Var = (OsString, OsString);

/// Variables that belong to one managed process, to one call of the shell's `tsm`, or to one unit of systemd
/// (`systemd.exec(5)`), and must not leak into the next one that is started from inside it.
const OWN: [&str; 17] = [
    "TSM_NAME",
    "TSM_ID",
    "TSM_PORT",
    "TSM_SOCKET",
    "NOTIFY_SOCKET",
    "LISTEN_FDS",
    "LISTEN_PID",
    "TSM_SHELL_PID",
    "LISTEN_FDNAMES",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANAGERPID",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
];

/// What a caller's environment gives to a program: not the shell's exported functions (they can be hundreds of
/// kilobytes and mean nothing to a program), and nothing of another managed process.
pub fn captured(vars: impl Iterator<Item = Var>) -> Vec<Var> {
    vars.filter(|(name, _)| {
        !name.as_encoded_bytes().starts_with(b"BASH_FUNC_") && !OWN.iter().any(|own| name == OsStr::new(own))
    })
    .collect()
}

/// The environment that a process was started with, as far as the kernel still has it; [`captured`] makes it one to start
/// others with.
///
/// # Errors
/// It is gone, or belongs to another user.
pub fn of_process(pid: Pid) -> io::Result<Vec<Var>> {
    let bytes = process::environ(pid)?;
    let vars = bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        Some((OsString::from_vec(entry[..at].to_vec()), OsString::from_vec(entry[at + 1..].to_vec())))
    });
    Ok(vars.collect())
}

/// The whole environment of the program of `spec`: `base`, changed by the environment file (`set`, `unset`), by the
/// settings of the spec, and by what TSM tells every program.
pub fn compose(
    base: &[Var],
    set: &BTreeMap<String, String>,
    unset: &[String],
    spec: &Spec,
    dir: &ProcessDir,
) -> Vec<Var> {
    let mut env: BTreeMap<OsString, OsString> = base.iter().cloned().collect();
    // Into a file, Python writes in blocks of 8 KiB: what it printed last would not be in the log when it is needed.
    env.entry("PYTHONUNBUFFERED".into()).or_insert_with(|| "1".into());
    for name in unset {
        env.remove(OsStr::new(name));
    }
    env.extend(set.iter().map(|(name, value)| (name.into(), value.into())));
    for (name, setting) in &spec.env_vars {
        let value = match setting {
            EnvVar::Value(value) => Some(value.into()),
            // Handed over in the captured environment, so that it never touches the disk.
            EnvVar::Secret => {
                base.iter().find(|(key, _)| key == OsStr::new(name)).map(|(_, value)| value.clone())
            }
        };
        if let Some(value) = value {
            env.insert(name.into(), value);
        }
    }
    if let Some(port) = spec.port {
        env.insert("PORT".into(), port.to_string().into());
        env.insert("TSM_PORT".into(), port.to_string().into());
    }
    env.insert("PWD".into(), spec.dir.clone().into());
    env.insert("TSM_NAME".into(), spec.name.as_str().into());
    env.insert("TSM_ID".into(), spec.id.to_string().into());
    env.insert("TSM_SOCKET".into(), dir.address(&dir.socket()).into());
    env.insert("NOTIFY_SOCKET".into(), dir.address(&dir.notify()).into());
    env.into_iter().collect()
}

/// What was declared for a program, of its environment `all`: where it differs from what its supervisor captured
/// (`base`), and what `named` says. Nothing that is TSM's own: `TSM_SOCKET` would make whatever is started with it a part
/// of that tree.
pub fn declared(all: &[Var], base: Option<&[Var]>, named: &BTreeSet<String>) -> Vec<Var> {
    const PLACE: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];
    let differs = |var: &Var| {
        let unasked = var.0 == "PYTHONUNBUFFERED" && var.1 == "1";
        base.is_some_and(|base| !base.contains(var)) && !unasked
    };
    let own = |name: &OsStr| OWN.iter().chain(&PLACE).any(|own| name == OsStr::new(own));
    let is_named = |name: &OsStr| name.to_str().is_some_and(|name| named.contains(name));
    all.iter().filter(|var| !own(&var.0) && (is_named(&var.0) || differs(var))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vec<Var> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn declared_is_what_differs_or_is_named_and_never_tsms_own() {
        let base = vars(&[("HOME", "/h"), ("TOKEN", "t"), ("SAME", "1"), ("MODE", "a"), ("PWD", "/x")]);
        let mut all = base.clone();
        all.retain(|(name, _)| name != "MODE" && name != "PWD");
        all.extend(vars(&[
            ("MODE", "b"),
            ("PWD", "/w"),
            ("PORT", "8000"),
            ("TSM_PORT", "8000"),
            ("EMPTY", ""),
        ]));
        all.extend(vars(&[
            ("TSM_NAME", "x"),
            ("TSM_SOCKET", "/s"),
            ("NOTIFY_SOCKET", "/n"),
            ("PYTHONUNBUFFERED", "1"),
        ]));
        let names = |base: Option<&[Var]>, named: &[&str]| -> Vec<String> {
            let named = named.iter().map(ToString::to_string).collect();
            declared(&all, base, &named).iter().map(|(name, _)| name.to_string_lossy().into()).collect()
        };
        assert_eq!(names(Some(&base), &[]), ["MODE", "PORT", "EMPTY"]);
        // A secret of --env-var is in the captured environment, too; a value of the file may be the shell's by chance.
        assert_eq!(names(Some(&base), &["TOKEN", "SAME"]), ["TOKEN", "SAME", "MODE", "PORT", "EMPTY"]);
        assert_eq!(
            names(Some(&base), &["PYTHONUNBUFFERED", "TSM_SOCKET", "GONE"]).last().unwrap(),
            "PYTHONUNBUFFERED"
        );
        // Without a supervisor only names can tell.
        assert_eq!(names(None, &["MODE", "PORT", "PWD"]), ["MODE", "PORT"]);
    }
}
