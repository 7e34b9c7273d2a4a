//! `tsm repl`: verbs typed one after the other, at a prompt or from a script.
//!
//! Each line runs this program anew as a child, so that nothing that a verb or a process does takes the REPL down.

mod editor;
mod history;
mod line;
mod obey;

use std::io::{BufRead, BufReader, IsTerminal};

use rustyline::error::ReadlineError;

use super::context::Context;
use crate::error::{Error, Result, plain};
use crate::render::style;
use crate::sys::foreground::session::{Session, private_stdin};
use editor::Editor;
use history::History;
use line::Meaning;
use obey::Repl;

/// Type verbs at a prompt, or run them from a script.
///
/// Words are split and quoted as in a shell, but nothing in them is expanded. The prompt shows how many processes run.
/// `help` lists what else there is: !COMMAND for the shell, cd, /history, /clear, exit.
///
/// Without a terminal it reads lines from standard input, runs them all, and ends with the worst of their exit codes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm repl\n  printf 'stop all\\nlist all\\n' | tsm repl")]
pub(super) struct Args {}

pub(super) fn run(context: &Context) -> Result<u8> {
    let at_terminal = context.output.interactive;
    let session = Session::begin(at_terminal)
        .map_err(|error| Error::failed(format!("cannot handle signals: {}", plain(&error))))?;
    let mut repl = Repl::new(context, session);
    if at_terminal {
        talk(context, &mut repl)?;
        return Ok(0);
    }
    script(&mut repl)
}

/// Lines from standard input, which is the REPL's alone: a verb that reads would swallow the next ones.
fn script(repl: &mut Repl<'_>) -> Result<u8> {
    let failed =
        |error: &std::io::Error| Error::failed(format!("cannot read standard input: {}", plain(error)));
    let shown = std::io::stdin().is_terminal();
    let mut lines = BufReader::new(private_stdin().map_err(|error| failed(&error))?);
    let mut worst = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if lines.read_until(b'\n', &mut bytes).map_err(|error| failed(&error))? == 0 {
            return Ok(worst);
        }
        let text = String::from_utf8_lossy(&bytes);
        match line::read(&text) {
            Ok(Meaning::Leave) => return Ok(worst),
            Ok(meaning) => worst = worst.max(repl.obey(&meaning, &[])),
            Err(error) => worst = worst.max(repl.complain(&error)),
        }
        // Somebody types, with the output elsewhere: Ctrl-C has to end it then, and does.
        if shown && worst == 130 {
            return Ok(worst);
        }
    }
}

/// A person at a terminal.
fn talk(context: &Context, repl: &mut Repl<'_>) -> Result<()> {
    let history = History::new(context.layout.repl_history());
    let mut editor = Editor::new(history.load())?;
    let mut kept = true;
    loop {
        let line = match editor.ask(&prompt(context)) {
            Ok(line) => line,
            // The line is gone, nothing else.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(Error::failed(format!("cannot read from the terminal: {error}"))),
        };
        if line.trim().is_empty() {
            continue;
        }
        editor.remember(&line);
        if let (true, Err(error)) = (kept, history.add(&line)) {
            // Once is enough.
            kept = false;
            context.output.remark(&format!("this history is not kept: {}", error.message()));
        }
        match line::read(&line) {
            Ok(Meaning::Leave) => return Ok(()),
            Ok(Meaning::Clear) => editor.clear(),
            Ok(meaning) => {
                repl.obey(&meaning, &editor.lines());
            }
            Err(error) => {
                repl.complain(&error);
            }
        }
    }
}

/// `[3] tsm> `: plain, and as it is shown.
fn prompt(context: &Context) -> (String, String) {
    let running = context.all().iter().filter(|view| view.pid.is_some()).count();
    let colour = match running {
        _ if !context.output.color => style::PLAIN,
        0 => style::ERROR,
        1..=4 => style::WARNING,
        _ => style::GOOD,
    };
    (format!("[{running}] tsm> "), format!("{colour}[{running}]{colour:#} tsm> "))
}
