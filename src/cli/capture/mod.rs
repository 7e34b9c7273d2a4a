//! `tsm capture`: what was said to coding agents, kept with the commits that came of it.

pub(super) mod commit;
mod install;

use super::context::Context;
use crate::error::Result;

/// Keep what was said to coding agents with each commit.
///
/// tsm capture install puts a hook into this repository. With each commit, what was said to an agent since the last one is
/// written to .prompts/ in the working tree, secrets masked; commit these files to share them, or ignore them to keep them
/// to yourself. ~/.config/tsm/capture.toml says what is left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm capture install\n  tsm capture list\n  tsm capture show HEAD\n  \
    tsm capture blame src/main.rs:12")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Install(install::Args),
    Uninstall(install::UninstallArgs),
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        What::Install(args) => install::run(context, args),
        What::Uninstall(args) => install::undo(context, args),
    }
}
