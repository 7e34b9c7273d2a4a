//! `tsm why`: the one answer to "why is it not up?".

mod causes;
mod print;
mod reasons;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::context::Context;
use super::{doctor, logs, services};
use crate::envfile;
use crate::error::{Error, Kind, Result};
use crate::inspect::{self, View};
use crate::model::{Exit, Name, Origin, SCHEMA, State};
use crate::store;
use crate::sys::clock;
use causes::{About, Cause};
use reasons::Facts;

/// Say why a process is not up, and what to do.
///
/// Its state, how its last run ended, the last lines of that run, what stands in the way of a start now, and what the log
/// says went wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm why my-api-server-8000\n\nExit code 0 when it is up, 3 when not.")]
pub(super) struct Args {
    /// A name, ID, port or PID; or a service.
    #[arg(value_name = "REF")]
    process: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// How many lines of the log are shown.
const SHOWN: usize = 10;

/// How many of them are searched for causes.
const SEARCHED: usize = 200;

/// The most commands to type.
const TODO: usize = 3;

/// Something that keeps it from starting now.
#[derive(Clone, Debug, Serialize)]
struct Obstacle {
    what: String,
    remedy: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    schema: u32,
    name: String,
    id: Option<u32>,
    up: bool,
    /// The state; none for a service that was never started.
    status: Option<State>,
    /// When it came to be so, in milliseconds since the Unix epoch.
    since_ms: Option<u64>,
    exit: Option<Exit>,
    /// The exit in words.
    last_exit: Option<String>,
    why: String,
    obstacles: Vec<Obstacle>,
    causes: Vec<Cause>,
    /// Who else has the planned port.
    port_holder: Option<String>,
    missing_env: Vec<String>,
    log_path: Option<String>,
    log: Vec<String>,
    todo: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let answer = match find(context, &args.process)? {
        Found::Process(view) => of_process(context, &view),
        Found::Service(name, error) => of_service(&name, error.as_ref()),
    };
    if args.json {
        context.output.json(&answer)?;
    } else {
        print::answer(context, &answer)?;
    }
    // Everything has been said.
    if answer.up { Ok(()) } else { Err(Error::new(Kind::NotRunning, "")) }
}

/// What a ref means here.
enum Found {
    Process(Box<View>),
    /// A definition without a process, and what is wrong with it.
    Service(Name, Option<Error>),
}

fn find(context: &Context, text: &str) -> Result<Found> {
    let found = context.find_one(text);
    let name = Name::parse(text).ok();
    let defined = name.and_then(|name| match services::find(context, &name) {
        Ok(_) => Some((name, None)),
        Err(error) if error.kind() == Kind::NotFound && !is_file(context, &name) => None,
        Err(error) => Some((name, Some(error))),
    });
    match (found, defined) {
        // A definition of that very name is meant rather than a process with that word in its name.
        (Ok(view), Some((name, error))) if !is_of(&view, &name) => Ok(of_definition(context, name, error)),
        (Ok(view), _) => Ok(Found::Process(Box::new(view))),
        (Err(_), Some((name, error))) => Ok(of_definition(context, name, error)),
        (Err(error), None) if error.kind() == Kind::NotFound => Err(unknown(context, text, error)),
        (Err(error), None) => Err(error),
    }
}

/// The process that was started from a definition, else the definition itself.
fn of_definition(context: &Context, name: Name, error: Option<Error>) -> Found {
    let started = context.all().into_iter().find(|view| is_of(view, &name));
    started.map_or(Found::Service(name, error), |view| Found::Process(Box::new(view)))
}

fn is_file(context: &Context, name: &Name) -> bool {
    let file = format!("{name}.tsm");
    [context.layout.services_available(), context.layout.services_enabled()]
        .iter()
        .any(|dir| dir.join(&file).symlink_metadata().is_ok())
}

/// True when `view` has that name, or came from the definition of that name.
fn is_of(view: &View, name: &Name) -> bool {
    let from = || store::read_spec(&view.dir).found().map(|spec| (spec.base, spec.origin));
    let is = |base: Name, origin: Origin| base == *name || origin == Origin::Service(name.clone());
    let id = name.as_str().parse::<u32>().is_ok();
    view.name == *name || id || from().is_some_and(|(base, origin)| is(base, origin))
}

/// The error for what nobody knows, with the closest of what there is.
fn unknown(context: &Context, text: &str, error: Error) -> Error {
    if Name::parse(text).is_ok_and(|name| context.layout.log(&name).is_file()) {
        return error.hint(format!("it was deleted, and left a log: tsm logs {text}"));
    }
    let services = services::catalog(context).list().unwrap_or_default();
    let close = services
        .iter()
        .map(|entry| (strsim::jaro(text, &entry.name), &entry.name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let about_process = error.hint_text().is_some_and(|hint| hint.starts_with("did you mean"));
    match close {
        Some((_, name)) if !about_process => {
            error.hint(format!("did you mean the service {name}? tsm why {name}"))
        }
        _ => error,
    }
}

fn of_service(name: &Name, error: Option<&Error>) -> Answer {
    let why = match error {
        None => "it is a service definition that was never started".to_owned(),
        Some(error) => format!("it is a service definition that cannot be started: {}", error.message()),
    };
    let obstacle = |error: &Error| Obstacle {
        what: error.message().to_owned(),
        remedy: error.hint_text().map(str::to_owned),
    };
    let start = match error {
        None => format!("tsm start {name}"),
        Some(_) => "tsm doctor healthcheck".to_owned(),
    };
    Answer {
        schema: SCHEMA,
        name: name.to_string(),
        id: None,
        up: false,
        status: None,
        since_ms: None,
        exit: None,
        last_exit: None,
        why,
        obstacles: error.map(obstacle).into_iter().collect(),
        causes: Vec::new(),
        port_holder: None,
        missing_env: Vec::new(),
        log_path: None,
        log: Vec::new(),
        todo: vec![start],
    }
}

fn of_process(context: &Context, view: &View) -> Answer {
    let facts = facts(view);
    let up = facts.is_up();
    let lines: Vec<String> = if up { Vec::new() } else { last_lines(context, view) };
    let causes = if matters(view) { causes_of(view, &lines) } else { Vec::new() };
    let obstacles: Vec<Obstacle> = if up || view.status == State::Stopping {
        Vec::new()
    } else {
        doctor::obstacles(context, &view.name)
            .into_iter()
            .map(|(what, remedy)| Obstacle { what, remedy })
            .collect()
    };
    let port_holder =
        view.port.filter(|port| !view.ports.contains(port)).and_then(|port| other_holder(view, port));
    let log = lines[lines.len().saturating_sub(SHOWN)..].to_vec();
    Answer {
        schema: SCHEMA,
        name: view.name.to_string(),
        id: view.id,
        up,
        status: Some(view.status),
        since_ms: since(view),
        exit: view.exit,
        last_exit: reasons::last_exit(&facts),
        why: reasons::why(&facts),
        todo: todo(view, &obstacles, &causes, port_holder.is_some()),
        missing_env: causes.iter().filter_map(|cause| cause.variable.clone()).collect(),
        obstacles,
        causes,
        port_holder,
        log_path: Some(view.log_path.clone()),
        log,
    }
}

/// True when the last run came to a bad end, so that its log has something to say.
fn matters(view: &View) -> bool {
    let well = view.exit.is_some_and(|exit| exit.success());
    match view.status {
        State::Backoff | State::Errored | State::Lost | State::Starting => true,
        State::Exited => !well,
        State::Online | State::Unsupervised | State::Stopping | State::Stopped => false,
    }
}

fn facts(view: &View) -> Facts {
    let status = view.record.as_ref();
    let policy = store::read_spec(&view.dir).found().map(|spec| spec.policy).unwrap_or_default();
    let lasted = |exit: &Exit| exit.at_ms.checked_sub(status?.started_ms);
    let retry = status.and_then(|status| status.retry_ms);
    Facts {
        state: view.status,
        note: view.note.clone(),
        exit: view.exit,
        lasted_ms: view.exit.as_ref().and_then(lasted),
        restarts: view.restarts,
        policy: policy.restart,
        max_restarts: policy.max_restarts,
        retry_in_ms: retry.map(|at| at.saturating_sub(clock::wall_ms())),
        killed: status.map_or(0, |status| status.killed.len()),
        port: view.port,
        ports: view.ports.clone(),
    }
}

/// When the state came to be: the beginning of the run, or the last word that was written of it.
fn since(view: &View) -> Option<u64> {
    match view.status {
        State::Online | State::Unsupervised | State::Starting => {
            view.uptime_ms.map(|up| clock::wall_ms().saturating_sub(up))
        }
        State::Backoff => view.exit.map(|exit| exit.at_ms),
        // Nobody saw it.
        State::Lost => None,
        State::Stopping | State::Stopped | State::Exited | State::Errored => {
            let changed = std::fs::metadata(view.dir.status()).and_then(|facts| facts.modified()).ok()?;
            let age = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
            u64::try_from(age.as_millis()).ok()
        }
    }
}

fn last_lines(context: &Context, view: &View) -> Vec<String> {
    let bytes = logs::last_of_run(context, view, SEARCHED);
    String::from_utf8_lossy(&bytes).lines().map(causes::without_colours).collect()
}

fn causes_of(view: &View, lines: &[String]) -> Vec<Cause> {
    let spec = store::read_spec(&view.dir).found();
    let mut set: BTreeSet<String> = BTreeSet::new();
    if let Some(spec) = &spec {
        set.extend(spec.env_vars.keys().cloned());
    }
    if let Some(file) = &view.env_file {
        let read = envfile::read_found(Path::new(file), &|name| std::env::var(name).ok());
        set.extend(read.map(|(values, _)| values.into_keys()).into_iter().flatten());
    }
    let program = spec.as_ref().and_then(|spec| spec.argv.first()).map(String::as_str).unwrap_or_default();
    let about = About {
        name: view.name.as_str(),
        dir: Path::new(&view.cwd),
        port: view.port,
        program,
        set: &set,
        env_file: view.env_file.as_deref().map(Path::new),
    };
    let mut found = causes::causes(lines, &about);
    for cause in &mut found {
        cause.holder = cause.port.and_then(|port| other_holder(view, port));
    }
    found
}

/// Who listens on `port` and is not of this process.
fn other_holder(view: &View, port: u16) -> Option<String> {
    let owner = inspect::port_owner(port)?;
    let own = |pid: &crate::model::Pid| view.tree.iter().any(|process| process.pid == *pid);
    let command: String = owner.command.chars().take(100).collect();
    match owner.pid {
        Some(pid) if own(&pid) => None,
        Some(pid) => Some(format!("{command} (PID {pid})")),
        None => Some("a program of another user".to_owned()),
    }
}

/// What to type: about what stands in the way, then about what the log says, then about the state.
fn todo(view: &View, obstacles: &[Obstacle], causes: &[Cause], taken: bool) -> Vec<String> {
    let name = &view.name;
    let first = obstacles.iter().filter_map(|one| one.remedy.clone());
    let second = causes.iter().filter_map(|one| one.todo.clone());
    let port = view.port.filter(|_| taken).map(|port| format!("tsm doctor port {port}"));
    let last: Vec<String> = match view.status {
        State::Online => Vec::new(),
        State::Unsupervised => vec![format!("tsm restart {name}")],
        State::Starting => vec![format!("tsm logs -f {name}")],
        State::Stopping => vec![format!("tsm kill {name}")],
        State::Backoff => vec![format!("tsm logs --run {name}"), format!("tsm restart {name}")],
        State::Stopped | State::Lost => vec![format!("tsm start {name}")],
        State::Exited | State::Errored => {
            vec![format!("tsm logs --run {name}"), format!("tsm start {name}")]
        }
    };
    let mut all: Vec<String> = Vec::new();
    for one in first.chain(second).chain(port) {
        if all.len() < TODO - 1 && !all.contains(&one) {
            all.push(one);
        }
    }
    // The last step is to start it, whatever stood in the way.
    let room = TODO - all.len();
    all.extend(last[last.len().saturating_sub(room)..].iter().cloned());
    all
}
