//! Coding agents: which sessions run, which of them wait for their user, and since when.
//!
//! Built on the process tables and nothing of the process manager: no managed process, supervisor or verb of theirs knows
//! that this module exists. Files are read, never written, but for those below `TSM_DIR/agents`.

mod activity;
pub mod claude;
mod discover;
mod session;
mod table;
mod watcher;

pub use discover::{AgentProcess, Discovery};
pub use session::{AgentState, Evidence, Session, Source};
pub use table::{Adapter, AgentTable, Recognised};
pub use watcher::{Config, Watcher};
