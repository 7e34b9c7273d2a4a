//! What was declared for a running process, as it really has it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::control::client::Client;
use crate::control::message::Request;
use crate::envfile;
use crate::error::{Error, Kind, Result, plain};
use crate::inspect::View;
use crate::model::Pid;
use crate::store;
use crate::supervisor::environment::{self, Var};

/// How long a supervisor may take to answer; one that is halted never does.
const PROMPT: Duration = Duration::from_millis(500);

/// The whole environment that the main process of `view` was started with.
///
/// # Errors
/// Not running (exit 3), or that it cannot be read.
pub(super) fn whole(view: &View) -> Result<Vec<Var>> {
    let Some(pid) = view.main.filter(|_| view.pid.is_some()).map(|main| main.pid) else {
        return Err(Error::new(
            Kind::NotRunning,
            format!("{} is not running: it has no environment", view.name),
        )
        .hint(format!("tsm start {}", view.name)));
    };
    environment::of_process(pid).map_err(|error| {
        Error::failed(format!("cannot read the environment of PID {pid}: {}", plain(&error)))
    })
}

/// What the env file, `--env-var`, the definition and the plan have set of it.
///
/// # Errors
/// As [`whole`].
pub(super) fn declared(view: &View) -> Result<Vec<Var>> {
    let all = whole(view)?;
    if let Some(mut names) = told(view) {
        // Its supervisor knows what the file has changed, not what it set to what was there.
        names.append(&mut named(view));
        return Ok(environment::declared(&all, None, &names));
    }
    let base = view.supervisor_pid.and_then(Pid::new).and_then(|pid| environment::of_process(pid).ok());
    Ok(environment::declared(&all, base.as_deref(), &named(view)))
}

/// The names as its supervisor knows them: the program itself may be a script that has set others before it became
/// another program, as the shims of version managers do.
fn told(view: &View) -> Option<BTreeSet<String>> {
    let mut client = Client::connect(&view.dir.socket()).ok()?.patient_for(PROMPT);
    let reply = client.ask(Request::Declared).ok()?;
    serde_json::from_value(reply.get("names")?.clone()).ok()
}

/// The names that its spec and its env file set. A file that has to be sourced is only read here: what it sets by code
/// differs from the captured environment, or was the same there.
fn named(view: &View) -> BTreeSet<String> {
    let Some(spec) = store::read_spec(&view.dir).found() else { return BTreeSet::new() };
    let mut names: BTreeSet<String> = spec.env_vars.into_keys().collect();
    names.extend(spec.port.map(|_| "PORT".to_owned()));
    if let Some(text) = spec.env_file.and_then(|file| envfile::read_text(&file.path).ok()) {
        let read = envfile::assignments::parse(&text, &|_| None);
        names.extend(read.into_iter().flatten().map(|assignment| assignment.name));
    }
    names
}
