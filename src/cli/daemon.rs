//! `tsm daemon`: the life of the optional daemon.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::context::Context;
use crate::daemon::client::{Client, Presence, presence};
use crate::daemon::{self, Options};
use crate::error::{Error, Kind, Result, plain};
use crate::render::human;
use crate::supervisor::environment;
use crate::sys::{lock, poll, spawn};

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
    /// No limit of requests a second, for measuring.
    #[arg(long, hide = true)]
    unlimited: bool,
}

/// How long a daemon may take to answer after it was started, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end may take, with the verbs under way.
const ENDING: Duration = Duration::from_secs(60);

/// The object of `status` and its like.
#[derive(Debug, Serialize)]
struct Shown {
    state: &'static str,
    /// What the daemon says of itself.
    #[serde(flatten)]
    status: Value,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        What::Start(args) => start(context, args.json),
        What::Stop(args) => stop(context, args),
        What::Restart(args) => {
            end(context, false)?;
            start(context, args.json)
        }
        What::Status(args) => status(context, args.json),
        What::Ping(args) => ping(context, args.json),
        What::Logs(args) => logs(context, args.lines),
        What::Run(args) => {
            daemon::run(&context.layout, Options { unlimited: args.unlimited, no_startup: args.no_startup })
        }
    }
}

/// A connection to the daemon, which is started when it does not run, unless `TSM_DAEMON=never`.
///
/// # Errors
/// Unreachable when it is not to be started, or does not come up.
pub(super) fn client(context: &Context) -> Result<Client> {
    let files = context.layout.daemon();
    if let Presence::Running(status) = presence(&files) {
        if !is_older(&status) {
            return Client::connect(&files);
        }
        context.output.remark("the daemon is of an older tsm; it is replaced");
        end(context, false)?;
    } else if context.settings.no_daemon {
        return Err(Error::new(
            Kind::Unreachable,
            "the daemon does not run, and TSM_DAEMON=never forbids to start it",
        )
        .hint("tsm daemon start"));
    } else {
        context.output.remark("starting the daemon (TSM_DAEMON=never forbids that)");
    }
    launch(context)?;
    Client::connect_patiently(&files)
}

/// True when the daemon that answered is of an older version than this program.
fn is_older(status: &Value) -> bool {
    let numbers =
        |text: &str| text.split(['.', '-']).map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    let theirs = status["version"].as_str().unwrap_or("0");
    numbers(theirs) < numbers(env!("CARGO_PKG_VERSION"))
}

fn start(context: &Context, json: bool) -> Result<()> {
    let files = context.layout.daemon();
    match presence(&files) {
        Presence::Running(status) if !is_older(&status) => {
            return show(context, json, "Already running", status);
        }
        Presence::Running(_) => {
            end(context, false)?;
        }
        Presence::Absent => {}
        Presence::Unresponsive => {
            return Err(Error::new(Kind::Unreachable, "the daemon runs, but does not answer")
                .hint("tsm daemon restart"));
        }
    }
    let status = launch(context)?;
    show(context, json, "Started the daemon", status)
}

/// Starts a daemon and waits until one answers: this one, or the one of somebody who was faster.
fn launch(context: &Context) -> Result<Value> {
    let files = context.layout.daemon();
    files.create()?;
    let failed = |what: &str, error: &std::io::Error| {
        Error::failed(format!("cannot start the daemon: {what}: {}", plain(error)))
    };
    let exe = std::env::current_exe().map_err(|error| failed("no path of this program", &error))?;
    let null =
        File::options().read(true).write(true).open("/dev/null").map_err(|e| failed("/dev/null", &e))?;
    let argv = ["tsm", "daemon", "run"].map(std::ffi::OsString::from);
    let mut env = environment::captured(std::env::vars_os());
    env.retain(|(name, _)| name != "TSM_DIR");
    env.push(("TSM_DIR".into(), context.layout.root().into()));
    let fds = [null.as_fd(), null.as_fd(), null.as_fd()];
    spawn::Command { program: &exe, argv: &argv, env: &env, fds: &fds }
        .spawn()
        .map_err(|error| failed(&exe.display().to_string(), &error))?;
    let end = Instant::now() + PATIENCE;
    loop {
        if let Presence::Running(status) = presence(&files) {
            return Ok(status);
        }
        if Instant::now() >= end {
            return Err(Error::failed("the daemon was started and does not answer").hint("tsm daemon logs"));
        }
        poll::pause(Duration::from_millis(2));
    }
}

