//! `tsm cd`: the directory of a process, for the shell function of the same name to go to.

use serde::Serialize;

use super::context::Context;
use crate::error::{Error, Result};

/// Go to the directory of a process.
///
/// The shell layer (shell/tsm.sh) goes there; the program itself can only print it. An option, or `--` before the process,
/// makes the shell print it as well.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm cd api\n  tsm cd -- 0   print it")]
pub(super) struct Args {
    /// A name, an ID, a port or a PID.
    #[arg(value_name = "REF")]
    process: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// The object of `tsm cd --json`.
#[derive(Debug, Serialize)]
struct Place<'a> {
    name: &'a str,
    dir: &'a str,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let view = context.find_one(&args.process)?;
    if !std::path::Path::new(&view.cwd).is_dir() {
        return Err(Error::not_found(format!("the directory of {} is gone: {}", view.name, view.cwd)));
    }
    if args.json {
        return context.output.json(&Place { name: view.name.as_str(), dir: &view.cwd });
    }
    if context.output.terminal {
        context
            .output
            .remark("a program cannot change its shell's directory; source shell/tsm.sh, and tsm cd does");
    }
    context.output.bytes(format!("{}\n", view.cwd).as_bytes())
}
