//! The settings of a definition while its file is read: which of several counts, and what has no effect.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use super::keys::Key;
use super::nearest::nearest;
use crate::envfile::Assignment;
use crate::error::{Error, Result};
use crate::model::Kind;

/// Words that `SERVICE_TYPE` had in TSM's first version: the interpreter, which the command says by itself.
const INTERPRETERS: &[&str] = &[
    "bash", "bun", "command", "deno", "go", "lua", "node", "perl", "php", "python", "python3", "ruby",
    "rust", "sh",
];

/// A setting as it stands in the file.
struct Field {
    line: usize,
    value: String,
    old: bool,
}

/// The settings of a file while it is read.
pub(super) struct Fields<'a> {
    file: &'a Path,
    map: BTreeMap<Key, Field>,
    /// Other variables that the file exports.
    pub(super) env_vars: BTreeMap<String, String>,
    /// What has no effect, or another one than it seems.
    pub(super) remarks: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Fields { file, map: BTreeMap::new(), env_vars: BTreeMap::new(), remarks: Vec::new() }
    }

    /// An error about a line of the file.
    pub(super) fn error(&self, line: usize, why: impl Display) -> Error {
        Error::failed(format!("{}:{line}: {why}", self.file.display()))
    }

    fn remark(&mut self, line: usize, text: impl Display) {
        self.remarks.push(format!("line {line}: {text}"));
    }

    /// Takes in one assignment of the file.
    pub(super) fn add(&mut self, read: Assignment) {
        let Assignment { line, name, value, exported, undefined } = read;
        for gone in undefined {
            self.remark(line, format_args!(
                "${gone} is not defined and was read as empty; in single quotes it is left to the service's shell"
            ));
        }
        if let Some((key, old)) = Key::of(&name) {
            return self.set(key, &name, Field { line, value, old });
        }
        if name == "TSM_PRE_COMMAND" {
            return self
                .remark(line, "TSM_PRE_COMMAND is not run; write SERVICE_COMMAND='FIRST && exec COMMAND'");
        }
        let meant = nearest(&name, Key::names());
        if name.starts_with("SERVICE_") || (meant.is_some() && !exported) {
            let end = meant.map_or_else(String::new, |key| format!("; did you mean {key}?"));
            self.remark(line, format_args!("{name} is not a setting{end}"));
        } else if name.starts_with("TSM_") {
            self.remark(line, format_args!("{name} has no effect"));
        } else if exported {
            self.env_vars.insert(name, value);
        }
    }

    /// Keeps a setting: the last one counts, but one of today's names counts before one of the first version's.
    fn set(&mut self, key: Key, name: &str, field: Field) {
        let line = field.line;
        let Some(earlier) = self.map.get(&key) else {
            self.map.insert(key, field);
            return;
        };
        let (differs, wins) = (earlier.value != field.value, earlier.old || !field.old);
        let why = match (earlier.old == field.old, wins) {
            (true, _) => format!("{name} was set on line {} already; the last one counts", earlier.line),
            (false, true) => {
                format!("line {} says something else under an old name; {name} counts", earlier.line)
            }
            (false, false) => format!("{name} has no effect, {} on line {} counts", key.name(), earlier.line),
        };
        if wins {
            self.map.insert(key, field);
        }
        if differs {
            self.remark(line, why);
        }
    }

    /// The line and value of a setting that is not empty.
    pub(super) fn take(&mut self, key: Key) -> Option<(usize, String)> {
        self.map
            .remove(&key)
            .map(|field| (field.line, field.value))
            .filter(|(_, value)| !value.trim().is_empty())
    }

    /// The value of a setting, parsed.
    pub(super) fn parsed<T, E: Display>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>> {
        let Some((line, value)) = self.take(key) else { return Ok(None) };
        let parsed = parse(value.trim())
            .map_err(|why| self.error(line, format_args!("{} is {value:?}: {why}", key.name())))?;
        Ok(Some(parsed))
    }

    /// The kind; other words than the three are read for the sake of files of TSM's first version.
    pub(super) fn kind(&mut self) -> Option<Kind> {
        let (line, value) = self.take(Key::Type)?;
        let kind = value.trim().parse().ok();
        if kind.is_none() && !INTERPRETERS.contains(&value.trim()) {
            self.remark(
                line,
                format_args!("SERVICE_TYPE is {value:?}, which has no effect; it can be port, socket or pid"),
            );
        }
        kind
    }
}
