//! What the files of other tools say, as definitions: text and facts in, definitions and remarks out.
//!
//! It touches no file. What a definition cannot say is never dropped silently: each such field becomes a remark.

mod pm2;
mod procfile;
mod tetra;

use std::path::Path;

use super::catalog::file_name;
use super::definition::Definition;
use crate::error::Result;
use crate::model::Name;
use crate::render::shell_quote;

pub use pm2::pm2;
pub use procfile::procfile;
pub use tetra::{tetra_definition, tetra_process};

/// What becomes of a variable whose value must not touch the disk.
const SECRET: &str = "it looks secret and is not written; put it into the .env of its directory, or name a file in SERVICE_ENV";

/// What a reader has to know beside the text.
pub struct Source<'a> {
    /// The file that is read, absolute; relative paths in it are relative to its directory.
    pub file: &'a Path,
    /// The folder that the definitions are meant for.
    pub folder: &'a Path,
    /// Put before each name.
    pub prefix: &'a str,
    /// A variable of the environment that the import runs in.
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
}

/// A field that is not carried over, or not as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Its name in the source, such as `cron_restart` or `env.API_TOKEN`.
    pub field: String,
    /// What became of it.
    pub why: String,
}

/// One definition that was made.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its name in the source.
    pub from: String,
    /// What would be written.
    pub definition: Definition,
    /// What could not be carried over.
    pub remarks: Vec<Remark>,
    /// How many equal ones the source had.
    copies: usize,
}

/// All that was read from one source.
#[derive(Debug, Default)]
pub struct Import {
    /// The definitions, each with another name.
    pub services: Vec<Imported>,
    /// What could not become one: its name or place in the source, and why.
    pub skipped: Vec<(String, String)>,
    /// What the source says beside its services and could not be carried over.
    pub remarks: Vec<Remark>,
}

impl Source<'_> {
    /// The directory that relative paths are relative to.
    fn dir(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    /// A definition of the command, with the name that comes nearest to `from`.
    ///
    /// # Errors
    /// When there is no command.
    fn service(&self, from: &str, command: &str) -> Result<Imported> {
        let wanted = format!("{}{from}", self.prefix);
        let name = name_for(&wanted);
        let file = self.folder.join(file_name(name.as_str()));
        let definition = Definition::of_command(&file, command)?;
        let mut made = Imported { from: from.to_owned(), definition, remarks: Vec::new(), copies: 1 };
        if name.as_str() != wanted {
            made.remark("name", format!("{from:?} is called {name} here"));
        }
        Ok(made)
    }
}

impl Imported {
    fn remark(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.remarks.push(Remark { field: field.into(), why: why.into() });
    }

    /// Gives it another name.
    fn rename(&mut self, name: Name) {
        let definition = &mut self.definition;
        definition.file.set_file_name(file_name(name.as_str()));
        if definition.process == definition.name {
            definition.process = name.clone();
        }
        definition.name = name;
    }

    /// True when both start the same, whatever they are called here.
    fn is_copy_of(&self, other: &Self) -> bool {
        let mut renamed = self.clone();
        renamed.rename(other.definition.name.clone());
        self.from == other.from && renamed.definition == other.definition
    }
}

impl Import {
    /// Adds a definition: under a name that none has yet, or as one more of an equal one.
    fn add(&mut self, mut made: Imported) {
        if let Some(same) = self.services.iter_mut().find(|other| made.is_copy_of(other)) {
            same.copies += 1;
            return;
        }
        let wanted = made.definition.name.clone();
        let free = |name: &Name| self.services.iter().all(|other| other.definition.name != *name);
        if !free(&wanted) {
            let mut names = (2..).map(|number: usize| wanted.suffixed(number));
            if let Some(name) = names.find(free) {
                made.remark(
                    "name",
                    format!("another one of this import is called {wanted}; this one is {name}"),
                );
                made.rename(name);
            }
        }
        self.services.push(made);
    }

    /// Says of each definition that the source had more than once how often that was.
    fn counted(mut self, field: &str, why: impl Fn(usize) -> String) -> Self {
        for one in self.services.iter_mut().filter(|one| one.copies > 1) {
            one.remark(field, why(one.copies));
        }
        self
    }

    /// Notes what could not become a definition.
    fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.skipped.push((what.into(), why.into()));
    }
}

/// The name that comes nearest to `wanted` and that `tsm start` cannot take for something else.
fn name_for(wanted: &str) -> Name {
    let name = Name::reduce(wanted);
    if name.as_str() == "all" || name.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
        return Name::reduce(&format!("service-{name}"));
    }
    name
}

/// A command line that `tsm start` understands as exactly these words.
fn command_line(words: &[String]) -> String {
    match words {
        // One word without blanks is taken as it is, quotes and all.
        [word] if !word.contains(char::is_whitespace) => word.clone(),
        _ => shell_quote::join(words),
    }
}

/// A command line that `tsm start` runs as a shell would run `line`.
fn shell_line(line: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if line.contains(char::is_whitespace) || line.chars().all(plain) {
        line.to_owned()
    } else {
        // A lone word would be taken for a program's name.
        shell_quote::join(&["bash", "-c", line])
    }
}

/// True for what can be the name of an environment variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
