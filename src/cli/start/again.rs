//! Starting a tracked process again that does not run, from its spec or its definition as it now stands.

use super::ports::Free;
use super::reserve::{lock_of, ran, runtime_lock, take_over};
use super::{
    Begun, By, Context, TRIES, World, directory, doubt_patterns, feedback, launch, reserve, services,
    user_patterns,
};
use crate::cli::lifeline;
use crate::error::{Error, Result, plain};
use crate::inspect::{View, glance, view};
use crate::model::{EnvVar, Origin, Policy, Spec, State};
use crate::plan::{self, EnvAsk, Facts, Holder, Ports as _, Request, ServiceAsk, ShellCode};
use crate::store;
use crate::supervisor::{Order, environment};

/// Starts `view` again in the environment `env`; `restarts` is the count it goes on with.
///
/// # Errors
/// As [`try_again`]; a conflict, too, when somebody else has started it meanwhile.
pub(crate) fn again_in(
    context: &Context,
    view: &View,
    restarts: u32,
    env: &[environment::Var],
) -> Result<i32> {
    try_again(context, view, restarts, env, None)?
        .ok_or_else(|| Error::conflict(format!("{} was started by somebody else meanwhile", view.name)))
}

/// Starts the tracked process `view` again in the environment of this process, for `by`.
///
/// # Errors
/// As [`try_again`]; a conflict, too, when others start or delete it all the time.
pub(super) fn start_again(context: &Context, view: &View, by: &By) -> Result<Begun> {
    let env = environment::captured(std::env::vars_os());
    let mut now = Some(view.clone());
    for _ in 0..TRIES {
        let Some(view) = now else { break };
        if reserve::is_pending(&view) {
            if let Some(view) = feedback::settled(context, &view.dir, view.run) {
                return Ok(Begun::Already(Box::new(view)));
            }
        } else if view.status == State::Stopping {
            feedback::outlast(&view)?;
        } else if view.status.live() {
            return Ok(Begun::Already(Box::new(view)));
        } else if let Some(pid) = try_again(context, &view, view.restarts, &env, Some(by))? {
            return Ok(Begun::Started(view.name, pid));
        }
        now = self::view(&context.layout, &view.name);
    }
    Err(Error::conflict(format!("{} is just being started or deleted by somebody else", view.name))
        .hint("tsm list all, and try again"))
}

/// Starts `view` again in the environment `env`, for `by` or whoever started it before; none when somebody else has
/// started it meanwhile.
///
/// # Errors
/// A conflict when its port is taken meanwhile; why the program does not run, with everything as it was.
fn try_again(
    context: &Context,
    view: &View,
    restarts: u32,
    env: &[environment::Var],
    by: Option<&By>,
) -> Result<Option<i32>> {
    let before = store::read_spec(&view.dir).required(&view.dir.spec())?;
    let mut spec = respecified(context, &before)?;
    lifeline::rebind(context, &mut spec, by.and_then(|by| by.lifeline.as_ref()));
    if let Some(by) = by {
        spec.started_by.clone_from(&by.starter);
    }
    for (name, setting) in &spec.env_vars {
        if *setting == EnvVar::Secret && !env.iter().any(|(key, _)| key == name.as_str()) {
            context.output.remark(&format!(
                "{name} was given with --env-var and is not kept on disk; {} starts without it",
                spec.name
            ));
        }
    }
    let world = World::new(context, &spec.dir);
    if let Some(file) = &spec.env_file {
        world.load_env(file)?;
    }
    let overlay = world.overlay();
    let order = Order { fresh: false, restarts, set: overlay.set, unset: overlay.unset, adopt: None };
    let Some(lock) = lock_of(&view.dir)? else { return Ok(None) };
    let held = runtime_lock(&context.layout)?;
    if let Some(port) = spec.port {
        let mut others = glance(&context.layout);
        others.retain(|other| other.name != view.name);
        if let Some(holder) = super::ports::Machine::new(context, &others).holder(port) {
            return Err(taken(&spec, port, holder));
        }
    }
    let kept = take_over(&view.dir, &spec, None)?;
    drop(held);
    let started = launch(&view.dir, lock, env, &order);
    if started.is_err() {
        kept.restore(&view.dir);
    }
    started.map(|launched| Some(ran(context, launched)))
}

fn taken(spec: &Spec, port: u16, holder: Holder) -> Error {
    let error = Error::conflict(format!("port {port} of {} is taken by {}", spec.name, holder.text));
    match holder.hint {
        Some(hint) => error.hint(hint),
        None => error.hint(format!("tsm kill port:{port}, if it is not needed")),
    }
}

/// The spec of the next run: the definition as it now stands, for a process that came from one, otherwise the same.
/// ID, name and port are kept.
///
/// # Errors
/// When the definition is gone or broken, or the text of a function is.
pub(crate) fn respecified(context: &Context, spec: &Spec) -> Result<Spec> {
    if let Some(function) = &spec.function {
        let path = context.layout.process(&spec.name).function();
        std::fs::File::open(&path).map_err(|error| {
            Error::not_found(format!(
                "cannot read the text of {}: {}: {}",
                function.name,
                path.display(),
                plain(&error)
            ))
            .hint(format!("tsm start {}, in a shell that has it", shell_words::join(&spec.typed)))
        })?;
    }
    let Origin::Service(service) = &spec.origin else { return Ok(spec.clone()) };
    let definition = services::find(context, service)?;
    let dir = match &definition.dir {
        Some(dir) => directory(context, dir)?,
        None => spec.dir.clone(),
    };
    let patterns = user_patterns(context)?;
    let words = vec![definition.command.clone()];
    doubt_patterns(context, patterns.as_deref(), &words);
    let request = Request {
        words,
        dir: dir.clone(),
        name: None,
        // The name ends in the port, so both stay.
        port: spec.port,
        port_variable: None,
        service: Some(ServiceAsk { name: spec.base.clone(), port: definition.port, kind: definition.kind }),
        kind: None,
        env: definition.env.clone().map_or(EnvAsk::Discover, EnvAsk::Named),
        user_patterns: patterns,
        code: ShellCode::default(),
    };
    let world = World::new(context, &dir);
    let plan = plan::plan(plan::draft(&request, &world)?, &Free(1..=u16::MAX))?;
    Ok(Spec {
        kind: plan.kind,
        argv: plan.argv,
        port: plan.port,
        command: plan.command,
        typed: plan.typed,
        dir: plan.dir,
        env_file: plan.env_file,
        env_vars: definition
            .env_vars
            .iter()
            .map(|(name, value)| (name.clone(), EnvVar::Value(value.clone())))
            .collect(),
        policy: definition.policy(Policy::default()),
        reasons: plan.reasons,
        ..spec.clone()
    })
}
