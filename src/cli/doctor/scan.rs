//! `tsm doctor scan`: the ports that are listened on, and what is wrong with them.

use serde::Serialize;

use crate::cli::context::Context;
use crate::error::{Error, Result, plain};
use crate::inspect::{self, Planned, PortRow, PortStatus, census, held, user_name};
use crate::render::style;
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::sys::{process, sockets};

/// List the ports that are listened on.
///
/// Development ports, 1024 to 10000, and those of every process that TSM manages. A port is USED, in CONFLICT (a foreign
/// program on a reserved port, or two programs by IPv4 and IPv6), served ELSEWHERE than planned, or reserved and SILENT.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm doctor scan --all")]
#[group(skip)]
pub(super) struct Args {
    /// Every port, not only 1024 to 10000.
    #[arg(long)]
    all: bool,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// The ports that development servers use.
const DEVELOPMENT: std::ops::RangeInclusive<u16> = 1024..=10_000;

const COLUMNS: [Column; 6] = [
    Column::new("PORT").right(),
    Column::new("STATUS"),
    Column::new("TSM"),
    Column::new("PID").right(),
    Column::new("NAME").flexible(12, Cut::Middle).drop(1),
    Column::new("COMMAND").flexible(20, Cut::Middle),
];

/// An element of `tsm doctor scan --json`.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    row: PortRow,
    /// The user who listens, by name or number.
    user: Option<String>,
    /// The command line; empty when it cannot be seen.
    command: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let wanted = |row: &PortRow| args.all || row.tsm || row.name.is_some() || DEVELOPMENT.contains(&row.port);
    let rows: Vec<Shown> = rows(context)?.into_iter().filter(wanted).map(shown).collect();
    if args.json {
        return context.output.json(&rows);
    }
    if rows.is_empty() {
        let (text, next) = if args.all {
            ("nobody listens on any port", "tsm start python -m http.server")
        } else {
            ("nobody listens on a port from 1024 to 10000", "tsm doctor --all")
        };
        context.output.advise(text, next);
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for one in &rows {
        table.row(cells(one));
    }
    context.output.table(&table)?;
    for remark in rows.iter().filter_map(|one| one.row.remark.as_ref()) {
        context.output.advise(&remark.text, &remark.next);
    }
    Ok(())
}

/// Every port, by number.
fn rows(context: &Context) -> Result<Vec<PortRow>> {
    let listeners = sockets::listeners().map_err(|error| {
        Error::failed(format!("cannot read the table of listening sockets: {}", plain(&error)))
    })?;
    let planned: Vec<Planned> = context.all().iter().map(Planned::from).collect();
    Ok(census(&held(&listeners, &inspect::Table::all()), &planned))
}

fn shown(row: PortRow) -> Shown {
    let command = row.pid.map(|pid| process::argv(pid).join(" ")).unwrap_or_default();
    let user = row.pid.and_then(process::owner).or(row.uid).map(user_name);
    Shown { row, user, command }
}

fn cells(one: &Shown) -> [Cell<'_>; 6] {
    let row = &one.row;
    let color = match row.status {
        PortStatus::Used => style::PLAIN,
        PortStatus::Conflict => style::ERROR,
        PortStatus::Elsewhere | PortStatus::Silent => style::WARNING,
    };
    let command = match (row.pid, &one.user) {
        (None, Some(user)) => format!("(user {user})"),
        _ => one.command.clone(),
    };
    [
        Cell::show(row.port),
        Cell::show(row.status).styled(color),
        Cell::new(if row.tsm { "TSM" } else { "" }),
        Cell::maybe(row.pid),
        Cell::maybe(row.name.as_ref()),
        Cell::new(command),
    ]
}
