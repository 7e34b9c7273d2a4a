//! What a supervisor answers to its clients.

use serde_json::json;

use super::Supervisor;
use crate::control::message::{Request, StatusReply, error_line, line};
use crate::control::server::Token;
use crate::error::{Error, Result};
use crate::supervisor::child;
use crate::supervisor::health::{self, Health};
use crate::supervisor::machine::Event;
use crate::supervisor::waiters::Moment;
use crate::sys::signals::HUP;
use crate::sys::{clock, pidfd};

impl Supervisor {
    pub(super) fn request(&mut self, token: Token, request: Request, now: u64) {
        let reply = match request {
            Request::Status => line(&StatusReply::of(&self.status(), clock::wall_ms())),
            Request::Health => {
                let state = self.machine.state();
                match health::begin(token, state, self.spec.kind, self.spec.port, &self.tree, now) {
                    Health::Now(value) => line(&value),
                    Health::Later(check) => {
                        self.checks.push(check);
                        return;
                    }
                }
            }
            Request::Declared => line(&json!({ "ok": true, "names": self.declared() })),
            Request::Reload => match self.reload() {
                Ok(()) => line(&json!({ "ok": true, "reloading": true })),
                Err(error) => error_line(error.message()),
            },
            Request::Stop | Request::Kill => {
                // Said before it is done: doing it may be the last thing that this supervisor does.
                self.server.reply(token, &line(&json!({ "ok": true, "stopping": true })));
                self.signalled = false;
                let event = if request == Request::Stop { Event::Stop } else { Event::Kill };
                return self.feed(event, now);
            }
            Request::Restart => {
                self.spec_changed = true;
                self.signalled = false;
                self.server.reply(token, &line(&json!({ "ok": true, "restarting": true })));
                return self.feed(Event::Restart, now);
            }
            Request::Wait(until) => {
                let moment = self.moment();
                self.waiters.retain(|other| other != token && self.server.has(other));
                self.waiters.add(token, until, moment);
                return self.answer_waiters();
            }
        };
        self.server.reply(token, &reply);
    }

    /// What the environment file, the settings and the plan set for the program; none for a run that another supervisor
    /// began, which alone knew what the file had said.
    fn declared(&self) -> Option<Vec<&str>> {
        if self.tree.adopted.is_some() {
            return None;
        }
        let port = self.spec.port.map(|_| "PORT");
        let mut names: Vec<&str> =
            self.overlay.set.keys().chain(self.spec.env_vars.keys()).map(String::as_str).collect();
        names.extend(port);
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    pub(super) fn reload(&mut self) -> Result<()> {
        let Some(main) = self.main else {
            return Err(Error::failed(format!("{} is not running", self.spec.name)));
        };
        let Some(command) = self.spec.policy.reload.clone() else {
            return pidfd::Handle::open(&main)
                .ok_or_else(|| Error::failed(format!("{} is not running", self.spec.name)))?
                .signal(HUP)
                .map_err(|error| Error::failed(format!("cannot signal PID {}: {error}", main.pid)));
        };
        let mut spec = self.spec.clone();
        spec.argv = vec!["bash".into(), "-c".into(), command];
        let mut env = self.environment(&spec);
        env.push(("MAINPID".into(), main.pid.to_string().into()));
        child::execute(&spec, &env, &self.dir, &self.log).map(|_| ())
    }

    pub(super) fn answer_checks(&mut self, ready: &[bool], now: u64) {
        for (at, check) in std::mem::take(&mut self.checks).into_iter().enumerate() {
            let is_ready = ready.get(at).copied().unwrap_or(false);
            if is_ready || now >= check.deadline {
                self.server.reply(check.token, &line(&check.answer(is_ready)));
            } else if self.server.has(check.token) {
                self.checks.push(check);
            }
        }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { state: self.machine.state(), run: self.run, another: self.machine.another_run() }
    }

    pub(super) fn answer_waiters(&mut self) {
        let due = self.waiters.due(self.moment());
        if due.is_empty() {
            return;
        }
        let reply = line(&StatusReply::of(&self.status(), clock::wall_ms()));
        for token in due {
            self.server.reply(token, &reply);
        }
    }
}
