//! A command line as far as the cursor, taken apart as bash does it: whole words, and the one that is being typed.

/// The quotes that are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Quote {
    #[default]
    None,
    Single,
    Double,
    /// `$'…'`.
    Dollar,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Syntax {
    /// Bash's: `|`, `;`, `>` and their like end a command or take a word out of it.
    Bash,
    /// Words and quotes alone.
    Words,
}

/// A word without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Word {
    pub(in crate::cli) text: String,
    /// Where it begins in the line, in bytes.
    pub(in crate::cli) start: usize,
}

/// A line as far as the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Line {
    /// The words that have ended.
    pub(in crate::cli) words: Vec<Word>,
    /// What is typed of the word at the cursor, without quotes.
    pub(in crate::cli) current: String,
    /// Where that begins in the line, in bytes.
    pub(in crate::cli) start: usize,
    /// The quotes that are open at the cursor.
    pub(in crate::cli) quote: Quote,
    /// What is typed is the file of a redirection.
    pub(in crate::cli) redirected: bool,
}

/// What is read of a line.
#[derive(Default)]
struct Reader {
    line: Line,
    word: Option<Word>,
    /// The word that is read, or comes next, is the file of a redirection.
    target: bool,
}

impl Reader {
    fn begin(&mut self, at: usize) -> &mut String {
        &mut self.word.get_or_insert_with(|| Word { text: String::new(), start: at }).text
    }

    fn end(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.target)
        {
            self.line.words.push(word);
        }
    }

    /// Another command begins.
    fn anew(&mut self) {
        self.end();
        self.line.words.clear();
        self.target = false;
    }
}

