//! `tsm import pm2`.

use std::path::{Path, PathBuf};

use super::super::context::Context;
use super::report::{self, Tool};
use super::{Options, absolute, read, with_source};
use crate::envfile::TIMEOUT;
use crate::error::{Error, Result, plain};
use crate::service::import;
use crate::sys::capture::{self, Captured};

/// Write definitions for what pm2 runs or is told to run.
///
/// Without FILE it is what `pm2 save` wrote (dump.pm2 in `$PM2_HOME` or ~/.pm2), else ecosystem.config.json here. An
/// ecosystem.config.js is a program: it is run by node, and only when it is named. Values that look secret are not written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm import pm2\n  tsm import pm2 ecosystem.config.js --dry-run")]
pub(super) struct Args {
    /// A dump.pm2, or an ecosystem.config.json, .js, .cjs or .mjs.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Files of pm2 that are programs.
const PROGRAMS: &[&str] = &["js", "cjs", "mjs"];

/// Prints what such a program exports.
const EVALUATE: &str = include_str!("pm2.js");

pub(super) fn run(context: &Context, options: &Options, args: &Args) -> Result<()> {
    let file = match &args.file {
        Some(file) => absolute(context, file)?,
        None => default(context)?,
    };
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let text = match ending {
        "yml" | "yaml" => {
            return Err(Error::usage(format!("cannot read {}: YAML is not read here", file.display()))
                .hint("start it with pm2, run `pm2 save`, then tsm import pm2"));
        }
        _ if PROGRAMS.contains(&ending) => evaluate(context, &file)?,
        _ => read(&file)?,
    };
    let import = with_source(context, options, &file, |source| import::pm2(&text, source))?;
    let still_runs = Some("pm2 delete all");
    report::finish(context, options, &Tool { name: "pm2", source: &file, still_runs }, import)
}

/// The file that is meant when none is named.
fn default(context: &Context) -> Result<PathBuf> {
    let settings = &context.settings;
    let home = settings.pm2_home.clone().or_else(|| settings.home.as_ref().map(|home| home.join(".pm2")));
    let dump = home.map(|home| home.join("dump.pm2"));
    let here = context.current_dir()?;
    let json = here.join("ecosystem.config.json");
    if let Some(found) = [dump.as_ref(), Some(&json)].into_iter().flatten().find(|file| file.is_file()) {
        return Ok(found.clone());
    }
    let dump = dump.map_or_else(|| "dump.pm2".to_owned(), |dump| dump.display().to_string());
    let error = Error::not_found(format!("there is no {dump} and no ecosystem.config.json here"));
    let program = PROGRAMS.iter().map(|ending| format!("ecosystem.config.{ending}"));
    Err(match program.into_iter().find(|name| here.join(name).is_file()) {
        Some(name) => error.hint(format!("tsm import pm2 {name}   (this runs it with node)")),
        None => error.hint("pm2 save, or tsm import pm2 FILE"),
    })
}

/// What the program `file` exports, as JSON.
fn evaluate(context: &Context, file: &Path) -> Result<String> {
    if !file.exists() {
        return Err(Error::not_found(format!("{} does not exist", file.display())));
    }
    let shown = file.display();
    let node = which::which("node").map_err(|_| {
        Error::failed(format!("cannot evaluate {shown}: there is no node on PATH")).hint(
            "start it with pm2, run `pm2 save`, then tsm import pm2; or write it as ecosystem.config.json",
        )
    })?;
    let argv = [node.into(), "-e".into(), EVALUATE.into(), "--".into(), file.into()];
    let env: Vec<_> = std::env::vars_os().collect();
    let failed = |why: &str| Error::failed(format!("cannot evaluate {shown} with node: {why}"));
    let ran = capture::run(&argv, &env, &context.current_dir()?, TIMEOUT)
        .map_err(|error| failed(&plain(&error)))?;
    match ran {
        None => Err(failed(&format!("it did not end within {}", humantime::format_duration(TIMEOUT)))),
        Some(Captured { code: Some(0), stdout, .. }) if !stdout.is_empty() => {
            String::from_utf8(stdout).map_err(|_| failed("what it exports is not UTF-8 text"))
        }
        Some(Captured { stderr, code, .. }) => Err(thrown(file, code, &String::from_utf8_lossy(&stderr))),
    }
}

/// The error that the program ended with: behind its own output `\0LINE\0MESSAGE`, or nothing when it ended by itself.
fn thrown(file: &Path, code: Option<i32>, stderr: &str) -> Error {
    let file = file.display();
    let mut parts = stderr.rsplitn(3, '\0');
    if let (Some(message), Some(line)) = (parts.next(), parts.next()) {
        let line = if line.is_empty() { String::new() } else { format!(":{line}") };
        let message = message.trim().lines().next().unwrap_or_default();
        return Error::failed(format!("cannot evaluate {file}{line} with node: {message}"));
    }
    let end = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    Error::failed(format!("cannot evaluate {file} with node: it ended with {end} and exported nothing"))
}
