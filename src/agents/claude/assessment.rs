//! What is asked about a Claude Code process, and what is answered.

use std::path::PathBuf;

use crate::agents::{AgentState, Evidence, Source};
use crate::model::Identity;

/// A Claude Code process, as the tables of the system show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claude {
    /// The process.
    pub identity: Identity,
    /// When it was started, in milliseconds since the Unix epoch: no older file is its conversation.
    pub started_ms: u64,
    /// Its command line.
    pub argv: Vec<String>,
    /// Its working directory.
    pub cwd: Option<PathBuf>,
    /// The folder of its configuration: `CLAUDE_CONFIG_DIR` or `~/.claude` of *its* environment.
    pub claude_dir: PathBuf,
    /// When the youngest of its children that are no helpers was started, in milliseconds since the Unix epoch: a command
    /// that a tool runs. `None` when it has none.
    pub youngest_child_ms: Option<u64>,
    /// Whether a child of it that is no helper uses the processor; `None` when nobody has looked twice.
    pub has_busy_child: Option<bool>,
}

/// What is known about the session of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The conversation, where it is known.
    pub session_id: Option<String>,
    /// What it does.
    pub state: AgentState,
    /// Why that is so, in a few words on one line; may quote what the agent said, so sanitize before printing.
    pub reason: String,
    /// What decided.
    pub source: Source,
    /// Since when, in milliseconds since the Unix epoch, by the source's own time.
    pub since_ms: Option<u64>,
    /// Since when it waits for its user, in milliseconds since the Unix epoch.
    pub waiting_since_ms: Option<u64>,
    /// One line: the title of the conversation, else what was said last, else the first prompt.
    pub preview: Option<String>,
    /// The branch that its last records name.
    pub git_branch: Option<String>,
    /// The file of its conversation.
    pub transcript: Option<PathBuf>,
    /// All that was looked at, the best source first.
    pub evidence: Vec<Evidence>,
}
