//! What was asked: the content of `spec.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Kind, Lifeline, Name, Policy, SCHEMA, Starter};

/// Everything needed to run a process again, but no environment value that was not typed as a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The version of this file's form.
    pub schema: u32,
    /// The TSM ID: the lowest number that was free.
    pub id: u32,
    /// The process's name.
    pub name: Name,
    /// The name before the port suffix; the key of sticky ports and of "the same process?".
    pub base: Name,
    /// What it is to TSM.
    pub kind: Kind,
    /// What is executed, word for word.
    pub argv: Vec<String>,
    /// The command as a person would read it, before a template added words to it.
    pub command: String,
    /// The words as the user typed them, or the definition's command as one word.
    pub typed: Vec<String>,
    /// The working directory, absolute.
    pub dir: PathBuf,
    /// The planned port.
    pub port: Option<u16>,
    /// The environment file, read anew at every start.
    pub env_file: Option<EnvFile>,
    /// `--env-var` settings and a definition's.
    #[serde(default)]
    pub env_vars: BTreeMap<String, EnvVar>,
    /// The function of a shell that it is; its text is in `function.bash` of the process directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<Function>,
    /// Where it came from.
    #[serde(default)]
    pub origin: Origin,
    /// The options that the user gave, in a fixed order: part of "the same process?".
    #[serde(default)]
    pub options: Vec<String>,
    /// How it is stopped and restarted.
    #[serde(default)]
    pub policy: Policy,
    /// The process whose end ends this one.
    #[serde(default)]
    pub lifeline: Option<Lifeline>,
    /// From inside of what it was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Starter>,
    /// Why each value of the plan was chosen.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// When this was written, in milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// An environment file, and whether the user named it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// How it is read.
    pub source: EnvSource,
}

/// A function of the shell that started a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name; of a line that calls several, the first of them.
    pub name: String,
    /// The functions that were kept with it, because it may call them.
    #[serde(default)]
    pub helpers: Vec<String>,
}

/// How an environment file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvSource {
    /// The user named it: sourced by a clean bash.
    Named,
    /// TSM found it: its assignments are read, nothing is executed.
    Found,
}

/// A variable set with `--env-var` or in a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvVar {
    /// Its value.
    Value(String),
    /// Its name looks secret: the value is in the supervisor's memory only, and is asked of the calling shell's
    /// environment when the process is started again after a stop.
    Secret,
}

/// Where a process came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Words on the command line.
    #[default]
    Command,
    /// A service definition of this name; read again at every restart.
    Service(Name),
}

/// One line of the plan's reasoning: `port 3000: default of pattern "node"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What was decided: `argv`, `kind`, `port`, `name`, `dir`, `env_file`.
    pub what: String,
    /// What it was decided to be.
    pub value: String,
    /// Why.
    pub why: String,
}

impl Reason {
    /// `what` is `value`, because `why`.
    pub fn new(what: &str, value: impl Into<String>, why: impl Into<String>) -> Self {
        Reason { what: what.to_owned(), value: value.into(), why: why.into() }
    }
}

impl Spec {
    /// The version that this build writes.
    pub const SCHEMA: u32 = SCHEMA;
}
