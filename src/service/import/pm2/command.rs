//! What pm2 executes for an application: interpreter, its arguments, the script, and its arguments.

use std::path::Path;

use super::super::{Imported, command_line, shell_line};
use super::app::App;
use crate::error::{Error, Result};

const SCRIPT: &[&str] = &["pm_exec_path", "script", "exec", "cmd", "command"];
const INTERPRETER: &[&str] = &["exec_interpreter", "interpreter"];
const INTERPRETER_ARGS: &[&str] = &["node_args", "interpreterArgs", "interpreter_args"];

/// What runs a script of this ending when no interpreter is named (pm2's `lib/API/interpreter.json`). TypeScript is
/// not in it: what pm2 takes depends on what is installed, as it does in `tsm start`.
const INTERPRETERS: &[(&str, &str)] = &[
    ("js", "node"),
    ("cjs", "node"),
    ("mjs", "node"),
    ("sh", "bash"),
    ("py", "python"),
    ("rb", "ruby"),
    ("php", "php"),
    ("pl", "perl"),
    ("coffee", "coffee"),
    ("ls", "lsc"),
];

/// The command of an application, and its name.
///
/// # Errors
/// When it has no script.
pub(super) fn command(app: &App<'_>) -> Result<(String, String)> {
    let script = app.text(SCRIPT).ok_or_else(|| Error::failed("it has no script"))?;
    let name = app.text(&["name"]).unwrap_or_else(|| {
        let stem = Path::new(&script).file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    });
    let args = app.words(&["args"]);
    if let Some(line) = shell_script(app, &script, &args) {
        return Ok((shell_line(&line), name));
    }
    let mut words = interpreter(app, &script);
    let bare = words.is_empty();
    words.push(relative(app, &script, bare));
    words.extend(args);
    Ok((command_line(&words), name))
}

/// The line that pm2 gives to a shell: a script with blanks, or what a dump has made of one.
fn shell_script(app: &App<'_>, script: &str, args: &[String]) -> Option<String> {
    if !app.dumped {
        return script.contains(' ').then(|| script.to_owned());
    }
    let shell = matches!(base(script), "bash" | "sh") && named(app).is_none_or(|name| name == "none");
    match args {
        [option, line] if shell && option == "-c" => Some(line.clone()),
        _ => None,
    }
}

/// The interpreter and its arguments; none where the script is executed itself.
fn interpreter(app: &App<'_>, script: &str) -> Vec<String> {
    let ending = Path::new(script).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let args = app.words(INTERPRETER_ARGS);
    let first = match named(app) {
        Some(name) if name == "none" => return Vec::new(),
        // A program of PATH without an ending: pm2 puts node before whatever is no binary, its shebang says the rest.
        Some(name) if app.dumped && base(&name) == "node" && args.is_empty() && in_bin(script) => {
            return Vec::new();
        }
        // `node@20.1.0` is pm2's word for a version that it installs by nvm.
        Some(name) => name.split('@').next().unwrap_or_default().to_owned(),
        None => match INTERPRETERS.iter().find(|(known, _)| *known == ending) {
            Some((_, name)) => (*name).to_owned(),
            None if args.is_empty() => return Vec::new(),
            None => "node".to_owned(),
        },
    };
    std::iter::once(first).chain(args).collect()
}

fn named(app: &App<'_>) -> Option<String> {
    app.text(INTERPRETER)
}

fn in_bin(script: &str) -> bool {
    let path = Path::new(script);
    path.extension().is_none() && path.parent().is_some_and(|dir| dir.ends_with("bin"))
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The script as a person would write it: a dump has made it absolute. `bare` is one that stands first, which needs a
/// slash.
fn relative(app: &App<'_>, script: &str, bare: bool) -> String {
    let dir = app.text(&["pm_cwd"]).unwrap_or_default();
    match Path::new(script).strip_prefix(&dir) {
        Ok(rest) if app.dumped && !dir.is_empty() && dir != "/" => {
            let rest = rest.to_string_lossy();
            let start = if bare || rest.starts_with('-') { "./" } else { "" };
            format!("{start}{rest}")
        }
        _ => script.to_owned(),
    }
}

/// What of it is another command than pm2's.
pub(super) fn remarks(app: &App<'_>, made: &mut Imported) {
    if let Some(name) = named(app).filter(|name| name.contains('@')) {
        made.remark(
            "interpreter",
            format!("{name}: the version is not carried over; name the path of that node"),
        );
    }
    let script = app.text(SCRIPT).unwrap_or_default();
    if !app.dumped && script.contains(' ') && app.meant(&["args"]).is_some() {
        made.remark("args", "pm2 passes none to a script that is a command line, so they are left out");
    }
}
