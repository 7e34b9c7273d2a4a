//! `tsm start`: from words to a running program.

mod again;
mod args;
mod asked;
mod code;
mod facts;
mod feedback;
mod judge;
mod ports;
mod preview;
mod reserve;
mod up;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::{lifeline, services, starter};
use crate::envfile;
use crate::error::{Error, Result};
use crate::inspect::{View, glance, view};
use crate::model::{EnvVar, Lifeline, Name, Origin, Policy, Starter, State};
use crate::plan::{self, EnvAsk, Request, ServiceAsk, ShellCode};
use crate::service::Definition;
use crate::supervisor::{Order, environment, launch};
use args::options;
use facts::World;
use reserve::{Outcome, Planned};

pub(super) use again::{again_in, respecified};
pub(super) use args::{Args, parse_name, parse_seconds};
pub(super) use asked::{Asked, asked};
pub(super) use code::{Shown as Function, shown as shown_function};
pub(super) use feedback::{Patience, details, ended, report, settle};
pub(super) use judge::{Judged, Question, judge};
pub(super) use ports::holder;
pub(super) use preview::{Preview, preview};
pub(super) use reserve::{is_pending, runtime_lock};
pub(super) use up::up;

/// Everything that was asked of one start.
pub(super) struct Ask {
    request: Request,
    policy: Policy,
    env_vars: BTreeMap<String, EnvVar>,
    /// The values of `env_vars` that must not touch the disk.
    secrets: Vec<environment::Var>,
    origin: Origin,
    /// The options, in a fixed order: part of "the same process?".
    options: Vec<String>,
    /// What the user should hear of the definition.
    remarks: Vec<String>,
    /// Who starts it.
    by: By,
}

/// Who starts a process, as far as it matters to that process.
#[derive(Clone, Debug, Default)]
struct By {
    /// What it is bound to.
    lifeline: Option<Lifeline>,
    /// From inside of what it is started.
    starter: Option<Starter>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let code = code::handed_over(args.shell_fd)?;
    let patience = Patience::of(context, args.wait, args.no_wait);
    let session = starter::session(context);
    let lifeline = match (args.with_shell, args.with_agent) {
        (true, _) => Some(lifeline::shell(context)?),
        (false, true) => Some(lifeline::agent(session.as_ref())?),
        (false, false) => None,
    };
    let by = By { lifeline, starter: session.map(starter::starter) };
    let asked_dir = args.dir.as_ref().map(|dir| directory(context, dir)).transpose()?;
    // With options a command is meant, and here is one.
    let called = matches!(args.words.as_slice(), [word] if code.has(word)) && !options(args).is_empty();
    if let Some(view) = tracked(context, args)?.filter(|_| !called) {
        refuse_options(args, &view)?;
        if args.dry_run && !view.status.live() {
            return dry_run_again(context, &view, args.json);
        }
        let begun = again::start_again(context, &view, &by)?;
        return tell(context, args, begun, by.lifeline.as_ref(), patience);
    }
    let here = match &asked_dir {
        Some(dir) => dir.clone(),
        None => context.current_dir()?,
    };
    let mut ask = match definition(context, args)? {
        Some(definition) => Ask::of_service(context, args, &definition, asked_dir.as_deref(), here)?,
        None => Ask::of_command(context, args, here)?,
    };
    // The command of a definition is the same in every shell.
    if ask.origin == Origin::Command {
        ask.request.code = code;
    }
    doubt_patterns(context, ask.request.user_patterns.as_deref(), &ask.request.words);
    let say = |text: &str| context.output.remark(text);
    if args.dry_run {
        return dry_run(context, &ask, args.json, &say);
    }
    ask.by.clone_from(&by);
    let begun = begin(context, &ask, &say)?;
    tell(context, args, begun, by.lifeline.as_ref(), patience)
}

