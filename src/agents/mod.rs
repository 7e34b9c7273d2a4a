//! Coding agents: which sessions run, which of them wait for their user, and since when.
//!
//! Built on the process tables and nothing of the process manager: no managed process, supervisor or verb of theirs knows
//! that this module exists. Files are read, never written, but for those below `TSM_DIR/agents`.

pub mod claude;
mod session;
mod table;

pub use session::{AgentState, Evidence, Session, Source};
pub use table::{Adapter, AgentTable, Recognised};
