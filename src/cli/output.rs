//! What a verb prints: answers on standard output, remarks on standard error.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::settings::Settings;
use crate::error::{Error, Result, plain};
use crate::render::style::{self, ColorChoice, Surroundings};
use crate::render::table::{Look, Table};
use crate::render::{json, sanitize};
use crate::sys::tty;

/// How standard output and standard error take text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// Standard output is a terminal.
    pub(super) terminal: bool,
    /// A person is there to be asked: both ends are terminals and nobody said otherwise.
    pub(super) interactive: bool,
    /// Standard output takes colour.
    pub(super) color: bool,
    /// Standard error takes colour.
    pub(super) error_color: bool,
    /// The columns to fit tables into; none in a pipe.
    pub(super) width: Option<usize>,
}

impl Output {
    /// Looks at the terminal and at what the user asked for.
    pub(super) fn new(settings: Option<&Settings>, choice: ColorChoice) -> Self {
        let terminal = io::stdout().is_terminal();
        let wanted = |terminal| {
            choice.wanted(Surroundings {
                terminal,
                no_color: settings.and_then(|settings| settings.no_color.as_deref()),
                clicolor_force: settings.and_then(|settings| settings.clicolor_force.as_deref()),
                force_color: settings.and_then(|settings| settings.force_color.as_deref()),
                clicolor: settings.and_then(|settings| settings.clicolor.as_deref()),
                term: settings.and_then(|settings| settings.term.as_deref()),
            })
        };
        let columns = settings.and_then(|settings| settings.columns);
        Output {
            terminal,
            interactive: terminal
                && io::stdin().is_terminal()
                && !settings.is_some_and(|settings| settings.noninteractive),
            color: wanted(terminal),
            error_color: wanted(io::stderr().is_terminal()),
            width: if terminal { tty::columns().or(columns) } else { columns },
        }
    }

    /// Prints one line of the answer.
    ///
    /// # Errors
    /// When standard output cannot be written; a reader that went away is one that `main` keeps quiet about.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        let text = if self.terminal { sanitize::lines(text) } else { text.into() };
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| failed(&error))
    }

    /// Prints a value as JSON.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub(super) fn json(&self, value: &impl Serialize) -> Result<()> {
        json::document(&mut io::stdout().lock(), value).map_err(|error| failed(&error))
    }

    /// Prints a table.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub(super) fn table(&self, table: &Table) -> Result<()> {
        let look = Look { width: self.width, color: self.color, header: true };
        table.write(&mut io::stdout().lock(), look).map_err(|error| failed(&error))
    }

    /// Says something beside the answer, on standard error.
    pub(super) fn remark(&self, text: &str) {
        // A remark that nobody can read is no reason to fail.
        let _ = writeln!(io::stderr().lock(), "tsm: {}", sanitize::lines(text));
    }

    /// As [`Output::remark`], with what to type next: in the form of an error, without its red.
    pub(super) fn advise(&self, text: &str, next: &str) {
        self.remark(text);
        let hint = if self.error_color { style::HINT } else { style::PLAIN };
        let _ = writeln!(io::stderr().lock(), "  {hint}try:{hint:#} {}", sanitize::lines(next));
    }
}

fn failed(error: &io::Error) -> Error {
    Error::io_kind_of(error, format!("cannot write the answer: {}", plain(error)))
}