fn tell(
    context: &Context,
    args: &Args,
    begun: Begun,
    asked: Option<&Lifeline>,
    patience: Patience,
) -> Result<()> {
    match begun {
        Begun::Already(view) => {
            feedback::already(context, &view, args.json)?;
            feedback::bound(context, &view, asked);
            Ok(())
        }
        Begun::Started(name, pid) => report(context, &name, pid, patience, args.json, "Started"),
    }
}

/// The absolute directory that `--dir` means.
fn directory(context: &Context, dir: &Path) -> Result<PathBuf> {
    let path = if dir.is_absolute() { dir.to_owned() } else { context.current_dir()?.join(dir) };
    let real = std::fs::canonicalize(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!("no directory {}", path.display())),
        _ => Error::io("enter", &path, &error),
    })?;
    if real.is_dir() {
        Ok(real)
    } else {
        Err(Error::not_found(format!("{} is not a directory", path.display())))
    }
}

/// The tracked process that the one word names: exactly, by its ID, or as the only one of that base name.
///
/// # Errors
/// A conflict when several have that base name and there is no program of it either.
fn tracked(context: &Context, args: &Args) -> Result<Option<View>> {
    let [word] = args.words.as_slice() else { return Ok(None) };
    let Ok(name) = Name::parse(word) else { return Ok(None) };
    // A definition of the same name is what the user edits: it decides.
    let defined = || services::find(context, &name).is_ok();
    if let Some(view) = view(&context.layout, &name) {
        return Ok((!defined()).then_some(view));
    }
    let all = glance(&context.layout);
    let id: Option<u32> = word.parse().ok();
    let by_id = all.iter().find(|view| id.is_some() && view.id == id);
    let of_base = |view: &&View| view.port.is_some_and(|port| name.suffixed(port) == view.name);
    let by_base: Vec<&View> = all.iter().filter(of_base).collect();
    let found = match (by_id, by_base.as_slice()) {
        (Some(one), _) | (None, &[one]) => one,
        (None, []) => return Ok(None),
        (None, _) if defined() || which::which(word).is_ok() => return Ok(None),
        (None, several) => {
            let titles: Vec<String> = several.iter().map(|view| view.title()).collect();
            return Err(Error::conflict(format!("{word:?} is ambiguous: {}", titles.join(", ")))
                .hint("name one of them in full, or by its ID"));
        }
    };
    Ok(view(&context.layout, &found.name).filter(|_| !defined()))
}

/// # Errors
/// Usage for an option that a process which is only started again cannot have.
fn refuse_options(args: &Args, view: &View) -> Result<()> {
    let mut given = options(args);
    given.retain(|option| !lifeline::is_option(option));
    given.extend(args.dir.is_some().then(|| "--dir".to_owned()));
    match given.first().map(|option| option.split('=').next().unwrap_or_default()) {
        None => Ok(()),
        Some(option) => Err(Error::usage(format!(
            "{option} needs a command: {} keeps what it was started with",
            view.name
        ))
        .hint(format!("tsm delete {}, then tsm start {option} … COMMAND", view.name))),
    }
}

fn dry_run_again(context: &Context, view: &View, json: bool) -> Result<()> {
    if json {
        return context.output.json(view);
    }
    context.output.line(&format!("would start {} again: {}", view.title(), view.command))
}

