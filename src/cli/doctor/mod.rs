//! `tsm doctor`: looks at what is around the processes, and cleans up.

mod clean;
mod stale;

use super::context::Context;
use crate::error::Result;

/// Look at TSM and what is around it, and clean up.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm doctor clean --dry-run")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Clean(clean::Args),
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        What::Clean(args) => clean::run(context, args),
    }
}
