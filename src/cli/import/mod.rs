//! `tsm import`: service definitions of what other tools were told to run.

mod pm2;
mod procfile;
mod report;
mod tetra;

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::context::Context;
use crate::error::{Error, Result};
use crate::service::import::Source;

/// Write service definitions for what another tool runs.
///
/// A definition that is there already is never replaced. What cannot be carried over is said, field by field. Nothing is
/// started, and nothing of the other tool's is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm import pm2\n  tsm import procfile --dry-run\n  tsm import tetra")]
pub(super) struct Args {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Pm2(pm2::Args),
    Procfile(procfile::Args),
    Tetra(tetra::Args),
}

/// What every import can be asked for.
#[derive(Debug, clap::Args)]
struct Options {
    /// Put this before each name.
    #[arg(long, global = true, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Print the definitions, and write nothing.
    #[arg(long, global = true)]
    dry_run: bool,
    /// Print a JSON object.
    #[arg(long, global = true)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.tool {
        Tool::Pm2(pm2) => pm2::run(context, &args.options, pm2),
        Tool::Procfile(procfile) => procfile::run(context, &args.options, procfile),
        Tool::Tetra(tetra) => tetra::run(context, &args.options, tetra),
    }
}

/// More than any file of these tools has.
const LARGEST: u64 = 64 << 20;

/// The text of a file.
///
/// # Errors
/// `NotFound` when it does not exist; when it cannot be read, is no text, or is larger than 64 MiB.
fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(|error| {
        match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!("{} does not exist", path.display())),
            _ => Error::io("read", path, &error),
        }
    })?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::failed(format!("{} is larger than 64 MiB", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Error::failed(format!("{} is not UTF-8 text", path.display())))
}

/// The absolute path of a file that the user named, its directory without links and `..`.
fn absolute(context: &Context, file: &Path) -> Result<PathBuf> {
    let path = context.current_dir()?.join(file);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
    Ok(dir.canonicalize().map_or_else(|_| path.clone(), |dir| dir.join(name)))
}

/// Calls `read` with what it has to know beside the text of `file`.
fn with_source<T>(
    context: &Context,
    options: &Options,
    file: &Path,
    read: impl FnOnce(&Source<'_>) -> T,
) -> T {
    read(&Source {
        file,
        folder: &context.layout.services_available(),
        prefix: &options.prefix,
        lookup: &|name| std::env::var(name).ok(),
    })
}
