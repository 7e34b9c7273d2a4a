//! Capture: what was said to coding agents is kept with the commit that came of it.
//!
//! Knows agents' transcripts and git; no managed process, supervisor or verb of theirs knows that this module exists.
