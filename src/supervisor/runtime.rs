//! The poll loop of one supervisor: tells the machine what happened and does what it decides.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::child;
use super::env_reader::EnvReader;
use super::environment::{self, Var};
use super::handoff::{LOCK_FD, Order, Outcome, TALK_FD};
use super::health::{self, Check, Health};
use super::machine::{Effect, Event, Machine, Rules};
use super::ready::{Look, Notify, Probe};
use super::rotate::{self, Pause, Rotator};
use super::stop;
use super::waiters::{Moment, Waiters};
use crate::control::message::{Request, StatusReply, error_line, line};
use crate::control::server::{Server, Token};
use crate::envfile;
use crate::error::{Error, Result};
use crate::model::{EnvSource, Exit, Identity, Kind, Pid, Spec, Status};
use crate::store::{self, Layout, ProcessDir, Record};
use crate::sys::lock::Lock;
use crate::sys::poll::{self, Interest};
use crate::sys::reaper::{self, Reaped};
use crate::sys::signals::{CONT, Caught, HUP, KILL, STOP, Signals};
use crate::sys::{boot, clock, fd, pidfd, process};

/// How often a tree is looked at while it ends, where orphans do not come back to the supervisor.
const ORPHAN_LOOK_MS: u64 = 50;

/// How often a tree that was killed is looked at, a millisecond apart, before it is left to the kernel.
const CLEARING_LOOKS: usize = 1_000;

