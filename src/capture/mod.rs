//! Capture: what was said to coding agents is kept with the commit that came of it.
//!
//! Knows agents' transcripts and git; no managed process, supervisor or verb of theirs knows that this module exists.
//! Nothing is written below `TSM_DIR` before its secrets are masked.

pub mod blame;
mod cleaner;
pub mod commit;
mod config;
mod exclude;
mod files;
pub mod gitconfig;
pub mod history;
pub mod hook;
mod ingest;
pub mod install;
pub mod installed;
mod journal;
mod mask;
pub mod pending;
pub mod record;
mod refusal;
pub mod repo;
pub mod search;
mod session;
mod sessions;
pub mod uninstall;

pub use config::Config;
pub use exclude::Excluded;
pub use ingest::{Ingested, ingest};
pub use mask::{Masked, mask};
pub use refusal::{Code, Refusal};
pub use session::{Captured, Change, Message, Role, Saved};
pub use sessions::Sessions;
