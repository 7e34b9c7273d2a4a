//! `tsm doctor healthcheck`: is everything that TSM stands on as it should be?
//!
//! Each concern is a file: facts that are gathered, and a pure function from facts to findings.

mod definitions;
mod dependencies;
mod disk;
mod environment;
mod logout;
mod logs;
mod permissions;
mod shell;
mod tracking;

use std::path::Path;

use serde::Serialize;

use super::super::context::Context;
use super::finding::{self, Finding, Level};
use super::stale;
use crate::error::{Error, Kind, Result};
use crate::render::style;

/// Check TSM's environment, files and processes.
///
/// Every warning and error comes with the command to type. Warnings do not fail the check.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm doctor healthcheck\n\nExit code 1 when there are errors.")]
pub(super) struct Args {
    /// Print a JSON array of findings.
    #[arg(long)]
    json: bool,
}

const TITLE: &str = "TSM Health Check";

/// A part of the report.
struct Section {
    title: &'static str,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Shown<'a> {
    section: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let sections = sections(context);
    let all = || sections.iter().flat_map(|section| &section.findings);
    let (warnings, errors) = (finding::count(all(), Level::Warning), finding::count(all(), Level::Error));
    if args.json {
        let shown: Vec<Shown<'_>> = sections
            .iter()
            .flat_map(|section| {
                section.findings.iter().map(|finding| Shown { section: section.title, finding })
            })
            .collect();
        context.output.json(&shown)?;
    } else {
        print(context, &sections, warnings, errors)?;
    }
    // Everything has been said.
    if errors == 0 { Ok(()) } else { Err(Error::new(Kind::Failed, "")) }
}

fn sections(context: &Context) -> Vec<Section> {
    let views = context.all();
    let stale = stale::find(context, &views);
    let root = Path::new("/");
    let variables = environment::Facts::gather(context);
    let section = |title, findings| Section { title, findings };
    vec![
        section("Core Environment", environment::core(&variables)),
        section("TSM Runtime Variables", environment::runtime(&variables)),
        section("Dependencies", dependencies::findings(&dependencies::Facts::gather())),
        section("Process Tracking", tracking::findings(&tracking::Facts::gather(&views, &stale))),
        section(
            "Patterns and Definitions",
            definitions::findings(&definitions::Facts::gather(context, &stale)),
        ),
        section("Permissions", permissions::findings(&permissions::Facts::gather(context))),
        section("Logs", logs::findings(&logs::Facts::gather(&views, &stale))),
        section("Shell Integration", shell::findings(&shell::Facts::gather())),
        section("Logout", logout::findings(&logout::Facts::gather(root))),
        section("Disk Space", disk::findings(&disk::Facts::gather(context))),
    ]
}

fn print(context: &Context, sections: &[Section], warnings: usize, errors: usize) -> Result<()> {
    let out = &context.output;
    let title =
        |text: &str| if out.color { format!("{0}{text}{0:#}", style::TITLE) } else { text.to_owned() };
    out.bytes(format!("{}\n{}\n", title(TITLE), "=".repeat(TITLE.len())).as_bytes())?;
    for section in sections {
        out.bytes(format!("\n{}:\n", title(section.title)).as_bytes())?;
        for finding in &section.findings {
            finding::print(context, finding)?;
        }
    }
    out.bytes(format!("\n{}:\n", title("Summary")).as_bytes())?;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    out.line(&match (warnings, errors) {
        (0, 0) => "  All checks passed".to_owned(),
        (_, 0) => format!("  {}, no errors", counted(warnings, "warning")),
        (0, _) => format!("  {}", counted(errors, "error")),
        _ => format!("  {}, {}", counted(errors, "error"), counted(warnings, "warning")),
    })
}
