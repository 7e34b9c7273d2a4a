//! A run that another supervisor began: its processes are nobody's children here.

use std::fs;

use super::Supervisor;
use crate::error::{Error, Result};
use crate::model::{Exit, Kind};
use crate::store;
use crate::supervisor::handoff::Running;
use crate::supervisor::machine::Event;
use crate::supervisor::ready::Probe;
use crate::sys::pidfd::Handle;
use crate::sys::{clock, process};

impl Supervisor {
    /// Goes on with the run of `running`, which goes on all the while; a failure leaves what was on the disk.
    pub(super) fn take_over(&mut self, running: &Running, restarts: u32) -> Result<()> {
        let took = self.adopt(running, restarts);
        if took.is_err() {
            let _ = fs::remove_file(self.dir.socket());
            let _ = fs::remove_file(self.dir.notify());
        }
        took
    }

    fn adopt(&mut self, running: &Running, restarts: u32) -> Result<()> {
        // As after a start: no directory of the caller's is kept busy.
        let _ = std::env::set_current_dir("/");
        let Some(watch) = Handle::open(&running.main) else {
            return Err(Error::failed(format!("PID {} has ended just now", running.main.pid)));
        };
        let before = store::read_status(&self.dir).found();
        let now = clock::monotonic_ms();
        self.main = Some(running.main);
        self.watch = Some(watch);
        self.tree.adopted = self.main;
        // Somebody wants it to go on although that other process has ended meanwhile.
        self.tie.take_if(|tie| tie.is_over());
        // With its record broken, a process can still say when it was started itself.
        let age_ms = process::age_ms(running.main.start, process::clock());
        self.started_ms = before
            .as_ref()
            .map_or_else(|| clock::wall_ms().saturating_sub(age_ms), |status| status.started_ms);
        self.run = self.run.max(1);
        self.run_log = before.as_ref().map_or(0, |status| status.run_log);
        let before_it = self.machine.state();
        let adopted = Event::Adopted {
            ready: running.ready,
            followed: running.followed,
            exit: before.and_then(|status| status.exit),
        };
        self.machine.go_on_from(restarts);
        for effect in self.machine.on(adopted.clone(), now) {
            self.perform(effect, now);
        }
        if !running.ready {
            self.probe =
                self.spec.port.filter(|_| self.spec.kind == Kind::Port).map(|port| Probe::new(port, now));
        }
        self.publish()?;
        self.report(&adopted, before_it);
        self.write_pid_file();
        Ok(())
    }

    /// Makes the oldest process of the tree the main one.
    pub(super) fn follow(&mut self) -> Option<Event> {
        self.main = self.tree.oldest();
        // Of what is left, nothing is a child here either.
        if !self.tree.is_ours() {
            self.watch = self.main.as_ref().and_then(Handle::open);
            self.tree.adopted = self.main.or(self.tree.adopted);
        }
        self.write_pid_file();
        match self.main {
            Some(_) => Some(Event::Followed),
            // No child's end will say so later.
            None if !self.tree.is_ours() => Some(Event::TreeEmpty),
            None => None,
        }
    }

    /// The end of a main process that is nobody's child here, of which nothing is known but that it came.
    pub(super) fn unknown_end(&self) -> Option<Exit> {
        self.tree.adopted?;
        let ended = self.main.is_some_and(|main| !process::alive(&main));
        ended.then(|| Exit::unknown(clock::wall_ms()))
    }

    /// True while something is waited for that neither a signal nor a descriptor tells.
    pub(super) fn unseen(&self) -> bool {
        let blind = self.tree.adopted.is_some()
            && self.main.is_some()
            && self.watch.as_ref().and_then(Handle::fd).is_none();
        blind || (!self.tree.is_ours() && self.machine.ending())
    }
}
