//! The value of an assignment: quoted and unquoted parts, backslashes, variables.

use std::collections::HashMap;

use super::Problem;
use super::cursor::Cursor;

/// The longest string that Linux passes to a program, in bytes (`execve(2)`, `MAX_ARG_STRLEN`). It also bounds what
/// `A=$A$A`, repeated, can grow to.
const LONGEST: usize = 128 << 10;

/// How deep `${A:-${B:-…}}` may go.
const DEEPEST: usize = 16;

/// The variables that a value can see.
pub(super) struct Scope<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    known: HashMap<String, String>,
    line: Vec<(String, String)>,
    /// What the current `export` sets: it takes effect behind it, because its words are expanded first.
    exported: Vec<(String, String)>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Scope { lookup, known: HashMap::new(), line: Vec::new(), exported: Vec::new() }
    }

    /// Makes a variable visible to the rest of its line, or from the end of its `export` on.
    pub(super) fn add(&mut self, name: &str, value: &str, export: bool) {
        let list = if export { &mut self.exported } else { &mut self.line };
        list.push((name.to_owned(), value.to_owned()));
    }

    /// A statement ended.
    pub(super) fn settle(&mut self) {
        self.line.append(&mut self.exported);
    }

    /// The line was good: its variables stay.
    pub(super) fn keep(&mut self) {
        self.settle();
        self.known.extend(self.line.drain(..));
    }

    /// The line was not: its variables go.
    pub(super) fn forget(&mut self) {
        self.line.clear();
        self.exported.clear();
    }

    fn get(&self, name: &str) -> Option<String> {
        let here = self.line.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value);
        here.or_else(|| self.known.get(name)).cloned().or_else(|| (self.lookup)(name))
    }
}

/// Takes the value at `cursor`: it, and the undefined variables in it.
pub(super) fn value(cursor: &mut Cursor<'_>, scope: &Scope<'_>) -> Result<(String, Vec<String>), Problem> {
    let mut reader = Reader { cursor, scope, out: String::new(), undefined: Vec::new() };
    reader.word()?;
    if reader.out.contains('\0') {
        return Err(Problem::new(reader.cursor.line(), "a value cannot hold a NUL byte"));
    }
    Ok((reader.out, reader.undefined))
}

/// Takes one value apart. `out` grows to its result.
struct Reader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    scope: &'c Scope<'c>,
    out: String,
    undefined: Vec<String>,
}

impl Reader<'_, '_> {
    fn problem<T>(&self, why: impl Into<String>) -> Result<T, Problem> {
        Err(Problem::new(self.cursor.line(), why))
    }

    /// An unquoted word, up to the blank, `;` or line end after it.
    fn word(&mut self) -> Result<(), Problem> {
        let mut tilde = true;
        loop {
            self.cursor.join_lines();
            let Some(c) = self.cursor.peek() else { return Ok(()) };
            match c {
                ' ' | '\t' | '\n' | ';' => return Ok(()),
                '~' if tilde => self.tilde(&[' ', '\t', '\n', ';']),
                '&' | '|' | '<' | '>' | '(' | ')' => {
                    return self.problem(format!("'{c}' outside quotes: put the value in single quotes"));
                }
                _ => self.unquoted(c, 0)?,
            }
            tilde = c == ':';
        }
    }

    /// `~` at the start of a value or behind a `:` is the home directory (POSIX 2.6.1); `~user` is left as it is.
    /// `ends` is what ends the value.
    fn tilde(&mut self, ends: &[char]) {
        self.cursor.bump();
        self.cursor.join_lines();
        let alone = self.cursor.peek().is_none_or(|next| "/:".contains(next) || ends.contains(&next));
        match self.scope.get("HOME").filter(|_| alone) {
            Some(home) => self.out.push_str(&home),
            None => self.out.push('~'),
        }
    }

    /// One character, escape, quoted part or variable outside quotes.
    fn unquoted(&mut self, c: char, depth: usize) -> Result<(), Problem> {
        match c {
            '\'' => self.single(),
            '"' => self.double(depth),
            '\\' => {
                self.cursor.bump();
                let escaped = self.cursor.bump();
                self.out.push(escaped.unwrap_or('\\'));
                Ok(())
            }
            '$' => self.dollar(false, depth),
            '`' => self.problem("`…` is a command; only assignments are read here, nothing is run"),
            _ => {
                self.cursor.bump();
                self.out.push(c);
                Ok(())
            }
        }
    }

    fn single(&mut self) -> Result<(), Problem> {
        let opened = self.cursor.line();
        self.cursor.bump();
        loop {
            match self.cursor.bump() {
                Some('\'') => return Ok(()),
                Some(c) => self.out.push(c),
                None => return Err(unclosed("'", opened)),
            }
        }
    }

