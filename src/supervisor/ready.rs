//! Finding out that a program is ready: its tree listens, or it said READY=1.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::tree::Tree;
use crate::error::{Error, Result};
use crate::inspect;
use crate::sys::{fd, sockets, unix};

/// The first look comes this soon, in milliseconds; the pauses double up to the longest.
const FIRST_MS: u64 = 2;
const LONGEST_MS: u64 = 250;

/// How long a program that listens on another port than the planned one is given to open that too, in milliseconds.
const OTHER_MS: u64 = 500;

/// Looks at the ports of a tree, less and less often.
#[derive(Debug)]
pub(super) struct Probe {
    port: u16,
    pause: u64,
    /// When to look next, in monotonic milliseconds.
    pub(super) next: u64,
    other_since: Option<u64>,
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing yet.
    NotYet,
    /// It listens on the planned port.
    Ready,
    /// It listens, but elsewhere.
    Elsewhere(Vec<u16>),
}

impl Probe {
    pub(super) fn new(port: u16, now: u64) -> Self {
        Probe { port, pause: FIRST_MS, next: now + FIRST_MS, other_since: None }
    }

    /// Looks at what `tree` listens on.
    pub(super) fn look(&mut self, tree: &Tree, now: u64) -> Look {
        self.pause = (self.pause * 2).min(LONGEST_MS);
        self.next = now + self.pause;
        let Ok(listeners) = sockets::listeners() else { return Look::NotYet };
        if listeners.is_empty() {
            return Look::NotYet;
        }
        let ports = inspect::ports_of(tree.members().into_iter().map(|member| member.pid), &listeners);
        self.judge(&ports, now)
    }

    fn judge(&mut self, ports: &[u16], now: u64) -> Look {
        if ports.contains(&self.port) {
            return Look::Ready;
        }
        if ports.is_empty() {
            return Look::NotYet;
        }
        let since = *self.other_since.get_or_insert(now);
        if now - since >= OTHER_MS { Look::Elsewhere(ports.to_vec()) } else { Look::NotYet }
    }
}

/// The receiving end of `NOTIFY_SOCKET` (`sd_notify(3)`).
#[derive(Debug)]
pub(super) struct Notify(UnixDatagram);

/// What a program said of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// READY=1.
    pub(super) ready: bool,
    /// STATUS=…
    pub(super) status: Option<String>,
    /// STOPPING=1.
    pub(super) stopping: bool,
}

impl Notify {
    pub(super) fn bind(path: &Path) -> Result<Self> {
        let failed = |error| Error::io("listen at", path, &error);
        let socket = unix::receive(path).map_err(failed)?;
        fd::set_nonblocking(&socket).map_err(failed)?;
        Ok(Notify(socket))
    }

    /// Everything that was said since the last call.
    pub(super) fn drain(&self) -> Said {
        let mut said = Said::default();
        let mut buffer = [0u8; 4096];
        while let Ok(count) = self.0.recv(&mut buffer) {
            said.hear(&String::from_utf8_lossy(&buffer[..count]));
        }
        said
    }
}

impl AsFd for Notify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Said {
    fn hear(&mut self, message: &str) {
        for line in message.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => self.ready = true,
                Some(("STOPPING", "1")) => self.stopping = true,
                Some(("STATUS", text)) => self.status = Some(text.chars().take(200).collect()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_port_counts_only_after_the_planned_one_had_its_chance() {
        let mut probe = Probe::new(3000, 0);
        assert_eq!(probe.judge(&[], 10), Look::NotYet);
        assert_eq!(probe.judge(&[5000], 20), Look::NotYet);
        assert_eq!(probe.judge(&[5000], 519), Look::NotYet);
        assert_eq!(probe.judge(&[5000], 520), Look::Elsewhere(vec![5000]));
        assert_eq!(probe.judge(&[3000, 5000], 521), Look::Ready);
    }

    #[test]
    fn what_a_program_says_is_read_line_by_line() {
        let mut said = Said::default();
        said.hear("STATUS=loading\nX=1\nnonsense");
        said.hear("READY=1\nSTATUS=up");
        assert_eq!(said, Said { ready: true, status: Some("up".into()), stopping: false });
    }
}
