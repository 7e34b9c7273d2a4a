//! `tsm import tetra`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::report::{self, Tool};
use super::{Options, absolute, read, with_source};
use crate::error::{Error, Result};
use crate::service::import::{Import, Remark, tetra_definition, tetra_process};

/// Write definitions for what the first TSM, of tetra, had.
///
/// It reads the definitions in DIRECTORY/services-available and what was written of processes in
/// DIRECTORY/runtime/processes. The directory is `$TETRA_DIR/tsm` when none is named. No file is sourced.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm import tetra\n  tsm import tetra ~/tetra/tsm --dry-run")]
pub(super) struct Args {
    /// The directory of the first TSM.
    #[arg(value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub(super) fn run(context: &Context, options: &Options, args: &Args) -> Result<()> {
    let dir = match (&args.dir, &context.settings.tetra_dir) {
        (Some(dir), _) => absolute(context, dir)?,
        (None, Some(tetra)) => absolute(context, &tetra.join("tsm"))?,
        (None, None) => {
            return Err(Error::usage("which directory is not said, and TETRA_DIR is not set")
                .hint("tsm import tetra DIRECTORY"));
        }
    };
    let (available, processes) = (dir.join("services-available"), dir.join("runtime/processes"));
    let (definitions, ran) = (listed(&available)?, listed(&processes)?);
    if definitions.is_none() && ran.is_none() {
        return Err(Error::not_found(format!(
            "{} is no directory of the first TSM: it has neither services-available nor runtime/processes",
            dir.display()
        )));
    }
    let mut import = Import::default();
    for file in definitions.iter().flatten().filter(|file| file.extension() == Some(OsStr::new("tsm"))) {
        each(context, options, file, &mut import, tetra_definition);
    }
    let in_place = is_same(&available, &context.layout.services_available());
    let defined = import.services.len();
    if in_place {
        import.skipped.clear();
    }
    for file in ran.iter().flatten().map(|dir| dir.join("meta.json")).filter(|file| file.is_file()) {
        each(context, options, &file, &mut import, tetra_process);
    }
    if in_place && defined > 0 {
        import.services.drain(..defined);
        import.remarks.push(Remark {
            field: "services-available".into(),
            why: format!("its {defined} definitions are in place: tsm reads the old settings too"),
        });
    }
    report::finish(context, options, &Tool { name: "tetra", source: &dir, still_runs: None }, import)
}

/// Reads one file into `import`; one that cannot be read is named there.
fn each(
    context: &Context,
    options: &Options,
    file: &Path,
    import: &mut Import,
    add: impl FnOnce(&str, &crate::service::import::Source<'_>, &mut Import),
) {
    match read(file) {
        Ok(text) => with_source(context, options, file, |source| add(&text, source, import)),
        Err(error) => import.skipped.push((file.display().to_string(), error.message().to_owned())),
    }
}

/// What is in `dir`, by name; none where there is no such directory.
fn listed(dir: &Path) -> Result<Option<Vec<PathBuf>>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| Error::io("read", dir, &error))?,
    };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(|error| Error::io("read", dir, &error)))
        .collect::<Result<_>>()?;
    files.sort();
    Ok(Some(files))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
