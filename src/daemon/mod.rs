//! The optional daemon of one user: a JSON API, events, boot and adoption. It owns no process: its death loses nothing.

mod agents;
mod answers;
mod capture;
pub mod client;
mod connection;
#[cfg(test)]
mod documents;
mod files;
mod frames;
mod jobs;
mod keeper;
pub mod methods;
mod metrics;
pub mod params;
pub mod protocol;
mod rate;
mod registry;
mod runtime;
mod seeds;
mod server;
mod subscriptions;

pub use files::State;
pub use metrics::of_processes;
pub use runtime::{Options, User, run};