impl Line {
    /// Takes `text`, which ends at the cursor, apart.
    pub(in crate::cli) fn parse(text: &str, syntax: Syntax) -> Line {
        let mut reader = Reader::default();
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match (reader.line.quote, c) {
                (Quote::Single | Quote::Dollar, '\'') | (Quote::Double, '"') => {
                    reader.line.quote = Quote::None;
                }
                (Quote::Single, _) => reader.begin(at).push(c),
                (Quote::Double, '\\') => match chars.peek() {
                    Some((_, next)) if "$`\"\\".contains(*next) => {
                        reader.begin(at).push(*next);
                        chars.next();
                    }
                    _ => reader.begin(at).push(c),
                },
                (Quote::None | Quote::Dollar, '\\') => {
                    let word = reader.begin(at);
                    word.extend(chars.next().map(|(_, next)| next).filter(|next| *next != '\n'));
                }
                (Quote::Double | Quote::Dollar, _) => reader.begin(at).push(c),
                (Quote::None, '\'') => {
                    let word = reader.begin(at);
                    reader.line.quote = if syntax == Syntax::Bash && text[..at].ends_with('$') {
                        word.pop();
                        Quote::Dollar
                    } else {
                        Quote::Single
                    };
                }
                (Quote::None, '"') => {
                    reader.begin(at);
                    reader.line.quote = Quote::Double;
                }
                (Quote::None, ' ' | '\t') => reader.end(),
                (Quote::None, '\n') if syntax == Syntax::Words => reader.end(),
                (Quote::None, '<' | '>') if syntax == Syntax::Bash => {
                    // The number in front of it is the descriptor's.
                    if reader.word.as_ref().is_some_and(|word| word.text.parse::<u32>().is_ok()) {
                        reader.word = None;
                    }
                    reader.end();
                    while chars.peek().is_some_and(|(_, next)| "<>|&".contains(*next)) {
                        chars.next();
                    }
                    reader.target = true;
                }
                (Quote::None, '&') if syntax == Syntax::Bash && text[at..].starts_with("&>") => reader.end(),
                (Quote::None, ';' | '|' | '&' | '(' | ')' | '`' | '\n') if syntax == Syntax::Bash => {
                    reader.anew();
                }
                (Quote::None, _) => reader.begin(at).push(c),
            }
        }
        let mut line = reader.line;
        line.redirected = reader.target;
        let current = reader.word.unwrap_or(Word { text: String::new(), start: text.len() });
        line.start = current.start;
        line.current = current.text;
        // `A=1 tsm …`
        let assigned = line.words.iter().take_while(|word| is_assignment(&word.text)).count();
        line.words.drain(..assigned);
        line
    }

    /// The words behind the cursor; what ends the word at the cursor is none of them.
    pub(in crate::cli) fn words_after(&self, rest: &str) -> Vec<String> {
        let opening = match self.quote {
            Quote::None => "",
            Quote::Single => "'",
            Quote::Double => "\"",
            Quote::Dollar => "$'",
        };
        let here = if rest.starts_with([' ', '\t']) && self.quote == Quote::None { "" } else { "x" };
        // A command behind `|` is another one.
        let end = rest.find(['|', ';', '&', '\n']).unwrap_or(rest.len());
        let line = Line::parse(&format!("{here}{opening}{} ", &rest[..end]), Syntax::Bash);
        line.words.into_iter().map(|word| word.text).skip(usize::from(!here.is_empty())).collect()
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, syntax: Syntax) -> (Vec<String>, String, Quote) {
        let line = Line::parse(text, syntax);
        (line.words.into_iter().map(|word| word.text).collect(), line.current, line.quote)
    }

    #[test]
    fn words_end_at_blanks_outside_of_quotes() {
        for (text, expected, current, quote) in [
            ("tsm", &[][..], "tsm", Quote::None),
            ("tsm ", &["tsm"], "", Quote::None),
            ("tsm stop we", &["tsm", "stop"], "we", Quote::None),
            ("tsm  stop\tweb ", &["tsm", "stop", "web"], "", Quote::None),
            ("tsm start 'my fi", &["tsm", "start"], "my fi", Quote::Single),
            ("tsm start \"my \\\"fi", &["tsm", "start"], "my \"fi", Quote::Double),
            ("tsm start my\\ fi", &["tsm", "start"], "my fi", Quote::None),
            ("tsm start 'my fi'l", &["tsm", "start"], "my fil", Quote::None),
            ("tsm start --env='d e", &["tsm", "start"], "--env=d e", Quote::Single),
            ("tsm start $'it\\'s", &["tsm", "start"], "it's", Quote::Dollar),
            ("tsm start '' x", &["tsm", "start", ""], "x", Quote::None),
            ("A=1 B='2 3' tsm st", &["tsm"], "st", Quote::None),
            ("echo a=b; tsm st", &["tsm"], "st", Quote::None),
            ("sleep 1 | tsm st", &["tsm"], "st", Quote::None),
            ("x=$(tsm st", &["tsm"], "st", Quote::None),
            ("tsm list >/dev/null al", &["tsm", "list"], "al", Quote::None),
            ("tsm list 2>&1 al", &["tsm", "list"], "al", Quote::None),
            ("tsm list &>out al", &["tsm", "list"], "al", Quote::None),
            ("tsm start 'a|b' x", &["tsm", "start", "a|b"], "x", Quote::None),
            ("tsm stop ü\\", &["tsm", "stop"], "ü", Quote::None),
        ] {
            let (found, at, open) = words(text, Syntax::Bash);
            assert_eq!(
                (&found[..], at.as_str(), open),
                (&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..], current, quote),
                "{text}"
            );
        }
        assert!(Line::parse("tsm list > fi", Syntax::Bash).redirected);
        assert!(!Line::parse("tsm list > file x", Syntax::Bash).redirected);
    }

    #[test]
    fn where_there_is_no_shell_operators_are_text() {
        let (found, current, _) = words("start a|b >c; d&", Syntax::Words);
        assert_eq!((found.join(","), current.as_str()), ("start,a|b,>c;".into(), "d&"));
    }

    #[test]
    fn where_words_begin() {
        let line = Line::parse("tsm  stop 'a b' c\\ d", Syntax::Bash);
        assert_eq!(line.words.iter().map(|word| word.start).collect::<Vec<_>>(), [0, 5, 10]);
        assert_eq!(line.start, 16);
    }

    #[test]
    fn what_stands_behind_the_cursor() {
        for (before, rest, expected) in [
            ("tsm stop ", "", &[][..]),
            ("tsm stop we", "b api", &["api"]),
            ("tsm stop ", "web api", &["api"]),
            ("tsm stop", " web 'a b'", &["web", "a b"]),
            ("tsm stop 'w", "e b' api", &["api"]),
            ("tsm stop ", " web | grep x", &["web"]),
        ] {
            assert_eq!(Line::parse(before, Syntax::Bash).words_after(rest), expected, "{before}|{rest}");
        }
    }
}
