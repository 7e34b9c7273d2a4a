//! `tsm enable`, `disable`, `show` and `list available`: service definitions.

use std::path::PathBuf;

use serde::Serialize;

use super::context::Context;
use crate::error::{Error, Result};
use crate::model::Name;
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::render::{human, style};
use crate::service::{Catalog, Definition, Entry};

/// Mark services to be started at boot.
///
/// `tsm startup` starts them, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm enable myapp")]
pub(super) struct EnableArgs {
    /// Service definitions.
    #[arg(required = true, value_name = "SERVICE")]
    names: Vec<String>,
    /// Print a JSON array of what was done.
    #[arg(long)]
    json: bool,
}

/// Take services off the list of those started at boot.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm disable myapp")]
pub(super) struct DisableArgs {
    /// Service definitions.
    #[arg(required = true, value_name = "SERVICE")]
    names: Vec<String>,
    /// Print a JSON array of what was done.
    #[arg(long)]
    json: bool,
}

/// Show a service definition.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm show myapp")]
pub(super) struct ShowArgs {
    /// The service definition.
    #[arg(value_name = "SERVICE")]
    name: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// A time such as `10s`, `500ms` or `2m`; in milliseconds. A bare number is seconds.
pub(super) fn parse_time(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds.saturating_mul(1000));
    }
    humantime::parse_duration(text)
        .map(|time| time.as_millis().min(u128::from(u32::MAX)) as u64)
        .map_err(|_| "not a time; use 10s, 500ms or 2m".into())
}

/// A size such as `10MiB`; in bytes.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .ok()
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "not a size; use 512KiB, 10MiB or 1GB".into())
}

/// Where definitions are looked for: the user's, then those that came with TSM.
fn folders(context: &Context) -> Vec<PathBuf> {
    let mut all = vec![context.layout.services_available()];
    if let Ok(exe) = std::env::current_exe().and_then(std::fs::canonicalize) {
        // PREFIX/bin/tsm, or CHECKOUT/target/release/tsm and its like.
        let installed = exe.ancestors().nth(2).map(|prefix| prefix.join("share/tsm/services-available"));
        let checkout = exe
            .ancestors()
            .skip(2)
            .take(3)
            .find(|dir| dir.join("Cargo.toml").is_file() && dir.join("services-available").is_dir())
            .map(|dir| dir.join("services-available"));
        all.extend(installed.into_iter().chain(checkout).filter(|dir| dir.is_dir()));
    }
    all
}

/// Every definition there is, and the links of the enabled ones.
pub(super) fn catalog(context: &Context) -> Catalog {
    Catalog::new(folders(context), context.layout.services_enabled(), |name| std::env::var(name).ok())
}

/// The definition of that name.
///
/// # Errors
/// Not found, or what is wrong with its file and line.
pub(super) fn find(context: &Context, name: &Name) -> Result<Definition> {
    catalog(context).find(name)
}

/// The enabled services, in the order of names, the broken ones and links that lead nowhere included.
///
/// # Errors
/// When a folder of definitions cannot be read.
pub(super) fn enabled(context: &Context) -> Result<Vec<Entry>> {
    let mut all = catalog(context).list()?;
    all.retain(|entry| entry.enabled);
    Ok(all)
}

fn name_of(text: &str) -> Result<Name> {
    Name::parse(text).map_err(|why| Error::usage(format!("{text:?} is not the name of a service: {why}")))
}

pub(super) fn enable(context: &Context, args: &EnableArgs) -> Result<()> {
    change(context, &args.names, args.json, ["enabled", "already enabled"], Catalog::enable)
}

pub(super) fn disable(context: &Context, args: &DisableArgs) -> Result<()> {
    change(context, &args.names, args.json, ["disabled", "not enabled"], Catalog::disable)
}

/// What was done to the mark of one service; also the object of `--json`.
#[derive(Debug, Serialize)]
struct Marked<'a> {
    name: &'a str,
    done: &'static str,
}

fn change(
    context: &Context,
    names: &[String],
    json: bool,
    [done, already]: [&'static str; 2],
    act: impl Fn(&Catalog, &Name) -> Result<bool>,
) -> Result<()> {
    let mut outcome = context.outcome();
    let mut all = Vec::new();
    for name in names {
        match name_of(name).and_then(|name| act(&catalog(context), &name)) {
            Ok(changed) => all.push(Marked { name, done: if changed { done } else { already } }),
            Err(error) => outcome.failed(&error),
        }
    }
    if json {
        context.output.json(&all)?;
    } else {
        for Marked { name, done } in all {
            let (first, rest) = done.split_at(1);
            context.output.line(&format!("{}{rest}: {name}", first.to_uppercase()))?;
        }
    }
    outcome.done()
}

/// The object of `tsm show --json` and `tsm list available --json`.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    enabled: bool,
    file: PathBuf,
    command: Option<String>,
    kind: Option<String>,
    port: Option<u16>,
    env: Option<String>,
    dir: Option<PathBuf>,
    description: Option<String>,
    error: Option<String>,
}

