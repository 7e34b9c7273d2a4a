//! `tsm doctor boot`: would boot bring back what is enabled? Nothing is started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::super::boot::{self, MANAGER, NAME};
use super::super::context::Context;
use super::super::{services, startup};
use super::finding::{Finding, Level};
use super::report::{self, Section};
use crate::daemon::client::{Presence, presence};
use crate::error::{Error, Kind, Result, plain};
use crate::render::boot::{Job, Writer, writer};
use crate::service::Entry;
use crate::sys::capture;
use crate::sys::manager::{Manager, Standing};
use crate::sys::user;

/// Check that boot brings back the enabled services.
///
/// The unit, the user's service manager, and of each enabled service whether it could be started with the environment
/// that boot gives it. Nothing is started.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm doctor boot\n\nExit code 1 when there are errors.")]
pub(super) struct Args {
    /// Print a JSON array of findings.
    #[arg(long)]
    json: bool,
}

const ENABLE: &str = "tsm daemon enable";

/// What the plan says of a program that is nowhere.
const NOT_ON_PATH: &str = "is not found on PATH";

/// How long the plan of one start may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let unit = Unit::gather(context)?;
    let manager = boot::manager(context);
    let section = |title, findings| Section { title, findings };
    let sections = [
        section("Unit", unit.findings()),
        section("Session", session(context, &manager, unit.text.is_some())),
        section("Services", enabled(context, manager.as_ref().ok(), &unit)?),
    ];
    report::report(context, "TSM Boot Check", &sections, args.json)
}

/// The file for the manager, and what it should be.
struct Unit {
    file: PathBuf,
    text: Option<String>,
    /// What it starts; what `enable` would have it start where it says nothing.
    job: Job,
    /// What `enable` would write for the job that the file has.
    same_job: Option<String>,
    /// This program, as `enable` would name it.
    program: String,
    root: PathBuf,
    usual: Option<PathBuf>,
}

impl Unit {
    fn gather(context: &Context) -> Result<Self> {
        let file = boot::file(context)?;
        let text = boot::text_of(&file)?;
        let wanted = boot::job(context)?;
        let has = text.as_deref().and_then(boot::read);
        Ok(Unit {
            same_job: has.as_ref().and_then(|job| boot::text(job).ok()),
            program: wanted.program.clone(),
            job: has.unwrap_or(wanted),
            root: context.layout.root().to_owned(),
            usual: context.settings.home.as_ref().map(|home| home.join(".local/state/tsm")),
            file,
            text,
        })
    }

    fn findings(&self) -> Vec<Finding> {
        let file = self.file.display();
        let Some(text) = &self.text else {
            return vec![Finding::error(
                format!("the daemon is not started at boot: there is no {file}"),
                ENABLE,
            )];
        };
        let mut found = vec![match writer(text) {
            Writer::Tsm if self.same_job.as_ref() == Some(text) => Finding::ok(format!("file: {file}")),
            Writer::Tsm => Finding::warning(format!("{file} is of another version of tsm"), ENABLE),
            Writer::Edited => Finding::info(format!("{file} was edited")),
            Writer::Other => Finding::warning(
                format!("{file} was not written by tsm"),
                "look at it; tsm daemon enable --force replaces it",
            ),
        }];
        found.push(self.of_program());
        let root = self.job.var("TSM_DIR").map(PathBuf::from).or_else(|| self.usual.clone());
        if root.as_ref() != Some(&self.root) {
            let root = root.unwrap_or_default();
            let what = format!(
                "it starts the services of {}, and TSM_DIR is {}",
                root.display(),
                self.root.display()
            );
            found.push(Finding::error(what, ENABLE));
        }
        let gone: Vec<&str> = self
            .job
            .var("PATH")
            .unwrap_or_default()
            .split(':')
            .filter(|dir| !Path::new(dir).is_dir())
            .collect();
        if !gone.is_empty() {
            found.push(Finding::info(format!("of its PATH is not there: {}", gone.join(", "))));
        }
        found
    }

    fn of_program(&self) -> Finding {
        let program = &self.job.program;
        if which::which(program).is_err() {
            Finding::error(format!("it starts {program}, which is not there or not executable"), ENABLE)
        } else if boot::is_same(Path::new(program), Path::new(&self.program)) {
            Finding::ok(format!("program: {program}"))
        } else {
            Finding::warning(format!("it starts {program}, and this is {}", self.program), ENABLE)
        }
    }
}

/// What the manager says, and who ends it.
fn session(context: &Context, manager: &Result<Manager>, written: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    match manager {
        Err(error) => found.push(refused(error)),
        Ok(manager) => match manager.standing() {
            Ok(standing) => found.extend(standing_of(context, &standing, written)),
            Err(error) => found.push(Finding::error(error.to_string(), "systemctl --user status")),
        },
    }
    let user = user::name(user::uid()).unwrap_or_else(|| user::uid().to_string());
    found.push(if Manager::lingers(&user) {
        Finding::ok("the daemon is started at boot, and outlives the last logout")
    } else {
        Finding::warning(
            "this user does not linger: the daemon starts at login only, and ends with the last logout",
            format!("loginctl enable-linger {user}"),
        )
    });
    found
}

