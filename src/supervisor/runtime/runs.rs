//! One run of the program, from the reading of its environment file to the end of its last process.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use super::{Supervisor, rules};
use crate::envfile;
use crate::error::{Error, Result};
use crate::model::{EnvSource, Exit, Kind, Spec};
use crate::store;
use crate::supervisor::child;
use crate::supervisor::env_reader::EnvReader;
use crate::supervisor::environment::{self, Var};
use crate::supervisor::lifeline::Tie;
use crate::supervisor::machine::Event;
use crate::supervisor::ready::{Look, Probe};
use crate::supervisor::rotate::Rotator;
use crate::sys::reaper::{self, Reaped};
use crate::sys::signals::KILL;
use crate::sys::{clock, poll, process};

/// How often a tree that was killed is looked at, a millisecond apart, before it is left to the kernel.
const CLEARING_LOOKS: usize = 1_000;

impl Supervisor {
    pub(super) fn base(&self) -> Vec<Var> {
        environment::captured(std::env::vars_os())
    }

    /// The whole environment of a program of this run.
    pub(super) fn environment(&self, spec: &Spec) -> Vec<Var> {
        environment::compose(&self.base(), &self.overlay.set, &self.overlay.unset, spec, &self.dir)
    }

    pub(super) fn read_env(&mut self, now: u64) -> Option<Event> {
        if self.reader.take().is_some() {
            self.clear();
        }
        // What is started from here on is a child of this supervisor.
        self.tree.adopted = None;
        self.ended_with = None;
        if std::mem::take(&mut self.spec_changed)
            && let Some(spec) = store::read_spec(&self.dir).found()
        {
            self.machine.set_rules(rules(&spec));
            self.rotator = Rotator::new(self.layout.log(&spec.name), spec.policy.log, now);
            self.tie = spec.lifeline.as_ref().map(|lifeline| Tie::new(lifeline, &self.boot_id, now));
            self.spec = spec;
        }
        self.overlay = envfile::Overlay::default();
        let Some(file) = self.spec.env_file.clone() else { return Some(Event::EnvRead) };
        let failed = |error: &Error| Some(Event::EnvFailed(error.message().to_owned()));
        match file.source {
            EnvSource::Named => match EnvReader::begin(&file.path, &self.spec.dir, &self.base(), now) {
                Ok(reader) => {
                    self.reader = Some(reader);
                    None
                }
                Err(error) => failed(&error),
            },
            EnvSource::Found => {
                let base = self.base();
                let lookup = |name: &str| {
                    base.iter()
                        .find(|(key, _)| key == name)
                        .map(|(_, value)| value.to_string_lossy().into_owned())
                };
                match envfile::read_found(&file.path, &lookup) {
                    Ok((set, _)) => {
                        self.overlay.set = set;
                        Some(Event::EnvRead)
                    }
                    Err(error) => failed(&error),
                }
            }
        }
    }

    /// Ends whatever is below this supervisor, without asking, and waits for the end of it.
    pub(super) fn clear(&self) {
        for _ in 0..CLEARING_LOOKS {
            if self.tree.members().is_empty() {
                return;
            }
            self.tree.signal(KILL);
            poll::pause(Duration::from_millis(1));
            while matches!(reaper::reap(), Reaped::Ended { .. }) {}
        }
    }

    pub(super) fn spawn(&mut self) -> Result<()> {
        self.log = Rc::new(child::open_log(&self.layout, &self.spec)?);
        let env = self.environment(&self.spec);
        // Nobody is left who could say it of the coming run.
        let _ = self.notify.drain();
        let size = self.log.metadata().map_or(0, |facts| facts.len());
        let pid = child::execute(&self.spec, &env, &self.dir, &self.log)?;
        let now = clock::monotonic_ms();
        // Its own child cannot be reaped by anybody else, so the process is there, be it as a zombie.
        self.main = process::read(pid).map(|process| process.identity());
        self.run += 1;
        self.started_ms = clock::wall_ms();
        self.run_log = self.log_base + size;
        self.killed.clear();
        self.remark = None;
        self.probe =
            self.spec.port.filter(|_| self.spec.kind == Kind::Port).map(|port| Probe::new(port, now));
        self.write_pid_file();
        Ok(())
    }

    pub(super) fn write_pid_file(&self) {
        let path = self.layout.pid_file(&self.spec.name);
        // A convenience for scripts: without it everything else still works.
        let _ = match self.main {
            Some(main) => {
                store::write(&path, format!("{}\n", main.pid).as_bytes(), store::Durability::Cached)
            }
            None => fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error)),
        };
    }

    /// Collects the children that ended.
    pub(super) fn reap(&mut self, now: u64) {
        let mut main_exit = None;
        let mut reader_code = None;
        let children = loop {
            match reaper::reap() {
                Reaped::Ended { pid, code, signal } => {
                    if self.main.is_some_and(|main| main.pid == pid) {
                        main_exit = Some(Exit { code, signal, at_ms: clock::wall_ms() });
                    } else if self.reader.as_ref().is_some_and(|reader| reader.pid == pid) {
                        reader_code = Some(code);
                    }
                }
                Reaped::NoneEnded => break true,
                Reaped::NoChildren => break false,
            }
        };
        let main_exit = main_exit.or_else(|| self.unknown_end());
        let ended = main_exit.is_some() || self.main.is_none();
        if let Some(code) = reader_code {
            return self.env_read(code, now);
        }
        if let Some(exit) = main_exit {
            self.ended_pid = self.main.take().map(|main| main.pid.get());
            self.watch = None;
            self.write_pid_file();
            let leftovers = !self.tree.is_empty(children);
            self.feed(Event::MainEnded { exit, leftovers }, now);
        } else if ended && self.tree.is_empty(children) {
            self.feed(Event::TreeEmpty, now);
        }
    }

    pub(super) fn env_read(&mut self, code: Option<i32>, now: u64) {
        let Some(reader) = self.reader.take() else { return };
        let event = match reader.finish(code, &self.base()) {
            Ok(overlay) => {
                self.overlay = overlay;
                Event::EnvRead
            }
            Err(error) => Event::EnvFailed(error.message().to_owned()),
        };
        self.feed(event, now);
    }

    pub(super) fn hear_program(&mut self, now: u64) {
        let said = self.notify.drain();
        if said.status.is_some() {
            self.remark = said.status;
        } else if said.stopping {
            self.remark = Some("it says that it is stopping".into());
        }
        if said.ready {
            self.feed(Event::Ready, now);
        } else {
            let _ = self.publish();
        }
    }

    pub(super) fn look_for_ports(&mut self, now: u64) {
        let Some(probe) = self.probe.as_mut().filter(|probe| now >= probe.next) else { return };
        match probe.look(&self.tree, now) {
            Look::NotYet => {}
            Look::Ready => self.feed(Event::Ready, now),
            Look::Elsewhere(ports) => {
                let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                let planned = self.spec.port.unwrap_or_default();
                self.remark = Some(format!("it listens on {ports}, not on the planned port {planned}"));
                self.feed(Event::Ready, now);
            }
        }
    }
}
