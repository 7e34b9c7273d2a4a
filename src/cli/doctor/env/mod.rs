//! `tsm doctor env`: will this environment file do what is meant? It is read, and never run.

mod check;
mod git;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::context::Context;
use super::super::start;
use super::finding::{self, Finding, Level};
use crate::envfile::{self, assignments};
use crate::error::{Error, Kind, Result};
use crate::model::SCHEMA;
use check::{Facts, Holder};

/// Check an environment file without running it.
///
/// Does bash read it, is its port free, are there placeholders, can others read its secrets? Without FILE it is the one
/// that tsm start would read here.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tsm doctor env env/dev.env\n  tsm doctor env dev --json\n\nExit code 1 when there are errors, 4 when there is no such file."
)]
pub(super) struct Args {
    /// The file, or the name of an environment: dev is env/dev.env.
    #[arg(value_name = "NAME|FILE")]
    file: Option<String>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What is to be said of a file.
#[derive(Serialize)]
pub(super) struct Report {
    schema: u32,
    file: Option<PathBuf>,
    valid: bool,
    errors: Vec<String>,
    warnings: Vec<String>,
    info: Vec<String>,
    /// What it sets, secrets masked.
    sets: BTreeMap<String, String>,
    /// The same as the three lists, with what to type.
    findings: Vec<Finding>,
}

impl Report {
    fn new(file: Option<PathBuf>, findings: Vec<Finding>, sets: BTreeMap<String, String>) -> Self {
        let of = |levels: &[Level]| {
            let picked = findings.iter().filter(|one| levels.contains(&one.level));
            picked.map(|one| one.what.clone()).collect::<Vec<_>>()
        };
        Report {
            schema: SCHEMA,
            file,
            valid: finding::count(&findings, Level::Error) == 0,
            errors: of(&[Level::Error]),
            warnings: of(&[Level::Warning]),
            info: of(&[Level::Ok, Level::Info]),
            sets,
            findings,
        }
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let dir = context.current_dir()?;
    let path = match find(context, &dir, args.file.as_deref()) {
        Ok(path) => path,
        Err(error) if args.json => {
            let finding = Finding::error(error.message(), error.hint_text().unwrap_or("tsm env init dev"));
            context.output.json(&Report::new(None, vec![finding], BTreeMap::new()))?;
            return Err(Error::new(error.kind(), ""));
        }
        Err(error) => return Err(error),
    };
    let (findings, sets) = examine(context, &path, &dir, true);
    let report = Report::new(Some(path.clone()), findings, sets);
    if args.json {
        context.output.json(&report)?;
    } else {
        print(context, &path, &report)?;
    }
    // Everything has been said.
    if report.valid { Ok(()) } else { Err(Error::new(Kind::Failed, "")) }
}

/// The file that is meant: as a path where there is one, else as `--env` takes it; without a word the one that is read
/// unasked.
fn find(context: &Context, dir: &Path, text: Option<&str>) -> Result<PathBuf> {
    match text {
        Some(text) if dir.join(text).is_file() => Ok(dir.join(text)),
        Some(text) => envfile::locate(dir, text, context.settings.home.as_deref()),
        None => {
            let nearby = envfile::nearby(dir);
            nearby.read.ok_or_else(|| {
                let error = Error::not_found(format!(
                    "no env file in {}: there is no env/local.env, no env/dev.env, no .env",
                    dir.display()
                ));
                error.hint(match nearby.production {
                    Some(_) => "tsm doctor env production",
                    None => "tsm env init dev",
                })
            })
        }
    }
}

/// What is to be said of the file at `path`, for a start in `dir`, with or without its port; and what it sets.
pub(super) fn examine(
    context: &Context,
    path: &Path,
    dir: &Path,
    with_port: bool,
) -> (Vec<Finding>, BTreeMap<String, String>) {
    let text = match envfile::read_text(path) {
        Ok(text) => text,
        Err(error) => {
            let remedy = error.hint_text().map_or_else(|| format!("ls -l {}", path.display()), str::to_owned);
            return (vec![Finding::error(error.message(), remedy)], BTreeMap::new());
        }
    };
    let lines = assignments::parse(&text, &|name| std::env::var(name).ok());
    let port = check::port_of(&lines).and_then(|port| port.parse().ok());
    let facts = Facts {
        syntax: envfile::check_named(path, dir).err().map(|error| error.message().to_owned()),
        crlf: text.contains("\r\n"),
        unasked: envfile::nearby(dir).read.is_some_and(|read| read == *path),
        mode: std::fs::metadata(path).map_or(0, |facts| facts.mode() & 0o7777),
        tracked: git::is_tracked(path),
        holder: port.filter(|_| with_port).and_then(|port| holder(context, port, path)),
        path: path.to_owned(),
        lines,
    };
    let mut findings = check::findings(&facts);
    if with_port {
        findings.push(check::port(&facts));
    }
    (findings, check::sets(&facts.lines))
}

/// Who has `port`, and whether it was started with the env file `path`.
fn holder(context: &Context, port: u16, path: &Path) -> Option<Holder> {
    let (holder, process) = start::holder(context, port)?;
    let same = |file: String| {
        let real = |path: &Path| path.canonicalize().ok();
        real(Path::new(&file)).is_some_and(|file| real(path) == Some(file))
    };
    let ours = process.and_then(|view| view.env_file).is_some_and(same);
    Some(Holder { text: holder.text, ours })
}

fn print(context: &Context, path: &Path, report: &Report) -> Result<()> {
    let out = &context.output;
    out.line(&format!("Environment file: {}", path.display()))?;
    for finding in &report.findings {
        finding::print(context, finding)?;
    }
    if !report.sets.is_empty() {
        out.line("\nSets:")?;
    }
    for (name, value) in &report.sets {
        out.line(&format!("  {name}={value}"))?;
    }
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    out.line(&format!(
        "\n{}: {}, {}",
        if report.valid { "valid" } else { "not valid" },
        counted(report.errors.len(), "error"),
        counted(report.warnings.len(), "warning")
    ))
}
