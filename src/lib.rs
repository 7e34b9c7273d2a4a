//! TSM keeps the processes that a developer runs beside their editor.
//!
//! The binary is one call of [`cli::main`]. Read `docs/architecture.md` for the flow of one `tsm start`, and the first
//! line of each module for what it owns.

pub mod agents;
pub mod capture;
pub mod cli;
pub mod control;
pub mod daemon;
pub mod envfile;
pub mod error;
pub mod inspect;
pub mod logs;
pub mod model;
pub mod plan;
pub mod render;
pub mod service;
pub mod store;
pub mod supervisor;
pub mod sys;
