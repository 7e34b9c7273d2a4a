//! The parameters of the methods: what a client may say, and nothing else.

mod agents;
mod capture;

use serde::{Deserialize, Serialize};

pub use agents::{AgentsList, Label, OneAgent, StopAgent};
pub use capture::{
    ActiveSessions, AddCodeChange, AddMessage, CreateSession, SaveSession, SaveSessionsForRepo,
};

/// No parameters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Which processes: names, IDs, ports, PIDs, globs, or `all`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refs {
    /// As on the command line.
    pub refs: Vec<String>,
}

/// Which services.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Their names.
    pub names: Vec<String>,
}

/// Parameters of `list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// `running` (what is or should be up; the default), or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<ListWhat>,
}

/// What `list` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ListWhat {
    /// What is or should be up.
    Running,
    /// Everything that is tracked.
    All,
}

/// Parameters of `start`: the options of `tsm start`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// A service, the name of a tracked process, or a command.
    pub words: Vec<String>,
    /// The working directory of a command, absolute; the home directory without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// An environment's name, or a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Read no environment file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_env: bool,
    /// `KEY=VALUE` settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_var: Vec<String>,
    /// The port, 1 to 65535.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The name; the port is added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `port`, `socket` or `pid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `no`, `on-failure` or `always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// How many restarts in a row are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// How long a graceful stop may take: `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<String>,
    /// The signal of a graceful stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// The size above which the log's head is moved to a rotated file: `10MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_max_size: Option<String>,
    /// How many rotated logs are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_keep: Option<u32>,
    /// Answer when it is ready: seconds, or a time such as `500ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Only say what would be done.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// Parameters of `restart`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// As on the command line.
    pub refs: Vec<String>,
    /// Answer when they are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}

/// Parameters of `delete`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// As on the command line.
    pub refs: Vec<String>,
    /// Remove the logs, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub purge: bool,
}

/// Parameters of `kill`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// As on the command line.
    pub refs: Vec<String>,
    /// Also what TSM does not manage.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}

/// Parameters of `logs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// As on the command line.
    pub refs: Vec<String>,
    /// How many of the last lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Only the current run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub run: bool,
}

/// Parameters of `events.subscribe`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// What follows on this number; without it, what is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Only of the process or service of this name; everything without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Parameters of `shutdown`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// Stop every managed process, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub with_processes: bool,
}

/// One process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OneRef {
    /// As on the command line.
    #[serde(rename = "ref")]
    pub reference: String,
}

/// Parameters of `env`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// A process; without it, where TSM keeps things.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Show secrets too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub show: bool,
}

/// Parameters of `cleanup`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cleanup {
    /// Remove the logs, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub purge: bool,
}

/// One service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OneName {
    /// Its name.
    pub name: String,
}

/// Parameters of `startup`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Startup {
    /// Answer when all are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Leave alone what was stopped by hand.
    #[serde(default, skip_serializing_if = "is_false")]
    pub boot: bool,
}

/// Parameters of `save`: the name, then a process or a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Save {
    /// The name of the definition, then a process or the words of a command.
    pub words: Vec<String>,
    /// Replace a definition of that name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Only print the definition.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// The words of a command.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// As on the command line.
    #[serde(default)]
    pub command: Vec<String>,
}

/// Parameters of `ports`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// Who has this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The ports that directories keep.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allocated: bool,
}

/// Parameters of `doctor`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// Every port, not only 1024 to 10000.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
}

/// A port.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// 1 to 65535.
    pub port: u16,
}

/// Parameters of `doctor.kill`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KillPort {
    /// 1 to 65535.
    pub port: u16,
    /// Also what TSM does not manage.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}

/// Parameters of `doctor.orphans`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Orphans {
    /// Which to give new supervisors, or to end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<String>,
    /// Give them new supervisors.
    #[serde(default, skip_serializing_if = "is_false")]
    pub adopt: bool,
    /// End them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kill: bool,
    /// Do not ask.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
}

/// Parameters of `doctor.clean`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Clean {
    /// Also what could be wanted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub aggressive: bool,
    /// Only say what would be removed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// Parameters of `doctor.env`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EnvFile {
    /// The file, absolute.
    pub file: String,
}

/// Parameters of `doctor.validate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// As for `start`.
    pub command: Vec<String>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// An environment's name, or a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// The working directory, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// Parameters of `socket.send`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The process, then the verb of the control socket.
    pub words: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
