//! Service definitions: `.tsm` files that say how to start a process, and which of them are enabled. Starts nothing.

mod catalog;
mod definition;
mod fields;
pub mod import;
mod keys;
mod link;
mod nearest;
mod values;
mod write;

pub use catalog::{Catalog, Entry};
pub use definition::Definition;
