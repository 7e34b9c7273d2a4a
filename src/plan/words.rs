//! What the typed words are: an exact argv, a line to split, or a line for bash.

use crate::error::{Error, Result};

/// Programs of a shell line that prepare the one that matters (`cd web && npm start`).
const SETUP: &[&str] =
    &["cd", "export", "source", ".", "set", "shopt", "unset", "true", ":", "mkdir", "ulimit", "umask"];

/// Words that a shell does by itself, and that are no programs: a line that begins with one is for bash.
const BUILTINS: &[&str] = &[
    ".", ":", "alias", "builtin", "cd", "declare", "eval", "exec", "export", "local", "pushd", "read",
    "readonly", "set", "shopt", "source", "trap", "type", "ulimit", "umask", "unset", "wait",
];

/// How bash is part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shell {
    /// Not at all: the words are executed as they are.
    No,
    /// `bash -c` with one simple command, so that words can still be put after it.
    One,
    /// `bash -c` with anything more.
    Many,
}

/// The words of a command, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// What is executed, before interpreters and templates.
    pub(super) argv: Vec<String>,
    /// The words of the program that matters, without assignments before it; of a shell line, its first real command.
    pub(super) seen: Vec<String>,
    /// `NAME=value` words before the program.
    pub(super) assignments: Vec<(String, String)>,
    /// How bash is part of it.
    pub(super) shell: Shell,
    /// Nothing but assignments stands before `seen`: the shell itself would look its first word up.
    pub(super) direct: bool,
    /// The command as a person reads it.
    pub(super) command: String,
    /// Why `argv` is what it is.
    pub(super) why: &'static str,
}

/// Understands the words of `tsm start`. Several words are the exact argv; leading `NAME=value` words are given to
/// `env(1)`. One word with blanks is split by shell rules, and left to `bash -c` where it has shell syntax.
///
/// # Errors
/// `Usage` when there is no command or a quote is not closed.
pub(super) fn understand(words: &[String]) -> Result<Words> {
    match words {
        [line] if line.contains(char::is_whitespace) => one_line(line),
        [word] => several(words, word.clone(), "one word, taken as it is"),
        _ => several(words, shell_words::join(words), "the words as typed"),
    }
}

/// What the words of a command make bash or the kernel execute, without any interpreter or template.
///
/// # Errors
/// `Usage` when there is no command or a quote is not closed.
pub fn argv(words: &[String]) -> Result<Vec<String>> {
    understand(words).map(|words| words.argv)
}

/// True when both are the same command, be it typed as one word or as several.
pub fn same_command(one: &[String], other: &[String]) -> bool {
    one == other || matches!((understand(one), understand(other)), (Ok(a), Ok(b)) if a.argv == b.argv)
}

fn required() -> Error {
    Error::usage("a command is required").hint("tsm start python -m http.server")
}

fn several(words: &[String], command: String, why: &'static str) -> Result<Words> {
    if words.first().is_none_or(|word| word.trim().is_empty()) {
        return Err(required());
    }
    let (assignments, seen) = assignments(words);
    if seen.is_empty() {
        return Err(required());
    }
    let mut argv = words.to_vec();
    let direct = words.len() == assignments.len() + seen.len();
    if assignment(&words[0]).is_some() {
        argv.insert(0, "env".into());
    }
    Ok(Words { argv, seen, assignments, shell: Shell::No, direct, command, why })
}

fn one_line(line: &str) -> Result<Words> {
    let scan = scan(line);
    let unclosed = || Error::usage(format!("a quote is not closed in {line:?}"));
    if scan.open && !line.contains("<<") && !line.contains("$(") && !line.contains(['`', '#']) {
        return Err(unclosed());
    }
    if !scan.syntax {
        let words = shell_words::split(line).map_err(|_| unclosed())?;
        return several(&words, line.trim().to_owned(), "one quoted command, split by shell rules");
    }
    let commands: Vec<_> = scan
        .commands
        .iter()
        .map(|text| assignments(&simple(text)))
        .filter(|(set, seen)| !set.is_empty() || !seen.is_empty())
        .collect();
    let real = |seen: &[String]| seen.first().is_some_and(|word| !SETUP.contains(&word.as_str()));
    let main =
        commands.iter().find(|(_, seen)| real(seen)).or(commands.iter().find(|(_, seen)| !seen.is_empty()));
    let (mut set, seen) = main.cloned().unwrap_or_default();
    let exported = commands.iter().filter(|(_, seen)| seen.first().is_some_and(|word| word == "export"));
    set.extend(exported.flat_map(|(_, seen)| seen.iter().filter_map(|word| assignment(word))));
    Ok(Words {
        argv: vec!["bash".into(), "-c".into(), line.to_owned()],
        seen,
        assignments: set,
        direct: true,
        shell: if commands.len() == 1 && scan.simple { Shell::One } else { Shell::Many },
        command: line.trim().to_owned(),
        why: "one quoted command with shell syntax, run by bash",
    })
}

