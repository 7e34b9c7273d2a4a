//! The reader of `NAME=value` files: shell quoting and variables, but no execution.
//!
//! What it accepts means what it means to a shell (POSIX.1-2024, Shell Command Language, 2.2 Quoting, 2.6.2 Parameter
//! Expansion). What a shell would run, it refuses with the line.

mod cursor;
mod skip;
mod word;

use cursor::Cursor;
use word::Scope;

/// One `NAME=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The line it begins on, from 1.
    pub line: usize,
    /// The variable.
    pub name: String,
    /// Its value, quotes and variables resolved.
    pub value: String,
    /// True when `export` stood before it.
    pub exported: bool,
    /// Variables in the value that nothing defines; each was read as empty, as a shell does.
    pub undefined: Vec<String>,
}

/// A line that is no assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// Why, lower case and without a full stop.
    pub why: String,
}

impl Problem {
    fn new(line: usize, why: impl Into<String>) -> Self {
        Problem { line, why: why.into() }
    }
}

/// Reads `text` in order. `$NAME` means an earlier assignment, else what `lookup` says, else nothing.
///
/// A line that is wrong gives one problem and no assignment. A block (`if … fi`) or here-document gives one problem and
/// is passed over whole, because its assignments may not be meant to happen.
pub fn parse(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Vec<Result<Assignment, Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut cursor = Cursor::new(&text);
    let mut scope = Scope::new(lookup);
    let mut out = Vec::new();
    loop {
        cursor.skip_blanks();
        match cursor.peek() {
            None => return out,
            Some('\n') => {
                cursor.bump();
            }
            Some('#') => {
                cursor.take_line();
            }
            Some(_) => {
                let start = cursor;
                match line(&mut cursor, &mut scope) {
                    Ok(made) => {
                        out.extend(made.iter().cloned().map(Ok));
                        scope.keep();
                    }
                    Err(problem) => {
                        out.push(Err(problem));
                        cursor = start;
                        skip::past(&mut cursor);
                        scope.forget();
                    }
                }
            }
        }
    }
}

/// The assignments of one line (more, where quotes or a backslash continue it), up to and with its end.
fn line(cursor: &mut Cursor<'_>, scope: &mut Scope<'_>) -> Result<Vec<Assignment>, Problem> {
    let mut made = Vec::new();
    let mut export = false;
    // How many assignments stood before this statement.
    let mut before = 0;
    loop {
        let blanks = cursor.skip_blanks();
        match cursor.peek() {
            None => return Ok(made),
            Some('\n') => {
                cursor.bump();
                return Ok(made);
            }
            Some('#') if blanks => {
                cursor.take_line();
                return Ok(made);
            }
            Some(';') => {
                cursor.bump();
                export = false;
                before = made.len();
                scope.settle();
                // `;;` and a lone `;` are no statements.
                if made.is_empty() || cursor.peek() == Some(';') {
                    return Err(Problem::new(cursor.line(), "';' stands where NAME=value is expected"));
                }
                continue;
            }
            Some(_) => {}
        }
        let at = cursor.line();
        let rest = *cursor;
        let Some(name) = cursor.take_name() else {
            return Err(Problem::new(at, stray(rest, &made)));
        };
        match cursor.peek() {
            Some('=') => {
                cursor.bump();
                let (value, undefined) = word::value(cursor, scope)?;
                scope.add(name, &value, export);
                made.push(Assignment { line: at, name: name.into(), value, exported: export, undefined });
            }
            Some(' ' | '\t')
                if name == "export" && !export && made.len() == before && !assigned_next(*cursor) =>
            {
                export = true;
            }
            // `export NAME` changes nothing here: every variable of the file is passed on.
            None | Some(' ' | '\t' | '\n' | ';') if export && !assigned_next(*cursor) => {}
            _ => return Err(Problem::new(at, not_assigned(*cursor, rest, name, &made))),
        }
    }
}

/// True at `  =`: somebody wrote blanks around the equals sign.
fn assigned_next(mut cursor: Cursor<'_>) -> bool {
    cursor.skip_blanks() && cursor.peek() == Some('=')
}

/// Why a name that is not followed by `=` is wrong.
fn not_assigned(after: Cursor<'_>, rest: Cursor<'_>, name: &str, made: &[Assignment]) -> String {
    if after.rest().starts_with("+=") || after.rest().starts_with('[') {
        return format!("only {name}=value can be read, not '+=' or arrays");
    }
    if assigned_next(after) {
        return format!("blanks around '=': write {name}=value");
    }
    stray(rest, made)
}

/// Why the words at `rest` are wrong: behind a value they are mostly a value that wants quotes.
fn stray(rest: Cursor<'_>, made: &[Assignment]) -> String {
    let word: String = rest.rest().chars().take_while(|c| !c.is_whitespace()).take(40).collect();
    match made.last() {
        Some(last) => format!("{word:?} stands behind {}=…: put a value with blanks in quotes", last.name),
        None => format!("{word:?} is not NAME=value; only assignments are read here, nothing is run"),
    }
}

#[cfg(test)]
mod tests;
