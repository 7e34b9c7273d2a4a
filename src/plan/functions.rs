//! The functions of the calling shell: what the shell layer hands over, and the text of one with all that it calls.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};

/// Stands before everything: what a DEBUG trap of the user's printed before it is no part of it.
const BEGIN: &[u8] = b"\0tsm-code\0";

/// The last field. Without it the shell was interrupted.
const END: &[u8] = b"end";

/// The most that may be kept for one process, in bytes.
const LIMIT: usize = 1 << 20;

/// The shortest part of a name that stands for all names with it, as in `"cmd_$1"`, in bytes.
const PART: usize = 3;

/// Stands for the path of the script among the words of a plan until its directory is known. No word has a NUL.
pub(super) const PLACE: &str = "\0function.bash";

/// The first lines of a script: nothing of it may depend on the process, because texts are compared.
const HEAD: &str = "\
# Functions of the shell that started this process, kept by tsm: every run of it runs this text.
# bash needs extglob to read some of what it prints itself.
shopt -s extglob
";

/// The functions and aliases of a shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShellCode {
    /// By name, which need not be UTF-8 any more than the text.
    functions: BTreeMap<Vec<u8>, Function>,
    pub(super) aliases: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    text: Vec<u8>,
    /// `export -f` was said of it: child shells have it, too.
    exported: bool,
}

/// A script that runs a function, or a line that calls some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The function that was asked for, or the first that the line calls.
    pub name: String,
    /// The other functions that it may call, sorted.
    pub helpers: Vec<String>,
    /// What bash is to run.
    pub text: Vec<u8>,
}

impl ShellCode {
    /// Reads what the shell layer writes: after [`BEGIN`], fields that end in NUL, two for each function (`-f NAME` or
    /// `-fx NAME` as of `declare -F`, and the text of `declare -f`) and for each alias (`alias NAME`, and its value),
    /// then [`END`]. TSM's own functions are left out.
    ///
    /// # Errors
    /// Failed when it is not that, or not whole.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let broken = || Error::failed("the functions of the calling shell did not arrive whole");
        let at = bytes.windows(BEGIN.len()).position(|part| part == BEGIN).ok_or_else(broken)?;
        let mut fields = bytes[at + BEGIN.len()..].split(|byte| *byte == 0);
        let mut code = ShellCode::default();
        loop {
            let head = fields.next().ok_or_else(broken)?;
            if head == END {
                return Ok(code);
            }
            let text = fields.next().ok_or_else(broken)?;
            let space = head.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
            let (what, name) = (&head[..space], &head[space + 1..]);
            if what == b"alias" {
                // What is not UTF-8 cannot be among the words of a command.
                if let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(text)) {
                    code.aliases.insert(name.to_owned(), value.to_owned());
                }
            } else if what.starts_with(b"-") && !is_own(name) {
                let exported = what.contains(&b'x');
                code.functions.insert(name.to_owned(), Function { text: text.to_owned(), exported });
            }
        }
    }

    /// True when `name` is the name of a function.
    pub fn has(&self, name: &str) -> bool {
        self.functions.contains_key(name.as_bytes())
    }

    /// The script that calls the function `name` with its arguments; none when there is no such function.
    ///
    /// # Errors
    /// Failed when it is too large to be kept.
    pub(super) fn call(&self, name: &str) -> Result<Option<Script>> {
        if !self.has(name) {
            return Ok(None);
        }
        // In quotes it is neither a reserved word nor an alias.
        let call = format!("{} \"$@\"\n", quote(name));
        let wanted = self.closure(&[name.as_bytes()]);
        self.script(name.to_owned(), &wanted, "", &call).map(Some)
    }

    /// The script that runs `line`, followed by its arguments if `open`; none when the line calls no function. `source` is
    /// what was typed where that line came of an alias: then bash reads it, with the aliases that count in it.
    ///
    /// # Errors
    /// Failed when it is too large to be kept.
    pub(super) fn line(&self, line: &str, source: Option<&str>, open: bool) -> Result<Option<Script>> {
        // Further on in the line, too, a word may be an alias.
        let source = source.filter(|_| !self.aliases_in(line).is_empty());
        let aliases = source.map(|source| self.aliases_of(source)).unwrap_or_default();
        let last = source.unwrap_or(line);
        let values = aliases.iter().filter_map(|name| self.aliases.get_key_value(*name));
        let defined =
            |(name, value): (&String, &String)| format!("alias -- {}={}\n", quote(name), quote(value));
        let values = values.map(defined).collect::<Vec<_>>().concat();
        let whole = format!("{last}\n{values}");
        let called = self.named_in(whole.as_bytes());
        let place = |name: &[u8]| find(whole.as_bytes(), name).unwrap_or(usize::MAX);
        let names = called.iter().copied().chain(aliases.iter().map(|name| name.as_bytes()));
        let Some(name) = names.min_by_key(|name| place(name)) else { return Ok(None) };
        let wanted = self.closure(&called.iter().copied().collect::<Vec<_>>());
        // They count from the next line that bash reads. The functions had theirs replaced when they were defined.
        let values = if values.is_empty() { values } else { format!("shopt -s expand_aliases\n{values}") };
        let last = if open { format!("{last} \"$@\"\n") } else { format!("{last}\n") };
        self.script(String::from_utf8_lossy(name).into_owned(), &wanted, &values, &last).map(Some)
    }

    /// The aliases whose names are words of `text`.
    fn aliases_in(&self, text: &str) -> BTreeSet<&str> {
        let named = |name: &&String| find(text.as_bytes(), name.as_bytes()).is_some();
        self.aliases.keys().filter(named).map(String::as_str).collect()
    }

    /// The same, with those in their texts.
    fn aliases_of(&self, text: &str) -> BTreeSet<&str> {
        let mut found = self.aliases_in(text);
        let mut open: Vec<&str> = found.iter().copied().collect();
        while let Some(value) = open.pop().and_then(|name| self.aliases.get(name)) {
            open.extend(self.aliases_in(value).into_iter().filter(|name| found.insert(name)));
        }
        found
    }

    fn script(&self, name: String, wanted: &BTreeSet<&[u8]>, aliases: &str, last: &str) -> Result<Script> {
        let mut text = HEAD.as_bytes().to_vec();
        let mut exported = Vec::new();
        // What was asked for is what a reader wants to see first.
        let (first, others): (Vec<&[u8]>, Vec<&[u8]>) =
            wanted.iter().partition(|wanted| **wanted == name.as_bytes());
        let all = first.iter().chain(&others);
        for (wanted, function) in all.filter_map(|name| self.functions.get_key_value(*name)) {
            text.extend_from_slice(&function.text);
            if !function.text.ends_with(b"\n") {
                text.push(b'\n');
            }
            if let (true, Ok(name)) = (function.exported, str::from_utf8(wanted)) {
                exported.extend(["export -f -- ".to_owned(), quote(name), "\n".to_owned()]);
            }
        }
        text.extend_from_slice(exported.concat().as_bytes());
        text.extend_from_slice(aliases.as_bytes());
        text.extend_from_slice(last.as_bytes());
        if text.len() > LIMIT {
            return Err(Error::failed(format!(
                "the function {name} and what it may call are {} bytes of text, and at most {LIMIT} are kept",
                text.len()
            ))
            .hint("put it into a script file, and start that"));
        }
        let helpers = wanted.iter().map(|name| String::from_utf8_lossy(name).into_owned());
        let helpers = helpers.filter(|helper| *helper != name).collect();
        Ok(Script { name, helpers, text })
    }

    /// `roots` and every function that they may call, directly or not.
    fn closure<'a>(&'a self, roots: &[&'a [u8]]) -> BTreeSet<&'a [u8]> {
        let mut found: BTreeSet<&[u8]> = roots.iter().copied().collect();
        let mut open: Vec<&[u8]> = roots.to_vec();
        while let Some(function) = open.pop().and_then(|name| self.functions.get(name)) {
            open.extend(self.named_in(&function.text).into_iter().filter(|name| found.insert(name)));
        }
        found
    }

    /// The functions whose names occur in `text`, wherever that is: a name in a quote may be evaluated, and one too many
    /// does no harm. A name that is put together (`"cmd_$1"`, `"${verb}_all"`) may be any with that beginning or end.
    fn named_in(&self, text: &[u8]) -> BTreeSet<&[u8]> {
        let mut found = BTreeSet::new();
        for word in text.split(|byte| !is_letter(*byte)) {
            found.extend(self.functions.get_key_value(word).map(|(name, _)| name.as_slice()));
        }
        let odd = self.functions.keys().filter(|name| !name.iter().all(|byte| is_letter(*byte)));
        found.extend(odd.map(Vec::as_slice).filter(|name| find(text, name).is_some()));
        let (heads, tails) = parts(text);
        let any = |name: &&Vec<u8>| {
            heads.iter().any(|head| name.starts_with(head)) || tails.iter().any(|tail| name.ends_with(tail))
        };
        if !heads.is_empty() || !tails.is_empty() {
            found.extend(self.functions.keys().filter(any).map(Vec::as_slice));
        }
        found
    }
}

