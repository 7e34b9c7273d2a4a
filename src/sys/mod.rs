//! The operating system: the only place of `unsafe`, libc and `cfg(target_os)`.
//!
//! Knows nothing above it but the plain words of `model`. Linux is run and tested; the macOS side is compiled.

pub mod clock;
pub mod fd;
pub mod lock;
pub mod poll;
pub mod reaper;
pub mod signals;
pub mod spawn;
pub mod unix;
