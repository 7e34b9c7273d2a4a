//! What a line of the REPL means. Pure.

use crate::error::{Error, Result};

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A blank line, or a comment.
    Nothing,
    /// The end.
    Leave,
    /// The commands of the REPL.
    Help,
    /// The last so many lines that were typed.
    History(usize),
    /// An empty screen.
    Clear,
    /// Another directory: a path, a process, `-`, or home.
    Directory(Option<String>),
    /// A command for the shell; empty for a shell itself.
    Shell(String),
    /// A verb of tsm, with its words.
    Verb(Vec<String>),
}

/// Reads a line. Words are split and unquoted as a shell does it; nothing in them is expanded.
///
/// # Errors
/// When a quote is left open, or a command of the REPL has words that it does not know.
pub(super) fn read(line: &str) -> Result<Meaning> {
    let line = line.trim();
    if let Some(command) = line.strip_prefix('!') {
        return Ok(Meaning::Shell(command.trim().to_owned()));
    }
    let mut words =
        shell_words::split(line).map_err(|_| Error::usage("a quote is left open in this line"))?;
    match words.first().map(String::as_str) {
        None => return Ok(Meaning::Nothing),
        // Habit.
        Some("tsm") => {
            words.remove(0);
        }
        _ => {}
    }
    let Some(first) = words.first_mut() else { return Ok(Meaning::Verb(words)) };
    if let Some(name) = first.strip_prefix('/').filter(|name| !name.is_empty() && !name.contains('/')) {
        *first = name.to_owned();
    }
    let [first, rest @ ..] = words.as_slice() else { return Ok(Meaning::Nothing) };
    let too_many = || Error::usage(format!("{first} takes fewer words")).hint("help");
    match (first.as_str(), rest) {
        ("exit" | "quit" | "q", []) => Ok(Meaning::Leave),
        ("help" | "?", []) => Ok(Meaning::Help),
        ("history", []) => Ok(Meaning::History(usize::MAX)),
        ("history", [count]) => {
            let wrong = |_| Error::usage(format!("{count:?} is not a number of lines")).hint("/history 20");
            count.parse().map(Meaning::History).map_err(wrong)
        }
        ("clear", []) => Ok(Meaning::Clear),
        ("cd", []) => Ok(Meaning::Directory(None)),
        ("cd", [to]) => Ok(Meaning::Directory(Some(to.clone()))),
        ("repl", []) => Err(Error::usage("this is the REPL").hint("exit")),
        ("exit" | "quit" | "q" | "history" | "clear" | "cd", _) => Err(too_many()),
        _ => Ok(Meaning::Verb(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(words: &[&str]) -> Meaning {
        Meaning::Verb(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn lines_are_read_as_a_shell_reads_words_and_nothing_is_expanded() {
        for (line, meaning) in [
            ("", Meaning::Nothing),
            ("  # a note", Meaning::Nothing),
            ("list", verb(&["list"])),
            (" tsm list all", verb(&["list", "all"])),
            ("tsm", verb(&[])),
            ("start --name 'a b' \"c d\" e\\ f", verb(&["start", "--name", "a b", "c d", "e f"])),
            ("stop * $HOME ~ {a,b} ''", verb(&["stop", "*", "$HOME", "~", "{a,b}", ""])),
            ("start 'a && b'", verb(&["start", "a && b"])),
            ("start \"it's\"", verb(&["start", "it's"])),
            ("/list", verb(&["list"])),
            ("/bin/x", verb(&["/bin/x"])),
            ("help stop", verb(&["help", "stop"])),
            ("help", Meaning::Help),
            ("/help", Meaning::Help),
            ("exit", Meaning::Leave),
            ("q", Meaning::Leave),
            ("/history", Meaning::History(usize::MAX)),
            ("history 5", Meaning::History(5)),
            ("/clear", Meaning::Clear),
            ("cd", Meaning::Directory(None)),
            ("cd 'a b'", Meaning::Directory(Some("a b".into()))),
            ("!ls -l | wc '", Meaning::Shell("ls -l | wc '".into())),
            ("! ls", Meaning::Shell("ls".into())),
            ("!", Meaning::Shell(String::new())),
        ] {
            assert_eq!(read(line).unwrap(), meaning, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for line in ["start 'x", "start \"x", "history x", "cd a b", "exit 3", "repl"] {
            assert_eq!(read(line).unwrap_err().kind().exit_code(), 2, "{line}");
        }
    }
}
