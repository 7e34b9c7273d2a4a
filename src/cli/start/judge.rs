//! What a start would come to, found out without running anything: a named environment file is read, not sourced.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::ports::{Free, holder};
use super::reserve::{self, Planned};
use super::{Args, Ask, Context, World, definition, directory, tracked};
use crate::envfile;
use crate::error::{Error, Kind, Result};
use crate::inspect::View;
use crate::plan::{self, EnvAsk, Plan};
use crate::store;

/// What is asked.
pub(crate) struct Question {
    /// The words of a command, a service or a tracked process.
    pub(crate) words: Vec<String>,
    pub(crate) port: Option<u16>,
    pub(crate) env: Option<String>,
    pub(crate) dir: Option<PathBuf>,
}

/// What a start would come to.
pub(crate) struct Judged {
    /// The plan, also where it cannot be carried out.
    pub(crate) plan: Plan,
    /// The plan as `start --dry-run --json` prints it; none for a tracked process, which keeps its own.
    pub(crate) shown: Option<Value>,
    /// The process that runs already, which a start would leave alone.
    pub(crate) runs: Option<View>,
    /// Why it cannot be carried out.
    pub(crate) errors: Vec<Error>,
    /// What the user should hear.
    pub(crate) remarks: Vec<String>,
}

/// Plans a start of what `question` says.
///
/// # Errors
/// When there can be no plan: the words are no command, a definition is broken, the directory is not there.
pub(crate) fn judge(context: &Context, question: Question) -> Result<Judged> {
    let Question { words, port, env, dir } = question;
    let args = Args { env, port, dir, words, ..Args::default() };
    if let Some(view) = tracked(context, &args)? {
        return of_tracked(context, view);
    }
    let asked_dir = args.dir.as_ref().map(|dir| directory(context, dir)).transpose()?;
    let here = asked_dir.clone().map_or_else(|| context.current_dir(), Ok)?;
    let mut ask = match definition(context, &args)? {
        Some(definition) => Ask::of_service(context, &args, &definition, asked_dir.as_deref(), here)?,
        None => Ask::of_command(context, &args, here)?,
    };
    let mut errors = Vec::new();
    let mut world = World::new(context, &ask.request.dir).only_reading();
    let draft = match plan::draft(&ask.request, &world) {
        // Without the environment file that was named there still is something to say of the rest.
        Err(error) if error.kind() != Kind::Usage && matches!(ask.request.env, EnvAsk::Named(_)) => {
            errors.push(error);
            ask.request.env = EnvAsk::None;
            world = World::new(context, &ask.request.dir).only_reading();
            plan::draft(&ask.request, &world)?
        }
        other => other?,
    };
    let free = Free(context.settings.port_range.clone());
    let (plan, runs) = match reserve::plan_only(context, &ask, draft.clone()) {
        Ok(Planned::New(plan)) => (*plan, None),
        Ok(Planned::Runs(view)) => (plan::plan(draft, &free)?, Some(*view)),
        Err(error) => {
            errors.push(error);
            (plan::plan(draft, &free)?, None)
        }
    };
    let remarks = ask.remarks.iter().chain(&plan.remarks).cloned().chain(world.remarks()).collect();
    Ok(Judged { shown: Some(shown(&ask, &plan)), plan, runs, errors, remarks })
}

/// A plan as JSON.
pub(super) fn shown(ask: &Ask, plan: &Plan) -> Value {
    let env: serde_json::Map<String, Value> = plan
        .env_values
        .iter()
        .map(|(name, value)| (name.clone(), envfile::shown(name, value).into()))
        .collect();
    json!({
        "schema": crate::model::SCHEMA,
        "argv": plan.argv,
        "command": plan.command,
        "kind": plan.kind,
        "port": plan.port,
        "name": plan.name,
        "dir": plan.dir,
        "env_file": plan.env_file.as_ref().map(|file| &file.path),
        "env": env,
        "restart": ask.policy.restart,
        "max_restarts": ask.policy.max_restarts,
        "stop_signal": ask.policy.stop_signal,
        "stop_timeout_ms": ask.policy.stop_timeout_ms,
        "function": plan.script.as_ref().map(|script| super::code::shown(&script.name, &script.helpers, None, &script.text)),
        "reasons": plan.reasons,
    })
}

/// A process that would be started again as its spec says.
fn of_tracked(context: &Context, view: View) -> Result<Judged> {
    let spec = store::read_spec(&view.dir).required(&view.dir.spec())?;
    let mut errors = Vec::new();
    if let Some(file) = spec.env_file.as_ref().filter(|file| !file.path.exists()) {
        let path = file.path.display();
        let error = Error::not_found(format!("the env file {path} does not exist"));
        errors.push(error.hint(format!("write it anew, then tsm doctor env {path}")));
    }
    let plan = Plan {
        argv: spec.argv,
        command: spec.command,
        kind: spec.kind,
        port: spec.port,
        allocated: false,
        name: spec.name,
        base: spec.base,
        dir: spec.dir,
        env_file: spec.env_file,
        env_values: std::collections::BTreeMap::new(),
        typed: spec.typed,
        reasons: spec.reasons,
        script: None,
        remarks: Vec::new(),
    };
    let runs = Some(view).filter(|view| view.status.live());
    if let (Some(port), None) = (plan.port, &runs)
        && let Some((holder, _)) = holder(context, port)
    {
        let error = Error::conflict(format!("port {port} is taken by {}", holder.text));
        errors.push(error.hint(holder.hint.unwrap_or_else(|| format!("tsm doctor port {port}"))));
    }
    Ok(Judged { plan, shown: None, runs, errors, remarks: Vec::new() })
}
