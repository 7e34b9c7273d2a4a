//! What the daemon answers by itself, and what it has to run for an answer.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::agents::Seen;
use super::capture;
use super::jobs::Work;
use super::methods::Method;
use super::params::{AgentsList, Label, List, ListWhat, Logs, Nothing, Shutdown};
use super::protocol::{Failure, Form};
use super::runtime::{Daemon, Then};
use super::server::Token;
use crate::agents::SessionInfo;
use crate::error::Error;
use crate::inspect::View;
use crate::sys::clock;

/// What a method of the daemon's own gives.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Reply {
    Value(Value),
    /// Not as values: they would take longer than all else.
    List(Vec<View>),
}

/// What a request leads to.
#[derive(Debug)]
pub(super) enum Course {
    /// An answer at once.
    Answer(Reply),
    /// An answer when this is done.
    Job(Work, Then),
}

impl Course {
    fn verb(words: &[&str], rest: Vec<String>, then: Then) -> Self {
        Course::Job(Work::Verb(words.iter().map(|word| (*word).to_owned()).chain(rest).collect()), then)
    }
}

impl Daemon {
    /// What to do about a request.
    pub(super) fn course(
        &mut self,
        token: Token,
        method: &'static Method,
        params: Map<String, Value>,
        form: &Form,
    ) -> Result<Course, Failure> {
        match method.name {
            // Whether the logs are there is told before anything is followed.
            "logs.subscribe" => {
                let wanted = method.params::<Logs>(params.clone())?;
                Ok(Course::verb(&["logs", "--json", "--lines=0", "--"], wanted.refs, Then::Follow(params)))
            }
            "shutdown" if method.params::<Shutdown>(params.clone())?.with_processes => {
                Ok(Course::verb(&["stop", "--json", "all"], Vec::new(), Then::End))
            }
            "agents.list" => {
                let wanted = method.params::<AgentsList>(params)?;
                if wanted.all {
                    let words = ["agents", "--all", "--json"].map(str::to_owned).to_vec();
                    return Ok(Course::Job(Work::Verb(words), Then::Answer));
                }
                Ok(self.of_sessions(wanted.fresh, |seen| json!(seen.documents)))
            }
            "agents.label" => {
                let wanted = method.params::<Label>(params)?;
                let (agents, form) = (Arc::clone(&self.agents), form.clone());
                Ok(Course::Job(Work::call(move || agents.label(&wanted, &form)), Then::Look))
            }
            name if capture::METHODS.contains(&name) => {
                let captures = Arc::clone(&self.captures);
                Ok(Course::Job(Work::call(move || captures.call(method, params)), Then::Answer))
            }
            "list" if *form == Form::Action => {
                let result = serde_json::to_value(self.listed(&method.params(params)?)).unwrap_or_default();
                Ok(self.of_sessions(false, move |seen| {
                    let sessions: Vec<SessionInfo> = seen.sessions.iter().map(SessionInfo::from).collect();
                    json!({"result": result, "sessions": sessions})
                }))
            }
            _ if method.verb.is_some() => {
                let then = if method.name.starts_with("agents.") { Then::Look } else { Then::Answer };
                Ok(Course::Job(Work::Verb(method.words(&params)?), then))
            }
            _ => self.answer(token, method, params).map(Course::Answer),
        }
    }

    /// The daemon's own methods.
    fn answer(
        &mut self,
        token: Token,
        method: &Method,
        params: Map<String, Value>,
    ) -> Result<Reply, Failure> {
        let value = match method.name {
            "ping" => {
                method.params::<Nothing>(params)?;
                json!({"pong": true})
            }
            "status" => {
                method.params::<Nothing>(params)?;
                self.status()
            }
            "metrics" => {
                method.params::<Nothing>(params)?;
                Value::String(self.metrics())
            }
            "list" => return Ok(Reply::List(self.listed(&method.params(params)?))),
            "events.subscribe" => {
                self.tell_events();
                let now = self.journal.seq();
                self.subscriptions.add_events(token, method.params(params)?, now, &mut self.server)?
            }
            "agents.subscribe" => {
                method.params::<Nothing>(params)?;
                self.subscriptions.add_agents(token, &self.agents.seen(), &mut self.server)?
            }
            "shutdown" => {
                method.params::<Shutdown>(params)?;
                self.files.log("asked to end by a client");
                self.end(clock::monotonic_ms());
                json!({"stopping": true})
            }
            other => return Err(Failure::of(&Error::failed(format!("{other} is not answered")))),
        };
        Ok(Reply::Value(value))
    }

    pub(super) fn views(&mut self) -> Vec<View> {
        self.registry.views(&self.layout)
    }

    fn listed(&mut self, wanted: &List) -> Vec<View> {
        let what = wanted.what.unwrap_or(ListWhat::Running);
        let mut views = self.views();
        views.retain(|view| what == ListWhat::All || view.status.listed());
        views
    }

    /// What `then` makes of the sessions: at once of young ones, else after a look.
    fn of_sessions(&self, fresh: bool, then: impl FnOnce(&Seen) -> Value + Send + 'static) -> Course {
        let now = Instant::now();
        if let Some(seen) = self.agents.young(if fresh { now } else { self.looked }) {
            return Course::Answer(Reply::Value(then(&seen)));
        }
        let agents = Arc::clone(&self.agents);
        Course::Job(Work::call(move || Ok(then(&agents.look(now)))), Then::Answer)
    }

    fn status(&mut self) -> Value {
        let state = &self.files.state;
        let uptime = clock::wall_ms().saturating_sub(state.started_ms);
        let requests: u64 = self.counts.values().map(|count| count.requests).sum();
        json!({
            "running": true,
            "pid": state.pid,
            "version": state.version,
            "socket": state.socket,
            "started_ms": state.started_ms,
            "uptime_ms": uptime,
            "connections": self.server.connections(),
            "subscriptions": self.subscriptions.len(),
            "activeSessions": self.captures.active(),
            "requests": requests,
            "refused": self.server.refused,
            "seq": self.journal.seq(),
            "unlimited": self.unlimited,
        })
    }
}