/// Splits leading assignments (also behind `env` and `exec`) from the program and its arguments.
fn assignments(words: &[String]) -> (Vec<(String, String)>, Vec<String>) {
    let mut set = Vec::new();
    let mut rest = words;
    while let [first, more @ ..] = rest {
        if let Some(pair) = assignment(first) {
            set.push(pair);
        } else if !(matches!(first.as_str(), "env" | "exec")
            && more.first().is_some_and(|next| !next.starts_with('-')))
        {
            break;
        }
        rest = more;
    }
    (set, rest.to_vec())
}

/// The name and value of `NAME=value`.
pub(super) fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    good.then(|| (name.to_owned(), value.to_owned()))
}

/// The words of one simple command of a shell line, without its redirections.
fn simple(text: &str) -> Vec<String> {
    let split =
        shell_words::split(text).unwrap_or_else(|_| text.split_whitespace().map(str::to_owned).collect());
    let mut words = Vec::new();
    let mut split = split.into_iter();
    while let Some(word) = split.next() {
        let operator = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '&');
        if operator.starts_with(['<', '>']) {
            if operator.trim_start_matches(['<', '>', '|', '&']).is_empty() {
                split.next();
            }
        } else if !matches!(word.as_str(), "(" | ")" | "{" | "}" | "!") {
            words.push(word.trim_start_matches('(').to_owned());
        }
    }
    words
}

/// True when `line` is more than words and quotes.
pub(super) fn needs_shell(line: &str) -> bool {
    scan(line).syntax
}

/// What a look at every character of a line shows.
struct Scan {
    /// It needs a shell.
    syntax: bool,
    /// A quote is open at its end.
    open: bool,
    /// Words can be put at its end and still belong to its one command.
    simple: bool,
    /// The texts between `;`, `&&`, `|` and the like.
    commands: Vec<String>,
}

fn scan(line: &str) -> Scan {
    let first = line.split_whitespace().next().unwrap_or_default();
    let mut scan = Scan {
        syntax: assignment(first).is_some() || BUILTINS.contains(&first),
        open: false,
        simple: true,
        commands: vec![String::new()],
    };
    let mut quote = None;
    let mut before = ' ';
    let mut chars = line.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let mut separates = false;
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => {
                push(&mut scan.commands, c);
                let Some(escaped) = chars.next() else { break };
                scan.syntax |= escaped == '\n' && quote.is_none();
                push(&mut scan.commands, escaped);
                before = 'x';
                continue;
            }
            (Some(_), c) if !matches!(c, '$' | '`') => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '&') if before == '>' || before == '<' || chars.peek() == Some(&'>') => scan.syntax = true,
            (None, ';' | '&' | '|' | '\n') => separates = !(c == '|' && before == '>'),
            (None, '<') if before == '<' => scan.simple = false,
            (None, '<' | '>' | '*' | '?' | '[' | '{' | '}') | (_, '$' | '`') => scan.syntax = true,
            (None, '(' | ')') => (scan.syntax, scan.simple) = (true, false),
            (None, '~') if before.is_whitespace() || before == '=' => scan.syntax = true,
            (None, '#' | '!') if before.is_whitespace() => (scan.syntax, scan.simple) = (true, false),
            _ => {}
        }
        if separates {
            (scan.syntax, scan.simple) = (true, false);
            scan.commands.push(String::new());
        } else {
            push(&mut scan.commands, c);
        }
        before = c;
    }
    scan.open = quote.is_some();
    scan
}

