//! The optional daemon of one user: a JSON API, events, boot and adoption. It owns no process: its death loses nothing.

mod frames;
pub mod protocol;
mod rate;
