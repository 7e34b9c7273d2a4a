//! The words of TSM as types: parsed once, then trusted. Knows only std and serde, and nothing above it.

mod event;
mod exit;
mod identity;
mod kind;
mod lifeline;
mod name;
mod policy;
pub mod secret;
mod spec;
mod starter;
mod state;
mod status;

pub use event::{Event, Happening};
pub use exit::Exit;
pub use identity::{Identity, Pid};
pub use kind::Kind;
pub use lifeline::Lifeline;
pub use name::{Name, NameError};
pub use policy::{LogLimit, Policy, RestartPolicy, StopSignal};
pub use spec::{EnvFile, EnvSource, EnvVar, Function, Origin, Reason, Spec};
pub use starter::Starter;
pub use state::State;
pub use status::{Killed, Status};

/// The version of every JSON file that this build writes; an older one is migrated on read, a newer one refused.
pub const SCHEMA: u32 = 1;
