//! Environment files: where they are, what they say, and what of it may be shown.
//!
//! A file that the user named is sourced by a clean bash ([`source_named`]). A file that TSM found by itself, and every
//! `.tsm` file, is read by [`assignments`] and never executed.

pub mod assignments;
mod found;
mod locate;
mod placeholder;
mod run;
mod secret;
mod source;
mod template;

pub use assignments::{Assignment, Problem};
pub use found::{read_found, read_text};
pub use locate::{Nearby, locate, nearby};
pub use placeholder::looks_unfilled;
pub use run::{TIMEOUT, bash_version, check_named, source_named};
pub use secret::{looks_secret, mask, shown};
pub use source::{Overlay, Sourcing, command, parse};
pub use template::init;
