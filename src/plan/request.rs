//! What the planner is given: the question, and the world it may ask about.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::functions::ShellCode;
use crate::error::Result;
use crate::model::{EnvFile, Kind, Name};

/// What was asked of `tsm start` for a command. Tracked names are resolved before; a service comes as one of these too.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The words as typed; a service's command is one word.
    pub words: Vec<String>,
    /// The working directory, absolute.
    pub dir: PathBuf,
    /// `--name`.
    pub name: Option<Name>,
    /// `--port`.
    pub port: Option<u16>,
    /// `PORT` of `--env-var`: asked for as plainly.
    pub port_variable: Option<u16>,
    /// What the definition says, when it comes from one.
    pub service: Option<ServiceAsk>,
    /// `--kind`.
    pub kind: Option<Kind>,
    /// `--env`, `--no-env`, or neither.
    pub env: EnvAsk,
    /// The text of the user's `patterns.txt`.
    pub user_patterns: Option<String>,
    /// The functions and aliases of the calling shell.
    pub code: ShellCode,
}

/// What a service definition says about the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAsk {
    /// Its name.
    pub name: Name,
    /// `SERVICE_PORT`.
    pub port: Option<u16>,
    /// `SERVICE_TYPE`, where it is a kind.
    pub kind: Option<Kind>,
}

/// Which env file is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnvAsk {
    /// The one of this name or path (`--env`, `SERVICE_ENV`).
    Named(String),
    /// Whatever lies in the directory.
    #[default]
    Discover,
    /// None (`--no-env`).
    None,
}

/// What the planner must know of the world; asked only where it matters.
pub trait Facts {
    /// Whether `path` is a file.
    fn is_file(&self, path: &Path) -> bool;
    /// Whether `path` is a file that can be executed.
    fn is_executable(&self, path: &Path) -> bool;
    /// The first `limit` bytes of a readable file.
    fn read_head(&self, path: &Path, limit: usize) -> Option<Vec<u8>>;
    /// Whether `program`, a word without `/`, is found on `PATH`.
    fn on_path(&self, program: &str) -> bool;
    /// Which env file `ask` means for `dir`, if any, and remarks for the user.
    ///
    /// # Errors
    /// `NotFound` when one was named that is missing.
    fn find_env(&self, ask: &EnvAsk, dir: &Path) -> Result<(Option<EnvFile>, Vec<String>)>;
    /// The values that `file` sets.
    ///
    /// # Errors
    /// When it cannot be read, or sourcing it fails.
    fn load_env(&self, file: &EnvFile) -> Result<BTreeMap<String, String>>;
}

/// The ports of the machine, asked under the runtime lock.
pub trait Ports {
    /// Who holds `port`; `None` when it is free on IPv4 and IPv6 and nobody has it reserved.
    fn holder(&self, port: u16) -> Option<Holder>;
    /// The port that `base` had last in `dir`.
    fn sticky(&self, dir: &Path, base: &Name) -> Option<u16>;
    /// The ports to allocate from.
    fn range(&self) -> RangeInclusive<u16>;
}

/// Who holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// As part of a sentence: `python3 server.py (PID 123)`, or `my-api-http-8000 (TSM ID 0)`.
    pub text: String,
    /// The next command to type about it, such as `tsm stop 0`.
    pub hint: Option<String>,
}
