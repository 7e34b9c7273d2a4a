//! The functions and aliases of the calling shell: taken over from it, checked, and shown.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Ask;
use crate::envfile;
use crate::error::{Error, Result, plain};
use crate::inspect::View;
use crate::plan::{Draft, Plan, ShellCode};
use crate::render::shell_quote;
use crate::store::Layout;
use crate::sys::{bash, fd};

/// The most that is read of a shell, in bytes; a shell with every completion loaded has a few megabytes.
const MOST: u64 = 64 << 20;

/// Reads what the shell layer hands over on the descriptor `number`.
///
/// # Errors
/// When nothing can be read there, or not all that there was.
pub(super) fn handed_over(number: Option<i32>) -> Result<ShellCode> {
    let Some(number) = number else { return Ok(ShellCode::default()) };
    let failed = |error: std::io::Error| {
        Error::failed(format!("cannot read the functions of the calling shell: {}", plain(&error)))
    };
    let file = File::from(fd::inherited(number).map_err(failed)?);
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    ShellCode::parse(&bytes)
}

/// Checks that bash can read the script of `draft`, if it has one: not everything that bash prints it can read again.
///
/// # Errors
/// Failed with what bash says, when it cannot.
pub(super) fn check(draft: &Draft) -> Result<()> {
    let Some(script) = &draft.script else { return Ok(()) };
    let name = &script.name;
    let said = match bash::complaint(&script.text) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::not_found(format!("cannot start {name}: command not found: bash")));
        }
        Err(error) => return Err(Error::failed(format!("cannot check {name} with bash: {}", plain(&error)))),
        Ok(None) => return Ok(()),
        Ok(Some(said)) => said,
    };
    let first = said.lines().next().unwrap_or_default();
    Err(Error::failed(format!("bash cannot read its own text of {name}: {first}"))
        .hint("put it into a script file, and start that"))
}

/// Says where the text of a function will be.
///
/// # Errors
/// Failed when the path is no text.
pub(super) fn place(layout: &Layout, plan: &mut Plan) -> Result<()> {
    let path = layout.process(&plan.name).function();
    let text = path.to_str().ok_or_else(|| Error::failed(format!("{} is not UTF-8", path.display())))?;
    plan.place(text);
    Ok(())
}

/// Checks that `found`, which is the same otherwise, runs the text of `draft`, if that has one.
///
/// # Errors
/// A conflict when `found` runs another text.
pub(super) fn same_text(ask: &Ask, draft: &Draft, found: &View) -> Result<()> {
    let Some(script) = &draft.script else { return Ok(()) };
    if std::fs::read(found.dir.function()).is_ok_and(|text| text == script.text) {
        return Ok(());
    }
    let stop = format!("tsm stop {}", found.name);
    let error = Error::conflict(format!("{} runs, but with another text of {}", found.title(), script.name));
    Err(match ask.options.as_slice() {
        [] => error.hint(format!("{stop} && tsm start {}", shell_quote::join(&draft.typed))),
        _ => error.hint(format!("{stop}, then the same start again")),
    })
}

/// A function in `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    /// Its name.
    pub(crate) name: String,
    /// The functions that are kept with it.
    pub(crate) helpers: Vec<String>,
    /// Where the text is.
    pub(crate) file: Option<PathBuf>,
    /// The text, with secrets masked.
    pub(crate) text: String,
}

/// What is shown of a function.
pub(crate) fn shown(name: &str, helpers: &[String], file: Option<&Path>, text: &[u8]) -> Shown {
    Shown {
        name: name.to_owned(),
        helpers: helpers.to_vec(),
        file: file.map(Path::to_owned),
        text: masked(text),
    }
}

/// A script without the values of assignments that look secret, as far as they stand on one line.
pub(crate) fn masked(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some(at) = rest.find('=') {
            let (head, tail) = rest.split_at(at + 1);
            let name = head[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
            let length = value(tail);
            out.push_str(head);
            out.push_str(&envfile::shown(name.unwrap_or_default(), &tail[..length]));
            rest = &tail[length..];
        }
        out.push_str(&envfile::shown("", rest));
    }
    out
}

/// The length of the word that `text` begins with.
fn value(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (_, '\n') => return at,
            _ if escaped => escaped = false,
            (Some('"') | None, '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ' | '\t' | ';' | '&' | '|' | ')') => return at,
            (None, _) => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_function_are_masked_and_the_rest_is_not() {
        for (text, shown) in [
            ("    export API_KEY=abc;\n    x=1", "    export API_KEY=********;\n    x=1"),
            ("TOKEN='a b' cmd --x=y", "TOKEN=******** cmd --x=y"),
            ("API_TOKEN=\"a \\\" b\" PORT=1 x", "API_TOKEN=******** PORT=1 x"),
            ("local PASSWORD=$(cat x) y", "local PASSWORD=******** x) y"),
            ("cmd --token=abc; [[ $a == b ]]", "cmd --token=********; [[ $a == b ]]"),
            ("psql postgres://u:pw@h/db", "psql postgres://u:********@h/db"),
            ("URL=postgres://u:pw@h/db?a=b", "URL=postgres://u:********@h/db?a=b"),
            ("SECRET=\nnext", "SECRET=\nnext"),
        ] {
            assert_eq!(masked(text.as_bytes()), shown, "{text}");
        }
    }
}
