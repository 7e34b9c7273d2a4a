//! The line editor of the REPL, with the completion of the shells.

use rustyline::completion::{Completer, Pair};
use rustyline::config::{BellStyle, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History as _, MemHistory, SearchDirection};
use rustyline::validate::Validator;
use rustyline::{Config, Context, Helper};

use super::history::LINES;
use crate::cli::complete::{Candidate, Line, Quote, Syntax, Typed, answer, files, quoted, rows};
use crate::error::{Error, Result};
use crate::sys::tty;

/// The words of the REPL that are no verbs.
const OWN: [(&str, &str); 6] = [
    ("cd", "Change the directory"),
    ("help", "Show what there is"),
    ("exit", "Leave"),
    ("quit", "Leave"),
    ("/history", "Show the lines that were typed"),
    ("/clear", "Clear the screen"),
];

/// A terminal on which lines are edited.
pub(super) struct Editor {
    editor: rustyline::Editor<Completion, MemHistory>,
}

impl Editor {
    /// With these lines to go back to.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(super) fn new(lines: Vec<String>) -> Result<Self> {
        let failed = |error: ReadlineError| Error::failed(format!("cannot use the terminal: {error}"));
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .bell_style(BellStyle::None)
            .history_ignore_dups(true)
            .and_then(|config| config.max_history_size(LINES))
            .map_err(failed)?
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = rustyline::Editor::with_history(config, history).map_err(failed)?;
        editor.set_helper(Some(Completion));
        for line in lines {
            // Refused are only those that are there already.
            let _ = editor.add_history_entry(line);
        }
        Ok(Editor { editor })
    }

    /// Asks for a line; `prompt` is plain, and as it is shown.
    ///
    /// # Errors
    /// Ctrl-C, Ctrl-D, or what is wrong with the terminal.
    pub(super) fn ask(&mut self, prompt: &(String, String)) -> Result<String, ReadlineError> {
        self.editor.readline(prompt)
    }

    /// Keeps a line to go back to.
    pub(super) fn remember(&mut self, line: &str) {
        let _ = self.editor.add_history_entry(line);
    }

    /// All that can be gone back to, the newest last.
    pub(super) fn lines(&self) -> Vec<String> {
        let history = self.editor.history();
        let line = |at| Some(history.get(at, SearchDirection::Forward).ok()??.entry.into_owned());
        (0..history.len()).filter_map(line).collect()
    }

    /// Clears the screen.
    pub(super) fn clear(&mut self) {
        let _ = self.editor.clear_screen();
    }
}

/// TAB.
struct Completion;

impl Helper for Completion {}
impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(complete(line, at))
    }
}

/// Where the word at the cursor begins, and what may stand there.
fn complete(line: &str, at: usize) -> (usize, Vec<Pair>) {
    let (before, after) = line.split_at(at.min(line.len()));
    let typed = Line::parse(before, Syntax::Words);
    let candidates = candidates(&typed, after);
    let fitting: Vec<Candidate> =
        candidates.into_iter().filter(|one| one.value.starts_with(&typed.current)).collect();
    // The quote that was opened stays in front of it.
    let open = match typed.quote {
        Quote::None | Quote::Dollar => "",
        Quote::Single => "'",
        Quote::Double => "\"",
    };
    let all: Vec<(String, &str)> =
        fitting.iter().map(|one| (one.value.clone(), one.about.as_str())).collect();
    let hinted = fitting.iter().any(|one| !one.about.is_empty());
    // Files alone stand beside each other.
    let columns = if hinted { tty::columns().unwrap_or(80) } else { 0 };
    let single = fitting.len() == 1;
    let pair = |(one, display): (&Candidate, String)| {
        let end = match (single, one.value.ends_with('/')) {
            (true, false) => format!("{open} "),
            _ => String::new(),
        };
        Pair { display, replacement: format!("{open}{}{end}", quoted(&one.value, typed.quote)) }
    };
    (typed.start, fitting.iter().zip(rows(&all, columns)).map(pair).collect())
}

fn candidates(typed: &Line, after: &str) -> Vec<Candidate> {
    let mut words: Vec<String> = typed.words.iter().map(|word| word.text.clone()).collect();
    let first = words.first().map(String::as_str);
    let current = typed.current.as_str();
    if first.is_none_or(|word| word == "tsm") && current.starts_with('!')
        || first.is_some_and(|word| word.starts_with('!'))
    {
        return files(current, "");
    }
    if first != Some("tsm") {
        words.insert(0, "tsm".to_owned());
    }
    let is_cd = words.len() == 2 && words[1] == "cd";
    if is_cd {
        // What `info` takes is a process.
        "info".clone_into(&mut words[1]);
    }
    let is_verb = words.len() == 1;
    let asked = Typed { words, current: current.to_owned(), after: typed.words_after(after) };
    let answer = answer(&asked);
    let mut all = answer.candidates;
    let value = current.strip_prefix(&answer.prefix).unwrap_or(current);
    if is_verb {
        all.retain(|one| one.value != "help");
        all.extend(OWN.iter().map(|(name, about)| Candidate::new(*name, *about)));
    }
    if is_cd {
        all.retain(|one| one.value != "all");
    }
    if answer.files || answer.inside.is_some() {
        all.extend(files(value, &answer.prefix));
    }
    if answer.dirs || is_cd {
        all.extend(files(value, &answer.prefix).into_iter().filter(|one| one.value.ends_with('/')));
    }
    if answer.commands && !value.is_empty() && !value.contains('/') {
        all.extend(programs(value));
    }
    all
}

/// The programs on PATH whose names begin so.
fn programs(begin: &str) -> Vec<Candidate> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut names: Vec<String> = std::env::split_paths(&path)
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flat_map(|listing| listing.flatten().filter_map(|item| item.file_name().into_string().ok()))
        .filter(|name| name.starts_with(begin))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| Candidate::new(name, "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_completed_in_its_quotes() {
        for (line, start, replacement) in [
            ("lis", 0, "list "),
            ("tsm lis", 4, "list "),
            ("list 'av", 5, "'available' "),
            ("list \"av", 5, "\"available\" "),
            ("list --js", 5, "--json "),
            ("/hi", 0, "/history "),
            ("exi", 0, "exit "),
            ("start --restart=on", 6, "--restart=on-failure "),
        ] {
            let (at, found) = complete(line, line.len());
            let found: Vec<&str> = found.iter().map(|pair| pair.replacement.as_str()).collect();
            assert_eq!((at, found), (start, vec![replacement]), "{line}");
        }
        assert!(complete("st", 2).1.iter().all(|pair| !pair.replacement.ends_with(' ')));
    }
}
