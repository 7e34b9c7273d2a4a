//! `tsm list`: what runs, what is available, what is tracked.

use std::mem::ManuallyDrop;

use serde::Serialize;

use super::context::Context;
use super::{agents, by_agent, services};
use crate::error::{Error, Result};
use crate::inspect::{Table as Processes, View};
use crate::model::{Killed, State};
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::render::{human, style};

/// Show the processes, or the services that could be started.
///
/// `running` (the default) is everything that is or should be up, `all` adds what was stopped or has ended, `available`
/// shows the service definitions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm list --json | jq '.[].name'\n  tsm list --by-agent")]
pub(super) struct Args {
    /// What to show: running, available or all.
    #[arg(value_enum, default_value_t = What::Running, hide_default_value = true)]
    what: What,
    /// Group them by the coding agent from inside of which they were started.
    #[arg(long)]
    by_agent: bool,
    /// Print a JSON array; with --by-agent one of the groups.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Running,
    Available,
    All,
}

const COLUMNS: [Column; 11] = [
    Column::new("ID").right(),
    Column::new("NAME").flexible(16, Cut::Middle),
    Column::new("ENV").drop(4).flexible(5, Cut::End),
    Column::new("PID").right().drop(3),
    Column::new("PORT").right(),
    Column::new("STATUS"),
    Column::new("TYPE").drop(6),
    Column::new("UPTIME").right().drop(1),
    Column::new("CPU").right().drop(5),
    Column::new("MEM").right().drop(2),
    Column::new("↺").right().drop(7),
];

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.what == What::Available && args.by_agent {
        return Err(Error::usage("--by-agent is for processes, and a service that is available is none")
            .hint("tsm list all --by-agent"));
    }
    if args.what == What::Available {
        return services::list(context, args.json);
    }
    // The program ends after this: to take a thousand views apart again is a tenth of the time it takes to make them.
    let (everything, processes) = context.all_in_table();
    let everything = ManuallyDrop::new(everything);
    let hidden = everything.iter().filter(|view| !view.status.listed()).count();
    let shown: Vec<&View> =
        everything.iter().filter(|view| args.what == What::All || view.status.listed()).collect();
    if args.json && args.by_agent {
        return context.output.json(&by_agent::groups(context, &shown));
    }
    if args.json {
        return context.output.json(&shown);
    }
    if shown.is_empty() {
        let (remark, next) = match hidden {
            0 => ("nothing is running".to_owned(), "tsm start python -m http.server"),
            1 => ("nothing is running; 1 process has ended or was stopped".to_owned(), "tsm list all"),
            _ => {
                (format!("nothing is running; {hidden} processes have ended or were stopped"), "tsm list all")
            }
        };
        context.output.advise(&remark, next);
        agents::remark(context, processes);
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    if args.by_agent {
        for group in by_agent::groups(context, &shown) {
            table.heading(&group.title());
            for view in &group.processes {
                table.row(cells(view));
            }
        }
    } else {
        for view in &shown {
            table.row(cells(view));
        }
    }
    context.output.table(&table)?;
    for view in &shown {
        if let Some(remark) = remark(view) {
            context.output.remark(&format!("{}: {remark}", view.name));
        }
    }
    agents::remark(context, processes);
    Ok(())
}

/// What in a row is not as planned and needs words.
fn remark(view: &View) -> Option<String> {
    let planned = view.port.filter(|port| !view.ports.is_empty() && !view.ports.contains(port));
    if let Some(port) = planned {
        let real = view.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        return Some(format!("listens on {real}, not on the planned port {port}"));
    }
    let worth_words =
        !matches!(view.status, State::Online | State::Starting | State::Stopped | State::Exited);
    view.note.clone().filter(|_| worth_words)
}

fn cells(view: &View) -> [Cell<'_>; 11] {
    let env = view.env_file.as_deref().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    let shown = match view.port.filter(|port| view.ports.is_empty() || view.ports.contains(port)) {
        Some(port) => Some(port),
        None => view.ports.first().copied(),
    };
    [
        Cell::maybe(view.id),
        Cell::new(view.name.as_str()),
        Cell::maybe(env),
        Cell::maybe(view.pid),
        Cell::maybe(shown),
        Cell::show(view.status).styled(style::state(view.status)),
        Cell::show(view.kind),
        Cell::maybe(view.uptime_ms.map(human::age)),
        Cell::maybe(view.cpu_percent.map(human::percent)),
        Cell::maybe(view.memory_bytes.map(human::bytes)),
        Cell::show(view.restarts),
    ]
}

/// One line about everything, for `tsm` alone, and the processes that it was read from as of [`Context::all_in_table`].
pub(super) fn summary(context: &Context) -> (String, Option<Processes>) {
    let (all, processes) = context.all_in_table();
    let count = |test: &dyn Fn(&State) -> bool| all.iter().filter(|view| test(&view.status)).count();
    let parts: Vec<String> = [
        (count(&|state| *state == State::Online), "online"),
        (count(&|state| matches!(state, State::Starting | State::Backoff | State::Stopping)), "changing"),
        (count(&|state| matches!(state, State::Errored | State::Unsupervised)), "in trouble"),
        (count(&|state| !state.listed()), "not running"),
    ]
    .into_iter()
    .filter(|(count, what)| *count > 0 || *what == "online")
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    (parts.join(", "), processes)
}

/// What a verb did to one process, for `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    /// The name.
    pub(super) name: String,
    /// The TSM ID.
    pub(super) id: Option<u32>,
    /// What was done: `stopped`, `restarted`, `deleted`, …
    #[serde(rename = "done")]
    pub(super) what: &'static str,
    /// What had to be killed.
    pub(super) killed: Vec<Killed>,
}