fn definition(context: &Context, args: &Args) -> Result<Option<Definition>> {
    let [word] = args.words.as_slice() else { return Ok(None) };
    let Ok(name) = Name::parse(word) else { return Ok(None) };
    match services::find(context, &name) {
        Ok(definition) => Ok(Some(definition)),
        // No such definition: then it is a command. One that is there but broken is an error.
        Err(error) if error.kind() == crate::error::Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Ask {
    fn of_command(context: &Context, args: &Args, dir: PathBuf) -> Result<Self> {
        let env = match (&args.env, args.no_env) {
            (Some(env), _) => EnvAsk::Named(env.clone()),
            (None, true) => EnvAsk::None,
            (None, false) => EnvAsk::Discover,
        };
        let request = Request {
            words: args.words.clone(),
            dir,
            name: args.name.clone(),
            port: args.port,
            port_variable: None,
            service: None,
            kind: args.kind,
            env,
            user_patterns: user_patterns(context)?,
            code: ShellCode::default(),
        };
        Self::finish(args, request, Policy::default(), BTreeMap::new(), Origin::Command)
    }

    /// What starting a service asks for: in `asked_dir`, else where its definition says, else `here`.
    ///
    /// # Errors
    /// When the directory is not there.
    pub(super) fn of_service(
        context: &Context,
        args: &Args,
        definition: &Definition,
        asked_dir: Option<&Path>,
        here: PathBuf,
    ) -> Result<Self> {
        let dir = match (asked_dir, &definition.dir) {
            (Some(dir), _) => dir.to_owned(),
            (None, Some(dir)) => directory(context, dir)?,
            (None, None) => here,
        };
        let env = match (&args.env, &definition.env, args.no_env) {
            (Some(env), _, _) | (None, Some(env), false) => EnvAsk::Named(env.clone()),
            (None, None, false) => EnvAsk::Discover,
            (None, _, true) => EnvAsk::None,
        };
        let request = Request {
            words: vec![definition.command.clone()],
            dir,
            name: args.name.clone(),
            port: args.port,
            port_variable: None,
            service: Some(ServiceAsk {
                name: definition.process.clone(),
                port: definition.port,
                kind: definition.kind,
            }),
            kind: args.kind,
            env,
            user_patterns: user_patterns(context)?,
            code: ShellCode::default(),
        };
        let (policy, vars) = (definition.policy(Policy::default()), definition.env_vars.clone());
        let ask = Self::finish(args, request, policy, vars, Origin::Service(definition.name.clone()))?;
        Ok(Ask { remarks: definition.remarks.clone(), ..ask })
    }

    fn finish(
        args: &Args,
        request: Request,
        base: Policy,
        vars: BTreeMap<String, String>,
        origin: Origin,
    ) -> Result<Self> {
        let mut env_vars: BTreeMap<String, EnvVar> =
            vars.into_iter().map(|(name, value)| (name, EnvVar::Value(value))).collect();
        let mut secrets = Vec::new();
        let mut request = request;
        for setting in &args.env_var {
            let (name, value) =
                setting.split_once('=').filter(|(name, _)| is_variable(name)).ok_or_else(|| {
                    Error::usage("--env-var takes NAME=VALUE").hint("tsm start --env-var DEBUG=1 …")
                })?;
            if name == "PORT" {
                request.port_variable =
                    Some(value.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                        Error::usage(format!("PORT={value} is not a port from 1 to 65535"))
                    })?);
            }
            if is_secret(name, value) {
                secrets.push((name.into(), value.into()));
                env_vars.insert(name.to_owned(), EnvVar::Secret);
            } else {
                env_vars.insert(name.to_owned(), EnvVar::Value(value.to_owned()));
            }
        }
        let policy = Policy {
            restart: args.restart.unwrap_or(base.restart),
            max_restarts: args.max_restarts.unwrap_or(base.max_restarts),
            stop_signal: args.stop_signal.unwrap_or(base.stop_signal),
            stop_timeout_ms: args.stop_timeout.unwrap_or(base.stop_timeout_ms),
            log: crate::model::LogLimit {
                max_bytes: args.log_max_size.unwrap_or(base.log.max_bytes),
                keep: args.log_keep.unwrap_or(base.log.keep),
            },
            reload: base.reload,
        };
        let options = options(args);
        Ok(Ask {
            request,
            policy,
            env_vars,
            secrets,
            origin,
            options,
            remarks: Vec::new(),
            by: By::default(),
        })
    }
}

/// True when a value must not touch the disk: its name says so, or it is an address with a password in it.
fn is_secret(name: &str, value: &str) -> bool {
    envfile::looks_secret(name) || envfile::shown(name, value) != value
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The text of the user's patterns, if there are any.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn user_patterns(context: &Context) -> Result<Option<String>> {
    let path = context.layout.patterns();
    match std::fs::read(&path) {
        // A line that is no text is a broken line, and skipped like one.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path, &error)),
    }
}

