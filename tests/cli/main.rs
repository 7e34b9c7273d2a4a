//! The test crate of the `tsm` command line.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod checkout;
mod control;
mod first;
mod install;
mod kit;
mod restarts;
mod shell;
mod stop_tree;
mod unsupervised;
