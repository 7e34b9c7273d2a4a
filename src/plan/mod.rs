//! The plan of `tsm start`: what is executed, where, under which name and on which port.
//!
//! Sees no OS: it asks [`Facts`] for files and [`Ports`] for ports. [`draft`] decides all that can be compared with what
//! runs already; [`plan`] then chooses the port, under the runtime lock.

mod aliases;
mod command_port;
mod draft;
mod functions;
mod interpreter;
mod name;
mod patterns;
mod ports;
mod program;
mod request;
mod script_port;
#[cfg(test)]
mod tests;
mod words;
#[cfg(test)]
mod world;

pub use draft::{Draft, draft};
pub use functions::{Script, ShellCode};
pub use patterns::{DefaultPort, Pattern, Patterns};
pub use ports::{Plan, plan};
pub use program::script;
pub use request::{EnvAsk, Facts, Holder, Ports, Request, ServiceAsk};
pub use words::{argv, same_command};
