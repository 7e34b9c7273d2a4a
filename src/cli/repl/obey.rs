//! Doing what a line of the REPL asks for.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::line::Meaning;
use crate::cli::Cli;
use crate::cli::context::Context;
use crate::error::{Error, Kind, Result, plain};
use crate::render::sanitize;
use crate::sys::foreground::session::{Ended, Session};

/// What the REPL has beside the verbs.
const COMMANDS: [(&str, &str); 8] = [
    ("VERB ...", "what tsm VERB does; words are as in a shell, but nothing is expanded"),
    ("!COMMAND", "runs COMMAND by the shell; ! alone is a shell"),
    ("cd [DIR|REF]", "changes the directory: home, a path, that of a process, or - for the last one"),
    ("/history [N]", "shows the lines that were typed"),
    ("/clear", "clears the screen"),
    ("help [VERB]", "this, or the help of a verb"),
    ("exit, quit, q", "leaves, as Ctrl-D does"),
    ("Ctrl-C", "clears the line; ends what runs, such as logs -f"),
];

/// The code of a shell for a command that is not there.
const NOT_FOUND: u8 = 127;

/// What `!` runs, in a sentence.
const SHELL: &str = "the shell";

/// A REPL and where it is.
pub(super) struct Repl<'a> {
    context: &'a Context,
    session: Session,
    /// The directory before the last `cd`.
    previous: Option<PathBuf>,
}

impl<'a> Repl<'a> {
    pub(super) fn new(context: &'a Context, session: Session) -> Self {
        Repl { context, session, previous: None }
    }

    /// Says what is wrong; the code of it.
    pub(super) fn complain(&self, error: &Error) -> u8 {
        let color = self.context.output.error_color;
        let _ = crate::render::error::write(&mut std::io::stderr().lock(), error, color);
        error.kind().exit_code()
    }

    /// Does it, and returns its exit code. `typed` is what `/history` shows.
    pub(super) fn obey(&mut self, meaning: &Meaning, typed: &[String]) -> u8 {
        let done = match meaning {
            Meaning::Nothing | Meaning::Leave | Meaning::Clear => Ok(0),
            Meaning::Help => self.help(),
            Meaning::History(count) => self.history(*count, typed),
            Meaning::Directory(to) => self.change_directory(to.as_deref()),
            Meaning::Shell(command) => Ok(self.shell(command)),
            Meaning::Verb(words) => self.verb(words),
        };
        done.unwrap_or_else(|error| self.complain(&error))
    }

    fn help(&self) -> Result<u8> {
        let output = &self.context.output;
        let width = COMMANDS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        output.line("Commands of the REPL:")?;
        for (name, about) in COMMANDS {
            output.line(&format!("  {name:width$}  {about}"))?;
        }
        output.line("\nVerbs:")?;
        for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            output.line(&format!("  {:width$}  {}", verb.get_name(), about.trim_end_matches('.')))?;
        }
        Ok(0)
    }

    fn history(&self, count: usize, typed: &[String]) -> Result<u8> {
        let first = typed.len().saturating_sub(count);
        for (at, line) in typed.iter().enumerate().skip(first) {
            self.context.output.line(&format!("{:5}  {}", at + 1, sanitize::text(line)))?;
        }
        Ok(0)
    }

    fn change_directory(&mut self, to: Option<&str>) -> Result<u8> {
        let target = self.directory(to)?;
        let before = std::env::current_dir().ok();
        std::env::set_current_dir(&target).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::not_found(format!("no directory {}", target.display())),
            _ => Error::io("enter", &target, &error),
        })?;
        self.previous = before;
        let now = self.context.current_dir().unwrap_or(target);
        self.context.output.line(&sanitize::text(&now.display().to_string()))?;
        Ok(0)
    }

    /// The directory that is meant.
    fn directory(&self, to: Option<&str>) -> Result<PathBuf> {
        let home = || {
            let home = self.context.settings.home.clone();
            home.ok_or_else(|| Error::failed("cannot go home: HOME is not set"))
        };
        let text = match to {
            None => return home(),
            Some("-") => {
                return self
                    .previous
                    .clone()
                    .ok_or_else(|| Error::failed("there is no directory before this one"));
            }
            Some(text) => text,
        };
        let path = match text.strip_prefix('~') {
            Some("") => home()?,
            Some(rest) if rest.starts_with('/') => home()?.join(&rest[1..]),
            _ => PathBuf::from(text),
        };
        if path.is_dir() || text.contains('/') || text.is_empty() {
            return Ok(path);
        }
        match self.context.find_one(text) {
            Ok(view) => Ok(view.cwd.into()),
            Err(error) if error.kind() == Kind::NotFound => {
                Err(Error::not_found(format!("no directory and no process {text:?}")).hint("list all"))
            }
            Err(error) => Err(error),
        }
    }

    fn shell(&self, command: &str) -> u8 {
        let shell = self.context.settings.shell.clone().unwrap_or_else(|| "/bin/sh".into());
        let mut argv: Vec<OsString> = vec![shell.file_name().unwrap_or(OsStr::new("sh")).to_owned()];
        if !command.is_empty() {
            argv.extend(["-c".into(), command.into()]);
        }
        let code = self.run(&shell, &argv, SHELL);
        if command.split_whitespace().next() == Some("cd") {
            self.context.output.advise("that was the shell's directory, not this one", command);
        }
        code
    }

    fn verb(&self, words: &[String]) -> Result<u8> {
        let own = program()?;
        let mut argv: Vec<OsString> = vec!["tsm".into()];
        argv.extend(words.iter().map(OsString::from));
        Ok(self.run(&own, &argv, words.first().map_or("tsm", String::as_str)))
    }

    fn run(&self, program: &Path, argv: &[OsString], what: &str) -> u8 {
        let mut changes: Vec<(&OsStr, Option<OsString>)> = Vec::new();
        // A relative one would mean another place after `cd`.
        changes.push((OsStr::new("TSM_DIR"), Some(self.context.layout.root().into())));
        if let Ok(here) = std::env::current_dir() {
            changes.push((OsStr::new("PWD"), Some(here.into())));
        }
        if let Some(previous) = &self.previous {
            changes.push((OsStr::new("OLDPWD"), Some(previous.into())));
        }
        if what == SHELL {
            // It was for this call of tsm alone.
            changes.push((OsStr::new("TSM_SHELL_PID"), None));
        }
        // As `tsm --color … repl` was asked.
        let output = &self.context.output;
        match (output.terminal, output.color) {
            (true, false) => changes.push((OsStr::new("NO_COLOR"), Some("1".into()))),
            (false, true) => changes.push((OsStr::new("CLICOLOR_FORCE"), Some("1".into()))),
            _ => {}
        }
        let ended = match self.session.run(program, argv, &changes) {
            Ok(ended) => ended,
            Err(error) => {
                self.complain(&Error::failed(format!("cannot run {}: {}", program.display(), plain(&error))));
                return NOT_FOUND;
            }
        };
        match ended {
            // The terminal has shown ^C and is in the middle of a line.
            _ if ended.interrupted() && output.terminal => {
                let _ = std::io::stdout().lock().write_all(b"\n");
            }
            Ended::Signaled(signal) if !ended.interrupted() => {
                output.remark(&format!("{what} was ended by signal {signal}"));
            }
            _ => {}
        }
        ended.code()
    }
}

/// This program; after an upgrade the one that took its place.
fn program() -> Result<PathBuf> {
    let path = std::env::current_exe()
        .map_err(|error| Error::failed(format!("no path of this program: {}", plain(&error))))?;
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(text) if !path.exists() => Ok(text.into()),
        _ => Ok(path),
    }
}