fn push(commands: &mut [String], c: char) {
    if let Some(last) = commands.last_mut() {
        last.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn several_words_are_the_exact_argv() {
        let typed = words(&["python", "-c", "print('a  b')", "$HOME", "*", "x;y"]);
        let got = understand(&typed).unwrap();
        assert_eq!((got.argv, got.shell), (typed, Shell::No));
        let got = understand(&words(&["PORT=4000", "node", "app.js"])).unwrap();
        assert_eq!(got.argv, words(&["env", "PORT=4000", "node", "app.js"]));
        assert_eq!(got.seen, words(&["node", "app.js"]));
        assert_eq!(got.assignments, [("PORT".to_owned(), "4000".to_owned())]);
        let own = words(&["env", "A=1", "node"]);
        assert_eq!(understand(&own).unwrap().argv, own);
        assert_eq!(understand(&words(&["ls;pwd"])).unwrap().argv, words(&["ls;pwd"]));
    }

    #[test]
    fn one_word_is_split_unless_it_needs_a_shell() {
        for line in [
            "ruby server.rb -p 4000",
            "go run main.go",
            "php -S localhost:8080",
            "echo 'a | b' \"c; d\" e\\;f x#y a~b",
        ] {
            let got = understand(&words(&[line])).unwrap();
            assert_eq!(got.shell, Shell::No, "{line}");
            assert_eq!(got.argv, shell_words::split(line).unwrap());
            assert_eq!(got.command, line);
        }
        for (line, shell, seen) in [
            ("python server.py | tee log", Shell::Many, &["python", "server.py"][..]),
            ("export PORT=4000; npm start", Shell::Many, &["npm", "start"]),
            ("cd web && npm start", Shell::Many, &["npm", "start"]),
            ("PORT=4000 node app.js", Shell::One, &["node", "app.js"]),
            ("python server.py > out 2>&1", Shell::One, &["python", "server.py"]),
            ("python server.py &>out", Shell::One, &["python", "server.py"]),
            ("node $APP", Shell::One, &["node", "$APP"]),
            ("node \"$APP\"", Shell::One, &["node", "$APP"]),
            ("ls *.py", Shell::One, &["ls", "*.py"]),
            ("cat ~/x", Shell::One, &["cat", "~/x"]),
            ("sleep 1; exec sleep 2", Shell::Many, &["sleep", "1"]),
            ("(cd a; node b)", Shell::Many, &["cd", "a"]),
            ("sleep 5 &", Shell::Many, &["sleep", "5"]),
            ("node \\\n app.js", Shell::One, &["node", "app.js"]),
            ("exec node app.js", Shell::One, &["node", "app.js"]),
            ("source x.sh", Shell::One, &["source", "x.sh"]),
            ("echo `date`", Shell::One, &["echo", "`date`"]),
        ] {
            let got = understand(&words(&[line])).unwrap();
            assert_eq!(got.argv, words(&["bash", "-c", line]));
            assert_eq!(got.shell, shell, "{line}");
            if !line.starts_with('(') {
                assert_eq!(got.seen, words(seen), "{line}");
            }
        }
    }

    #[test]
    fn nothing_and_open_quotes_are_usage_errors() {
        for typed in [&[][..], &[""], &["  "], &["", "x"], &["A=1"], &["''  "]] {
            let error = understand(&words(typed)).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{typed:?}");
            assert_eq!(error.message(), "a command is required");
            assert!(error.hint_text().is_some());
        }
        for line in ["echo 'a", "cat x | grep \"a", "a \\"] {
            let error = understand(&words(&[line]));
            assert!(
                line.ends_with('\\') || error.unwrap_err().message().contains("quote is not closed"),
                "{line}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_words_are_understood_or_refused(typed in prop::collection::vec("\\PC{0,12}|[a-z $'\"|;&<>=\\\\\n(){}*~#-]{0,20}", 0..4)) {
            if let Ok(got) = understand(&typed) {
                prop_assert!(!got.argv.is_empty());
                prop_assert!(!got.argv[0].is_empty() || got.shell == Shell::No);
            }
        }
    }
}
