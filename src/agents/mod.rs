//! Coding agents: which sessions run, which of them wait for their user, and since when.
//!
//! Built on the process tables and nothing of the process manager: no managed process, supervisor or verb of theirs knows
//! that this module exists. Files are read, never written, but for those below `TSM_DIR/agents`.

mod activity;
pub mod claude;
mod discover;
pub mod hooks;
mod session;
mod table;
mod watcher;

pub use discover::{AgentProcess, Discovery};
mod document;
mod files;
mod labels;
pub mod refs;
mod register;
mod session;
pub mod waiting;

pub use document::{ChangeDocument, Document, EvidenceDocument, Explained, SessionInfo, time};
pub use files::Files;
pub use labels::Labels;
pub use register::{Change, Register, What};
pub use session::{AgentState, Evidence, Session, Source};
pub use table::{Adapter, AgentTable, Recognised};
pub use watcher::{Config, Watcher};