/// The supervisor of the process in `dir`: takes over the descriptors of [`launch`](super::launch), runs the program
/// and returns when nothing of it is left.
pub fn run(dir: &Path) -> ExitCode {
    process::name_supervisor();
    fd::close_from(TALK_FD + 1);
    let Some((lock, mut talk)) = inherited() else {
        // Not started by `tsm start`: there is nothing to supervise and nobody to tell.
        return ExitCode::from(2);
    };
    // Everything that needs no order is made ready while `start` is still at it.
    let prepared = Supervisor::prepare(dir, lock);
    let Some(order) = hear(&talk) else {
        // The start was killed before it had said everything: as if it had never been. One that ran before stays.
        let dir = ProcessDir::at(dir.to_owned());
        if matches!(store::read_status(&dir), Record::Missing) {
            abandon(&dir);
        }
        return ExitCode::FAILURE;
    };
    let started = prepared.and_then(|mut supervisor| {
        supervisor.begin(&order)?;
        Ok(supervisor)
    });
    let outcome = match &started {
        Ok(supervisor) => Outcome::Running(supervisor.main.map_or(0, |main| main.pid.get())),
        Err(error) => Outcome::failed(error),
    };
    if started.is_err() && order.fresh {
        abandon(&ProcessDir::at(dir.to_owned()));
    }
    let _ = talk.write_all(line(&outcome).as_bytes());
    drop(talk);
    match started {
        Ok(mut supervisor) => {
            supervisor.live();
            // The kernel closes its connections and its lock as part of its end: whoever waits for that finds no process.
            std::mem::forget(supervisor);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn inherited() -> Option<(Lock, UnixStream)> {
    let lock = fd::inherited(LOCK_FD).ok()?;
    let talk = fd::inherited(TALK_FD).ok()?;
    Some((Lock::from_inherited(lock), UnixStream::from(talk)))
}

fn hear(talk: &UnixStream) -> Option<Order> {
    let mut text = String::new();
    BufReader::new(talk).read_line(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Takes away what a start made that did not come to be.
fn abandon(dir: &ProcessDir) {
    if let (Some(layout), Some(spec)) = (layout_of(dir), store::read_spec(dir).found()) {
        let log = layout.log(&spec.name);
        if fs::metadata(&log).is_ok_and(|facts| facts.len() == 0) {
            let _ = fs::remove_file(log);
        }
    }
    crate::sys::unix::remove_short_link(dir.path());
    let _ = fs::remove_dir_all(dir.path());
}

/// `TSM_DIR`, three levels above a process directory.
fn layout_of(dir: &ProcessDir) -> Option<Layout> {
    dir.path().ancestors().nth(3).map(|root| Layout::new(root.to_owned()))
}

struct Supervisor {
    layout: Layout,
    dir: ProcessDir,
    spec: Spec,
    machine: Machine,
    me: Identity,
    boot_id: String,
    /// The marker of the tree: `TSM_SOCKET`.
    socket: String,
    signals: Signals,
    server: Server,
    notify: Notify,
    waiters: Waiters,
    checks: Vec<Check>,
    main: Option<Identity>,
    log: fs::File,
    rotator: Rotator,
    probe: Option<Probe>,
    reader: Option<EnvReader>,
    /// What the environment file sets and takes away: for the program, and for its reload command.
    overlay: envfile::Overlay,
    deadline: Option<u64>,
    /// Read `spec.json` before the next run.
    spec_changed: bool,
    run: u64,
    started_ms: u64,
    log_base: u64,
    run_log: u64,
    killed: Vec<(i32, String)>,
    /// What the program or its ports say of it.
    remark: Option<String>,
    published: Option<Status>,
    /// Held as long as this lives.
    _lock: Lock,
}

impl Supervisor {
    fn prepare(dir: &Path, lock: Lock) -> Result<Self> {
        let dir = ProcessDir::at(dir.to_owned());
        let layout = layout_of(&dir).ok_or_else(|| Error::usage("not a process directory"))?;
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
        Ok(Supervisor {
            socket: dir.address(&dir.socket()).to_string_lossy().into_owned(),
            machine: Machine::new(rules(&spec)),
            rotator: Rotator::new(live, spec.policy.log, now),
            me: me.identity(),
            boot_id: boot::id(),
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
            log,
            probe: None,
            reader: None,
            overlay: envfile::Overlay::default(),
            deadline: None,
            spec_changed: false,
            started_ms: 0,
            run_log: 0,
            killed: Vec::new(),
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
        let ready = {
            let mut fds: Vec<(BorrowedFd<'_>, Interest)> =
                vec![(self.signals.as_fd(), Interest::Read), (self.notify.as_fd(), Interest::Read)];
            fds.extend(self.checks.iter().map(|check| (check.fd(), Interest::Write)));
            if let Some(reader) = &self.reader {
                fds.extend(reader.fds().map(|fd| (fd, Interest::Read)));
            }
            fds.extend(self.server.interests());
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
                    Caught::Terminate | Caught::Interrupt => self.feed(Event::Stop, now),
                }
            }
        }
        self.answer_checks(&ready[ready.len().min(2)..], now);
        if let Some(reader) = &mut self.reader {
            reader.drain();
        }
        self.timers(now);
        for (token, request) in self.server.serve(now) {
            self.request(token, request, now);
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        let probe = self.probe.as_ref().filter(|_| self.machine.wants_ready()).map(|probe| probe.next);
        let looks = self.main.map(|_| self.rotator.next);
        let orphans = (!reaper::INHERITS_ORPHANS && self.machine.ending())
            .then(|| clock::monotonic_ms() + ORPHAN_LOOK_MS);
        [
            self.deadline,
            probe,
            looks,
            orphans,
            self.reader.as_ref().map(|reader| reader.deadline),
            self.server.deadline(),
            self.checks.iter().map(|check| check.deadline).min(),
        ]
        .into_iter()
        .flatten()
        .min()
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
        if !reaper::INHERITS_ORPHANS && self.machine.ending() {
            self.reap(now);
        }
    }

    /// Tells the machine, does what it decides, and publishes what came of it.
    fn feed(&mut self, event: Event, now: u64) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            for effect in self.machine.on(event, now) {
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
            Effect::Follow => {
                self.main = stop::oldest_child(self.me.pid);
                self.write_pid_file();
                self.main.map(|_| Event::Followed)
            }
            Effect::SignalTree => {
                stop::signal_tree(self.me.pid, &self.socket, self.spec.policy.stop_signal.number());
                None
            }
            Effect::KillTree => {
                let members = stop::members(self.me.pid, &self.socket);
                for (pid, command) in stop::describe(&members) {
                    if !self.killed.iter().any(|(known, _)| *known == pid) {
                        self.killed.push((pid, command));
                    }
                }
                stop::signal_tree(self.me.pid, &self.socket, KILL);
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

    fn base(&self) -> Vec<Var> {
        environment::captured(std::env::vars_os())
    }

    /// The whole environment of a program of this run.
    fn environment(&self, spec: &Spec) -> Vec<Var> {
        environment::compose(&self.base(), &self.overlay.set, &self.overlay.unset, spec, &self.dir)
    }

    fn read_env(&mut self, now: u64) -> Option<Event> {
        if self.reader.take().is_some() {
            self.clear();
        }
        if std::mem::take(&mut self.spec_changed)
            && let Some(spec) = store::read_spec(&self.dir).found()
        {
            self.machine.set_rules(rules(&spec));
            self.rotator = Rotator::new(self.layout.log(&spec.name), spec.policy.log, now);
            self.spec = spec;
        }
        self.overlay = envfile::Overlay::default();
        let Some(file) = self.spec.env_file.clone() else { return Some(Event::EnvRead) };
        let failed = |error: &Error| Some(Event::EnvFailed(error.message().to_owned()));
        match file.source {
            EnvSource::Named => match EnvReader::begin(&file.path, &self.spec.dir, &self.base(), now) {
                Ok(reader) => {
                    self.reader = Some(reader);
                    None
                }
                Err(error) => failed(&error),
            },
            EnvSource::Found => {
                let base = self.base();
                let lookup = |name: &str| {
                    base.iter()
                        .find(|(key, _)| key == name)
                        .map(|(_, value)| value.to_string_lossy().into_owned())
                };
                match envfile::read_found(&file.path, &lookup) {
                    Ok((set, _)) => {
                        self.overlay.set = set;
                        Some(Event::EnvRead)
                    }
                    Err(error) => failed(&error),
                }
            }
        }
    }

    /// Ends whatever is below this supervisor, without asking, and waits for the end of it.
    fn clear(&self) {
        for _ in 0..CLEARING_LOOKS {
            if stop::members(self.me.pid, &self.socket).is_empty() {
                return;
            }
            stop::signal_tree(self.me.pid, &self.socket, KILL);
            poll::pause(Duration::from_millis(1));
            while matches!(reaper::reap(), Reaped::Ended { .. }) {}
        }
    }

    fn spawn(&mut self) -> Result<()> {
        self.log = child::open_log(&self.layout, &self.spec)?;
        let env = self.environment(&self.spec);
        // Nobody is left who could say it of the coming run.
        let _ = self.notify.drain();
        let size = self.log.metadata().map_or(0, |facts| facts.len());
        let pid = child::execute(&self.spec, &env, &self.dir, &self.log)?;
        let now = clock::monotonic_ms();
        // Its own child cannot be reaped by anybody else, so the process is there, be it as a zombie.
        self.main = process::read(pid).map(|process| process.identity());
        self.run += 1;
        self.started_ms = clock::wall_ms();
        self.run_log = self.log_base + size;
        self.killed.clear();
        self.remark = None;
        self.probe =
            self.spec.port.filter(|_| self.spec.kind == Kind::Port).map(|port| Probe::new(port, now));
        self.write_pid_file();
        Ok(())
    }

    fn write_pid_file(&self) {
        let path = self.layout.pid_file(&self.spec.name);
        // A convenience for scripts: without it everything else still works.
        let _ = match self.main {
            Some(main) => {
                store::write(&path, format!("{}\n", main.pid).as_bytes(), store::Durability::Cached)
            }
            None => fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error)),
        };
    }

    /// Collects the children that ended.
    fn reap(&mut self, now: u64) {
        let mut main_exit = None;
        let mut reader_code = None;
        let empty = loop {
            match reaper::reap() {
                Reaped::Ended { pid, code, signal } => {
                    if self.main.is_some_and(|main| main.pid == pid) {
                        main_exit = Some(Exit { code, signal, at_ms: clock::wall_ms() });
                    } else if self.reader.as_ref().is_some_and(|reader| reader.pid == pid) {
                        reader_code = Some(code);
                    }
                }
                Reaped::NoneEnded => {
                    let ended = main_exit.is_some() || self.main.is_none();
                    break ended && stop::nothing_left(self.me.pid);
                }
                Reaped::NoChildren => {
                    break reaper::INHERITS_ORPHANS || stop::members(self.me.pid, &self.socket).is_empty();
                }
            }
        };
        if let Some(code) = reader_code {
            // The program may run by now, so that `empty` is no longer true.
            return self.env_read(code, now);
        }
        if let Some(exit) = main_exit {
            self.main = None;
            self.write_pid_file();
            self.feed(Event::MainEnded { exit, leftovers: !empty }, now);
        } else if empty {
            self.feed(Event::TreeEmpty, now);
        }
    }

    fn env_read(&mut self, code: Option<i32>, now: u64) {
        let Some(reader) = self.reader.take() else { return };
        let event = match reader.finish(code, &self.base()) {
            Ok(overlay) => {
                self.overlay = overlay;
                Event::EnvRead
            }
            Err(error) => Event::EnvFailed(error.message().to_owned()),
        };
        self.feed(event, now);
    }

    fn hear_program(&mut self, now: u64) {
        let said = self.notify.drain();
        if said.status.is_some() {
            self.remark = said.status;
        } else if said.stopping {
            self.remark = Some("it says that it is stopping".into());
        }
        if said.ready {
            self.feed(Event::Ready, now);
        } else {
            let _ = self.publish();
        }
    }

    fn look_for_ports(&mut self, now: u64) {
        let Some(probe) = self.probe.as_mut().filter(|probe| now >= probe.next) else { return };
        match probe.look(self.me.pid, &self.socket, now) {
            Look::NotYet => {}
            Look::Ready => self.feed(Event::Ready, now),
            Look::Elsewhere(ports) => {
                let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                let planned = self.spec.port.unwrap_or_default();
                self.remark = Some(format!("it listens on {ports}, not on the planned port {planned}"));
                self.feed(Event::Ready, now);
            }
        }
    }

    fn look_at_log(&mut self, now: u64) {
        let Ok(log) = self.log.try_clone() else { return };
        let tree = Tree { supervisor: self.me.pid, socket: self.socket.clone() };
        let mut moved = 0;
        let mut rotator = std::mem::replace(
            &mut self.rotator,
            Rotator::new(Path::new("").into(), self.spec.policy.log, now),
        );
        let looked = rotator.look(&log, now, &tree, &mut |bytes| {
            moved = bytes;
            self.log_base += bytes;
            let _ = self.publish();
        });
        self.rotator = rotator;
        if looked.is_err() || (moved == 0 && self.published.is_none()) {
            // No space for the copy: the log grows on, and the next look tries again.
            let _ = self.publish();
        }
    }

    fn request(&mut self, token: Token, request: Request, now: u64) {
        let reply = match request {
            Request::Status => line(&StatusReply::of(&self.status(), clock::wall_ms())),
            Request::Health => {
                let state = self.machine.state();
                let tree = (self.me.pid, self.socket.as_str());
                match health::begin(token, state, self.spec.kind, self.spec.port, tree, now) {
                    Health::Now(value) => line(&value),
                    Health::Later(check) => {
                        self.checks.push(check);
                        return;
                    }
                }
            }
            Request::Reload => match self.reload() {
                Ok(()) => line(&json!({ "ok": true, "reloading": true })),
                Err(error) => error_line(error.message()),
            },
            Request::Stop | Request::Kill => {
                // Said before it is done: doing it may be the last thing that this supervisor does.
                self.server.reply(token, &line(&json!({ "ok": true, "stopping": true })));
                let event = if request == Request::Stop { Event::Stop } else { Event::Kill };
                return self.feed(event, now);
            }
            Request::Restart => {
                self.spec_changed = true;
                self.server.reply(token, &line(&json!({ "ok": true, "restarting": true })));
                return self.feed(Event::Restart, now);
            }
            Request::Wait(until) => {
                let moment = self.moment();
                self.waiters.retain(|other| other != token && self.server.has(other));
                self.waiters.add(token, until, moment);
                return self.answer_waiters();
            }
        };
        self.server.reply(token, &reply);
    }

    fn reload(&mut self) -> Result<()> {
        let Some(main) = self.main else {
            return Err(Error::failed(format!("{} is not running", self.spec.name)));
        };
        let Some(command) = self.spec.policy.reload.clone() else {
            return pidfd::Handle::open(&main)
                .ok_or_else(|| Error::failed(format!("{} is not running", self.spec.name)))?
                .signal(HUP)
                .map_err(|error| Error::failed(format!("cannot signal PID {}: {error}", main.pid)));
        };
        let mut spec = self.spec.clone();
        spec.argv = vec!["bash".into(), "-c".into(), command];
        let mut env = self.environment(&spec);
        env.push(("MAINPID".into(), main.pid.to_string().into()));
        child::execute(&spec, &env, &self.dir, &self.log).map(|_| ())
    }

    fn answer_checks(&mut self, ready: &[bool], now: u64) {
        for (at, check) in std::mem::take(&mut self.checks).into_iter().enumerate() {
            let is_ready = ready.get(at).copied().unwrap_or(false);
            if is_ready || now >= check.deadline {
                self.server.reply(check.token, &line(&check.answer(is_ready)));
            } else if self.server.has(check.token) {
                self.checks.push(check);
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment { state: self.machine.state(), run: self.run, another: self.machine.another_run() }
    }

    fn answer_waiters(&mut self) {
        let due = self.waiters.due(self.moment());
        if due.is_empty() {
            return;
        }
        let reply = line(&StatusReply::of(&self.status(), clock::wall_ms()));
        for token in due {
            self.server.reply(token, &reply);
        }
    }

    fn status(&self) -> Status {
        Status {
            schema: Status::SCHEMA,
            id: self.spec.id,
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            command: self.spec.command.clone(),
            cwd: self.spec.dir.clone(),
            env_file: self.spec.env_file.as_ref().map(|file| file.path.clone()),
            port: self.spec.port,
            log_path: self.layout.log(&self.spec.name),
            state: self.machine.state(),
            main: self.main,
            supervisor: Some(self.me),
            boot_id: self.boot_id.clone(),
            started_ms: self.started_ms,
            run: self.run,
            restarts: self.machine.restarts(),
            exit: self.machine.exit(),
            retry_ms: self
                .deadline
                .filter(|_| self.machine.state() == crate::model::State::Backoff)
                .map(|at| clock::wall_ms() + at.saturating_sub(clock::monotonic_ms())),
            note: self.machine.note().map(str::to_owned).or_else(|| self.remark.clone()),
            killed: self.killed.clone(),
            log_base: self.log_base,
            run_log: self.run_log,
        }
    }

    /// Writes `status.json` when there is news.
    fn publish(&mut self) -> Result<()> {
        let status = self.status();
        if self.published.as_ref() == Some(&status) {
            return Ok(());
        }
        let written = store::write_status(&self.dir, &status);
        self.published = written.is_ok().then_some(status);
        written
    }

    /// The last words: what is on the disk must be final before anybody is told.
    fn finish(&mut self) {
        self.reader = None;
        // What an env file has left, when no program came of it.
        self.clear();
        self.main = None;
        let _ = self.publish();
        self.tidy();
        self.answer_waiters();
    }

    fn tidy(&mut self) {
        self.main = None;
        self.write_pid_file();
        let _ = fs::remove_file(self.dir.socket());
        let _ = fs::remove_file(self.dir.notify());
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

/// The tree, for the moment in which nothing of it may write.
struct Tree {
    supervisor: Pid,
    socket: String,
}

impl Pause for Tree {
    fn pause(&self) {
        let members = stop::hold(self.supervisor, &self.socket, STOP);
        // STOP is acted on when the process is next scheduled, which is at once but not now.
        for _ in 0..1_000 {
            let all = members.iter().all(|member| {
                process::read(member.pid)
                    .is_none_or(|process| process.identity() != *member || "TtZX".contains(process.state))
            });
            if all {
                return;
            }
            poll::pause(Duration::from_millis(1));
        }
    }

    fn resume(&self) {
        stop::hold(self.supervisor, &self.socket, CONT);
    }
}
