//! Coding agents: which sessions run, which of them wait for their user, and since when.
//!
//! Built on the process tables and nothing of the process manager: no managed process, supervisor or verb of theirs knows
//! that this module exists. Files are read, never written, but for those below `TSM_DIR/agents`.

mod activity;
pub mod claude;
mod discover;
mod document;
mod files;
pub mod hooks;
mod labels;
pub mod refs;
mod register;
mod session;
pub mod settings;
pub mod switch;
mod table;
pub mod waiting;
mod watcher;

pub use discover::{AgentProcess, Discovery};
pub use document::{ChangeDocument, Document, EvidenceDocument, Explained, SessionInfo, time};
pub use files::Files;
pub use labels::Labels;
pub use register::{Change, Register, What};
pub use session::{AgentState, Evidence, Session, Source};
pub use table::{Adapter, AgentTable, By, Recognised};
pub use watcher::{Config, Watcher};
