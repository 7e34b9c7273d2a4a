//! `tsm doctor`: what is wrong around the processes, what to type about it, and the cleaning up.

mod boot;
mod clean;
mod env;
mod finding;
mod health;
mod kill;
mod orphans;
mod port;
mod report;
mod scan;
mod stale;
mod validate;

use super::context::Context;
use crate::error::Result;

pub(super) use port::{parse_port, show as show_port};
pub(super) use validate::obstacles;

/// Show what is wrong with ports and files, and mend it.
///
/// Without a word it lists the ports from 1024 to 10000 that are listened on, and those of every process that TSM
/// manages.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    scan: scan::Args,
}

const EXAMPLES: &str = "Examples:\n  tsm doctor               who listens on which port\n  \
    tsm doctor port 8000     who has that port\n  tsm doctor kill 8000     ends who listens there\n  \
    tsm doctor healthcheck   what is out of order, and what to type\n  \
    tsm doctor orphans       what runs without anybody who looks after it\n  \
    tsm doctor boot          would boot bring back what is enabled\n  \
    tsm doctor clean         takes away what is left of processes that are gone";

#[derive(Debug, clap::Subcommand)]
enum What {
    #[command(visible_alias = "ports")]
    Scan(scan::Args),
    Port(port::Args),
    Kill(kill::Args),
    #[command(visible_alias = "health")]
    Healthcheck(health::Args),
    Orphans(orphans::Args),
    Boot(boot::Args),
    Clean(clean::Args),
    Env(env::Args),
    Validate(validate::Args),
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        None => scan::run(context, &args.scan),
        Some(What::Scan(args)) => scan::run(context, args),
        Some(What::Port(args)) => port::run(context, args),
        Some(What::Kill(args)) => kill::run(context, args),
        Some(What::Boot(args)) => boot::run(context, args),
        Some(What::Clean(args)) => clean::run(context, args),
        Some(What::Orphans(args)) => orphans::run(context, args),
        Some(What::Healthcheck(args)) => health::run(context, args),
        Some(What::Env(args)) => env::run(context, args),
        Some(What::Validate(args)) => validate::run(context, args),
    }
}
