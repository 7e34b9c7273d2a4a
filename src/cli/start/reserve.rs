//! Reserving a name, an ID and a port: the only part of a start that happens under the runtime lock.
//!
//! A process directory becomes visible whole, by a rename, and with its supervisor lock held: whoever finds one without
//! that lock and without a status knows that its start was killed, and may take it over.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use super::ports::Machine;
use super::{Ask, Context, launch};
use crate::error::{Error, Result};
use crate::inspect::{View, glance, verify};
use crate::model::{Spec, State};
use crate::plan::{self, Draft, Plan};
use crate::store::{self, Durability, Layout, ProcessDir, Record, StickyPorts};
use crate::supervisor::{Order, environment::Var};
use crate::sys::clock;
use crate::sys::lock::Lock;

/// What a start comes to.
pub(super) enum Outcome {
    /// The same process runs already.
    Running(Box<View>),
    /// The same process is being started by somebody else right now.
    Starting(ProcessDir),
    /// Everything is reserved for it.
    Reserved(Box<Reservation>),
}

/// A process directory that is ready for its supervisor.
pub(super) struct Reservation {
    pub(super) spec: Spec,
    pub(super) remarks: Vec<String>,
    dir: ProcessDir,
    lock: Lock,
    /// The spec of a process that did not run and is replaced, as it was; none for a new directory.
    before: Option<Vec<u8>>,
    /// The port is to be remembered for this directory and name.
    sticky: bool,
}

/// The lock that is held while something is being reserved.
///
/// # Errors
/// When `TSM_DIR` cannot be made or written.
pub(crate) fn runtime_lock(layout: &Layout) -> Result<Lock> {
    let path = layout.runtime_lock();
    let lock = match Lock::take(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            layout.create()?;
            Lock::take(&path)
        }
        other => other,
    };
    lock.map_err(|error| Error::io("lock", &path, &error))
}

/// What the plan would be now, without reserving anything.
///
/// # Errors
/// As the planner's: a port that is taken, no port left.
pub(super) fn plan_only(context: &Context, draft: Draft) -> Result<Plan> {
    plan::plan(draft, &Machine::new(context, &glance(&context.layout)))
}

/// Finds out whether the same process runs, and reserves everything for it if not.
///
/// # Errors
/// A conflict when the port or the name is taken; failed when the directory cannot be written.
pub(super) fn reserve(context: &Context, ask: &Ask, draft: Draft) -> Result<Outcome> {
    let layout = &context.layout;
    let held = runtime_lock(layout)?;
    if !layout.processes().is_dir() || !layout.logs().is_dir() || !layout.pids().is_dir() {
        layout.create()?;
    }
    sweep(layout);
    let mut views = glance(layout);
    if let Some(found) = same(ask, &draft, &mut views, layout) {
        return Ok(if found.status == State::Starting && found.run == 0 {
            Outcome::Starting(found.dir.clone())
        } else {
            Outcome::Running(Box::new(found.clone()))
        });
    }
    let plan = plan::plan(draft, &Machine::new(context, &views))?;
    if let Some(view) = views.iter_mut().find(|view| view.name == plan.name) {
        verify(layout, std::slice::from_mut(view));
    }
    let namesake = views.iter().find(|view| view.name == plan.name);
    if let Some(view) = namesake.filter(|view| view.status.live()) {
        return Err(Error::conflict(format!(
            "{} runs another command already: {}",
            view.title(),
            view.command
        ))
        .hint(format!("tsm stop {0}, or tsm start --name OTHER … for a second one", view.name)));
    }
    let id = namesake.and_then(|view| view.id).unwrap_or_else(|| lowest_free(&views));
    let sticky = plan.allocated;
    let remarks = plan.remarks.clone();
    let spec = spec(ask, plan, id);
    let (dir, lock, before) = match namesake {
        Some(view) => take_over(&view.dir, &spec)?,
        None => create(layout, &spec)?,
    };
    drop(held);
    Ok(Outcome::Reserved(Box::new(Reservation { spec, remarks, dir, lock, before, sticky })))
}

/// The live process that is the same as what is asked for: same directory, base name, words and options.
fn same<'a>(ask: &Ask, draft: &Draft, views: &'a mut [View], layout: &Layout) -> Option<&'a View> {
    let found = views.iter_mut().filter(|view| view.status.live()).find(|view| {
        // The name begins with the base name: most specs need not be read.
        view.name.as_str().starts_with(draft.base.as_str().get(..8).unwrap_or(draft.base.as_str()))
            && store::read_spec(&view.dir).found().is_some_and(|spec| {
                spec.dir == draft.dir
                    && spec.base == draft.base
                    && spec.typed == draft.typed
                    && spec.options == ask.options
                    && spec.origin == ask.origin
            })
    })?;
    verify(layout, std::slice::from_mut(found));
    found.status.live().then_some(found)
}

