//! Learns the states of Claude Code processes, and remembers what need not be read again.

use std::path::PathBuf;

use super::{Assessment, Claude};
use crate::agents::{AgentState, Source};

/// Reads the sources and keeps what it has read from look to look.
#[derive(Debug, Default)]
pub struct Reader {
    /// Where the hooks have told something: `TSM_DIR/agents/hooks`.
    hooks: Option<PathBuf>,
}

impl Reader {
    /// A reader that has seen nothing, and knows no hooks.
    pub fn new() -> Self {
        Reader::default()
    }

    /// Reads what hooks have told as well, from this folder (`TSM_DIR/agents/hooks`).
    pub fn with_hooks(mut self, dir: PathBuf) -> Self {
        self.hooks = Some(dir);
        self
    }

    /// The sessions of these processes at `now_ms`, milliseconds since the Unix epoch, in their order.
    ///
    /// Give all Claude Code processes of the user at once: two of them never share a conversation, and what is known of
    /// processes that are missing is forgotten.
    pub fn assess_all(&mut self, processes: &[Claude], now_ms: u64) -> Vec<Assessment> {
        let _ = now_ms;
        processes.iter().map(|_| unknown()).collect()
    }

    /// The session of one process where no other is to be asked about; what is known of others is kept.
    pub fn assess(&mut self, process: &Claude, now_ms: u64) -> Assessment {
        self.assess_all(std::slice::from_ref(process), now_ms).pop().unwrap_or_else(unknown)
    }
}

fn unknown() -> Assessment {
    Assessment {
        session_id: None,
        state: AgentState::Unknown,
        reason: "nothing tells what it does".into(),
        source: Source::None,
        since_ms: None,
        waiting_since_ms: None,
        preview: None,
        git_branch: None,
        transcript: None,
        evidence: Vec::new(),
    }
}