/// What stands before and behind expansions in words of `text`: parts of names that are put together.
fn parts(text: &[u8]) -> (BTreeSet<&[u8]>, BTreeSet<&[u8]>) {
    let (mut heads, mut tails) = (BTreeSet::new(), BTreeSet::new());
    for (at, byte) in text.iter().enumerate() {
        if matches!(byte, b'$' | b'`') {
            let before = text[..at].strip_suffix(b"\"").unwrap_or(&text[..at]);
            let length = before.iter().rev().take_while(|byte| is_name(**byte)).count();
            heads.insert(&before[before.len() - length..]);
        }
        let positional = byte.is_ascii_digit() && at > 0 && text[at - 1] == b'$';
        if positional || matches!(byte, b'}' | b')' | b'`') {
            let behind = &text[at + 1..];
            let behind = behind.strip_prefix(b"\"").unwrap_or(behind);
            tails.insert(&behind[..behind.iter().take_while(|byte| is_name(**byte)).count()]);
        }
    }
    for parts in [&mut heads, &mut tails] {
        parts.retain(|part| part.len() >= PART && !part.starts_with(b"-"));
    }
    (heads, tails)
}

/// Where `name` stands in `text`, with no letter that would make it another name.
fn find(text: &[u8], name: &[u8]) -> Option<usize> {
    let (first, last) = (*name.first()?, *name.last()?);
    let whole = |at: usize| {
        let before = at.checked_sub(1).map(|at| text[at]);
        let behind = text.get(at + name.len());
        let longer = (is_letter(first) && before.is_some_and(is_letter))
            || (is_letter(last) && behind.is_some_and(|byte| is_letter(*byte)));
        !longer
    };
    (0..(text.len() + 1).saturating_sub(name.len()))
        .find(|&at| text[at] == first && text[at..].starts_with(name) && whole(at))
}

/// What most names are made of.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// What names are made of beside letters, as far as people do.
fn is_name(byte: u8) -> bool {
    is_letter(byte) || b"-:.+@".contains(&byte)
}

/// The shell layer's own functions, which are thin calls of this program.
fn is_own(name: &[u8]) -> bool {
    name == b"tsm" || name.starts_with(b"tetra_tsm_") || name.starts_with(b"_tsm_")
}

/// `word` so that bash reads it as this one word that is nothing else.
pub(super) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
