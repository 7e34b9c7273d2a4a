//! The files under `TSM_DIR`: where they are, how they are written, and what a reader makes of a broken one.
//!
//! Each file has one writer and every write is a rename, so readers take no lock (design.md sections 1 and 3).

mod atomic;
mod entry;
mod journal;
mod layout;
mod ports;
mod record;

pub use atomic::{Durability, UNFINISHED, replace, write, write_new};
pub use entry::{Entry, entries, entry};
pub use journal::{Journal, record};
pub use layout::{DaemonFiles, Layout, ProcessDir, create_dir};
pub use ports::StickyPorts;
pub use record::{Record, read_spec, read_status, write_spec, write_status};
