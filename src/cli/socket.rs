//! `tsm socket` and `tsm ipc`: the control sockets of processes, spoken to from the command line.

use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::context::Context;
use crate::control::client::Client;
use crate::control::message::Request;
use crate::error::{Error, Kind, Result, plain};
use crate::inspect::{View, view};
use crate::model::{self, State};
use crate::render::style;
use crate::render::table::{Cell, Column, Table};
use crate::render::width::Cut;
use crate::store;
use crate::sys::lock::Lock;

/// How long a supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Speak to the control sockets of processes.
///
/// What a process's supervisor answers is printed as it is, a line of JSON. Without a verb: all sockets, and who answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm socket health worker\n  tsm socket send worker RELOAD\n\n\
    Exit codes: 0 healthy or done, 1 unhealthy or refused, 2 a verb that the supervisor does not know, 3 not running, \
    4 no such process, 5 no answer within 5 s.")]
pub(super) struct Args {
    /// Print JSON, also where a table is the rule.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: Option<What>,
}

/// Test and use the channels to processes: their control sockets.
///
/// The same as `tsm socket`, under the names of the first version. Without a verb: all channels, and who answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm ipc test myservice-worker\n  tsm ipc send myservice-worker STATUS")]
pub(super) struct IpcArgs {
    /// Print JSON, also where a table is the rule.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: Option<Ipc>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the state of a process.
    Status(One),
    /// Print whether a process is healthy; the exit code says so, too.
    Health(One),
    /// Have a process read its configuration anew.
    Reload(One),
    /// Begin to stop a process.
    Stop(One),
    /// Send any request and print the reply.
    Send(Send),
    /// Show all sockets, and who answers.
    List,
    /// Remove the sockets of dead supervisors.
    Cleanup,
}

#[derive(Debug, clap::Subcommand)]
enum Ipc {
    /// Show all channels, and who answers.
    List,
    /// Find out whether a channel answers, and how fast.
    Test(One),
    /// Send any request and print the reply.
    Send(Send),
    /// Remove the channels of dead supervisors.
    Cleanup,
}

#[derive(Debug, clap::Args)]
struct One {
    /// A name, an ID, a port or a PID.
    #[arg(value_name = "REF")]
    one: String,
}

#[derive(Debug, clap::Args)]
struct Send {
    /// A name, an ID, a port or a PID.
    #[arg(value_name = "REF")]
    one: String,
    /// STATUS, HEALTH, RELOAD, STOP or another verb of the protocol, or a JSON object with one.
    #[arg(value_name = "VERB", default_value = "STATUS", hide_default_value = true)]
    verb: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.what {
        Some(What::Status(one)) => send(context, &one.one, "STATUS"),
        Some(What::Health(one)) => send(context, &one.one, "HEALTH"),
        Some(What::Reload(one)) => send(context, &one.one, "RELOAD"),
        Some(What::Stop(one)) => send(context, &one.one, "STOP"),
        Some(What::Send(args)) => send(context, &args.one, &args.verb),
        Some(What::Cleanup) => cleanup(context, args.json),
        Some(What::List) | None => list(context, args.json),
    }
}

pub(super) fn ipc(context: &Context, args: &IpcArgs) -> Result<()> {
    match &args.what {
        Some(Ipc::Test(one)) => test(context, &one.one, args.json),
        Some(Ipc::Send(args)) => send(context, &args.one, &args.verb),
        Some(Ipc::Cleanup) => cleanup(context, args.json),
        Some(Ipc::List) | None => list(context, args.json),
    }
}

/// Sends one request and prints the reply.
fn send(context: &Context, text: &str, request: &str) -> Result<()> {
    if request.contains('\n') {
        return Err(Error::usage("a request is one line").hint("tsm socket send NAME STATUS"));
    }
    let view = context.find_one(text)?;
    let reply = ask(context, &view, request)?;
    context.output.line(&reply)?;
    let value: Value = serde_json::from_str(&reply)
        .map_err(|why| Error::failed(format!("the answer of {} makes no sense: {why}", view.name)))?;
    let said = |key: &str| value.get(key).and_then(Value::as_str);
    if value.get("ok").and_then(Value::as_bool) != Some(true) {
        // A verb that is known here was understood there, and refused.
        let kind = if Request::parse(request).is_err() { Kind::Usage } else { Kind::Failed };
        return Err(Error::new(kind, said("error").unwrap_or("the supervisor refused")));
    }
    match said("health") {
        None | Some("healthy") => Ok(()),
        Some(_) => {
            let why = said("reason").unwrap_or("it does not say why");
            Err(Error::failed(format!("{} is unhealthy: {why}", view.name))
                .hint(format!("tsm logs {}", view.name)))
        }
    }
}

/// The reply of a process's supervisor.
fn ask(context: &Context, found: &View, request: &str) -> Result<String> {
    runs(found)?;
    let name = &found.name;
    let reply = Client::connect(&found.dir.socket()).and_then(|mut client| {
        client.say(request)?;
        client.hear(Some(PATIENCE))
    });
    match reply {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) if matches!(Request::parse(request), Ok(Request::Wait(_))) => {
            Err(Error::new(Kind::TimedOut, format!("that has not come true of {name} within 5 s")))
        }
        Ok(None) => {
            Err(Error::new(Kind::Unreachable, format!("the supervisor of {name} does not answer within 5 s"))
                .hint(format!("tsm info {name}")))
        }
        Err(error) => {
            // It may have ended between the look and the question.
            if let Some(now) = view(&context.layout, name) {
                runs(&now)?;
            }
            Err(Error::new(error.kind(), format!("{name}: {}", error.message()))
                .hint(format!("tsm info {name}")))
        }
    }
}

