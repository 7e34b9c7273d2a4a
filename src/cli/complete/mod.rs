//! `tsm complete`, which shells call at a TAB: what may stand at the cursor, with a word on each.
//!
//! It takes no lock, writes nothing, says nothing but candidates and always succeeds: a shell is waiting.

mod agents;
mod candidates;
mod line;
mod place;
mod reply;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;

use super::Cli;
use super::context::Context;
use crate::render::style::ColorChoice;
use candidates::Answer;
pub(super) use candidates::Candidate;
pub(super) use line::{Line, Quote, Syntax};
pub(super) use reply::{files, quoted, rows};

/// The words of a command, and which of them is completed.
#[derive(Debug)]
pub(super) struct Typed {
    /// Those in front of the cursor; the first is `tsm` itself.
    pub(super) words: Vec<String>,
    /// The one at the cursor, as far as the cursor.
    pub(super) current: String,
    /// Those behind it.
    pub(super) after: Vec<String>,
}

/// Answers a shell: `bash TYPE COLUMNS REPLACED BEFORE AFTER`, or `SHELL INDEX -- WORD...`.
pub(super) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let text = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bash", kind, columns, replaced, before, after] => {
            let line = Line::parse(before, Syntax::Bash);
            let typed = Typed {
                words: line.words.iter().map(|word| word.text.clone()).collect(),
                current: line.current.clone(),
                after: line.words_after(after),
            };
            let answer = if line.redirected { Answer::files() } else { answer(&typed) };
            let look = reply::Look::new(kind, columns);
            reply::bash(answer, &line, before, replaced, look)
        }
        [_, index, "--", ..] => {
            let mut words: Vec<String> = words[3..].to_vec();
            let index = index.parse::<usize>().unwrap_or(0).min(words.len());
            let mut after = words.split_off(index);
            let current = if after.is_empty() { String::new() } else { after.remove(0) };
            reply::plain(&answer(&Typed { words, current, after }))
        }
        _ => String::new(),
    };
    // Whoever asked may have gone.
    let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes());
    ExitCode::SUCCESS
}

/// What may stand there; nothing where the surroundings are broken.
pub(super) fn answer(typed: &Typed) -> Answer {
    let mut root = Cli::command();
    root.build();
    match Context::new(ColorChoice::Never) {
        Ok(context) => candidates::answer(&context, &root, typed),
        Err(_) => Answer::default(),
    }
}