impl Shown {
    fn of(name: String, file: PathBuf, enabled: bool, read: Result<Definition>) -> Self {
        let (definition, error) = match read {
            Ok(definition) => (Some(definition), None),
            Err(error) => (None, Some(error.message().to_owned())),
        };
        let of = definition.as_ref();
        Shown {
            name,
            enabled,
            file,
            command: of.map(|one| one.command.clone()),
            kind: of.and_then(|one| one.kind).map(|kind| kind.to_string()),
            port: of.and_then(|one| one.port),
            env: of.and_then(|one| one.env.clone()),
            dir: of.and_then(|one| one.dir.clone()),
            description: of.and_then(|one| one.description.clone()),
            error,
        }
    }
}

const COLUMNS: [Column; 5] = [
    Column::new("NAME"),
    Column::new("ENABLED"),
    Column::new("PORT").right().drop(2),
    Column::new("COMMAND").flexible(12, Cut::End),
    Column::new("DESCRIPTION").drop(1).flexible(12, Cut::End),
];

pub(super) fn list(context: &Context, json: bool) -> Result<()> {
    let entries = catalog(context).list()?;
    let all: Vec<Shown> = entries
        .into_iter()
        .map(|entry| Shown::of(entry.name, entry.file, entry.enabled, entry.definition))
        .collect();
    if json {
        return context.output.json(&all);
    }
    if all.is_empty() {
        let folder = context.layout.services_available();
        context.output.remark(&format!("no service definitions; write one to {}/NAME.tsm", folder.display()));
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for one in &all {
        let enabled = if one.enabled { Cell::new("yes").styled(style::GOOD) } else { Cell::new("no") };
        let command = match &one.error {
            Some(_) => Cell::new("(broken)").styled(style::ERROR),
            None => Cell::maybe(one.command.as_deref()),
        };
        table.row([
            Cell::new(one.name.as_str()),
            enabled,
            Cell::maybe(one.port),
            command,
            Cell::maybe(one.description.as_deref()),
        ]);
    }
    context.output.table(&table)?;
    for one in all.iter().filter(|one| one.error.is_some()) {
        context.output.remark(one.error.as_deref().unwrap_or_default());
    }
    Ok(())
}

/// Prints a definition of the user's as `tsm show --json` does.
pub(super) fn show_json(context: &Context, definition: Definition) -> Result<()> {
    let enabled = context.layout.services_enabled().join(format!("{}.tsm", definition.name)).is_symlink();
    let (name, file) = (definition.name.to_string(), definition.file.clone());
    context.output.json(&Shown::of(name, file, enabled, Ok(definition)))
}

pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let name = name_of(&args.name)?;
    let definition = find(context, &name)?;
    let enabled = context.layout.services_enabled().join(format!("{name}.tsm")).is_symlink();
    let remarks = definition.remarks.clone();
    let policy = definition.clone();
    let shown = Shown::of(name.to_string(), definition.file.clone(), enabled, Ok(definition));
    if args.json {
        return context.output.json(&shown);
    }
    let out = &context.output;
    let field = |name: &str, value: Option<String>| match value {
        Some(value) => out.line(&format!("  {name:<12}  {value}")),
        None => Ok(()),
    };
    out.line(&shown.name)?;
    field("description", shown.description.clone())?;
    field("file", Some(shown.file.display().to_string()))?;
    field("status", Some(if enabled { "enabled" } else { "disabled" }.to_owned()))?;
    field("command", shown.command.clone())?;
    field("directory", shown.dir.as_ref().map(|dir| dir.display().to_string()))?;
    field("environment", shown.env.clone())?;
    field("port", shown.port.map(|port| port.to_string()))?;
    field("type", shown.kind.clone())?;
    field("restart", policy.restart.map(|restart| restart.to_string()))?;
    field("stop signal", policy.stop_signal.map(|signal| signal.to_string()))?;
    field("stop timeout", policy.stop_timeout_ms.map(human::span))?;
    field("reload", policy.reload)?;
    for remark in &remarks {
        context.output.remark(remark);
    }
    Ok(())
}