fn standing_of(context: &Context, standing: &Standing, written: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    if !written {
        return found;
    }
    found.push(if standing.enabled {
        Finding::ok(format!("{NAME} is enabled"))
    } else {
        Finding::error(format!("{NAME} is not enabled"), ENABLE)
    });
    if standing.outdated {
        found.push(Finding::warning(format!("{MANAGER} has not read the file since it was changed"), ENABLE));
    }
    let running = match presence(&context.layout.daemon()) {
        Presence::Running(status) => status["pid"].as_i64().map(|pid| pid as i32),
        // One that cannot answer for its many clients is the one of the unit, if that has it.
        Presence::Refuses(_) => standing.pid,
        Presence::Absent | Presence::Unresponsive => None,
    };
    found.push(match (standing.active, running) {
        (true, Some(pid)) if standing.pid == Some(pid) => {
            Finding::ok(format!("{NAME} is {}, and its daemon answers", standing.state))
        }
        (true, None) => Finding::error(
            format!("{NAME} is {}, and no daemon answers", standing.state),
            "tsm daemon status",
        ),
        (_, Some(pid)) => Finding::warning(
            format!("the daemon that runs (PID: {pid}) is not the one of {NAME}"),
            "tsm daemon restart",
        ),
        (false, None) if standing.state.starts_with("failed") => {
            Finding::error(format!("{NAME} is {}", standing.state), "tsm daemon logs")
        }
        (false, None) => Finding::warning(format!("{NAME} is {}", standing.state), "tsm daemon start"),
    });
    found
}

fn refused(error: &Error) -> Finding {
    Finding { remedy: error.hint_text().map(str::to_owned), ..Finding::error(error.message(), "") }
}

/// What would become of each enabled service.
fn enabled(context: &Context, manager: Option<&Manager>, unit: &Unit) -> Result<Vec<Finding>> {
    let all = services::enabled(context)?;
    if all.is_empty() {
        return Ok(vec![Finding::info("no service is enabled").remedy("tsm enable NAME")]);
    }
    let stopped = startup::stopped(context);
    let env = environment(manager, &unit.job);
    let home = context.settings.home.as_deref().filter(|home| home.is_dir());
    let mut found = Vec::new();
    for entry in &all {
        found.extend(dry_start(entry, &env, home.unwrap_or(Path::new("/"))));
        if stopped.iter().any(|name| name.as_str() == entry.name) {
            let what = format!("{0}: it was stopped, and boot leaves it at that", entry.name);
            found.push(Finding::info(what).remedy(format!("tsm start {}", entry.name)));
        }
    }
    Ok(found)
}

/// The environment that boot gives to the daemon, as far as it can be known.
fn environment(manager: Option<&Manager>, job: &Job) -> Vec<(OsString, OsString)> {
    let of_manager = manager.and_then(|manager| manager.environment().ok());
    let mut env: BTreeMap<String, String> =
        of_manager.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    // What every login has.
    for name in ["HOME", "USER", "LOGNAME", "SHELL"] {
        if let (false, Ok(value)) = (env.contains_key(name), std::env::var(name)) {
            env.insert(name.to_owned(), value);
        }
    }
    env.extend(job.env.iter().cloned());
    env.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Has a `tsm` plan the start in that environment: what this one has read of its own is of no use there.
fn dry_start(entry: &Entry, env: &[(OsString, OsString)], home: &Path) -> Vec<Finding> {
    let name = &entry.name;
    let of = |finding: Finding| Finding { what: format!("{name}: {}", finding.what), ..finding };
    if let Err(error) = &entry.definition
        && error.kind() == Kind::NotFound
    {
        return vec![of(refused(error))];
    }
    let ran = std::env::current_exe().and_then(|exe| {
        let words = ["--color=never", "doctor", "validate", "--json", "--", name].map(OsString::from);
        let argv: Vec<OsString> = std::iter::once(exe.into()).chain(words).collect();
        capture::run(&argv, env, home, PATIENCE)
    });
    let said = match ran {
        Ok(Some(ran)) => ran.stdout,
        Ok(None) => {
            return vec![of(Finding::error(
                "its plan takes too long",
                format!("tsm doctor validate {name}"),
            ))];
        }
        Err(error) => {
            let what = format!("it cannot be planned: {}", plain(&error));
            return vec![of(Finding::error(what, format!("tsm doctor validate {name}")))];
        }
    };
    let report: Value = serde_json::from_slice(&said).unwrap_or_default();
    let Ok(findings) = serde_json::from_value::<Vec<Finding>>(report["findings"].clone()) else {
        return vec![of(Finding::error("it cannot be planned", format!("tsm doctor validate {name}")))];
    };
    judged(&report["plan"], findings).into_iter().map(of).collect()
}

/// What is worth saying of a plan.
fn judged(plan: &Value, findings: Vec<Finding>) -> Vec<Finding> {
    let mut found = Vec::new();
    for finding in findings {
        match finding.level {
            Level::Error if finding.what.ends_with(NOT_ON_PATH) => {
                let what = finding.what.replace(NOT_ON_PATH, "is not found on the PATH of boot");
                found.push(Finding::error(what, format!("{ENABLE}, in a shell that finds it")));
            }
            Level::Warning | Level::Error => found.push(finding),
            // Such as the directories that fnm makes for each shell.
            Level::Ok if finding.what.starts_with("program: /run/") => found.push(Finding::warning(
                format!("its {} is gone after a reboot", finding.what),
                "put a directory that stays into PATH, then tsm daemon enable",
            )),
            Level::Ok | Level::Info => {}
        }
    }
    if found.iter().all(|finding| finding.level != Level::Error) {
        let text = |key: &str| plan[key].as_str().unwrap_or("?").to_owned();
        found.insert(0, Finding::ok(format!("{} in {}", text("command"), text("dir"))));
    }
    found
}
