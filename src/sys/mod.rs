//! The operating system: the only place of `unsafe`, libc and `cfg(target_os)`.
//!
//! Knows nothing above it but the plain words of `model`. Linux is run and tested; the macOS side is compiled.

pub mod bash;
pub mod boot;
pub mod capture;
pub mod clock;
pub mod collapse;
pub mod dir;
pub mod disk;
pub mod ended;
pub mod fd;
pub mod flock;
pub mod foreground;
pub mod lock;
pub mod manager;
pub mod memory;
pub mod notify;
pub mod pidfd;
pub mod poll;
pub mod process;
pub mod reaper;
pub mod run;
pub mod session;
pub mod signals;
pub mod sockets;
pub mod spawn;
pub mod tcp;
pub mod tty;
pub mod unix;
pub mod user;
pub mod wake;
pub mod watch;
