//! The poll loop of one supervisor: tells the machine what happened and does what it decides.

mod adopted;
mod answers;
mod log;
mod publish;
mod report;
mod role;
mod runs;

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::child;
use super::env_reader::EnvReader;
use super::handoff::Order;
use super::health::Check;
use super::lifeline::Tie;
use super::machine::{Effect, Event, Machine, Rules};
use super::ready::{Notify, Probe};
use super::rotate::{self, Rotator};
use super::tree::{self, Tree};
use super::waiters::Waiters;
use crate::control::server::Server;
use crate::envfile;
use crate::error::{Error, Result};
use crate::model::{Identity, Killed, Kind, Pid, Spec, State, Status};
use crate::store::{self, Layout, ProcessDir};
use crate::sys::lock::Lock;
use crate::sys::pidfd::Handle;
use crate::sys::poll::{self, Interest};
use crate::sys::reaper;
use crate::sys::signals::{Caught, KILL, Signals};
use crate::sys::{boot, clock, process};

pub use role::run;

/// How often a tree is looked at while it ends, when the kernel does not tell of that.
const UNSEEN_LOOK_MS: u64 = 50;

struct Supervisor {
    layout: Layout,
    dir: ProcessDir,
    spec: Spec,
    machine: Machine,
    me: Identity,
    boot_id: String,
    tree: Tree,
    signals: Signals,
    server: Server,
    notify: Notify,
    waiters: Waiters,
    checks: Vec<Check>,
    main: Option<Identity>,
    /// The hold on a main process that is not a child of this supervisor.
    watch: Option<Handle>,
    /// The PID of the main process that ended last.
    ended_pid: Option<i32>,
    log: Rc<fs::File>,
    rotator: Rotator,
    probe: Option<Probe>,
    reader: Option<EnvReader>,
    /// What the environment file sets and takes away: for the program, and for its reload command.
    overlay: envfile::Overlay,
    deadline: Option<u64>,
    /// Another process, whose end is the end of this one.
    tie: Option<Tie>,
    /// Why it was stopped, when nobody asked for that.
    ended_with: Option<String>,
    /// Read `spec.json` before the next run.
    spec_changed: bool,
    run: u64,
    started_ms: u64,
    log_base: u64,
    run_log: u64,
    killed: Vec<Killed>,
    /// The stop that is under way was asked for by a signal.
    signalled: bool,
    /// What the program or its ports say of it.
    remark: Option<String>,
    published: Option<Status>,
    /// Held as long as this lives.
    _lock: Lock,
}

impl Supervisor {
    fn prepare(dir: &Path, lock: Lock) -> Result<Self> {
        let dir = ProcessDir::at(dir.to_owned());
        let layout = dir.layout().ok_or_else(|| Error::usage("not a process directory"))?;
        let spec = store::read_spec(&dir).required(&dir.spec())?;
        let signals = Signals::catch().map_err(|error| Error::io("catch signals for", dir.path(), &error))?;
        reaper::become_subreaper()
            .map_err(|error| Error::io("become the parent of orphans for", dir.path(), &error))?;
        let server =
            Server::bind(&dir.socket()).map_err(|error| Error::io("listen at", &dir.socket(), &error))?;
        let notify = Notify::bind(&dir.notify())?;
        let before = store::read_status(&dir).found();
        let log = child::open_log(&layout, &spec)?;
        let live = layout.log(&spec.name);
        let uncounted = rotate::recover(&live, spec.policy.log.keep);
        let me = Pid::new(std::process::id() as i32)
            .and_then(process::read)
            .ok_or_else(|| Error::failed("cannot read this supervisor's own start time"))?;
        let now = clock::monotonic_ms();
        let boot_id = boot::id();
        Ok(Supervisor {
            tree: Tree {
                supervisor: me.pid,
                socket: dir.address(&dir.socket()).to_string_lossy().into_owned(),
                adopted: None,
            },
            machine: Machine::new(rules(&spec)),
            rotator: Rotator::new(live, spec.policy.log, now),
            me: me.identity(),
            tie: spec.lifeline.as_ref().map(|lifeline| Tie::new(lifeline, &boot_id, now)),
            boot_id,
            ended_with: None,
            run: before.as_ref().map_or(0, |status| status.run),
            log_base: before.as_ref().map_or(0, |status| status.log_base) + uncounted,
            layout,
            dir,
            spec,
            signals,
            server,
            notify,
            waiters: Waiters::default(),
            checks: Vec::new(),
            main: None,
            watch: None,
            ended_pid: None,
            log: Rc::new(log),
            probe: None,
            reader: None,
            overlay: envfile::Overlay::default(),
            deadline: None,
            spec_changed: false,
            started_ms: 0,
            run_log: 0,
            killed: Vec::new(),
            signalled: false,
            remark: None,
            published: None,
            _lock: lock,
        })
    }

    /// The first run: with the environment file as `start` has read it, and with its failure as the result.
    fn begin(&mut self, order: &Order) -> Result<()> {
        self.overlay.set.clone_from(&order.set);
        self.overlay.unset.clone_from(&order.unset);
        let now = clock::monotonic_ms();
        self.machine.go_on_from(order.restarts);
        self.machine.on(Event::Begin, now);
        self.machine.on(Event::EnvRead, now);
        self.spawn()?;
        let now = clock::monotonic_ms();
        for effect in self.machine.on(Event::Spawned, now) {
            self.perform(effect, now);
        }
        if let Err(error) = self.publish() {
            // A process whose state cannot be written would be running unseen.
            self.clear();
            self.tidy();
            return Err(error);
        }
        self.report(&Event::Spawned, State::Starting);
        Ok(())
    }

