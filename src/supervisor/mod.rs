//! The parent of one process: a tiny role of the same binary (design.md section 5).
//!
//! `machine` decides, `runtime` performs. A verb starts one with [`launch`]; from then on it is alone.

mod adopt;
mod backoff;
mod child;
mod env_reader;
pub mod environment;
mod handoff;
mod health;
mod launch;
mod lifeline;
pub mod machine;
mod ready;
mod rotate;
mod runtime;
mod tree;
mod waiters;

pub use adopt::{Adopted, adopt};
pub use handoff::Order;
pub use launch::{Launched, launch};
pub use runtime::run;
