//! The tracked processes by the agent from inside of which they were started.

use serde::Serialize;

use super::agents;
use super::context::Context;
use crate::agents::{Files, Labels, Session, Watcher};
use crate::inspect::{StartedBy, View};
use crate::model::Starter;
use crate::sys::clock;

/// How much of a session ID is shown.
const SHORT: usize = 8;

/// The processes of one agent, or those of none.
#[derive(Debug, Serialize)]
pub(super) struct Group<'a> {
    /// The agent; none for what was not started by one.
    agent: Option<&'a StartedBy>,
    /// What the user calls its session.
    label: Option<String>,
    /// The session that it has now, or had when it was last seen.
    session_id: Option<String>,
    /// Its processes.
    pub(super) processes: Vec<&'a View>,
}

impl Group<'_> {
    /// `claude cart (PID 123)`, `claude (PID 123, ended)`, `no agent`.
    pub(super) fn title(&self) -> String {
        let Some(StartedBy { starter: Starter { what, identity, .. }, alive }) = self.agent else {
            return "no agent".to_owned();
        };
        let short = |id: &str| id.chars().take(SHORT).collect();
        // The ID of a session that has ended is nothing that one could type.
        let id = self.session_id.as_deref().filter(|_| *alive).map(short);
        let name = self.label.clone().or(id).map(|name| format!(" {name}")).unwrap_or_default();
        let ended = if *alive { "" } else { ", ended" };
        format!("{what}{name} (PID {}{ended})", identity.pid)
    }
}

/// These processes by their agents, in the order of the first of each; those of none are the last.
pub(super) fn groups<'a>(context: &Context, views: &[&'a View]) -> Vec<Group<'a>> {
    let sessions = sessions(context, views);
    let labels = labels(context, views);
    let mut groups: Vec<Group> = Vec::new();
    let mut others = Vec::new();
    for view in views {
        let Some(by) = &view.started_by else {
            others.push(*view);
            continue;
        };
        let is_same =
            |known: &Starter| known.identity == by.starter.identity && known.boot_id == by.starter.boot_id;
        let known = groups.iter().position(|group| group.agent.is_some_and(|known| is_same(&known.starter)));
        if let Some(at) = known {
            groups[at].processes.push(view);
            continue;
        }
        let session = sessions.iter().find(|one| by.alive && one.identity == by.starter.identity);
        let now = session.and_then(|session| session.session_id.clone());
        let session_id = now.or_else(|| by.starter.session_id.clone());
        let by_id = || labels.get(session_id.as_deref()?);
        let label = session.and_then(|session| labels.of(session)).or_else(by_id).map(str::to_owned);
        groups.push(Group { agent: Some(by), label, session_id, processes: vec![view] });
    }
    if !others.is_empty() {
        groups.push(Group { agent: None, label: None, session_id: None, processes: others });
    }
    groups
}

/// What runs now, if any of the agents does.
fn sessions(context: &Context, views: &[&View]) -> Vec<Session> {
    let any = views.iter().any(|view| view.started_by.as_ref().is_some_and(|by| by.alive));
    if any { Watcher::new(agents::config(context, false).0).look(clock::wall_ms()) } else { Vec::new() }
}

fn labels(context: &Context, views: &[&View]) -> Labels {
    if views.iter().all(|view| view.started_by.is_none()) {
        return Labels::default();
    }
    Labels::load(&Files::of(&context.layout)).unwrap_or_else(|error| {
        context.output.remark(&format!("no labels are shown: {}", error.message()));
        Labels::default()
    })
}
