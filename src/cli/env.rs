//! `tsm env`: the environment of TSM, or of a process.

use std::collections::BTreeMap;

use super::context::Context;
use crate::envfile;
use crate::error::{Error, Kind, Result, plain};
use crate::render::shell_quote;
use crate::sys::process;

/// Show where TSM keeps things, or a process's environment.
///
/// Values whose names look secret are masked unless --show is given. `tsm env init NAME` writes env/NAME.env.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm env\n  tsm env my-api-http-8000\n  tsm env init dev")]
pub(super) struct Args {
    /// A process; or `init NAME` for a new environment file.
    #[arg(value_name = "REF")]
    words: Vec<String>,
    /// Show secrets too.
    #[arg(long)]
    show: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match args.words.as_slice() {
        [] => own(context, args.json),
        [init, name] if init == "init" => {
            let path = envfile::init(&context.current_dir()?, name)?;
            if args.json {
                return context.output.json(&BTreeMap::from([("wrote", path)]));
            }
            context.output.line(&format!("Wrote {}", path.display()))
        }
        [init] if init == "init" => {
            Err(Error::usage("env init takes the name of the environment").hint("tsm env init dev"))
        }
        [text] => of_process(context, args, text),
        _ => Err(Error::usage("env takes one process").hint("tsm env NAME")),
    }
}

fn own(context: &Context, json: bool) -> Result<()> {
    let layout = &context.layout;
    let range = &context.settings.port_range;
    let all = BTreeMap::from([
        ("TSM_DIR", layout.root().display().to_string()),
        ("TSM_PROCESSES_DIR", layout.processes().display().to_string()),
        ("TSM_LOGS_DIR", layout.logs().display().to_string()),
        ("TSM_PIDS_DIR", layout.pids().display().to_string()),
        ("TSM_PORT_RANGE", format!("{}-{}", range.start(), range.end())),
    ]);
    if json {
        return context.output.json(&all);
    }
    for (name, value) in all {
        context.output.line(&format!("{name}={}", shell_quote::quote(&value)))?;
    }
    Ok(())
}

fn of_process(context: &Context, args: &Args, text: &str) -> Result<()> {
    let view = context.find_one(text)?;
    let Some(pid) = view.main.filter(|_| view.pid.is_some()).map(|main| main.pid) else {
        return Err(Error::new(
            Kind::NotRunning,
            format!("{} is not running: it has no environment", view.name),
        )
        .hint(format!("tsm start {}", view.name)));
    };
    let bytes = process::environ(pid).map_err(|error| {
        Error::failed(format!("cannot read the environment of PID {pid}: {}", plain(&error)))
    })?;
    let vars: BTreeMap<String, String> = bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let text = String::from_utf8_lossy(entry).into_owned();
            let (name, value) = text.split_once('=')?;
            let value = if args.show { value.to_owned() } else { envfile::shown(name, value) };
            Some((name.to_owned(), value))
        })
        .collect();
    if args.json {
        return context.output.json(&vars);
    }
    for (name, value) in vars {
        context.output.line(&format!("{name}={}", shell_quote::quote(&value)))?;
    }
    Ok(())
}
