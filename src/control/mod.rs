//! The control socket of a process: one line asked, one line of JSON answered (design.md section 6).

pub mod client;
pub mod message;
pub mod server;
pub mod wire;
