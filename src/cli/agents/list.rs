//! `tsm agents` alone: the sessions as a table.

use std::path::Path;

use anstyle::Style;

use super::looker::{Looker, document, managed, tracked};
use super::watch;
use crate::agents::{AgentState, Session};
use crate::cli::context::Context;
use crate::error::Result;
use crate::inspect::View;
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::render::{human, style};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Those of other homes as well: of containers, sandboxes and tests that run as you.
    #[arg(long)]
    pub(super) all: bool,
    /// Go on and show what changes; Ctrl-C ends it.
    #[arg(short, long)]
    watch: bool,
    /// Print a JSON array; with --watch one JSON object a line for each change.
    #[arg(long)]
    pub(super) json: bool,
}

/// As much as `permission prompt`: what a session waits for is read before all that stands beside it.
const REASON: usize = 17;

/// Of the last one, only where a session is a process of TSM.
const COLUMNS: [Column; 12] = [
    Column::new("SESSION").flexible(8, Cut::End),
    Column::new("AGENT").drop(4),
    Column::new("STATE"),
    Column::new("SINCE").right(),
    Column::new("REASON").flexible(REASON, Cut::End),
    Column::new("PROJECT").drop(1).flexible(8, Cut::Middle),
    Column::new("BRANCH").drop(2).flexible(8, Cut::Middle),
    Column::new("PREVIEW").drop(3).flexible(12, Cut::End),
    Column::new("PID").right().drop(5),
    Column::new("MEM").right().drop(7),
    Column::new("PORTS").drop(6).flexible(5, Cut::End),
    Column::new("MANAGED").drop(8).flexible(7, Cut::Middle),
];

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.watch {
        return watch::run(context, args);
    }
    let mut looker = Looker::new(context, args.all);
    looker.look();
    let views = tracked(context);
    if args.json {
        let documents: Vec<_> = looker.sessions().iter().map(|one| document(one, &views)).collect();
        return context.output.json(&documents);
    }
    if looker.sessions().is_empty() {
        context.output.remark("no coding agent runs");
    } else {
        context.output.table(&table(looker.sessions(), &views, looker.now_ms()))?;
    }
    if let Some(remark) = elsewhere(looker.hidden()).filter(|_| context.output.terminal) {
        context.output.remark(&remark);
    }
    Ok(())
}

/// That there are more.
pub(super) fn elsewhere(hidden: usize) -> Option<String> {
    match hidden {
        0 => None,
        1 => Some("1 agent of another home is not shown: tsm agents --all".into()),
        _ => Some(format!("{hidden} agents of other homes are not shown: tsm agents --all")),
    }
}

/// The sessions, at `now_ms`.
pub(super) fn table(sessions: &[Session], views: &[View], now_ms: u64) -> Table {
    let managed: Vec<Option<View>> = sessions.iter().map(|one| managed(one, views)).collect();
    let columns = COLUMNS.len() - usize::from(managed.iter().all(Option::is_none));
    let mut table = Table::new(&COLUMNS[..columns]);
    for (session, managed) in sessions.iter().zip(&managed) {
        table.row(cells(session, managed.as_ref(), now_ms));
    }
    table
}

fn cells<'a>(session: &'a Session, managed: Option<&View>, now_ms: u64) -> [Cell<'a>; 12] {
    let since = session.since_ms.or(session.waiting_since_ms);
    let ports: Vec<String> = session.ports.iter().map(u16::to_string).collect();
    let cwd = || session.cwd.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    [
        Cell::new(session.title()),
        Cell::new(session.agent.as_str()),
        Cell::show(session.state).styled(colour(session.state)),
        Cell::maybe(since.map(|since| human::age(now_ms.saturating_sub(since)))),
        Cell::new(session.reason.as_str()),
        Cell::maybe(session.project_name().or_else(cwd)),
        Cell::maybe(session.git_branch.as_ref().or(session.worktree.as_ref())),
        Cell::maybe(session.preview.as_ref()),
        Cell::show(session.pid()),
        Cell::new(human::bytes(session.memory_bytes)),
        Cell::new(ports.join(",")),
        Cell::maybe(managed.map(|view| &view.name)),
    ]
}

/// The colour of a state: what waits for the user is what he looks for.
pub(super) const fn colour(state: AgentState) -> Style {
    match state {
        AgentState::NeedsInput => style::WARNING.bold(),
        AgentState::Idle => style::HINT,
        AgentState::Working => style::GOOD,
        AgentState::Unknown => style::DIM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_counted_in_words() {
        assert_eq!(elsewhere(0), None);
        assert!(elsewhere(1).unwrap().starts_with("1 agent of another home is"));
        assert!(elsewhere(2).unwrap().starts_with("2 agents of other homes are"));
    }
}
