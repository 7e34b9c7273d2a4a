//! Expands the aliases of the calling shell in the words of a command, as bash does with what is typed.

use super::functions::{ShellCode, quote};
use super::words::{self, assignment};
use crate::error::{Error, Result};

/// How often an alias may be replaced in one command: two that end in blanks can double a text without end.
const MOST: usize = 1000;

/// A command after its aliases were expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    /// The words to plan with, as if they had been typed.
    pub(super) words: Vec<String>,
    /// Where aliases made a shell line of it: what a bash that knows them has to read, because they count in all of it.
    pub(super) source: Option<String>,
    /// The alias that it began with.
    pub(super) alias: Option<String>,
}

/// A part of the command.
enum Part<'a> {
    /// What was typed and is read by a shell, and what it comes to.
    Text(&'a str, String),
    /// `NAME=value`, in front of everything else.
    Assignment(String, String),
    /// Any other word.
    Word(&'a str),
}

/// Replaces the command word of `words` by what it is an alias for, again and again, but no alias within its own text.
/// Where a text ends in a blank, the next word may be an alias as well (`bash(1)`, ALIASES). An alias with shell syntax
/// makes one shell line of the command, with the other words quoted.
///
/// # Errors
/// Failed when the aliases have no end.
pub(super) fn expand(code: &ShellCode, words: &[String]) -> Result<Expanded> {
    let mut used = Vec::new();
    let mut parts = Vec::new();
    let mut wanted = true;
    for word in words {
        let line = words.len() == 1 && word.contains(char::is_whitespace);
        let front = parts.iter().all(|part| matches!(part, Part::Assignment(..)));
        let part = match assignment(word).filter(|_| front && !line) {
            Some((name, value)) => Part::Assignment(name, value),
            None if line || (wanted && code.aliases.contains_key(word)) => {
                Part::Text(word, unfold(code, word, &mut Vec::new(), &mut used)?)
            }
            None => Part::Word(word),
        };
        wanted = match &part {
            Part::Text(_, text) => goes_on(text),
            Part::Assignment(..) => true,
            Part::Word(_) => false,
        };
        parts.push(part);
    }
    if used.is_empty() {
        return Ok(Expanded { words: words.to_vec(), source: None, alias: None });
    }
    let alias = Some(used.swap_remove(0));
    Ok(match plain(&parts) {
        Some(words) => Expanded { words, source: None, alias },
        None => Expanded {
            words: vec![line(&parts, |_, text| text)],
            source: Some(line(&parts, |typed, _| typed)),
            alias,
        },
    })
}

/// `text` with its command word expanded. `within` are the aliases of whose text it is a part, `used` all that were.
fn unfold(code: &ShellCode, text: &str, within: &mut Vec<String>, used: &mut Vec<String>) -> Result<String> {
    let mut at = 0;
    let word = loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let end = text[at..].find(|c: char| c.is_whitespace() || "|&;()<>".contains(c));
        let word = &text[at..end.map_or(text.len(), |end| at + end)];
        // A quoted value may hold blanks; what follows is left to bash.
        if assignment(word).is_none() || word.contains(['\'', '"', '\\', '$', '`']) {
            break word;
        }
        at += word.len();
    };
    let Some(value) = code.aliases.get(word).filter(|_| !within.iter().any(|name| name == word)) else {
        return Ok(text.to_owned());
    };
    if used.len() >= MOST {
        return Err(Error::failed(format!("the alias {} comes to no end", used[0])));
    }
    used.push(word.to_owned());
    within.push(word.to_owned());
    let value = unfold(code, value, within, used)?;
    within.pop();
    let mut behind = text[at + word.len()..].to_owned();
    if goes_on(&value) {
        behind = unfold(code, &behind, within, used)?;
    }
    Ok(format!("{}{value}{behind}", &text[..at]))
}

/// True when the word behind this text of an alias may be one, too.
fn goes_on(text: &str) -> bool {
    text.is_empty() || text.ends_with([' ', '\t'])
}

/// The words of a command that needs no shell.
fn plain(parts: &[Part<'_>]) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for part in parts {
        match part {
            Part::Text(_, text) if words::needs_shell(text) => return None,
            Part::Text(_, text) => words.extend(shell_words::split(text).ok()?),
            Part::Assignment(name, value) => words.push(format!("{name}={value}")),
            Part::Word(word) => words.push((*word).to_owned()),
        }
    }
    // One word with a blank would be taken for a line.
    let one = matches!(words.as_slice(), [word] if word.contains(char::is_whitespace));
    (!one).then_some(words)
}