/// Names the lines of the user's patterns that are skipped.
pub(super) fn complain_of_patterns(context: &Context, text: Option<&str>) {
    let path = context.layout.patterns();
    for (line, why) in text.map(plan::Patterns::problems).unwrap_or_default() {
        context.output.remark(&format!("{}:{line}: skipped: {why}", path.display()));
    }
}

/// Says that a broken line of the user's patterns may have been meant for this command. Which lines are broken is told by
/// `tsm patterns` and the health check, and not again by each start.
pub(super) fn doubt_patterns(context: &Context, text: Option<&str>, typed: &[String]) {
    if let Some(line) = text.and_then(|text| plan::Patterns::broken_for(text, typed)) {
        let path = context.layout.patterns();
        let what = format!("{}:{line} is broken, and may have been meant for this", path.display());
        context.output.advise(&what, "tsm doctor healthcheck");
    }
}

/// How often a start is tried again when the one that it waited for came to nothing.
const TRIES: usize = 5;

/// What a start came to.
pub(super) enum Begun {
    /// The same process runs already.
    Already(Box<View>),
    /// It was started: its name and PID.
    Started(Name, i32),
}

/// Starts what was asked for, unless it runs already; remarks go to `say`.
///
/// # Errors
/// A conflict when the port or the name is taken; why the program does not run.
pub(super) fn begin(context: &Context, ask: &Ask, say: &dyn Fn(&str)) -> Result<Begun> {
    ask.remarks.iter().for_each(|remark| say(remark));
    for _ in 0..TRIES {
        let world = World::new(context, &ask.request.dir);
        let draft = plan::draft(&ask.request, &world)?;
        code::check(&draft)?;
        match reserve::reserve(context, ask, &draft)? {
            Outcome::Running(view) if view.status == State::Stopping => feedback::outlast(&view)?,
            Outcome::Running(view) => return Ok(Begun::Already(view)),
            Outcome::Starting(dir, run) => {
                if let Some(view) = feedback::settled(context, &dir, run) {
                    return Ok(Begun::Already(Box::new(view)));
                }
            }
            Outcome::Reserved(reservation) => {
                reservation.remarks.iter().chain(&world.remarks()).for_each(|remark| say(remark));
                let overlay = world.overlay();
                let order = Order {
                    fresh: reservation.is_fresh(),
                    restarts: 0,
                    set: overlay.set,
                    unset: overlay.unset,
                    adopt: None,
                };
                let mut env = environment::captured(std::env::vars_os());
                env.retain(|(name, _)| !ask.secrets.iter().any(|(secret, _)| secret == name));
                env.extend(ask.secrets.iter().cloned());
                let name = reservation.spec.name.clone();
                let pid = reservation.launch(context, &env, &order)?;
                return Ok(Begun::Started(name, pid));
            }
        }
    }
    Err(Error::failed("another start of the same command failed again and again; see its error"))
}

fn dry_run(context: &Context, ask: &Ask, json: bool, say: &dyn Fn(&str)) -> Result<()> {
    ask.remarks.iter().for_each(|remark| say(remark));
    let world = World::new(context, &ask.request.dir);
    let draft = plan::draft(&ask.request, &world)?;
    code::check(&draft)?;
    let plan = match reserve::plan_only(context, ask, draft)? {
        Planned::New(plan) => plan,
        Planned::Runs(view) => return feedback::already(context, &view, json),
    };
    plan.remarks.iter().chain(&world.remarks()).for_each(|remark| say(remark));
    if json {
        return context.output.json(&judge::shown(ask, &plan));
    }
    for reason in &plan.reasons {
        context.output.line(&format!("{} {}: {}", reason.what, reason.value, reason.why))?;
    }
    if let Some(script) = &plan.script {
        context.output.line(&format!("function {}:", script.name))?;
        context.output.line(code::masked(&script.text).trim_end())?;
    }
    Ok(())
}
