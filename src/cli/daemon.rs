//! `tsm daemon`: the life of the optional daemon.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::boot;
use super::context::Context;
use super::life::{self, Ended, is_older};
use super::{agents, leave};
use crate::daemon::client::{Client, Presence, presence};
use crate::daemon::{self, Options, User};
use crate::error::{Error, Kind, Result};
use crate::render::human;

/// Run the daemon: boot, adoption, events and a JSON API.
///
/// No other verb needs it, and its end ends no process.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm daemon start\n  tsm daemon status\n  tsm daemon stop")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Start it; nothing is done when it runs already.
    Start(Plain),
    /// End it; the managed processes go on.
    Stop(StopArgs),
    /// End it and start it anew.
    Restart(Plain),
    /// Say whether it runs, and what it has done.
    Status(Plain),
    /// Ask it for a sign of life.
    Ping(Plain),
    /// Show its log.
    Logs(LogArgs),
    /// Have it started at boot, and start it now.
    Enable(boot::Args),
    /// Take that back, and stop it; the managed processes go on.
    Disable(boot::Args),
    /// Stop what it has started when all of the user's ends: for systemd.
    #[command(hide = true)]
    Leave,
    /// Be the daemon, in the foreground: for systemd and containers.
    Run(RunArgs),
}

#[derive(Debug, clap::Args)]
struct Plain {
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct StopArgs {
    /// Stop every managed process, too.
    #[arg(long)]
    with_processes: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct LogArgs {
    /// How many of the last lines to show.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    lines: usize,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Leave enabled services alone.
    #[arg(long)]
    no_startup: bool,
    /// End one that runs already.
    #[arg(long)]
    replace: bool,
    /// No limit of requests a second, for measuring.
    #[arg(long, hide = true)]
    unlimited: bool,
}

/// The object of `status` and its like.
#[derive(Debug, Serialize)]
struct Shown {
    state: &'static str,
    /// Whether it is started at boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<boot::Boot>,
    /// What the daemon says of itself.
    #[serde(flatten)]
    status: Value,
}

impl Args {
    /// Those of `daemon run` as it is started by all but a person, read without the parser: the memory that this takes,
    /// and its code, would stay with the daemon for as long as it lives. None for anything else.
    pub(super) fn of_run(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        if words.next()? != "daemon" || words.next()? != "run" {
            return None;
        }
        let mut args = RunArgs { no_startup: false, replace: false, unlimited: false };
        for word in words {
            match word.to_str()? {
                "--no-startup" => args.no_startup = true,
                "--replace" => args.replace = true,
                "--unlimited" => args.unlimited = true,
                _ => return None,
            }
        }
        Some(Args { what: What::Run(args) })
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        What::Start(args) => start(context, args.json),
        What::Stop(args) => stop(context, args),
        What::Restart(args) => {
            if life::end(context)? == Ended::Forced {
                context.output.remark("the daemon did not answer; it was ended by a signal");
            }
            start(context, args.json)
        }
        What::Status(args) => status(context, args.json),
        What::Ping(args) => ping(context, args.json),
        What::Logs(args) => logs(context, args.lines),
        What::Enable(args) => boot::enable(context, args),
        What::Disable(args) => boot::disable(context, args),
        What::Leave => {
            leave::run(context);
            Ok(())
        }
        What::Run(args) => {
            // It must keep no directory busy, and what it starts without one begins where a login does.
            let home = context.settings.home.as_deref().unwrap_or(Path::new("/"));
            let _ = std::env::set_current_dir(home).or_else(|_| std::env::set_current_dir("/"));
            if args.replace {
                life::end(context)?;
            }
            let options = Options { unlimited: args.unlimited, no_startup: args.no_startup };
            // What is wrong with the user's table of agents is told by `tsm agents`.
            let user = User {
                agents: agents::config(context, false).0,
                capture: context.settings.config_file("capture.toml"),
            };
            daemon::run(&context.layout, options, user)
        }
    }
}

fn start(context: &Context, json: bool) -> Result<()> {
    let mut said = "Started the daemon".to_owned();
    match presence(&context.layout.daemon()) {
        Presence::Running(status) if is_older(&status) => {
            said = format!("Replaced the daemon of version {}", life::version(&status));
            life::end(context)?;
        }
        Presence::Running(status) => return show(context, json, "Already running", status),
        Presence::Refuses(failure) => {
            return show(context, json, "Already running", life::written_down(context, &failure));
        }
        Presence::Absent => {}
        Presence::Unresponsive => return Err(life::unresponsive()),
    }
    show(context, json, &said, life::launch(context)?)
}

fn show(context: &Context, json: bool, said: &str, status: Value) -> Result<()> {
    if json {
        return context.output.json(&Shown { state: "running", boot: boot::boot(context), status });
    }
    let up = human::span(status["uptime_ms"].as_u64().unwrap_or(0));
    let version = status["version"].as_str().unwrap_or("?");
    context.output.line(&format!("{said} (PID: {}, version {version}, up {up})", status["pid"]))
}

fn stop(context: &Context, args: &StopArgs) -> Result<()> {
    let ended = life::end(context)?;
    let said = match ended {
        Ended::None => "The daemon does not run",
        Ended::Asked => "Stopped the daemon",
        Ended::Forced => "Stopped the daemon, which did not answer, by a signal",
    };
    if !args.json {
        context.output.line(said)?;
    }
    let processes =
        if args.with_processes { Some(super::stop::everything(context, !args.json)?) } else { None };
    if args.json {
        let (done, _) = processes.as_ref().map_or((&[][..], true), |(done, good)| (&done[..], *good));
        let stopped = ended != Ended::None;
        context.output.json(&json!({"state": "stopped", "stopped": stopped, "processes": done}))?;
    }
    match processes {
        // Each was said as it happened.
        Some((_, false)) => Err(Error::failed("")),
        _ => Ok(()),
    }
}

fn status(context: &Context, json: bool) -> Result<()> {
    let out = &context.output;
    let tell = |state: &'static str, mut status: Value| {
        status["cli_version"] = env!("CARGO_PKG_VERSION").into();
        out.json(&Shown { state, boot: boot::boot(context), status })
    };
    match presence(&context.layout.daemon()) {
        Presence::Running(status) if json => tell("running", status),
        Presence::Running(status) => describe(context, &status),
        Presence::Absent => {
            if json {
                tell("not-running", json!({}))?;
            } else {
                out.line("The daemon does not run")?;
                if let Some(boot) = boot::boot(context) {
                    out.line(&format!("  {:<12}  {}", "boot", boot.said()))?;
                }
            }
            Err(Error::new(Kind::NotRunning, ""))
        }
        Presence::Unresponsive => {
            if json {
                tell("unresponsive", json!({}))?;
            }
            Err(life::unresponsive())
        }
        Presence::Refuses(failure) => {
            if json {
                tell("refuses", life::written_down(context, &failure))?;
            }
            Err(failure.into_error())
        }
    }
}

fn describe(context: &Context, status: &Value) -> Result<()> {
    let out = &context.output;
    let field = |name: &str, value: String| out.line(&format!("  {name:<12}  {value}"));
    out.line("The daemon runs")?;
    field("pid", status["pid"].to_string())?;
    field("version", life::version(status).to_owned())?;
    field("up", human::span(status["uptime_ms"].as_u64().unwrap_or(0)))?;
    field("socket", status["socket"].as_str().unwrap_or("?").to_owned())?;
    field("requests", format!("{} ({} refused)", status["requests"], status["refused"]))?;
    field("clients", format!("{} ({} subscriptions)", status["connections"], status["subscriptions"]))?;
    field("last event", status["seq"].to_string())?;
    field("boot", boot::boot(context).map_or_else(|| "?".to_owned(), |boot| boot.said()))?;
    let ours = env!("CARGO_PKG_VERSION");
    if is_older(status) {
        out.advise(&format!("it is older than this tsm ({ours})"), "tsm daemon restart");
    } else if life::version(status) != ours {
        out.remark(&format!("it is newer than this tsm ({ours})"));
    }
    Ok(())
}

fn ping(context: &Context, json: bool) -> Result<()> {
    let mut client = Client::connect(&context.layout.daemon())?;
    let since = Instant::now();
    client
        .call_within("ping", &Value::Null, Duration::from_secs(2))?
        .map_err(crate::daemon::protocol::Failure::into_error)?;
    let micros = since.elapsed().as_micros() as u64;
    if json {
        return context.output.json(&json!({"pong": true, "micros": micros}));
    }
    context.output.line(&format!("pong ({:.1} ms)", micros as f64 / 1000.0))
}

fn logs(context: &Context, lines: usize) -> Result<()> {
    let path = context.layout.daemon().log();
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            context.output.remark("the daemon has logged nothing yet");
            return Ok(());
        }
        Err(error) => return Err(Error::io("read", &path, &error)),
    };
    let all: Vec<&str> = text.lines().collect();
    for line in &all[all.len().saturating_sub(lines)..] {
        context.output.line(line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Whole {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_run_that_is_read_without_the_parser_is_the_same() {
        let of_run = |words: &str| Args::of_run(words.split(' ').map(OsString::from));
        for words in [
            "daemon run",
            "daemon run --no-startup",
            "daemon run --replace",
            "daemon run --unlimited",
            "daemon run --unlimited --no-startup",
        ] {
            let parsed = Whole::try_parse_from(words.split(' ')).unwrap().args;
            assert_eq!(format!("{:?}", of_run(words)), format!("{:?}", Some(parsed)), "{words}");
        }
        for words in ["daemon", "daemon start", "daemon run --help", "daemon run x", "list run", ""] {
            assert!(of_run(words).is_none(), "{words}");
        }
    }
}