/// The parts as one line for a shell.
fn line<'a>(parts: &'a [Part<'a>], shown: impl Fn(&'a str, &'a str) -> &'a str) -> String {
    let words: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Part::Text(typed, text) => shown(typed, text).to_owned(),
            Part::Assignment(name, value) => format!("{name}={}", quote(value)),
            Part::Word(word) => quote(word),
        })
        .collect();
    let line = words.join(" ");
    // Without a blank it would be taken for a word.
    if line.contains(char::is_whitespace) { line } else { line + " " }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(aliases: &[(&str, &str)]) -> ShellCode {
        let mut code = ShellCode::default();
        code.aliases.extend(aliases.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        code
    }

    fn known() -> ShellCode {
        code(&[
            ("dev", "npm run dev"),
            ("d", "dev"),
            ("ls", "ls --color"),
            ("a", "b x"),
            ("b", "a y"),
            ("sudo", "sudo "),
            ("nothing", ""),
            ("quoted", "grep 'a b'"),
            ("one", "'my program'"),
            ("serve", "cd web && npm start"),
            ("again", "cd web; again"),
            ("set", "A=1 dev"),
            ("semi", "x;y"),
            ("pipe", "serve | cat"),
        ])
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_plain_alias_is_as_if_its_words_had_been_typed() {
        for (typed, expected) in [
            (&["node", "dev"][..], &["node", "dev"][..]),
            (&["dev"], &["npm", "run", "dev"]),
            (&["dev", "--", "a  b", "*"], &["npm", "run", "dev", "--", "a  b", "*"]),
            (&["d", "d"], &["npm", "run", "dev", "d"]),
            (&["ls", "ls"], &["ls", "--color", "ls"]),
            (&["a", "1"], &["a", "y", "x", "1"]),
            (&["sudo", "d", "dev"], &["sudo", "npm", "run", "dev", "dev"]),
            (&["nothing", "ls", "ls"], &["ls", "--color", "ls"]),
            (&["quoted", "f"], &["grep", "a b", "f"]),
            (&["A=1", "dev"], &["A=1", "npm", "run", "dev"]),
            (&["x", "A=1", "dev"], &["x", "A=1", "dev"]),
            (&["dev --fast"], &["npm", "run", "dev", "--fast"]),
            (&["  d"], &["npm", "run", "dev"]),
            (&["echo dev"], &["echo dev"]),
            (&["devx"], &["devx"]),
            (&[], &[]),
        ] {
            let got = expand(&known(), &words(typed)).unwrap();
            assert_eq!((got.words, got.source), (words(expected), None), "{typed:?}");
        }
        assert_eq!(expand(&known(), &words(&["d", "x"])).unwrap().alias.as_deref(), Some("d"));
    }

    #[test]
    fn an_alias_with_shell_syntax_is_a_line_with_the_words_quoted_behind_it() {
        for (typed, line, source) in [
            (
                &["serve", "a  b", "it's"][..],
                "cd web && npm start 'a  b' 'it'\\''s'",
                "serve 'a  b' 'it'\\''s'",
            ),
            (&["again"], "cd web; again", "again "),
            (&["set", "x"], "A=1 npm run dev 'x'", "set 'x'"),
            (&["B=2 3", "serve"], "B='2 3' cd web && npm start", "B='2 3' serve"),
            (&["semi"], "x;y ", "semi "),
            (&["sudo", "serve"], "sudo  cd web && npm start", "sudo serve"),
            (&["pipe", "x"], "cd web && npm start | cat 'x'", "pipe 'x'"),
            (&["serve && d"], "cd web && npm start && d", "serve && d"),
            (&["d | cat"], "npm run dev | cat", "d | cat"),
            (&["A=1 d"], "A=1 npm run dev", "A=1 d"),
            (&["one"], "'my program'", "one "),
        ] {
            let got = expand(&known(), &words(typed)).unwrap();
            assert_eq!((got.words, got.source.as_deref()), (words(&[line]), Some(source)), "{typed:?}");
        }
    }

    #[test]
    fn aliases_without_end_are_an_error() {
        let names: Vec<String> = (0..12).map(|i| format!("x{i}")).collect();
        let values: Vec<String> = (1..=12).map(|i| format!("x{i} x{i} ")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().zip(&values).map(|(n, v)| (&**n, &**v)).collect();
        let error = expand(&code(&pairs), &words(&["x0"])).unwrap_err();
        assert_eq!(error.message(), "the alias x0 comes to no end");
    }

    proptest! {
        #[test]
        fn any_aliases_of_any_words_come_to_an_end(
            aliases in prop::collection::vec(("[ab]{1,2}", "[ab ;'|=é]{0,9}"), 0..6),
            typed in prop::collection::vec("[ab]{1,2}|[ab ;'=é]{0,9}", 0..4),
        ) {
            let pairs: Vec<(&str, &str)> = aliases.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            if let Ok(got) = expand(&code(&pairs), &typed) {
                prop_assert_eq!(got.alias.is_none(), got.words == typed && got.alias.is_none());
                prop_assert!(got.source.is_none() || got.words.len() == 1);
            }
        }
    }
}
