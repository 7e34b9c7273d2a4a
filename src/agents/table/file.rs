//! The form of `agents.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::Adapter;
use crate::error::{Error, Result};

/// A file of agents.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) interpreters: Option<Vec<Word>>,
    pub(super) shells: Option<Vec<Word>>,
    pub(super) ordinary: Option<Vec<Word>>,
    #[serde(default)]
    pub(super) agent: BTreeMap<Name, Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) adapter: Option<Adapter>,
    pub(super) programs: Option<Vec<Word>>,
    pub(super) paths: Option<Vec<Word>>,
    pub(super) scripts: Option<Vec<Word>>,
    pub(super) packages: Option<Vec<Word>>,
    pub(super) helpers: Option<Vec<Word>>,
    #[serde(default)]
    pub(super) except: ExceptEntry,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExceptEntry {
    pub(super) commands: Option<Vec<Word>>,
    pub(super) flags: Option<Vec<Word>>,
    pub(super) paths: Option<Vec<Word>>,
}

/// A text that is not empty: that would be a part of everything.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Word(pub(super) String);

impl TryFrom<String> for Word {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Err("an empty text") } else { Ok(Word(text)) }
    }
}

/// What an agent may be called: it stands in tables and in files.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(pub(super) String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_name = !text.is_empty() && text.len() <= 32 && text.chars().all(fine);
        if is_name {
            Ok(Name(text))
        } else {
            Err("no name of an agent: letters, digits, - _ . and at most 32")
        }
    }
}

/// The user's file, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<File>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path, &error)),
    };
    parse(&text).map(Some).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        Error::failed(format!("{}:{line}: {why}; none of it is used", path.display()))
            .hint(format!("correct line {line} of {}", path.display()))
    })
}

/// Reads the text of such a file.
pub(super) fn parse(text: &str) -> Result<File, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::super::AgentTable;
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    fn user_file(text: &str) -> (AgentTable, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agents.toml");
        fs::write(&path, text).unwrap();
        let (table, error) = AgentTable::load(Some(&path));
        (table, error.map(|error| error.message().replace(&path.display().to_string(), "FILE")))
    }

    #[test]
    fn the_users_file_adds_agents_and_replaces_lines() {
        let (table, error) = user_file(
            "[agent.claude]\nprograms = ['claude', 'cl']\n[agent.claude.except]\ncommands = []\n\
             [agent.crush]\nprograms = ['crush']\n[agent.aider]\nscripts = []\nprograms = []\npackages = []\n",
        );
        assert_eq!(error, None);
        let named = |line: &str| table.recognise("x", &words(line)).map(|found| found.agent.to_owned());
        assert_eq!(named("cl").as_deref(), Some("claude"));
        assert_eq!(named("claude doctor").as_deref(), Some("claude"));
        assert_eq!(named("claude --version"), None, "what is not given stays");
        assert_eq!(table.recognise("x", &words("cl")).unwrap().adapter, Some(Adapter::Claude));
        assert_eq!(named("/opt/crush -y").as_deref(), Some("crush"));
        assert_eq!(named("aider"), None);
        assert_eq!(AgentTable::load(Some(Path::new("/nowhere/agents.toml"))).1.map(|_| ()), None);
        assert_eq!(AgentTable::load(None).0, AgentTable::built_in());
    }

    #[test]
    fn a_broken_file_is_named_with_its_line_and_not_used() {
        for (text, why) in [
            ("[agent.a]\nprograms = ['a']\n\n[agent.b\n", "FILE:4: "),
            ("[agent.a]\nprograms = ['a']\nprogram = ['b']\n", "FILE:3: unknown field `program`"),
            ("\n[agent.a]\nadapter = 'codex'\n", "FILE:3: unknown variant `codex`"),
            ("[agent.a]\npaths = [\n'x',\n'']\n", "FILE:2: an empty text"),
            ("\n[agent.'a b']\n", "FILE:2: no name of an agent"),
            ("[agent.a]\nprograms = 'a'\n", "FILE:2: invalid type"),
        ] {
            let (table, error) = user_file(text);
            let error = error.unwrap_or_default();
            assert!(error.starts_with(why) && error.ends_with("; none of it is used"), "{error}");
            assert_eq!(table, AgentTable::built_in(), "{text}");
        }
    }
}
