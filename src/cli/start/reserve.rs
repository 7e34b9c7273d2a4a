//! Reserving a name, an ID and a port: the only part of a start that happens under the runtime lock.
//!
//! A process directory becomes visible whole, by a rename, and with its supervisor lock held: whoever finds one without
//! that lock and without a status knows that its start was killed, and may take it over.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::ports::Machine;
use super::{Ask, Context, code, launch};
use crate::error::{Error, Result};
use crate::inspect::{View, glance, verify};
use crate::model::{Function, Spec, State, Status};
use crate::plan::{self, Draft, Plan, Script};
use crate::store::{self, Durability, Layout, ProcessDir, Record, StickyPorts};
use crate::supervisor::{Launched, Order, environment::Var};
use crate::sys::lock::Lock;
use crate::sys::{boot, clock, poll};

/// What a start comes to.
pub(super) enum Outcome {
    /// The same process runs already.
    Running(Box<View>),
    /// The same process is being started by somebody else right now, after so many runs.
    Starting(ProcessDir, u64),
    /// Everything is reserved for it.
    Reserved(Box<Reservation>),
}

/// A process directory that is ready for its supervisor.
pub(super) struct Reservation {
    pub(super) spec: Spec,
    pub(super) remarks: Vec<String>,
    dir: ProcessDir,
    lock: Lock,
    /// The files of a process that did not run, as they were; none for a new directory.
    before: Option<Before>,
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

/// What a dry run finds.
pub(super) enum Planned {
    /// The same process runs already.
    Runs(Box<View>),
    /// What would be started.
    New(Box<Plan>),
}

/// What the plan would be now, without reserving anything.
///
/// # Errors
/// As the planner's: a port that is taken, no port left.
pub(super) fn plan_only(context: &Context, ask: &Ask, draft: Draft) -> Result<Planned> {
    let mut views = glance(&context.layout);
    if let Some(found) = same(ask, &draft, &mut views, &context.layout) {
        code::same_text(ask, &draft, found)?;
        return Ok(Planned::Runs(Box::new(found.clone())));
    }
    let mut plan = plan::plan(draft, &Machine::new(context, &views))?;
    code::place(&context.layout, &mut plan)?;
    Ok(Planned::New(Box::new(plan)))
}

/// How long a supervisor that has said its last word may take to let go of its lock.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// Finds out whether the same process runs, and reserves everything for it if not.
///
/// # Errors
/// A conflict when the port or the name is taken; failed when the directory cannot be written.
pub(super) fn reserve(context: &Context, ask: &Ask, draft: &Draft) -> Result<Outcome> {
    let end = Instant::now() + LAST_MOMENT;
    loop {
        if let Some(outcome) = attempt(context, ask, draft.clone())? {
            return Ok(outcome);
        }
        if Instant::now() >= end {
            return Err(Error::conflict(format!("{} is just being started or stopped", draft.base))
                .hint("tsm list all, and try again"));
        }
        // Without the runtime lock: nobody else has to wait for it.
        poll::pause(Duration::from_millis(1));
    }
}

/// One look and, where all is free, the reservation; none when the process directory is still in use.
fn attempt(context: &Context, ask: &Ask, draft: Draft) -> Result<Option<Outcome>> {
    let layout = &context.layout;
    let held = runtime_lock(layout)?;
    if !layout.processes().is_dir() || !layout.logs().is_dir() || !layout.pids().is_dir() {
        layout.create()?;
    }
    sweep(layout);
    let mut views = glance(layout);
    if let Some(found) = same(ask, &draft, &mut views, layout) {
        code::same_text(ask, &draft, found)?;
        return Ok(Some(if is_pending(found) {
            Outcome::Starting(found.dir.clone(), found.run)
        } else {
            Outcome::Running(Box::new(found.clone()))
        }));
    }
    let mut plan = plan::plan(draft, &Machine::new(context, &views))?;
    code::place(layout, &mut plan)?;
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
    let script = plan.script.take();
    let spec = spec(ask, plan, script.as_ref(), id);
    let text = script.as_ref().map(|script| script.text.as_slice());
    let (dir, lock, before) = if let Some(view) = namesake {
        let Some(lock) = try_lock(&view.dir)? else { return Ok(None) };
        let before = take_over(&view.dir, &spec, text)?;
        (view.dir.clone(), lock, Some(before))
    } else {
        let (dir, lock) = create(layout, &spec, text)?;
        (dir, lock, None)
    };
    drop(held);
    Ok(Some(Outcome::Reserved(Box::new(Reservation { spec, remarks, dir, lock, before, sticky }))))
}

/// True for a process that is reserved but does not run yet.
pub(crate) fn is_pending(view: &View) -> bool {
    view.status == State::Starting && view.pid.is_none()
}

/// The live process that is the same as what is asked for: same directory, base name, words and options.
fn same<'a>(ask: &Ask, draft: &Draft, views: &'a mut [View], layout: &Layout) -> Option<&'a View> {
    let found = views.iter_mut().filter(|view| view.status.live()).find(|view| {
        // The name begins with the base name: most specs need not be read.
        view.name.as_str().starts_with(draft.base.as_str().get(..8).unwrap_or(draft.base.as_str()))
            && store::read_spec(&view.dir).found().is_some_and(|spec| {
                spec.dir == draft.dir
                    && spec.base == draft.base
                    && plan::same_command(&spec.typed, &draft.typed)
                    && spec.options == ask.options
                    && spec.origin == ask.origin
                    // Another shell, which has no such function, may well mean this one.
                    && (spec.function.is_some() || draft.script.is_none())
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

fn spec(ask: &Ask, plan: Plan, script: Option<&Script>, id: u32) -> Spec {
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
        function: script
            .map(|script| Function { name: script.name.clone(), helpers: script.helpers.clone() }),
        origin: ask.origin.clone(),
        options: ask.options.clone(),
        policy: ask.policy.clone(),
        lifeline: ask.by.lifeline.clone(),
        started_by: ask.by.starter.clone(),
        reasons: plan.reasons,
        created_ms: clock::wall_ms(),
    }
}

/// The prefix of a directory or file that is being made.
const UNFINISHED: &str = ".new-";

/// Removes what a killed start left unfinished; whoever makes such a thing holds the runtime lock, as we do now.
fn sweep(layout: &Layout) {
    sweep_files(&layout.processes());
    // Of the remembered ports.
    if let Some(runtime) = layout.ports().parent() {
        sweep_files(runtime);
    }
}

fn sweep_files(dir: &Path) {
    let Ok(listing) = fs::read_dir(dir) else { return };
    for item in listing
        .flatten()
        .filter(|item| item.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
    {
        let path = item.path();
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

/// Makes the process directory, whole and locked before it is seen.
fn create(layout: &Layout, spec: &Spec, function: Option<&[u8]>) -> Result<(ProcessDir, Lock)> {
    let parent = layout.processes();
    let failed = |error: &io::Error| Error::io("write", &parent, error);
    // Removed again when anything below fails.
    let unfinished = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .map_err(|e| failed(&e))?;
    let dir = ProcessDir::at(unfinished.path().to_owned());
    let lock = try_lock(&dir)?.ok_or_else(|| Error::failed("a new file is locked by somebody else"))?;
    if let Some(text) = function {
        store::write(&dir.function(), text, Durability::Cached)?;
    }
    store::write_spec(&dir, spec, Durability::Cached)?;
    let dir = layout.process(&spec.name);
    fs::rename(unfinished.path(), dir.path()).map_err(|e| failed(&e))?;
    let _ = unfinished.keep();
    Ok((dir, lock))
}

/// The files of a process that does not run, as they were before it is started again.
pub(super) struct Before {
    spec: Option<Vec<u8>>,
    status: Option<Vec<u8>>,
    function: Option<Vec<u8>>,
}

/// Writes the spec of the next run of a process whose lock we hold, and that this run begins: from now on its port is
/// reserved, and another start of it waits for this one. The runtime lock is held, too. The text of a function is that of
/// `function`, else the one that is kept; it goes when the process is no function any more.
///
/// # Errors
/// When a file is of a newer `tsm`, or cannot be written; then everything is as it was.
pub(super) fn take_over(dir: &ProcessDir, spec: &Spec, function: Option<&[u8]>) -> Result<Before> {
    if let newer @ Record::Newer(_) = store::read_spec(dir) {
        newer.required(&dir.spec())?;
    }
    let status = match store::read_status(dir) {
        newer @ Record::Newer(_) => Some(newer.required(&dir.status())?),
        other => other.found(),
    };
    sweep_files(dir.path());
    let before = Before {
        spec: fs::read(dir.spec()).ok(),
        status: fs::read(dir.status()).ok(),
        function: fs::read(dir.function()).ok(),
    };
    let written = match (function, &spec.function, &before.function) {
        (Some(text), ..) => store::write(&dir.function(), text, Durability::Cached),
        (None, None, Some(_)) => {
            fs::remove_file(dir.function()).map_err(|error| Error::io("remove", &dir.function(), &error))
        }
        _ => Ok(()),
    };
    let written =
        written.and_then(|()| store::write_spec(dir, spec, Durability::Cached)).and_then(|()| match status {
            Some(status) => store::write_status(dir, &beginning(status, spec)),
            None => Ok(()),
        });
    if written.is_err() {
        before.put_back(dir);
    }
    written.map(|()| before)
}

fn beginning(status: Status, spec: &Spec) -> Status {
    Status {
        kind: spec.kind,
        command: spec.command.clone(),
        cwd: spec.dir.clone(),
        env_file: spec.env_file.as_ref().map(|file| file.path.clone()),
        port: spec.port,
        started_by: spec.started_by.clone(),
        state: State::Starting,
        main: None,
        supervisor: None,
        adopted: false,
        signalled: false,
        boot_id: boot::id(),
        retry_ms: None,
        note: None,
        ..status
    }
}

impl Before {
    /// After a failure; the supervisor lets go of the lock as it ends.
    pub(super) fn restore(&self, dir: &ProcessDir) {
        // Somebody else who has it by now has written files of their own.
        if let Ok(Some(_lock)) = Lock::take_within(&dir.lock(), LAST_MOMENT) {
            self.put_back(dir);
        }
    }

    /// As well as it can: why the start failed is what the user must hear.
    fn put_back(&self, dir: &ProcessDir) {
        let all = [(dir.spec(), &self.spec), (dir.status(), &self.status), (dir.function(), &self.function)];
        if self.function.is_none() {
            let _ = fs::remove_file(dir.function());
        }
        for (path, bytes) in all {
            if let Some(bytes) = bytes.as_ref().filter(|bytes| fs::read(&path).ok().as_ref() != Some(*bytes))
            {
                let _ = store::write(&path, bytes, Durability::Cached);
            }
        }
    }
}

fn try_lock(dir: &ProcessDir) -> Result<Option<Lock>> {
    let path = dir.lock();
    Lock::try_take(&path).map_err(|error| Error::io("lock", &path, &error))
}

/// The supervisor lock of a process that does not run; none when somebody else has started it meanwhile. To be taken
/// before the runtime lock, because a supervisor that has said its last word holds it for another moment.
pub(super) fn lock_of(dir: &ProcessDir) -> Result<Option<Lock>> {
    let end = Instant::now() + LAST_MOMENT;
    loop {
        if let Some(lock) = try_lock(dir)? {
            return Ok(Some(lock));
        }
        let live = store::read_status(dir).found().is_some_and(|status| status.state.supervised());
        if live || Instant::now() >= end {
            return Ok(None);
        }
        poll::pause(Duration::from_millis(1));
    }
}

/// The PID of what was launched; what the disk said is only worth a remark, because the program runs.
pub(super) fn ran(context: &Context, launched: Launched) -> i32 {
    if let Some(error) = launched.unsynced {
        context.output.remark(&format!("it runs, but will not be remembered if the machine fails: {error}"));
    }
    launched.pid
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
            (Err(_), Some(before)) => before.restore(&self.dir),
            // The supervisor takes the directory away itself; here for one that could not even be started.
            (Err(_), None) => {
                if Lock::try_take(&self.dir.lock()).is_ok_and(|lock| lock.is_some()) {
                    let _ = fs::remove_dir_all(self.dir.path());
                }
            }
        }
        started.map(|launched| ran(context, launched))
    }
}
