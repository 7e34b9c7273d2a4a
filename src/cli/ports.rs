//! `tsm ports`: the ports of what TSM manages, and those that directories keep.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::context::Context;
use super::doctor::{parse_port, show_port};
use super::start::runtime_lock;
use crate::error::Result;
use crate::inspect::View;
use crate::model::{Kind, State};
use crate::render::style;
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::store::StickyPorts;
use crate::sys::sockets;

/// Show the ports of processes, planned and real.
///
/// With a port, show who has it: the same as tsm doctor port. A directory keeps the ports that its processes were given;
/// --allocated lists those.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm ports\n  tsm ports 8000           who has that port\n  \
    tsm ports --allocated    which directory keeps which port")]
pub(super) struct Args {
    /// Show who has this port.
    #[arg(value_name = "PORT", value_parser = parse_port, conflicts_with_all = ["allocated", "forget", "range"])]
    port: Option<u16>,
    /// List the ports that directories keep.
    #[arg(long, conflicts_with_all = ["forget", "range"])]
    allocated: bool,
    /// Forget the ports of directories that are gone.
    #[arg(long, conflicts_with = "range")]
    forget: bool,
    /// Print the first and the last port that is given to processes.
    #[arg(long)]
    range: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match args.port {
        Some(port) => show_port(context, port, args.json),
        None if args.allocated => allocated(context, args.json),
        None if args.forget => forget(context, args.json),
        None if args.range => range(context, args.json),
        None => managed(context, args.json),
    }
}

const COLUMNS: [Column; 6] = [
    Column::new("PORT").right(),
    Column::new("LISTENS").right(),
    Column::new("TYPE"),
    Column::new("STATUS"),
    Column::new("ID").right(),
    Column::new("OWNER").flexible(16, Cut::Middle),
];

/// An element of `tsm ports --json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    port: Option<u16>,
    ports: &'a [u16],
    kind: Kind,
    status: State,
    id: Option<u32>,
    owner: &'a str,
    pid: Option<i32>,
    directory: &'a str,
}

fn managed(context: &Context, json: bool) -> Result<()> {
    let views = context.all();
    let mut shown: Vec<&View> = views
        .iter()
        .filter(|view| view.status.listed() && (view.port.is_some() || !view.ports.is_empty()))
        .collect();
    shown.sort_by_key(|view| view.port.or(view.ports.first().copied()));
    if json {
        let all: Vec<Shown<'_>> = shown.iter().map(|view| element(view)).collect();
        return context.output.json(&all);
    }
    if shown.is_empty() {
        context.output.advise("no process that TSM manages has a port", "tsm doctor, for all ports");
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for view in &shown {
        let as_planned = view.port.is_none_or(|port| view.ports.contains(&port));
        let real = view.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        table.row([
            Cell::maybe(view.port),
            Cell::new(real).styled(if as_planned { style::PLAIN } else { style::WARNING }),
            Cell::show(view.kind),
            Cell::show(view.status).styled(style::state(view.status)),
            Cell::maybe(view.id),
            Cell::new(view.name.as_str()),
        ]);
    }
    context.output.table(&table)
}

fn element(view: &View) -> Shown<'_> {
    Shown {
        port: view.port,
        ports: &view.ports,
        kind: view.kind,
        status: view.status,
        id: view.id,
        owner: view.name.as_str(),
        pid: view.pid,
        directory: &view.cwd,
    }
}

fn range(context: &Context, json: bool) -> Result<()> {
    let (first, last) = (*context.settings.port_range.start(), *context.settings.port_range.end());
    if json {
        return context.output.json(&serde_json::json!({ "first": first, "last": last }));
    }
    context.output.line(&format!("{first} {last}"))
}

/// A port that a directory keeps.
#[derive(Debug, Serialize)]
struct Kept {
    port: u16,
    /// `used` when somebody listens there, `reserved` when a process that runs is to listen, else `free`.
    status: &'static str,
    /// The tracked process that has it now.
    owner: Option<String>,
    name: String,
    directory: PathBuf,
    /// The directory is gone.
    gone: bool,
}

fn allocated(context: &Context, json: bool) -> Result<()> {
    let views = context.all();
    let listeners = sockets::listeners().unwrap_or_default();
    let kept = |dir: &Path, name: &str, port: u16| {
        let planned = |view: &&View| view.status.live() && view.port == Some(port);
        let owner = views.iter().find(|view| view.ports.contains(&port)).or(views.iter().find(planned));
        let used = listeners.iter().any(|one| one.port == port);
        Kept {
            port,
            status: if used {
                "used"
            } else if owner.is_some() {
                "reserved"
            } else {
                "free"
            },
            owner: owner.map(|view| view.name.to_string()),
            name: name.to_owned(),
            directory: dir.to_owned(),
            gone: is_gone(dir),
        }
    };
    let mut all: Vec<Kept> =
        StickyPorts::read(&context.layout).all().map(|(dir, name, port)| kept(dir, name, port)).collect();
    all.sort_by(|a, b| (a.port, &a.directory, &a.name).cmp(&(b.port, &b.directory, &b.name)));
    if json {
        return context.output.json(&all);
    }
    if all.is_empty() {
        context.output.remark("no directory keeps a port yet");
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::new("PORT").right(),
        Column::new("STATUS"),
        Column::new("OWNER").flexible(12, Cut::Middle).drop(1),
        Column::new("NAME").flexible(12, Cut::Middle),
        Column::new("DIRECTORY").flexible(16, Cut::Middle),
    ]);
    for one in &all {
        table.row([
            Cell::show(one.port),
            Cell::new(one.status),
            Cell::maybe(one.owner.as_ref()),
            Cell::new(one.name.as_str()),
            Cell::new(one.directory.to_string_lossy()),
        ]);
    }
    context.output.table(&table)?;
    let gone = all.iter().filter(|one| one.gone).count();
    if gone > 0 {
        let text = format!("{} of a directory that is gone", ports(gone));
        context.output.advise(&text, "tsm ports --forget");
    }
    Ok(())
}

fn forget(context: &Context, json: bool) -> Result<()> {
    let layout = &context.layout;
    // Nothing to lock, and nothing to be made, where nothing was ever kept.
    let forgotten = if layout.ports().exists() {
        let _held = runtime_lock(layout)?;
        StickyPorts::read(layout).forget(layout, is_gone)?
    } else {
        0
    };
    if json {
        return context.output.json(&serde_json::json!({ "forgotten": forgotten }));
    }
    match forgotten {
        0 => context.output.line("Nothing to forget: every directory that keeps a port is there"),
        count => context.output.line(&format!("Forgot {} of a directory that is gone", ports(count))),
    }
}

fn ports(count: usize) -> String {
    if count == 1 { "1 port".to_owned() } else { format!("{count} ports") }
}

/// True only for what is not there: one that cannot be looked at keeps its ports.
fn is_gone(dir: &Path) -> bool {
    std::fs::metadata(dir).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