    fn double(&mut self, depth: usize) -> Result<(), Problem> {
        let opened = self.cursor.line();
        self.cursor.bump();
        loop {
            match self.cursor.peek() {
                Some('"') => {
                    self.cursor.bump();
                    return Ok(());
                }
                Some(c) => self.in_double(c, depth)?,
                None => return Err(unclosed("\"", opened)),
            }
        }
    }

    /// One character, escape or variable inside double quotes (POSIX 2.2.3).
    fn in_double(&mut self, c: char, depth: usize) -> Result<(), Problem> {
        match c {
            '$' => return self.dollar(true, depth),
            '`' => return self.problem("`…` is a command; only assignments are read here, nothing is run"),
            '\\' => {
                self.cursor.bump();
                match self.cursor.peek() {
                    Some('\n') => {
                        self.cursor.bump();
                    }
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => {
                        self.cursor.bump();
                        self.out.push(escaped);
                    }
                    _ => self.out.push('\\'),
                }
            }
            _ => {
                self.cursor.bump();
                self.out.push(c);
            }
        }
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, or a plain `$`.
    fn dollar(&mut self, in_double: bool, depth: usize) -> Result<(), Problem> {
        self.cursor.bump();
        let name = self.cursor.take_name();
        if self.cursor.rest().starts_with("\\\n") {
            // A shell joins the lines first, so that the name goes on there.
            return self.problem("a line is continued inside a variable's name: write ${NAME}");
        }
        if let Some(name) = name {
            let value = self.scope.get(name);
            return self.expand(name, value);
        }
        match self.cursor.peek() {
            Some('{') => self.brace(in_double, depth),
            Some('(') => self.problem("$(…) is a command; only assignments are read here, nothing is run"),
            Some(quote @ ('\'' | '"')) if !in_double => {
                self.problem(format!("${quote}…{quote} is not read here: use plain quotes"))
            }
            Some(c) if c.is_ascii_digit() || "?$!#@*-".contains(c) => {
                self.problem(format!("${c} has no meaning here: put a '$' in single quotes"))
            }
            _ => self.push("$"),
        }
    }

    fn brace(&mut self, in_double: bool, depth: usize) -> Result<(), Problem> {
        let opened = self.cursor.line();
        if depth >= DEEPEST {
            return self.problem("${…} is nested too deeply");
        }
        self.cursor.bump();
        let Some(name) = self.cursor.take_name() else { return self.problem(FORMS) };
        let value = self.scope.get(name);
        if self.cursor.eat("}") {
            return self.expand(name, value);
        }
        let or_empty = self.cursor.eat(":");
        if !self.cursor.eat("-") {
            return if self.cursor.peek().is_none() {
                Err(unclosed("${", opened))
            } else {
                self.problem(FORMS)
            };
        }
        // The default is read in any case, to find its end; what it adds counts only when it is used.
        let (length, undefined) = (self.out.len(), self.undefined.len());
        let mut tilde = !in_double;
        loop {
            self.cursor.join_lines();
            if self.cursor.eat("}") {
                break;
            }
            let next = self.cursor.peek();
            match next {
                None => return Err(unclosed("${", opened)),
                // Shells differ on what these mean there.
                Some('"' | '\'') if in_double => {
                    return self.problem("a quote inside \"${…}\" cannot be read here");
                }
                Some('\\') if in_double && self.cursor.rest().starts_with("\\}") => {
                    self.cursor.eat("\\}");
                    self.out.push('}');
                }
                Some(c) if in_double => self.in_double(c, depth + 1)?,
                Some('~') if tilde => self.tilde(&['}']),
                Some(c) => self.unquoted(c, depth + 1)?,
            }
            tilde = !in_double && next == Some(':');
        }
        if let Some(value) = value.filter(|value| !(or_empty && value.is_empty())) {
            self.out.truncate(length);
            self.undefined.truncate(undefined);
            return self.push(&value);
        }
        Ok(())
    }

    fn expand(&mut self, name: &str, value: Option<String>) -> Result<(), Problem> {
        if value.is_none() && !self.undefined.iter().any(|known| known == name) {
            self.undefined.push(name.to_owned());
        }
        self.push(&value.unwrap_or_default())
    }

    fn push(&mut self, text: &str) -> Result<(), Problem> {
        self.out.push_str(text);
        if self.out.len() > LONGEST {
            return self.problem("the value is longer than 128 KiB, which no program can be given");
        }
        Ok(())
    }
}

const FORMS: &str = "of ${…} only ${NAME}, ${NAME:-default} and ${NAME-default} are read here";

fn unclosed(what: &str, line: usize) -> Problem {
    Problem::new(line, format!("{what} is opened here and never closed"))
}
