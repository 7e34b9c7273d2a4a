//! What a supervisor writes down: the state, and at the end the last word.

use std::fs;

use super::Supervisor;
use crate::error::Result;
use crate::model::{State, Status};
use crate::store;
use crate::sys::clock;

impl Supervisor {
    pub(super) fn status(&self) -> Status {
        Status {
            schema: Status::SCHEMA,
            id: self.spec.id,
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            command: self.spec.command.clone(),
            cwd: self.spec.dir.clone(),
            env_file: self.spec.env_file.as_ref().map(|file| file.path.clone()),
            port: self.spec.port,
            started_by: self.spec.started_by.clone(),
            log_path: self.layout.log(&self.spec.name),
            state: self.machine.state(),
            main: self.main,
            supervisor: Some(self.me),
            adopted: self.tree.adopted.is_some(),
            signalled: self.signalled,
            boot_id: self.boot_id.clone(),
            started_ms: self.started_ms,
            run: self.run,
            restarts: self.machine.restarts(),
            exit: self.machine.exit(),
            retry_ms: self
                .deadline
                .filter(|_| self.machine.state() == State::Backoff)
                .map(|at| clock::wall_ms() + at.saturating_sub(clock::monotonic_ms())),
            note: self.ended_with.clone().or_else(|| self.note()),
            killed: self.killed.clone(),
            log_base: self.log_base,
            run_log: self.run_log,
        }
    }

    fn note(&self) -> Option<String> {
        let shutdown = self.signalled && self.machine.state() == State::Stopped;
        let told =
            shutdown.then(|| "its supervisor was told to end by a signal, as at a shutdown".to_owned());
        self.machine.note().map(str::to_owned).or(told).or_else(|| self.remark.clone())
    }

    /// Writes `status.json` when there is news.
    pub(super) fn publish(&mut self) -> Result<()> {
        let status = self.status();
        if self.published.as_ref() == Some(&status) {
            return Ok(());
        }
        let written = store::write_status(&self.dir, &status);
        self.published = written.is_ok().then_some(status);
        written
    }

    /// The last words: what is on the disk must be final before anybody is told.
    pub(super) fn finish(&mut self) {
        self.reader = None;
        // What an env file has left, when no program came of it.
        self.clear();
        self.main = None;
        let _ = self.publish();
        self.tidy();
        self.answer_waiters();
    }

    pub(super) fn tidy(&mut self) {
        self.main = None;
        self.write_pid_file();
        let _ = fs::remove_file(self.dir.socket());
        let _ = fs::remove_file(self.dir.notify());
    }
}
