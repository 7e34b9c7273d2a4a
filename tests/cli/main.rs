//! The test crate of the `tsm` command line.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod callers;
mod checkout;
mod child;
mod control;
mod delete;
mod doctor_clean;
mod doctor_kill;
mod doctor_ports;
mod edges;
mod env;
mod env_files;
mod first;
mod info;
mod install;
mod kill;
mod kit;
mod list;
mod logs;
mod parallel;
mod patterns;
mod ports;
mod ready;
mod refs;
mod restarts;
mod rotation;
mod services;
mod shell;
mod start;
mod start_again;
mod start_faults;
mod start_ports;
mod stop_tree;
mod terminal;
mod unsupervised;