fn show(context: &Context, json: bool, said: &str, status: Value) -> Result<()> {
    if json {
        return context.output.json(&Shown { state: "running", status });
    }
    let up = human::span(status["uptime_ms"].as_u64().unwrap_or(0));
    let version = status["version"].as_str().unwrap_or("?");
    context.output.line(&format!("{said} (PID: {}, version {version}, up {up})", status["pid"]))
}

fn stop(context: &Context, args: &StopArgs) -> Result<()> {
    let ended = end(context, args.with_processes)?;
    if args.json {
        return context.output.json(&json!({"state": "stopped", "stopped": ended}));
    }
    context.output.line(if ended { "Stopped the daemon" } else { "The daemon does not run" })?;
    if args.with_processes && !ended {
        context.output.advise("the managed processes were left alone", "tsm stop all");
    }
    Ok(())
}

/// Ends the daemon and waits for that; false when none ran.
fn end(context: &Context, with_processes: bool) -> Result<bool> {
    let files = context.layout.daemon();
    let held = || lock::is_held(&files.lock());
    if !held() {
        return Ok(false);
    }
    let asked = Client::connect_patiently(&files)
        .and_then(|mut client| client.call("shutdown", &json!({"with_processes": with_processes})));
    if let Err(error) = asked
        && held()
    {
        return Err(error);
    }
    let limit = Instant::now() + ENDING;
    while held() {
        if Instant::now() >= limit {
            return Err(Error::new(Kind::TimedOut, "the daemon does not end").hint("tsm daemon logs"));
        }
        poll::pause(Duration::from_millis(2));
    }
    Ok(true)
}

fn status(context: &Context, json: bool) -> Result<()> {
    let files = context.layout.daemon();
    match presence(&files) {
        Presence::Running(status) => {
            let older = is_older(&status);
            if json {
                return context.output.json(&Shown { state: "running", status });
            }
            let out = &context.output;
            let field = |name: &str, value: String| out.line(&format!("  {name:<12}  {value}"));
            out.line("The daemon runs")?;
            field("pid", status["pid"].to_string())?;
            field("version", status["version"].as_str().unwrap_or("?").to_owned())?;
            field("up", human::span(status["uptime_ms"].as_u64().unwrap_or(0)))?;
            field("socket", status["socket"].as_str().unwrap_or("?").to_owned())?;
            field("requests", format!("{} ({} refused)", status["requests"], status["refused"]))?;
            field(
                "clients",
                format!("{} ({} subscriptions)", status["connections"], status["subscriptions"]),
            )?;
            field("last event", status["seq"].to_string())?;
            if older {
                out.advise("it is of an older tsm than this one", "tsm daemon restart");
            }
            Ok(())
        }
        Presence::Absent => {
            if json {
                context.output.json(&Shown { state: "not-running", status: json!({}) })?;
            } else {
                context.output.line("The daemon does not run")?;
            }
            Err(Error::new(Kind::NotRunning, ""))
        }
        Presence::Unresponsive => {
            if json {
                context.output.json(&Shown { state: "unresponsive", status: json!({}) })?;
            }
            Err(Error::new(
                Kind::Unreachable,
                "the daemon accepts connections, but does not answer within 2 s",
            )
            .hint("tsm daemon restart"))
        }
    }
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
