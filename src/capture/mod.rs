//! Capture: what was said to coding agents is kept with the commit that came of it.
//!
//! Knows agents' transcripts and git; no managed process, supervisor or verb of theirs knows that this module exists.
//! Nothing is written below `TSM_DIR` before its secrets are masked.

mod config;
mod mask;
mod refusal;
mod session;

pub use config::Config;
pub use mask::{Masked, mask};
pub use refusal::{Code, Refusal};
pub use session::{Captured, Change, Message, Role, Saved};
