//! The end of every import: definitions are written or shown, and what is lost is said.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::context::Context;
use super::Options;
use crate::error::{Error, Result};
use crate::model::SCHEMA;
use crate::render::sanitize;
use crate::service::import::{Import, Imported, Remark};
use crate::store::{self, Durability};

/// Where an import comes from.
pub(super) struct Tool<'a> {
    /// The word behind `tsm import`.
    pub(super) name: &'a str,
    /// The file or directory that was read.
    pub(super) source: &'a Path,
    /// What to type first where the other tool may still run the same.
    pub(super) still_runs: Option<&'a str>,
}

/// What became of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is new on the disk.
    Written,
    /// It would be.
    Planned,
    /// It was there already, as it is.
    Unchanged,
    /// Another one is there, and stays.
    Conflict,
    /// It could not be written.
    Failed,
}

/// A definition in `--json`.
#[derive(Debug, Serialize)]
struct Service {
    name: String,
    from: String,
    file: PathBuf,
    state: State,
    definition: Option<String>,
    error: Option<String>,
    remarks: Vec<Said>,
}

#[derive(Debug, Serialize)]
struct Said {
    field: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Skipped {
    what: String,
    why: String,
}

/// The object of `tsm import --json`.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    source: PathBuf,
    dry_run: bool,
    services: Vec<Service>,
    skipped: Vec<Skipped>,
    remarks: Vec<Said>,
}

/// Writes the definitions of `import`, or with `--dry-run` prints them.
///
/// # Errors
/// A conflict when another definition of a name is there, failed when something could not become one or not be written;
/// all others are written.
pub(super) fn finish(context: &Context, options: &Options, tool: &Tool<'_>, import: Import) -> Result<()> {
    let mut outcome = context.outcome();
    let out = &context.output;
    let by =
        format!("Written by `tsm import {}`: {}", tool.name, sanitize::text(&tool.source.to_string_lossy()));
    let mut services = Vec::new();
    for one in &import.services {
        let text = one.definition.text_by(&by);
        let (state, error) = match &text {
            Ok(text) => place(context, options, one, text),
            Err(_) => (State::Failed, None),
        };
        if let (Some(error), _) | (None, Err(error)) = (&error, &text) {
            outcome.failed(error);
        }
        say(context, &format!("{}: ", one.definition.name), &one.remarks);
        let service = Service {
            name: one.definition.name.to_string(),
            from: one.from.clone(),
            file: one.definition.file.clone(),
            state,
            error: error.as_ref().or(text.as_ref().err()).map(|error| error.message().to_owned()),
            definition: text.ok(),
            remarks: one.remarks.iter().map(said).collect(),
        };
        if !options.json {
            print(context, &service, services.is_empty())?;
        }
        services.push(service);
    }
    for (what, why) in &import.skipped {
        outcome.failed(&Error::failed(format!("{}: {}", sanitize::text(what), sanitize::text(why))));
    }
    say(context, "", &import.remarks);
    let written = services.iter().find(|service| service.state == State::Written);
    let start = written.map(|service| format!("tsm start {}", service.name));
    if services.is_empty() && import.skipped.is_empty() {
        out.remark(&format!("there is nothing to import in {}", tool.source.display()));
    }
    if options.json {
        let skipped = import.skipped.into_iter().map(|(what, why)| Skipped { what, why }).collect();
        let remarks = import.remarks.iter().map(said).collect();
        let source = tool.source.to_owned();
        out.json(&Report { schema: SCHEMA, source, dry_run: options.dry_run, services, skipped, remarks })?;
    } else if let Some(start) = start {
        let next = tool.still_runs.map_or_else(String::new, |first| format!("{first}, then "));
        out.advise("nothing was started, and nothing else was changed", &format!("{next}{start}"));
    }
    outcome.done()
}

/// Writes a definition where none is.
fn place(context: &Context, options: &Options, one: &Imported, text: &str) -> (State, Option<Error>) {
    let file = &one.definition.file;
    if file.symlink_metadata().is_ok() {
        if std::fs::read(file).is_ok_and(|there| there == text.as_bytes()) {
            return (State::Unchanged, None);
        }
        return (State::Conflict, Some(conflict(one)));
    }
    if options.dry_run {
        return (State::Planned, None);
    }
    let written = context
        .layout
        .create_services()
        .and_then(|()| store::write_new(file, text.as_bytes(), Durability::Synced));
    match written {
        Ok(()) => (State::Written, None),
        // Somebody was faster.
        Err(error) if error.kind() == crate::error::Kind::Conflict => (State::Conflict, Some(conflict(one))),
        Err(error) => (State::Failed, Some(error)),
    }
}

fn conflict(one: &Imported) -> Error {
    let (name, file) = (&one.definition.name, one.definition.file.display());
    Error::conflict(format!("{file} exists already and says something else; it stays as it is"))
        .hint(format!("tsm show {name}, or tsm import --prefix OTHER- … to import under other names"))
}

/// Prints what became of one definition; in a dry run, itself.
fn print(context: &Context, service: &Service, first: bool) -> Result<()> {
    let out = &context.output;
    let Service { name, file, state, definition, .. } = service;
    let file = file.display();
    match (state, definition) {
        (State::Planned, Some(text)) => {
            let space = if first { "" } else { "\n" };
            out.line(&format!("{space}# {file}\n{}", text.trim_end()))
        }
        (State::Written, _) => out.line(&format!("Saved: {name} ({file})")),
        (State::Unchanged, _) => out.line(&format!("Already saved: {name} ({file})")),
        _ => Ok(()),
    }
}

/// Says what is lost.
fn say(context: &Context, of: &str, remarks: &[Remark]) {
    for Remark { field, why } in remarks {
        context.output.remark(&format!("{of}{}: {}", sanitize::text(field), sanitize::text(why)));
    }
}

fn said(remark: &Remark) -> Said {
    Said { field: remark.field.clone(), why: remark.why.clone() }
}
