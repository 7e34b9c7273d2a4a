//! Recognised causes in the last lines of a log: plain searches for what runtimes and shells print.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use crate::render::shell_quote::quote;

/// What a log says went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cause {
    /// In words.
    pub(super) what: String,
    /// The line that says so.
    pub(super) line: String,
    /// The port that it speaks of.
    pub(super) port: Option<u16>,
    /// Who has that port now.
    pub(super) holder: Option<String>,
    /// The variable that is missing.
    pub(super) variable: Option<String>,
    /// What to type.
    pub(super) todo: Option<String>,
}

/// What is known of the process whose log it is.
pub(super) struct About<'a> {
    pub(super) name: &'a str,
    pub(super) dir: &'a Path,
    /// The planned port.
    pub(super) port: Option<u16>,
    /// What it executes.
    pub(super) program: &'a str,
    /// The variables that it is given by its environment file and settings.
    pub(super) set: &'a BTreeSet<String>,
    pub(super) env_file: Option<&'a Path>,
}

/// The most that is told.
const MOST: usize = 3;

/// The causes in `lines`, the last of each kind, the latest first.
pub(super) fn causes(lines: &[String], about: &About<'_>) -> Vec<Cause> {
    let reads_environ = lines
        .iter()
        .any(|line| line.contains("os.environ") || line.contains("<frozen os>") || line.contains("/os.py\""));
    let mut found: Vec<Cause> = Vec::new();
    // Node repeats the code of an error, without its address, among its details.
    for line in lines.iter().rev().filter(|line| !line.trim_start().starts_with("code: '")) {
        let Some(cause) = cause(line.trim(), about, reads_environ) else { continue };
        if found.iter().all(|known| known.what != cause.what) {
            found.push(cause);
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn cause(line: &str, about: &About<'_>, reads_environ: bool) -> Option<Cause> {
    let made = |what: String, port: Option<u16>, todo: Option<String>| Cause {
        what,
        line: line.to_owned(),
        port,
        holder: None,
        variable: None,
        todo,
    };
    let lower = line.to_ascii_lowercase();
    let at = |word: &str| lower.find(word).map(|at| &line[at + word.len()..]);
    if let Some(rest) = at("eaddrinuse").or_else(|| at("address already in use")) {
        let port = port_in(rest).or_else(|| port_of_phrase(line)).or(about.port);
        let what = port.map_or_else(
            || "a port that it wanted was taken".to_owned(),
            |port| format!("port {port} was taken when it wanted to listen"),
        );
        return Some(made(what, port, port.map(|port| format!("tsm doctor port {port}"))));
    }
    if let Some(rest) = at("econnrefused").or_else(|| at("connection refused")) {
        let port = port_in(rest).or_else(|| port_of_phrase(line));
        let what = port.map_or_else(
            || "a connection that it made was refused".to_owned(),
            |port| format!("nothing answered at port {port}, which it connects to"),
        );
        return Some(made(what, port, port.map(|port| format!("tsm doctor port {port}"))));
    }
    if let Some(module) = at("no module named ").and_then(first_word) {
        let package = module.split('.').next().unwrap_or(&module);
        let python = if about.program.contains("python") { about.program } else { "python3" };
        let todo = format!("cd {} && {} -m pip install {}", dir(about), quote(python), quote(package));
        return Some(made(format!("the Python module {module} is not installed"), None, Some(todo)));
    }
    if let Some(module) =
        at("cannot find module ").or_else(|| at("cannot find package ")).and_then(first_word)
    {
        let (what, todo) = if module.starts_with(['.', '/']) {
            (format!("there is no file {module}"), format!("ls {}", dir(about)))
        } else {
            (
                format!("the Node module {module} is not installed"),
                format!("cd {} && npm install", dir(about)),
            )
        };
        return Some(made(what, None, Some(todo)));
    }
    if let Some(command) = not_found(line) {
        let what = format!("the command {command} is not found on its PATH");
        return Some(made(what, None, Some(format!("type -a {}", quote(command)))));
    }
    if let Some(variable) = variable(line, reads_environ).filter(|name| !about.set.contains(*name)) {
        let todo = match about.env_file {
            Some(file) => format!("echo '{variable}=…' >> {}", quote(&file.to_string_lossy())),
            None => format!("export {variable}=…, then tsm start {}", about.name),
        };
        let cause = made(format!("the variable {variable} is not set"), None, Some(todo));
        return Some(Cause { variable: Some(variable.to_owned()), ..cause });
    }
    if lower.contains("permission denied") || line.contains("EACCES") {
        let low = at("eacces").and_then(port_in).or(about.port).filter(|port| *port < 1024);
        let path = quoted(line).filter(|path| path.starts_with('/'));
        return Some(match (low, path) {
            (Some(port), None) => {
                made(format!("port {port} is below 1024, which needs root"), Some(port), None)
            }
            (_, Some(path)) => {
                let todo = format!("ls -ld {}", quote(path));
                made(format!("it was not allowed to use {path}"), None, Some(todo))
            }
            _ => made("something was not permitted".to_owned(), None, None),
        });
    }
    None
}

fn dir(about: &About<'_>) -> String {
    quote(&about.dir.to_string_lossy()).into_owned()
}

/// The first word of a text without its quotes: `'flask'` and `flask;` are `flask`.
fn first_word(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let word = word.trim_matches(|c: char| matches!(c, '\'' | '"' | '`' | ',' | ';' | ':')).to_owned();
    (!word.is_empty()).then_some(word)
}

/// What stands in the last pair of single or double quotes.
fn quoted(line: &str) -> Option<&str> {
    let end = line.rfind(['\'', '"'])?;
    let mark = line[end..].chars().next()?;
    let begin = line[..end].rfind(mark)?;
    Some(&line[begin + 1..end])
}

/// The last port of the form `:3000`.
fn port_in(text: &str) -> Option<u16> {
    let mut parts = text.rsplit(':');
    let last = parts.next()?;
    parts.next()?;
    number_at(last)
}

/// The port of `('127.0.0.1', 8000)`, of `127.0.0.1:8000` and of `port 8000`.
fn port_of_phrase(line: &str) -> Option<u16> {
    let address = line.match_indices(':').filter(|(at, _)| {
        // Times have colons, too.
        let host = line[..*at].rsplit(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        host.contains('.') || host.ends_with(']') || host.ends_with("localhost")
    });
    let mut places: Vec<usize> = address.map(|(at, _)| at + 1).collect();
    for word in ["', ", "\", ", "port ", "Port "] {
        places.extend(line.match_indices(word).map(|(at, _)| at + word.len()));
    }
    places.sort_unstable();
    places.iter().rev().find_map(|at| number_at(&line[*at..]))
}

fn number_at(text: &str) -> Option<u16> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|port| *port != 0)
}

/// The command that a shell did not find: `bash: line 1: x: command not found`, `sh: 1: x: not found`,
/// `zsh: command not found: x`.
fn not_found(line: &str) -> Option<&str> {
    let word = |text: &'static str| line.strip_suffix(text);
    let before = word(": command not found").or_else(|| {
        // Other programs say `not found`, too; a shell says of which line.
        word(": not found").filter(|rest| rest.split(": ").any(|part| part.parse::<u32>().is_ok()))
    });
    let name = match before {
        Some(before) => before.rsplit(": ").next()?,
        None => line.split_once(": command not found: ")?.1,
    };
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// The variable that a line says is missing, where it says so for certain.
fn variable(line: &str, reads_environ: bool) -> Option<&str> {
    // A shell under `set -u`, or `${X:?}`.
    for end in [": unbound variable", ": parameter null or not set", ": parameter not set"] {
        if let Some(name) = line.strip_suffix(end).and_then(|rest| rest.rsplit(": ").next()) {
            return Some(name).filter(|name| is_variable(name));
        }
    }
    if let Some(key) = line.strip_prefix("KeyError: ").filter(|_| reads_environ) {
        return Some(key.trim_matches(['\'', '"'])).filter(|name| is_variable(name));
    }
    // An undeclared name of JavaScript is no variable of the environment.
    if line.contains("ReferenceError") {
        return None;
    }
    let lower = line.to_ascii_lowercase();
    let said = ["not set", "not defined", "missing", "required", "undefined", "must be set", "unset"];
    if !said.iter().any(|word| lower.contains(word)) {
        return None;
    }
    let certain = lower.contains("environment variable") || lower.contains("env var");
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| {
        let name = is_variable(word) && word.chars().all(|c| !c.is_ascii_lowercase());
        name && (word.contains('_') || (certain && word.len() > 3 && !LEVELS.contains(word)))
    })
}

/// Words in capitals that lines begin with.
const LEVELS: [&str; 7] = ["ERROR", "WARN", "WARNING", "INFO", "FATAL", "DEBUG", "CRITICAL"];

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A line without the colours and cursor movements of terminals (ECMA-48, control sequences).
pub(super) fn without_colours(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        shown.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.find(|c: char| ('@'..='~').contains(&c)).map_or(sequence.len(), |end| end + 1);
        rest = &sequence[end..];
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str], set: &[&str]) -> Vec<Cause> {
        let set = set.iter().map(|&name| name.to_owned()).collect();
        let about = About {
            name: "web",
            dir: Path::new("/app"),
            port: Some(3000),
            program: "/app/.venv/bin/python3",
            set: &set,
            env_file: None,
        };
        causes(&lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>(), &about)
    }

    #[test]
    fn what_runtimes_print_is_recognised() {
        for (line, what, todo) in [
            (
                "Error: listen EADDRINUSE: address already in use :::4000",
                "port 4000 was taken",
                "tsm doctor port 4000",
            ),
            (
                "Error: listen EADDRINUSE: address already in use 127.0.0.1:4000",
                "port 4000 was taken",
                "tsm doctor port 4000",
            ),
            ("OSError: [Errno 98] Address already in use", "port 3000 was taken", "tsm doctor port 3000"),
            (
                "ERROR: [Errno 98] error while attempting to bind on address ('127.0.0.1', 4000): address already in use",
                "port 4000 was taken",
                "tsm doctor port 4000",
            ),
            ("12:30:45 bind: address already in use", "port 3000 was taken", "tsm doctor port 3000"),
            (
                "Error: connect ECONNREFUSED 127.0.0.1:5432",
                "nothing answered at port 5432",
                "tsm doctor port 5432",
            ),
            (
                "connection to server at \"127.0.0.1\", port 5432 failed: Connection refused",
                "nothing answered at port 5432",
                "tsm doctor port 5432",
            ),
            (
                "ModuleNotFoundError: No module named 'flask.app'",
                "the Python module flask.app is not installed",
                "cd /app && /app/.venv/bin/python3 -m pip install flask",
            ),
            (
                "/usr/bin/python3: No module named uvicorn",
                "the Python module uvicorn is",
                "cd /app && /app/.venv/bin/python3 -m pip install uvicorn",
            ),
            (
                "Error: Cannot find module 'express'",
                "the Node module express is not installed",
                "cd /app && npm install",
            ),
            ("Error: Cannot find module '/app/server.js'", "there is no file /app/server.js", "ls /app"),
            (
                "bash: line 1: frobnicate: command not found",
                "the command frobnicate is not found",
                "type -a frobnicate",
            ),
            ("sh: 1: vite: not found", "the command vite is not found", "type -a vite"),
            ("zsh: command not found: vite", "the command vite is not found", "type -a vite"),
            (
                "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
                "it was not allowed to use /etc/shadow",
                "ls -ld /etc/shadow",
            ),
            (
                "./run.sh: line 3: DB_HOST: unbound variable",
                "the variable DB_HOST is not set",
                "export DB_HOST=…, then tsm start web",
            ),
            (
                "Error: DATABASE_URL is not defined",
                "the variable DATABASE_URL is not set",
                "export DATABASE_URL=…, then tsm start web",
            ),
            (
                "ERROR missing environment variable TOKEN",
                "the variable TOKEN is not set",
                "export TOKEN=…, then tsm start web",
            ),
        ] {
            let all = found(&["hello", line], &[]);
            assert_eq!(all.len(), 1, "{line}: {all:?}");
            assert!(all[0].what.starts_with(what), "{line}: {}", all[0].what);
            assert_eq!(all[0].todo.as_deref(), Some(todo), "{line}");
        }
        let low = found(&["Error: listen EACCES: permission denied 0.0.0.0:80"], &[]);
        assert_eq!(
            (low[0].what.as_str(), low[0].port),
            ("port 80 is below 1024, which needs root", Some(80))
        );
    }

    #[test]
    fn what_is_not_certain_is_not_said() {
        for line in [
            "listening on :3000",
            "GET /missing 404 not found",
            "KeyError: 'DB_HOST'",
            "ReferenceError: DATABASE_URL is not defined",
            "ERROR: a required field is missing",
            "file not found",
            "",
        ] {
            assert_eq!(found(&[line], &[]), [], "{line}");
        }
        // A key of the environment, by the traceback.
        let traceback = ["  File \"<frozen os>\", line 685, in __getitem__", "KeyError: 'DB_HOST'"];
        assert_eq!(found(&traceback, &[])[0].variable.as_deref(), Some("DB_HOST"));
        assert_eq!(found(&traceback, &["DB_HOST"]), [], "it is set, so something else is meant");
    }

    #[test]
    fn the_latest_comes_first_and_each_once() {
        let line = "Error: connect ECONNREFUSED 127.0.0.1:5432";
        let all = found(&[line, "sh: 1: vite: not found", line, line], &[]);
        let what: Vec<&str> = all.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "nothing answered at port 5432, which it connects to",
                "the command vite is not found on its PATH"
            ]
        );
    }

    #[test]
    fn colours_do_not_hide_words() {
        assert_eq!(without_colours("\x1b[31mError\x1b[0m: \x1b[2Kx"), "Error: x");
        let details = ["Error: connect ECONNREFUSED 127.0.0.1:5432", "  code: 'ECONNREFUSED',"];
        assert_eq!(found(&details, &[]).len(), 1);
        assert_eq!(without_colours("a\x1b["), "a");
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read(line in ".*", tail in "(EADDRINUSE|: not found|KeyError: |No module named )?.{0,12}") {
            let _ = found(&[&line, &tail, &format!("{line}{tail}")], &[]);
        }
    }
}
