//! `tsm restart`: stop and start again under the same ID, name and port.

use std::time::Duration;

use super::context::Context;
use super::end::{self, How};
use super::lifeline;
use super::start::{self, Patience};
use super::stop::say_killed;
use crate::control::client::Waited;
use crate::control::message::{Request, StatusReply, Until};
use crate::envfile;
use crate::error::{Error, Kind, Result};
use crate::inspect::View;
use crate::model::{EnvSource, Killed, Pid, Spec, State};
use crate::store::{self, Durability};
use crate::supervisor::environment::{self, Var};

/// Restart processes under the same ID, name and port.
///
/// The env file and the definition are read anew.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tsm restart 0\n  tsm restart --update-env api   with this shell's environment"
)]
pub(super) struct Args {
    /// Names, IDs, ports, PIDs, globs, or all.
    #[arg(required = true, value_name = "REF")]
    refs: Vec<String>,
    /// Take the environment of the calling shell instead of the one captured at the first start.
    #[arg(long)]
    update_env: bool,
    /// Wait until it is ready; 30 seconds unless said otherwise.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "30",
        value_parser = start::parse_seconds)]
    wait: Option<u64>,
    /// Print a JSON array of what was restarted.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let (views, errors) = context.find(&args.refs);
    let mut outcome = context.outcome();
    for error in &errors {
        outcome.failed(error);
    }
    let patience = Patience::of(context, args.wait, false);
    let mut done = Vec::new();
    for view in &views {
        let restarted = restart(context, view, args.update_env).and_then(|restarted| {
            if args.json {
                let settled = start::settle(context, &view.name, patience)?;
                let in_time = settled.in_time(patience);
                done.push(settled.view);
                return in_time;
            }
            say_killed(context, &restarted.killed)?;
            start::report(context, &view.name, restarted.pid, patience, false, "Restarted")
        });
        if let Err(error) = restarted {
            outcome.failed(&error);
        }
    }
    if args.json {
        context.output.json(&done)?;
    } else if views.is_empty() && errors.is_empty() {
        context.output.line("nothing to restart")?;
    }
    outcome.done()
}

/// What a restart did.
struct Restarted {
    pid: i32,
    /// What did not end by itself.
    killed: Vec<Killed>,
}

fn restart(context: &Context, view: &View, update_env: bool) -> Result<Restarted> {
    if view.status == State::Unsupervised {
        let env = match view.main.filter(|_| !update_env) {
            Some(main) => environment_of(main.pid)?,
            None => environment::captured(std::env::vars_os()),
        };
        return anew(context, view, &env);
    }
    if view.status.live() && !update_env {
        return in_place(context, view);
    }
    anew(context, view, &environment::captured(std::env::vars_os()))
}

/// Stops it and starts it under a new supervisor, whose environment is `env`.
fn anew(context: &Context, view: &View, env: &[Var]) -> Result<Restarted> {
    // What would make the start fail is found before the stop.
    let spec = store::read_spec(&view.dir).required(&view.dir.spec())?;
    check_env(&start::respecified(context, &spec)?)?;
    let killed = end::finish(view, end::begin(view, How::Gracefully)?)?;
    let pid = start::again_in(context, view, view.restarts.saturating_add(1), env)?;
    Ok(Restarted { pid, killed })
}

/// Finds out that the environment file is gone or cannot be read while the program still runs.
fn check_env(spec: &Spec) -> Result<()> {
    match &spec.env_file {
        Some(file) if file.source == EnvSource::Named => envfile::check_named(&file.path, &spec.dir),
        _ => Ok(()),
    }
}

/// Lets its supervisor do it.
fn in_place(context: &Context, view: &View) -> Result<Restarted> {
    let before = store::read_spec(&view.dir).required(&view.dir.spec())?;
    let mut spec = start::respecified(context, &before)?;
    lifeline::rebind(context, &mut spec, None);
    check_env(&spec)?;
    let mut client = match end::connect(view) {
        // Its socket is gone, or it is halted: it is stopped by a signal, and what it had captured goes to the next one.
        Err(error) if error.kind() == Kind::Unreachable => {
            let env = view.supervisor_pid.and_then(Pid::new).map(environment_of).transpose()?;
            return anew(context, view, &env.ok_or(error)?);
        }
        connected => connected?,
    };
    if spec != before {
        store::write_spec(&view.dir, &spec, Durability::Synced)?;
    }
    client.ask(Request::Restart)?;
    let patience = Duration::from_millis(spec.policy.stop_timeout_ms) + Duration::from_secs(20);
    match awaited(view, client.wait(Request::Wait(Until::Running), Some(patience)))? {
        Waited::Answer(reply) if matches!(reply.status, State::Starting | State::Online) => {
            Ok(Restarted { pid: reply.pid.unwrap_or_default(), killed: reply.killed })
        }
        Waited::Answer(reply) => {
            let why = reply.note.unwrap_or_else(|| format!("it is {}", reply.status));
            Err(Error::failed(format!("cannot restart {}: {why}", view.name))
                .hint(format!("tsm logs {}", view.name)))
        }
        Waited::TimedOut => Err(Error::new(Kind::TimedOut, format!("{} does not stop", view.name))
            .hint(format!("tsm kill {}", view.name))),
    }
}

/// The answer of a supervisor, or the last words of one that failed to start the program and ended before it was asked.
fn awaited(view: &View, waited: Result<Waited>) -> Result<Waited> {
    match waited {
        Err(error) if error.kind() == Kind::Unreachable => {
            let status = store::read_status(&view.dir).found().filter(|status| !status.state.live());
            status.map_or(Err(error), |status| {
                Ok(Waited::Answer(StatusReply::of(&status, crate::sys::clock::wall_ms())))
            })
        }
        other => other,
    }
}

/// The environment that a process without supervisor was started with, as far as the kernel still has it.
fn environment_of(pid: Pid) -> Result<Vec<Var>> {
    let vars = environment::of_process(pid).map_err(|error| {
        Error::failed(format!("cannot read the environment of PID {pid}: {}", crate::error::plain(&error)))
            .hint("tsm restart --update-env takes this shell's instead")
    })?;
    Ok(environment::captured(vars.into_iter()))
}
