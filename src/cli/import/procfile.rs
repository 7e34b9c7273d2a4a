//! `tsm import procfile`.

use std::path::PathBuf;

use super::super::context::Context;
use super::report::{self, Tool};
use super::{Options, absolute, read, with_source};
use crate::error::Result;
use crate::service::import;

/// Write a definition for each line of a Procfile.
///
/// Each command runs in the directory of the file, by bash where it has shell syntax. What reads $PORT gets a port, and
/// `web` always does. An .env beside the file is read at each start, as for every command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm import procfile\n  tsm import procfile --prefix shop- Procfile.dev")]
pub(super) struct Args {
    /// The file.
    #[arg(value_name = "FILE", default_value = "Procfile")]
    file: PathBuf,
}

pub(super) fn run(context: &Context, options: &Options, args: &Args) -> Result<()> {
    let file = absolute(context, &args.file)?;
    let text = read(&file).map_err(|error| error.hint("tsm import procfile FILE"))?;
    let import = with_source(context, options, &file, |source| import::procfile(&text, source));
    report::finish(context, options, &Tool { name: "procfile", source: &file, still_runs: None }, import)
}