    fn live(&mut self) {
        while !self.machine.over() {
            self.turn();
        }
    }

    /// One turn of the loop: wait, then see to everything that is ready.
    fn turn(&mut self) {
        let now = clock::monotonic_ms();
        let timeout = self.next_deadline().map(|at| Duration::from_millis(at.saturating_sub(now)));
        // Where these two are among the descriptors, if they have one.
        let (mut watch_at, mut tie_at) = (usize::MAX, usize::MAX);
        let ready = {
            let mut fds: Vec<(BorrowedFd<'_>, Interest)> =
                vec![(self.signals.as_fd(), Interest::Read), (self.notify.as_fd(), Interest::Read)];
            fds.extend(self.checks.iter().map(|check| (check.fd(), Interest::Write)));
            if let Some(reader) = &self.reader {
                fds.extend(reader.fds().map(|fd| (fd, Interest::Read)));
            }
            fds.extend(self.server.interests());
            if let Some(fd) = self.watch.as_ref().and_then(Handle::fd) {
                watch_at = fds.len();
                fds.push((fd, Interest::Read));
            }
            if let Some(fd) = self.tie.as_ref().and_then(Tie::fd) {
                tie_at = fds.len();
                fds.push((fd, Interest::Read));
            }
            poll::wait(&fds, timeout).unwrap_or_default()
        };
        let now = clock::monotonic_ms();
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or(false);
        // What a program said comes before its end.
        if is_ready(1) {
            self.hear_program(now);
        }
        if is_ready(0) {
            for caught in self.signals.drain() {
                match caught {
                    Caught::Child => self.reap(now),
                    Caught::Terminate | Caught::Interrupt => {
                        self.signalled |= !self.machine.ending();
                        self.feed(Event::Stop, now);
                    }
                    // Neither is caught by a supervisor.
                    Caught::Hangup | Caught::Quit => {}
                }
            }
        }
        if is_ready(watch_at) {
            self.reap(now);
        }
        self.answer_checks(&ready[ready.len().min(2)..], now);
        if let Some(reader) = &mut self.reader {
            reader.drain();
        }
        self.look_at_tie(is_ready(tie_at), now);
        self.timers(now);
        for (token, request) in self.server.serve(now) {
            self.request(token, request, now);
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let probe = self.probe.as_ref().filter(|_| self.machine.wants_ready()).map(|probe| probe.next);
        let looks = self.main.map(|_| self.rotator.next);
        let unseen = self.unseen().then(|| clock::monotonic_ms() + UNSEEN_LOOK_MS);
        [
            self.deadline,
            probe,
            looks,
            unseen,
            self.reader.as_ref().map(|reader| reader.deadline),
            self.tie.as_ref().and_then(Tie::deadline),
            self.server.deadline(),
            self.checks.iter().map(|check| check.deadline).min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Stops the process when the one that it is tied to has ended.
    fn look_at_tie(&mut self, ready: bool, now: u64) {
        if let Some(tie) = self.tie.take_if(|tie| tie.is_cut(ready, now)) {
            self.ended_with = Some(tie.note());
            self.feed(Event::Stop, now);
        }
    }

    fn timers(&mut self, now: u64) {
        if self.deadline.is_some_and(|at| now >= at) {
            self.deadline = None;
            self.feed(Event::Deadline, now);
        }
        if self.machine.wants_ready() {
            self.look_for_ports(now);
        }
        if self.main.is_some() && now >= self.rotator.next {
            self.look_at_log(now);
        }
        if let Some(reader) = self.reader.take_if(|reader| now >= reader.deadline) {
            // Before a run there is nothing in the tree but the file's bash and what that has started.
            self.clear();
            let why = reader.too_slow().message().to_owned();
            self.feed(Event::EnvFailed(why), now);
        }
        if self.unseen() {
            self.reap(now);
        }
    }

    /// Tells the machine, does what it decides, and publishes what came of it.
    fn feed(&mut self, event: Event, now: u64) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let before = self.machine.state();
            let effects = self.machine.on(event.clone(), now);
            self.report(&event, before);
            for effect in effects {
                next = self.perform(effect, now).or(next);
            }
        }
        // A full disk must not end a process; the next change or look at the log tries again.
        let _ = self.publish();
        self.answer_waiters();
    }

    fn perform(&mut self, effect: Effect, now: u64) -> Option<Event> {
        match effect {
            Effect::ReadEnv => self.read_env(now),
            Effect::Spawn => Some(match self.spawn() {
                Ok(()) => Event::Spawned,
                Err(error) => Event::SpawnFailed(error.message().to_owned()),
            }),
            Effect::Follow => self.follow(),
            Effect::SignalTree => {
                self.tree.signal(self.spec.policy.stop_signal.number());
                None
            }
            Effect::KillTree => {
                for one in tree::describe(&self.tree.members()) {
                    if self.killed.iter().all(|known| known.pid != one.pid) {
                        self.killed.push(one);
                    }
                }
                self.tree.signal(KILL);
                None
            }
            Effect::Deadline(at) => {
                self.deadline = Some(at);
                None
            }
            Effect::NoDeadline => {
                self.deadline = None;
                None
            }
            Effect::Finish => {
                self.finish();
                None
            }
        }
    }
}

fn rules(spec: &Spec) -> Rules {
    Rules {
        restart: spec.policy.restart,
        max_restarts: spec.policy.max_restarts,
        stop_timeout_ms: spec.policy.stop_timeout_ms,
        listens: spec.kind == Kind::Port && spec.port.is_some(),
    }
}
