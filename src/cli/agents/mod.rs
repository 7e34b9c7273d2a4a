//! `tsm agents`: which sessions of coding agents run, which of them wait for their user, and what can be done about it.

mod explain;
mod footer;
mod hook;
mod install;
mod label;
mod list;
mod looker;
mod stop;
mod switch;
mod wait;
mod watch;

use super::context::Context;
use crate::error::Result;

pub(super) use footer::remark;
pub(super) use hook::main as hook;
pub(super) use install::usual as settings_file;
pub(super) use looker::{Looker, config};

/// Show the coding agents that run, and which of them wait for you.
///
/// Claude Code, codex, gemini, opencode, aider and cursor-agent are found wherever they were started. What needs your input
/// comes first. The state is the agent's own word where there is one (its registry, then its hooks), else it is read from
/// the end of the conversation, else from what the process does; `tsm agents explain REF` shows which it was.
///
/// A REF is a label, a session ID or the beginning of one, a PID, the name of a project or workspace, or a part that only
/// one session has.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    list: list::Args,
}

const EXAMPLES: &str = "Examples:\n  tsm agents                       which run, and who waits for you\n  \
    tsm agents -w                    the same, live\n  tsm agents label 4711 review     calls that session review\n  \
    tsm agents wait --any            until one of them asks something\n  \
    tsm agents explain review        why its state is what it is";

#[derive(Debug, clap::Subcommand)]
enum What {
    Label(label::Args),
    Explain(explain::Args),
    Wait(wait::Args),
    Stop(stop::Args),
    Switch(switch::Args),
    InstallHooks(install::InstallArgs),
    RemoveHooks(install::RemoveArgs),
    #[command(hide = true)]
    Hook(hook::Args),
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        None => list::run(context, &args.list),
        Some(What::Label(args)) => label::run(context, args),
        Some(What::Explain(args)) => explain::run(context, args),
        Some(What::Wait(args)) => wait::run(context, args),
        Some(What::Stop(args)) => stop::run(context, args),
        Some(What::Switch(args)) => switch::run(context, args),
        Some(What::InstallHooks(args)) => install::install(context, args),
        Some(What::RemoveHooks(args)) => install::remove(context, args),
        Some(What::Hook(_)) => {
            hook::main();
            Ok(())
        }
    }
}