fn lowest_free(views: &[View]) -> u32 {
    let mut taken: Vec<u32> = views.iter().filter_map(|view| view.id).collect();
    taken.sort_unstable();
    taken.dedup();
    let gap = taken.iter().enumerate().find(|(at, id)| *at as u32 != **id);
    gap.map_or(taken.len() as u32, |(at, _)| at as u32)
}

fn spec(ask: &Ask, plan: Plan, id: u32) -> Spec {
    Spec {
        schema: Spec::SCHEMA,
        id,
        name: plan.name,
        base: plan.base,
        kind: plan.kind,
        argv: plan.argv,
        command: plan.command,
        typed: plan.typed,
        dir: plan.dir,
        port: plan.port,
        env_file: plan.env_file,
        env_vars: ask.env_vars.clone(),
        origin: ask.origin.clone(),
        options: ask.options.clone(),
        policy: ask.policy.clone(),
        reasons: plan.reasons,
        created_ms: clock::wall_ms(),
    }
}

/// The prefix of a directory that is being made.
const UNFINISHED: &str = ".new-";

/// Removes what a killed start left unfinished; whoever makes such a directory holds the runtime lock, as we do now.
fn sweep(layout: &Layout) {
    let Ok(listing) = fs::read_dir(layout.processes()) else { return };
    for item in listing
        .flatten()
        .filter(|item| item.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
    {
        let _ = fs::remove_dir_all(item.path());
    }
}

type Taken = (ProcessDir, Lock, Option<Vec<u8>>);

/// Makes the process directory, whole and locked before it is seen.
fn create(layout: &Layout, spec: &Spec) -> Result<Taken> {
    let parent = layout.processes();
    let failed = |error: &io::Error| Error::io("write", &parent, error);
    // Removed again when anything below fails.
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .map_err(|e| failed(&e))?;
    let dir = ProcessDir::at(unfinished.path().to_owned());
    let lock = lock_of(&dir)?;
    store::write_spec(&dir, spec, Durability::Cached)?;
    let dir = layout.process(&spec.name);
    fs::rename(unfinished.path(), dir.path()).map_err(|e| failed(&e))?;
    let _ = unfinished.keep();
    Ok((dir, lock, None))
}

/// Writes the spec of a process that does not run and takes its lock.
fn take_over(dir: &ProcessDir, spec: &Spec) -> Result<Taken> {
    if let newer @ Record::Newer(_) = store::read_spec(dir) {
        newer.required(&dir.spec())?;
    }
    let lock = lock_of(dir)?;
    let before = fs::read(dir.spec()).unwrap_or_default();
    store::write_spec(dir, spec, Durability::Cached)?;
    Ok((dir.clone(), lock, Some(before)))
}

/// The supervisor lock of a process that does not run.
pub(super) fn lock_of(dir: &ProcessDir) -> Result<Lock> {
    let path = dir.lock();
    // A supervisor that has said its last word holds it for another moment.
    Lock::take_within(&path, std::time::Duration::from_secs(2))
        .map_err(|error| Error::io("lock", &path, &error))?
        .ok_or_else(|| {
            Error::conflict(format!("{} is just being started by somebody else", dir.path().display()))
        })
}

impl Reservation {
    /// True when the process directory is new.
    pub(super) fn is_fresh(&self) -> bool {
        self.before.is_none()
    }

    /// Starts the supervisor; a failure leaves everything as it was before.
    ///
    /// # Errors
    /// Why the program does not run.
    pub(super) fn launch(self, context: &Context, env: &[Var], order: &Order) -> Result<i32> {
        let started = launch(&self.dir, self.lock, env, order);
        match (&started, &self.before) {
            (Ok(_), _) => {
                if let Some(port) = self.spec.port.filter(|_| self.sticky) {
                    let layout = &context.layout;
                    let remembered = runtime_lock(layout).and_then(|_held| {
                        StickyPorts::read(layout).remember(layout, &self.spec.dir, &self.spec.base, port)
                    });
                    if let Err(error) = remembered {
                        context.output.remark(&format!("the port will not be remembered: {error}"));
                    }
                }
            }
            (Err(_), Some(before)) => store::write(&self.dir.spec(), before, Durability::Cached)?,
            // The supervisor takes the directory away itself; here for one that could not even be started.
            (Err(_), None) => {
                if Lock::try_take(&self.dir.lock()).is_ok_and(|lock| lock.is_some()) {
                    let _ = fs::remove_dir_all(self.dir.path());
                }
            }
        }
        started
    }
}
