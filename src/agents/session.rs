//! One session of a coding agent, as it is shown.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{Identity, Pid};

/// Whether an agent works, or whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// It stopped for an answer: a permission, a question, a plan, an error, or a turn that has just ended.
    NeedsInput,
    /// It is its user's turn, and nothing is asked.
    Idle,
    /// It does something.
    Working,
    /// It runs, and nothing says what it does.
    Unknown,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AgentState::NeedsInput => "needs-input",
            AgentState::Idle => "idle",
            AgentState::Working => "working",
            AgentState::Unknown => "unknown",
        })
    }
}

/// Where a state was read, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The file that the agent itself keeps about its process.
    Registry,
    /// What its hooks have told (`tsm agents install-hooks`).
    Hooks,
    /// The end of its conversation.
    Transcript,
    /// What its process does.
    Activity,
    /// Nothing: the process runs, and that is all that is known.
    None,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Source::Registry => "registry",
            Source::Hooks => "hooks",
            Source::Transcript => "transcript",
            Source::Activity => "activity",
            Source::None => "none",
        })
    }
}

/// One thing that was looked at to learn a state, whether it decided or not: for `tsm agents explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What kind of source it is.
    pub source: Source,
    /// True for the one that decided.
    pub decided: bool,
    /// Where it stands, when it is a file.
    pub path: Option<PathBuf>,
    /// What was found there, or why it does not count, such as `status "waiting", 12s ago` or `of another process: it
    /// says procStart 77, the process has 99`.
    pub found: String,
    /// The state that it speaks for.
    pub state: Option<AgentState>,
}

/// A session of an agent: one process, one conversation.
///
/// Serialized it is the object of `tsm agents --json`; its names are those of the first such tool (`session_id`,
/// `git_branch`, `waiting_since`), times are ISO 8601, and what is not known is `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which agent: `claude`, `codex`, …
    pub agent: String,
    /// Its process.
    pub identity: Identity,
    /// The conversation, where it is known.
    pub session_id: Option<String>,
    /// What the user calls it.
    pub label: Option<String>,
    /// What it does.
    pub state: AgentState,
    /// Why that is so, in a few words: `permission: Bash`, `its turn has ended`.
    pub reason: String,
    /// Where that was read.
    pub source: Source,
    /// Since when it is in that state, in milliseconds since the Unix epoch, by the source's own time.
    pub since_ms: Option<u64>,
    /// Since when it waits for its user: set by needs-input, kept while idle follows, cleared by working.
    pub waiting_since_ms: Option<u64>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// The top of the project that it is in.
    pub project: Option<PathBuf>,
    /// The branch that is checked out there.
    pub git_branch: Option<String>,
    /// The name of the linked worktree that it is in, if it is in one.
    pub worktree: Option<String>,
    /// One line of what it is about or has said last; any characters, so sanitize before printing.
    pub preview: Option<String>,
    /// The i3 or sway workspace where it is seen.
    pub workspace: Option<String>,
    /// Its terminal, as it is called below `/dev`.
    pub tty: Option<String>,
    /// How long its process runs, in milliseconds.
    pub age_ms: u64,
    /// Resident memory of its whole tree, in bytes.
    pub memory_bytes: u64,
    /// The ports that its tree listens on.
    pub ports: Vec<u16>,
    /// The file of its conversation.
    pub transcript: Option<PathBuf>,
    /// What was looked at.
    pub evidence: Vec<Evidence>,
}

impl Session {
    /// The process.
    pub fn pid(&self) -> Pid {
        self.identity.pid
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A working session of which little is known, for the tests of this module.
    pub(in crate::agents) fn session(pid: i32) -> Session {
        Session {
            agent: "claude".into(),
            identity: Identity { pid: Pid::new(pid).unwrap(), start: 100 },
            session_id: None,
            label: None,
            state: AgentState::Working,
            reason: String::new(),
            source: Source::None,
            since_ms: None,
            waiting_since_ms: None,
            cwd: None,
            project: None,
            git_branch: None,
            worktree: None,
            preview: None,
            workspace: None,
            tty: None,
            age_ms: 0,
            memory_bytes: 0,
            ports: Vec::new(),
            transcript: None,
            evidence: Vec::new(),
        }
    }
}
