//! A place in a text that knows its line.

/// A place in a text. Copying it is how the reader goes back.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of `text`, line 1.
    pub(super) fn new(text: &'a str) -> Self {
        Cursor { rest: text, line: 1 }
    }

    /// The line, from 1.
    pub(super) fn line(self) -> usize {
        self.line
    }

    /// Everything from here.
    pub(super) fn rest(self) -> &'a str {
        self.rest
    }

    /// The next character.
    pub(super) fn peek(self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes the next character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// Takes `text` if it comes next; it holds no newline.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        true
    }

    /// Passes over blanks and continued line ends; true when there was one.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let before = self.rest.len();
        loop {
            if self.rest.starts_with([' ', '\t']) {
                self.bump();
            } else if !self.join_lines() {
                return self.rest.len() != before;
            }
        }
    }

    /// Passes over a backslash and line end, which a shell removes before it reads on; true when there was one.
    pub(super) fn join_lines(&mut self) -> bool {
        let before = self.line;
        while self.eat("\\\n") {
            self.line += 1;
        }
        self.line != before
    }

    /// Takes a variable's name, `[A-Za-z_][A-Za-z0-9_]*`.
    pub(super) fn take_name(&mut self) -> Option<&'a str> {
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        Some(name)
    }

    /// Takes the rest of the line with its end, and returns it without.
    pub(super) fn take_line(&mut self) -> &'a str {
        match self.rest.split_once('\n') {
            Some((line, rest)) => {
                self.rest = rest;
                self.line += 1;
                line
            }
            None => std::mem::take(&mut self.rest),
        }
    }
}
