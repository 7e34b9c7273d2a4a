//! The state of one Claude Code process, learned from what it leaves on disk.
//!
//! Claude Code keeps a file about each process (`registry`), tells hooks what it does (`agents::hooks`), and appends each
//! conversation to a file of records (`locate`, `tail`, `record`). [`Reader`] puts these together, the best first. What is
//! decided from records is a pure function of them and the time (`detect`).

mod assessment;
mod assign;
pub mod conversation;
mod detect;
mod head;
mod join;
mod lenient;
mod lines;
mod locate;
mod reader;
mod record;
mod registry;
mod shorten;
mod tail;
mod text;
mod transcripts;

pub use assessment::{Assessment, Claude};
pub use reader::Reader;
