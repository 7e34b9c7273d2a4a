//! `tsm doctor healthcheck`: is everything that TSM stands on as it should be?
//!
//! Each concern is a file: facts that are gathered, and a pure function from facts to findings.

mod agents;
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

use super::super::context::Context;
use super::finding::Finding;
#[cfg(test)]
use super::finding::Level;
use super::report::{self, Section};
use super::stale;
use crate::error::Result;

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

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    report::report(context, "TSM Health Check", &sections(context), args.json)
}

fn sections(context: &Context) -> Vec<Section> {
    let views = context.all();
    let stale = stale::find(context, &views);
    let root = Path::new("/");
    let variables = environment::Facts::gather(context);
    let section = |title, findings| Section { title, findings };
    let mut all = vec![
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
    ];
    let hooks = agents::findings(context);
    if !hooks.is_empty() {
        all.push(section("Agents", hooks));
    }
    all
}
