//! `tsm patterns`: which commands are known, and what a pattern makes of one.

use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use super::start::{Preview, complain_of_patterns, preview, user_patterns};
use crate::error::Result;
use crate::model::{Kind, SCHEMA};
use crate::plan::{DefaultPort, Pattern, Patterns};
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::render::{shell_quote, style};

/// Show the known commands, or what is known of one.
///
/// Without a command: your own patterns, then those that come with tsm. With one: the line that knows it, and what comes
/// of it where every port is free.
#[derive(Debug, clap::Args)]
#[command(override_usage = "tsm patterns [--json] [--] [COMMAND...]")]
#[command(after_help = "Examples:\n  tsm patterns\n  tsm patterns python -m http.server")]
pub(super) struct Args {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    /// A command, as `start` takes it.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const COLUMNS: [Column; 4] = [
    Column::new("NAME"),
    Column::new("MATCH").flexible(12, Cut::End),
    Column::new("PORT").right(),
    Column::new("TEMPLATE").flexible(12, Cut::End),
];

/// A pattern in `--json`.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    #[serde(rename = "match")]
    matches: &'a str,
    /// 0 for a worker that is spoken to over its socket, none for what does not listen.
    port: Option<u16>,
    template: &'a str,
    line: usize,
}

impl<'a> Shown<'a> {
    fn of(pattern: &'a Pattern) -> Self {
        let port = match pattern.port {
            DefaultPort::Tcp(port) => Some(port),
            DefaultPort::Socket => Some(0),
            DefaultPort::None => None,
        };
        Shown {
            name: &pattern.name,
            matches: &pattern.matches,
            port,
            template: &pattern.template,
            line: pattern.line,
        }
    }
}

#[derive(Debug, Serialize)]
struct Broken<'a> {
    line: usize,
    why: &'a str,
}

/// The object of `tsm patterns --json`.
#[derive(Debug, Serialize)]
struct Known<'a> {
    schema: u32,
    file: PathBuf,
    user: Vec<Shown<'a>>,
    broken: Vec<Broken<'a>>,
    built_in: Vec<Shown<'a>>,
}

/// The object of `tsm patterns --json COMMAND`.
#[derive(Debug, Serialize)]
struct Hit<'a> {
    schema: u32,
    command: &'a str,
    pattern: Option<Shown<'a>>,
    /// Where the pattern stands; none for one that comes with tsm.
    file: Option<PathBuf>,
    built_in: bool,
    kind: Kind,
    port: Option<u16>,
    argv: &'a [String],
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.command.is_empty() {
        return list(context, args.json);
    }
    let seen = preview(context, &args.command)?;
    if args.json {
        let pattern = seen.pattern.as_ref();
        return context.output.json(&Hit {
            schema: SCHEMA,
            command: &seen.plan.command,
            pattern: pattern.map(Shown::of),
            file: pattern.filter(|one| !one.built_in).map(|_| context.layout.patterns()),
            built_in: pattern.is_some_and(|one| one.built_in),
            kind: seen.plan.kind,
            port: seen.plan.port,
            argv: &seen.plan.argv,
        });
    }
    print(context, &seen)
}

fn print(context: &Context, seen: &Preview) -> Result<()> {
    let out = &context.output;
    let field = |name: &str, value: &str| out.line(&format!("  {name:<8}  {value}"));
    if let Some(pattern) = &seen.pattern {
        out.line(&pattern.name)?;
        let file = if pattern.built_in {
            "built-in patterns".to_owned()
        } else {
            context.layout.patterns().display().to_string()
        };
        field("from", &format!("{file}, line {}", pattern.line))?;
        field("match", &pattern.matches)?;
        field("template", &pattern.template)?;
    } else {
        out.line(&format!("no pattern matches: {}", seen.plan.command))?;
    }
    for reason in seen.plan.reasons.iter().filter(|reason| matches!(reason.what.as_str(), "kind" | "port")) {
        field(&reason.what, &format!("{} ({})", reason.value, reason.why))?;
    }
    field("argv", &shell_quote::join(&seen.plan.argv))?;
    seen.plan.remarks.iter().for_each(|remark| out.remark(remark));
    Ok(())
}

fn list(context: &Context, json: bool) -> Result<()> {
    let text = user_patterns(context)?.unwrap_or_default();
    let (user, built_in) = (Patterns::parse(&text), Patterns::built_in());
    let problems = Patterns::problems(&text);
    let is_good = |pattern: &&Pattern| problems.iter().all(|(line, _)| *line != pattern.line);
    let user: Vec<&Pattern> = user.lines.iter().filter(is_good).collect();
    let file = context.layout.patterns();
    if json {
        return context.output.json(&Known {
            schema: SCHEMA,
            file,
            user: user.into_iter().map(Shown::of).collect(),
            broken: problems.iter().map(|(line, why)| Broken { line: *line, why }).collect(),
            built_in: built_in.lines.iter().map(Shown::of).collect(),
        });
    }
    let out = &context.output;
    title(context, "User Patterns")?;
    if user.is_empty() {
        out.line("No user patterns defined")?;
        out.line(&format!("  Write lines of the form name|match|port|template to {}", file.display()))?;
    } else {
        out.table(&table(user))?;
    }
    complain_of_patterns(context, Some(&text));
    out.line("")?;
    title(context, "Built-in Patterns")?;
    out.table(&table(&built_in.lines))
}

fn title(context: &Context, text: &str) -> Result<()> {
    let style = if context.output.color { style::TITLE } else { style::PLAIN };
    context.output.bytes(format!("{style}{text}{style:#}\n").as_bytes())
}

fn table<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Table {
    let mut table = Table::new(&COLUMNS);
    for pattern in patterns {
        let port = Shown::of(pattern).port;
        table.row([
            Cell::new(pattern.name.as_str()),
            Cell::new(pattern.matches.as_str()),
            Cell::maybe(port),
            Cell::new(pattern.template.as_str()),
        ]);
    }
    table
}
