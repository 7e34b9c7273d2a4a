//! The two tables of orphans, each with what to type next.

use serde::Serialize;

use super::super::super::context::Context;
use crate::agents::AgentTable;
use crate::error::Result;
use crate::inspect::{Exact, Orphans, Place, View, Who, who};
use crate::model::Pid;
use crate::render::human;
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;

const COLUMNS: [Column; 6] = [
    Column::new("PID"),
    Column::new("TYPE").flexible(6, Cut::End),
    Column::new("PORTS"),
    Column::new("AGE").right().drop(2),
    Column::new("PROJECT").flexible(8, Cut::Middle).drop(1),
    Column::new("COMMAND").flexible(16, Cut::End),
];

/// Programs whose version may stand behind their name.
const VERSIONED: [&str; 8] = ["python", "node", "ruby", "php", "perl", "lua", "java", "pypy"];

/// One orphan, as it is printed.
#[derive(Debug, Serialize)]
struct Row {
    /// What kind of program it is.
    #[serde(rename = "type")]
    kind: String,
    ports: Vec<u16>,
    /// The name that it is or was tracked under.
    name: Option<String>,
    /// True when `--adopt` can give it a new supervisor.
    adoptable: bool,
    /// Why it cannot be adopted.
    why: Option<String>,
    /// Every process of its tree.
    tree: Vec<Pid>,
    #[serde(flatten)]
    who: Who,
}

#[derive(Debug, Serialize)]
struct Report {
    exact: Vec<Row>,
    probable: Vec<Row>,
}

pub(super) fn run(
    context: &Context,
    views: &[View],
    found: &Orphans,
    agents: &AgentTable,
    json: bool,
) -> Result<()> {
    let agent = |comm: &str, argv: &[String]| agents.agent(comm, argv);
    let home = context.settings.home.as_deref();
    // One that has ended meanwhile is nobody's orphan any more.
    let exact = found.exact.iter().filter_map(|one| {
        let who = who(one.main.pid, views, home, &agent).filter(|who| who.identity == one.main)?;
        let why = why_not(&one.place);
        let tree = one.tree.iter().map(|process| process.pid).collect();
        let name = name(one);
        Some(Row {
            kind: kind(&who),
            ports: one.ports.clone(),
            name,
            adoptable: why.is_none(),
            why,
            tree,
            who,
        })
    });
    let probable = found.probable.iter().filter_map(|one| {
        let who = who(one.main.pid, views, home, &agent).filter(|who| who.identity == one.main)?;
        let tree = one.tree.iter().map(|process| process.pid).collect();
        let why = Some("TSM has not started it".to_owned());
        Some(Row { kind: kind(&who), ports: one.ports.clone(), name: None, adoptable: false, why, tree, who })
    });
    let report = Report { exact: exact.collect(), probable: probable.collect() };
    if json {
        return context.output.json(&report);
    }
    print(context, &report)
}

fn print(context: &Context, report: &Report) -> Result<()> {
    let out = &context.output;
    if report.exact.is_empty() && report.probable.is_empty() {
        return out.line("No orphaned processes");
    }
    if let Some(first) = report.exact.first() {
        table(context, &report.exact)?;
        out.line("\nThese processes were started by TSM and have no supervisor")?;
        for row in &report.exact {
            if let Some(why) = &row.why {
                out.line(&format!("  PID {}: {why}", row.who.pid))?;
            }
        }
        let mut next = Vec::new();
        if let Some(name) = report.exact.iter().find(|row| row.adoptable).and_then(|row| row.name.clone()) {
            next.push(("tsm doctor orphans --adopt".to_owned(), "New supervisors, without a restart"));
            next.push((format!("tsm stop {name}"), "End one, with its whole tree"));
        }
        next.push((format!("tsm doctor orphans --kill {}", first.who.pid), "End it by PID"));
        actions(context, &next)?;
    }
    if let Some(first) = report.probable.first() {
        if !report.exact.is_empty() {
            out.line("")?;
        }
        table(context, &report.probable)?;
        out.line("\nThese processes might be orphaned TSM processes")?;
        let port = first.ports.first().map(|port| (format!("tsm doctor kill {port}"), "Kill by port"));
        let pid = (format!("tsm doctor orphans --kill {}", first.who.pid), "Kill by PID");
        actions(context, &port.into_iter().chain([pid]).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn actions(context: &Context, next: &[(String, &str)]) -> Result<()> {
    context.output.line("Actions:")?;
    let width = next.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in next {
        context.output.line(&format!("  {command:<width$}    # {what}"))?;
    }
    Ok(())
}

fn table(context: &Context, rows: &[Row]) -> Result<()> {
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        let ports: Vec<String> = row.ports.iter().map(u16::to_string).collect();
        let project = row.who.project.as_deref().and_then(std::path::Path::file_name);
        table.row([
            Cell::show(row.who.pid),
            Cell::new(row.kind.as_str()),
            Cell::new(ports.join(",")),
            Cell::show(human::age(row.who.age_ms)),
            Cell::maybe(project.map(|name| name.to_string_lossy().into_owned())),
            Cell::new(row.who.command.as_str()),
        ]);
    }
    context.output.table(&table)
}

/// `python` for `/usr/bin/python3.12`, and so on; else the program's own name.
fn kind(who: &Who) -> String {
    // A program that sets its own title puts everything into the first word.
    let first = who.argv.first().and_then(|word| word.split_whitespace().next()).unwrap_or(&who.process);
    let name = first.rsplit('/').next().unwrap_or_default().trim_start_matches('-').trim_end_matches(':');
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if VERSIONED.contains(&bare) { bare.to_owned() } else { name.to_owned() }
}

fn name(one: &Exact) -> Option<String> {
    match &one.place {
        Place::Here(name) | Place::Left(name, _) | Place::Elsewhere(_, name) => Some(name.to_string()),
        Place::Gone { dir, .. } => {
            dir.as_ref().and_then(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()))
        }
    }
}

/// Why it cannot be adopted from here, and what can be done instead.
pub(super) fn why_not(place: &Place) -> Option<String> {
    match place {
        Place::Here(_) => None,
        Place::Left(name, state) => {
            Some(format!("it was left by an earlier run of {name}, which is {state}; it can only be ended"))
        }
        Place::Elsewhere(root, name) => {
            Some(format!("it is {name} of another TSM: TSM_DIR={} tsm doctor orphans", root.display()))
        }
        Place::Gone { dir, supervisor, .. } => {
            let what = match dir {
                Some(dir) => format!("its process directory {} was removed", dir.display()),
                None => "its process directory was removed".to_owned(),
            };
            let but = match supervisor {
                Some(one) => format!(", so its supervisor (PID {}) cannot be asked", one.pid),
                None => String::new(),
            };
            Some(format!("{what}{but}; it can only be ended"))
        }
    }
}
