//! `tsm capture search`: where something was said.

use serde::Serialize;

use super::{Here, short};
use crate::capture::Role;
use crate::capture::search::search;
use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::render::table::{Cell, Column, Cut, Table};

/// Find where something was said.
///
/// In all conversations of this repository, whatever the case of the letters.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm capture search \"race condition\"")]
pub(super) struct Args {
    /// What to look for.
    #[arg(value_name = "TEXT")]
    text: String,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

/// One object of `--json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    commit: Option<&'a str>,
    session: &'a str,
    file: Option<&'a str>,
    /// Which message of the conversation, from 0.
    message: usize,
    role: Role,
    time: &'a str,
    line: &'a str,
}

const COLUMNS: [Column; 3] =
    [Column::new("COMMIT"), Column::new("ROLE").drop(1), Column::new("LINE").flexible(20, Cut::End)];

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.text.is_empty() {
        return Err(Error::usage("there is nothing to look for").hint("tsm capture search TEXT"));
    }
    let here = Here::find(context)?;
    let hits = search(&here.all, &args.text);
    if args.json {
        let shown = hits.iter().map(|hit| Shown {
            commit: hit.kept.file.as_ref().map(|_| hit.kept.record.commit.sha.as_str()),
            session: &hit.kept.record.session,
            file: hit.kept.file.as_deref(),
            message: hit.message,
            role: hit.role,
            time: hit.time,
            line: hit.line,
        });
        return context.output.json(&shown.collect::<Vec<_>>());
    }
    if hits.is_empty() {
        context.output.remark(&format!("nobody has said {:?} here", args.text));
        here.advise(context);
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for hit in &hits {
        table.row([
            Cell::new(short(hit.kept)),
            Cell::show(hit.role),
            Cell::new(around(hit.line, &args.text)),
        ]);
    }
    context.output.table(&table)
}

/// How much of a line stands before what was looked for, in characters.
const BEFORE: usize = 24;

/// A line that begins shortly before what was looked for, so that it is seen in a narrow terminal, too.
fn around<'a>(line: &'a str, text: &str) -> std::borrow::Cow<'a, str> {
    let at = line.to_lowercase().find(&text.to_lowercase()).unwrap_or(0);
    // Lower case may have another length: then it is a little beside.
    let before: Vec<(usize, char)> = line.char_indices().take_while(|(index, _)| *index < at).collect();
    if before.len() <= BEFORE {
        return line.into();
    }
    format!("…{}", &line[before[before.len() - BEFORE].0..]).into()
}
