//! The test crate of the `tsm` command line.
