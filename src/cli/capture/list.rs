//! `tsm capture list`: the conversations of this repository.

use serde::Serialize;

use super::{Here, moment, prompt, short};
use crate::capture::record::Commit;
use crate::cli::context::Context;
use crate::error::Result;
use crate::render::table::{Cell, Column, Cut, Table};

/// List the conversations of this repository.
///
/// Those that are kept with commits, and below them, without a commit, what was said since the last one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture list\n  tsm capture list --json")]
pub(super) struct Args {
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// One object of `--json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    /// The file in `.prompts`; null for what is in no commit yet.
    file: Option<&'a str>,
    active: bool,
    session: &'a str,
    tool: &'a str,
    branch: Option<&'a str>,
    commit: Option<&'a Commit>,
    /// When the first and the last of it were said.
    first: &'a str,
    last: &'a str,
    messages: usize,
    masked: usize,
    files: Vec<&'a str>,
    /// The first line of the first prompt.
    prompt: &'a str,
}

const COLUMNS: [Column; 6] = [
    Column::new("COMMIT"),
    Column::new("TIME").drop(2),
    Column::new("TOOL").drop(3),
    Column::new("SAID").right().drop(1),
    Column::new("FILES").right().drop(4),
    Column::new("PROMPT").flexible(16, Cut::End),
];

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let here = Here::find(context)?;
    let shown: Vec<Shown> = here
        .all
        .iter()
        .map(|one| {
            let record = &one.record;
            Shown {
                file: one.file.as_deref(),
                active: one.file.is_none(),
                session: &record.session,
                tool: &record.tool,
                branch: record.branch.as_deref(),
                commit: one.file.as_ref().map(|_| &record.commit),
                first: record.messages.first().map_or("", |said| said.time.as_str()),
                last: record.messages.last().map_or("", |said| said.time.as_str()),
                messages: record.messages.len(),
                masked: record.masked,
                files: record.files.session.iter().map(|changed| changed.path.as_str()).collect(),
                prompt: prompt(record),
            }
        })
        .collect();
    if args.json {
        return context.output.json(&shown);
    }
    if shown.is_empty() {
        context.output.remark("no conversation is kept here");
    } else {
        let mut table = Table::new(&COLUMNS);
        for (one, kept) in shown.iter().zip(&here.all) {
            table.row([
                Cell::new(short(kept)),
                Cell::new(minute(one.first)),
                Cell::new(one.tool),
                Cell::show(one.messages),
                Cell::show(one.files.len()),
                Cell::new(one.prompt),
            ]);
        }
        context.output.table(&table)?;
    }
    here.advise(context);
    Ok(())
}

/// `2026-11-21 05:35`.
fn minute(time: &str) -> String {
    moment(time).chars().take(16).collect::<String>().replace('T', " ")
}
