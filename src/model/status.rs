//! What is so: the content of `status.json`, written by whoever holds the supervisor lock.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Exit, Identity, Kind, Name, SCHEMA, Starter, State};

/// A process that did not end by itself when it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Killed {
    /// Its PID.
    pub pid: i32,
    /// Its command line, cut to what a message can show.
    pub command: String,
}

/// The state of a process at the last change. It repeats what `tsm list` shows of the spec, so that listing reads one
/// small file per process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this file's form.
    pub schema: u32,
    /// The TSM ID.
    pub id: u32,
    /// The process's name.
    pub name: Name,
    /// What it is to TSM.
    pub kind: Kind,
    /// The command as a person would read it.
    pub command: String,
    /// The working directory.
    pub cwd: PathBuf,
    /// The environment file.
    pub env_file: Option<PathBuf>,
    /// The planned port.
    pub port: Option<u16>,
    /// From inside of what it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Starter>,
    /// The log that is being written.
    pub log_path: PathBuf,
    /// The state as the supervisor knows it.
    pub state: State,
    /// The main process of the current run.
    pub main: Option<Identity>,
    /// The supervisor that wrote this.
    pub supervisor: Option<Identity>,
    /// The main process is not that supervisor's child: the one that had started it was killed, and this one took over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// It was stopped because its supervisor was signalled, as at a shutdown, and not because somebody told TSM to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signalled: bool,
    /// The boot in which those two are meant.
    pub boot_id: String,
    /// When the current or last run began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Counts the runs from 1.
    pub run: u64,
    /// How often it was started again, by the supervisor or by `tsm restart`.
    pub restarts: u32,
    /// How the last run ended.
    pub exit: Option<Exit>,
    /// When the next attempt is due, in state `backoff`.
    pub retry_ms: Option<u64>,
    /// What the program said in STATUS= (`sd_notify(3)`), or why the state is what it is.
    pub note: Option<String>,
    /// What a stop had to kill because it did not end by itself.
    #[serde(default)]
    pub killed: Vec<Killed>,
    /// How many bytes of log were ever moved out of the live file: the position of its first byte.
    pub log_base: u64,
    /// The position, counted like `log_base`, at which the current run's output begins.
    pub run_log: u64,
}

impl Status {
    /// The version that this build writes.
    pub const SCHEMA: u32 = SCHEMA;
}