/// # Errors
/// Not running, or unreachable where it runs without a supervisor.
fn runs(view: &View) -> Result<()> {
    let name = &view.name;
    match view.status {
        State::Unsupervised => {
            Err(Error::new(Kind::Unreachable, format!("{name} runs without its supervisor: nobody answers"))
                .hint(format!("tsm restart {name}")))
        }
        state if state.live() => Ok(()),
        state => Err(Error::new(Kind::NotRunning, format!("{name} is not running: it is {state}"))
            .hint(format!("tsm start {name}"))),
    }
}

fn test(context: &Context, text: &str, json: bool) -> Result<()> {
    let found = context.find_one(text)?;
    let begin = Instant::now();
    ask(context, &found, "STATUS")?;
    let ms = (begin.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    if json {
        return context.output.json(&json!({ "name": found.name, "answers": true, "ms": ms }));
    }
    context.output.line(&format!("{} answers in {ms} ms", found.name))
}

/// A row of the list.
#[derive(Debug, Serialize)]
struct Channel {
    name: model::Name,
    id: Option<u32>,
    kind: model::Kind,
    socket: String,
    answers: &'static str,
    reason: Option<String>,
}

const COLUMNS: [Column; 4] = [
    Column::new("NAME").flexible(12, Cut::Middle),
    Column::new("KIND"),
    Column::new("SOCKET").flexible(16, Cut::Middle),
    Column::new("ANSWERS"),
];

fn list(context: &Context, json: bool) -> Result<()> {
    let mut views = context.all();
    views.retain(|view| view.status.live() || view.dir.socket().symlink_metadata().is_ok());
    let channels = channels(&views);
    if json {
        return context.output.json(&channels);
    }
    if channels.is_empty() {
        context.output.advise("no process has a socket", "tsm start COMMAND");
        return Ok(());
    }
    let mut table = Table::new(&COLUMNS);
    for one in &channels {
        let style = match one.answers {
            "healthy" => style::GOOD,
            "unhealthy" => style::WARNING,
            _ => style::ERROR,
        };
        table.row([
            Cell::new(one.name.as_str()),
            Cell::show(one.kind),
            Cell::new(one.socket.as_str()),
            Cell::new(one.answers).styled(style),
        ]);
    }
    context.output.table(&table)?;
    for one in &channels {
        if let Some(reason) = &one.reason {
            context.output.remark(&format!("{}: {reason}", one.name));
        }
    }
    Ok(())
}

/// Asks all at once: however many do not answer, it takes no longer than one that does not.
fn channels(views: &[View]) -> Vec<Channel> {
    let begin = Instant::now();
    let asked: Vec<Result<Client>> = views
        .iter()
        .map(|view| {
            let mut client = Client::connect(&view.dir.socket())?;
            client.say("HEALTH").map(|()| client)
        })
        .collect();
    let channel = |(view, client): (&View, Result<Client>)| {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        let reply = client.and_then(|mut client| client.hear(Some(left)));
        let value: Value =
            reply.ok().flatten().and_then(|line| serde_json::from_str(&line).ok()).unwrap_or_default();
        let answers = match value.get("health").and_then(Value::as_str) {
            None => "no response",
            Some("healthy") => "healthy",
            Some(_) => "unhealthy",
        };
        Channel {
            name: view.name.clone(),
            id: view.id,
            kind: view.kind,
            socket: view.dir.address(&view.dir.socket()).display().to_string(),
            answers,
            reason: value.get("reason").and_then(Value::as_str).map(str::to_owned),
        }
    };
    views.iter().zip(asked).map(channel).collect()
}

/// Removes the sockets of supervisors that are dead: their lock is free, and is held meanwhile, so that nobody can begin
/// to listen there.
fn cleanup(context: &Context, json: bool) -> Result<()> {
    let mut outcome = context.outcome();
    let mut removed = Vec::new();
    for entry in store::entries(&context.layout) {
        let sockets = [entry.dir.socket(), entry.dir.notify()];
        if sockets.iter().all(|socket| socket.symlink_metadata().is_err()) {
            continue;
        }
        let path = entry.dir.lock();
        let lock = match Lock::try_take(&path) {
            Ok(Some(lock)) => lock,
            Ok(None) => continue,
            Err(error) => {
                outcome.failed(&Error::io("lock", &path, &error));
                continue;
            }
        };
        let mut gone = true;
        for socket in sockets {
            match std::fs::remove_file(&socket) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    gone = false;
                    let why = format!("cannot remove {}: {}", socket.display(), plain(&error));
                    outcome.failed(&Error::failed(why));
                }
                _ => {}
            }
        }
        drop(lock);
        if gone {
            removed.push(entry.name);
        }
    }
    if json {
        context.output.json(&json!({ "removed": removed }))?;
    } else {
        let line = match removed.len() {
            0 => "no stale sockets".to_owned(),
            1 => format!("Removed 1 stale socket: {}", removed[0]),
            count => format!("Removed {count} stale sockets"),
        };
        context.output.line(&line)?;
    }
    outcome.done()
}
