//! `tsm env`: the environment of TSM, or of a process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::context::Context;
use super::declared;
use crate::envfile;
use crate::error::{Error, Result};
use crate::inspect::View;
use crate::render::{shell_load, shell_quote};

/// Load a process's environment into this shell, or show it.
///
/// In the tsm function of a shell, `tsm env REF` loads what was declared for a running process: what its env file, --env-var,
/// its definition and its port set. Nothing is executed. `tsm env REF --unset` puts back what was there before, and without
/// REF that of every process. Variables by which the shell itself runs (IFS, PS1, ...) are left out, and so are those that
/// are read-only in it. A subshell, a pipeline or $(...) cannot load: there, with any other option, and in the binary, it
/// prints. Values whose names look secret are printed masked unless --show is given.
///
/// `tsm env` alone shows where TSM keeps things. `tsm env init NAME` writes env/NAME.env.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm env my-api-http-8000\n  tsm env my-api-http-8000 --unset\n  \
    tsm env my-api-http-8000 --list\n  tsm env init dev\n\nExit code 3 when the process is not running; then nothing \
    was changed.")]
pub(super) struct Args {
    /// A process; or `init NAME` for a new environment file.
    #[arg(value_name = "REF")]
    words: Vec<String>,
    /// Print the environment; what happens anyway where nothing can be loaded.
    #[arg(long)]
    list: bool,
    /// Print only what was declared for it, without what it has from the shell that started it.
    #[arg(long)]
    declared: bool,
    /// Print secrets too.
    #[arg(long)]
    show: bool,
    /// Take back what was loaded into this shell.
    #[arg(long, conflicts_with_all = ["list", "declared", "show", "json"])]
    unset: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    /// For the shell function: the name, then a line `NAME=value` for each variable, values in the form of `printf %b`.
    #[arg(long, hide = true)]
    load: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    if args.unset {
        return Err(Error::usage(
            "only the tsm function can change its shell, and in that shell itself: this is a subshell or a program",
        )
        .hint("source tsm.sh, then tsm env REF --unset"));
    }
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
        [text] if args.load => load(context, &context.find_one(text)?),
        [text] => of_process(context, args, &context.find_one(text)?),
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

fn of_process(context: &Context, args: &Args, view: &View) -> Result<()> {
    let all = if args.declared { declared::declared(view)? } else { declared::whole(view)? };
    let text = |part: &OsStr| String::from_utf8_lossy(part.as_bytes()).into_owned();
    let vars: BTreeMap<String, String> = all
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .map(|(name, value)| {
            let value = if args.show { value } else { envfile::shown(&name, &value) };
            (name, value)
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

fn load(context: &Context, view: &View) -> Result<()> {
    let all: BTreeMap<OsString, OsString> = declared::declared(view)?.into_iter().collect();
    let mut lines = format!("{}\n", view.name);
    for (name, value) in &all {
        let shown = String::from_utf8_lossy(name.as_bytes());
        match shell_load::refusal(&shown) {
            Some(why) => context.output.remark(&format!("{shown} is not loaded: {why}")),
            None => {
                lines.extend([&shown, "=", &shell_load::escaped(value.as_bytes()), "\n"]);
            }
        }
    }
    context.output.bytes(lines.as_bytes())
}
