//! The poll loop of the daemon: asks nobody to wait, and answers everybody in their turn.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::files::Files;
use super::jobs::Jobs;
use super::keeper::Keeper;
use super::methods::Method;
use super::params::{List, ListWhat, Nothing, Shutdown};
use super::protocol::{self, Asked, Failure, Form};
use super::registry::Registry;
use super::server::{Server, Token};
use super::subscriptions::Subscriptions;
use crate::error::{Error, Result};
use crate::inspect::View;
use crate::store::{Journal, Layout};
use crate::sys::poll::{self, Interest};
use crate::sys::signals::{Caught, Signals};
use crate::sys::wake::{self, Waker, Wakes};
use crate::sys::watch::Watch;
use crate::sys::{clock, notify};

/// How long the end waits for verbs that are under way, in milliseconds: as long as a stop may take by itself.
const LAST_MS: u64 = 30_000;

/// What an answer is owed to.
#[derive(Debug)]
struct Ticket {
    to: Option<(Token, Form)>,
    method: &'static str,
    since: Instant,
}

/// What has been asked of one method.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) requests: u64,
    pub(super) failures: u64,
    pub(super) nanos: u64,
}

/// How a daemon is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// No limit of requests a second: for measuring.
    pub unlimited: bool,
    /// Leave enabled services alone.
    pub no_startup: bool,
}

/// A daemon that runs.
pub(super) struct Daemon {
    pub(super) layout: Layout,
    pub(super) files: Files,
    pub(super) server: Server,
    signals: Signals,
    wakes: Wakes,
    jobs: Jobs<Ticket>,
    registry: Registry,
    subscriptions: Subscriptions,
    journal: Journal,
    said: Receiver<String>,
    pub(super) counts: BTreeMap<&'static str, Count>,
    /// When the end was asked for, in monotonic milliseconds.
    ending: Option<u64>,
    watchdog: Option<Duration>,
    unlimited: bool,
}

/// Runs the daemon of this user until it is told to end.
///
/// # Errors
/// A conflict when another one runs; what of its files or sockets cannot be made.
pub fn run(layout: &Layout, options: Options) -> Result<()> {
    let files = Files::claim(layout.daemon())?
        .ok_or_else(|| Error::conflict("the daemon runs already").hint("tsm daemon status"))?;
    layout.create()?;
    let mut daemon = Daemon::prepare(layout, files, options)?;
    if !options.no_startup {
        let words = ["startup", "--boot", "--json"].map(str::to_owned).to_vec();
        let ticket = Ticket { to: None, method: "startup", since: Instant::now() };
        let _ = daemon.jobs.add(ticket, words, None);
    }
    daemon.files.log(&format!("started, version {}", daemon.files.state.version));
    notify::say("READY=1");
    while !daemon.is_over() {
        daemon.turn();
    }
    notify::say("STOPPING=1");
    daemon.files.log("ended");
    Ok(())
}

impl Daemon {
    fn prepare(layout: &Layout, files: Files, options: Options) -> Result<Self> {
        let signals =
            Signals::catch().map_err(|error| Error::io("catch signals for", layout.root(), &error))?;
        let (waker, woken) = wake::pair().map_err(|error| Error::io("wake", layout.root(), &error))?;
        let journal = Journal::from_now(layout)?;
        // The first look ends before the socket listens, so that no client sees less than there is.
        let mut keeper = Keeper::default();
        let first = keeper.scan(layout);
        let (say, said) = channel();
        for line in first {
            let _ = say.send(line);
        }
        keep(layout.clone(), keeper, say, waker.clone());
        watch_journal(layout.clone(), waker.clone());
        let path = files.paths.socket();
        let server =
            Server::bind(&path, options.unlimited).map_err(|error| Error::io("listen at", &path, &error))?;
        Ok(Daemon {
            layout: layout.clone(),
            files,
            server,
            signals,
            wakes: woken,
            jobs: Jobs::new(waker.clone()),
            registry: Registry::default(),
            subscriptions: Subscriptions::new(waker),
            journal,
            said,
            counts: BTreeMap::new(),
            ending: None,
            watchdog: notify::watchdog(),
            unlimited: options.unlimited,
        })
    }

    fn is_over(&self) -> bool {
        self.ending.is_some_and(|since| {
            (!self.jobs.is_busy() && self.server.is_flushed())
                || clock::monotonic_ms().saturating_sub(since) > LAST_MS
        })
    }

    /// One turn of the loop: wait, then see to everything that is ready.
    fn turn(&mut self) {
        let now = clock::monotonic_ms();
        let server = self.server.deadline().map(|at| Duration::from_millis(at.saturating_sub(now)));
        let last = self.ending.map(|_| Duration::from_millis(50));
        let timeout = [server, self.watchdog, last].into_iter().flatten().min();
        let ready = {
            let mut fds = vec![
                (std::os::fd::AsFd::as_fd(&self.signals), Interest::Read),
                (std::os::fd::AsFd::as_fd(&self.wakes), Interest::Read),
            ];
            fds.extend(self.server.interests());
            poll::wait(&fds, timeout).unwrap_or_default()
        };
        if self.watchdog.is_some() {
            notify::say("WATCHDOG=1");
        }
        let now = clock::monotonic_ms();
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or(false);
        if is_ready(0) && self.signals.drain().iter().any(|caught| *caught != Caught::Child) {
            self.files.log("asked to end by a signal");
            self.end(now);
        }
        if is_ready(1) {
            self.wakes.drain();
            self.others(now);
        }
        for (token, asked) in self.server.serve(&ready[ready.len().min(2)..], now) {
            self.request(token, asked);
        }
    }

    /// What other threads have brought.
    fn others(&mut self, now: u64) {
        for line in self.said.try_iter().collect::<Vec<_>>() {
            self.files.log(&line);
        }
        for done in self.jobs.ended() {
            let Ticket { to, method, since } = done.ticket;
            self.count(method, since, done.outcome.is_ok());
            match to {
                Some((token, form)) => {
                    self.server.send(token, &protocol::answer(&form, done.outcome));
                }
                None => self.tell_outcome(method, done.outcome),
            }
            if self.ending.is_some() && method == "stop-all" {
                self.end(now);
            }
        }
        match self.journal.read() {
            Ok(events) => self.subscriptions.events(&events, &mut self.server),
            Err(error) => self.files.log(&format!("cannot read the journal: {error}")),
        }
        self.subscriptions.lines(&mut self.server);
    }

    /// What came of a verb that nobody waits for: for the log.
    fn tell_outcome(&mut self, method: &str, outcome: std::result::Result<Value, Failure>) {
        let document = match outcome {
            Ok(document) => document,
            Err(failure) => {
                self.files.log(&format!("{method}: {}", failure.message));
                failure.data.result.unwrap_or_default()
            }
        };
        for one in document.as_array().into_iter().flatten() {
            self.files.log(&format!("{method}: {one}"));
        }
    }

    fn count(&mut self, method: &'static str, since: Instant, good: bool) {
        let count = self.counts.entry(method).or_default();
        count.requests += 1;
        count.failures += u64::from(!good);
        count.nanos += since.elapsed().as_nanos() as u64;
    }

    fn end(&mut self, now: u64) {
        self.ending.get_or_insert(now);
        self.server.close();
    }

    fn request(&mut self, token: Token, asked: Asked) {
        let since = Instant::now();
        let method = match Method::find(&asked.method) {
            Ok(method) => method,
            Err(failure) => {
                self.count("unknown", since, false);
                return self.server.send(token, &protocol::answer(&asked.form, Err(failure)));
            }
        };
        if method.verb.is_some() && method.name != "logs.subscribe" {
            return self.run_verb(token, method, asked, since);
        }
        let outcome = self.answer(token, method, asked.params);
        self.count(method.name, since, outcome.is_ok());
        self.server.send(token, &protocol::answer(&asked.form, outcome));
        self.subscriptions.began(token, &mut self.server, &self.layout);
    }

    fn run_verb(&mut self, token: Token, method: &'static Method, asked: Asked, since: Instant) {
        let ticket = Ticket { to: Some((token, asked.form)), method: method.name, since };
        let added = match method.words(&asked.params) {
            Ok(words) => self.jobs.add(ticket, words, None),
            Err(failure) => Err((ticket, failure)),
        };
        if let Err((Ticket { to, method, since }, failure)) = added {
            self.count(method, since, false);
            if let Some((token, form)) = to {
                self.server.send(token, &protocol::answer(&form, Err(failure)));
            }
        }
    }

    /// The daemon's own methods.
    fn answer(
        &mut self,
        token: Token,
        method: &Method,
        params: Map<String, Value>,
    ) -> std::result::Result<Value, Failure> {
        match method.name {
            "ping" => {
                method.params::<Nothing>(params)?;
                Ok(json!({"pong": true}))
            }
            "status" => {
                method.params::<Nothing>(params)?;
                Ok(self.status())
            }
            "metrics" => {
                method.params::<Nothing>(params)?;
                Ok(Value::String(self.metrics()))
            }
            "list" => {
                let what = method.params::<List>(params)?.what.unwrap_or(ListWhat::Running);
                if what == ListWhat::Available {
                    return Err(Failure::of(
                        &Error::usage("list does not list definitions here").hint("services.list"),
                    ));
                }
                let views = self.views();
                let shown: Vec<&View> =
                    views.iter().filter(|view| what == ListWhat::All || view.status.listed()).collect();
                serde_json::to_value(shown).map_err(|why| Failure::of(&Error::failed(why.to_string())))
            }
            "events.subscribe" => {
                self.subscriptions.add_events(token, method.params(params)?, self.journal.seq())
            }
            "logs.subscribe" => self.subscriptions.add_logs(token, method, &params),
            "shutdown" => {
                let asked = method.params::<Shutdown>(params)?;
                if asked.with_processes {
                    let words = ["stop", "--json", "all"].map(str::to_owned).to_vec();
                    let ticket = Ticket { to: None, method: "stop-all", since: Instant::now() };
                    self.jobs.add(ticket, words, None).map_err(|(_, failure)| failure)?;
                }
                self.files.log("asked to end by a client");
                self.end(clock::monotonic_ms());
                Ok(json!({"stopping": true}))
            }
            other => Err(Failure::of(&Error::failed(format!("{other} is not answered")))),
        }
    }

    pub(super) fn views(&mut self) -> Vec<View> {
        self.registry.views(&self.layout)
    }

    fn status(&mut self) -> Value {
        let state = &self.files.state;
        let uptime = clock::wall_ms().saturating_sub(state.started_ms);
        let requests: u64 = self.counts.values().map(|count| count.requests).sum();
        json!({
            "running": true,
            "pid": state.pid,
            "version": state.version,
            "socket": state.socket,
            "started_ms": state.started_ms,
            "uptime_ms": uptime,
            "connections": self.server.connections(),
            "subscriptions": self.subscriptions.len(),
            "requests": requests,
            "refused": self.server.refused,
            "seq": self.journal.seq(),
            "unlimited": self.unlimited,
        })
    }
}

/// Looks after the processes in a thread of its own: a look takes milliseconds, an adoption longer.
fn keep(layout: Layout, mut keeper: Keeper, say: Sender<String>, waker: Waker) {
    let _ = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        loop {
            keeper.wait();
            for line in keeper.scan(&layout) {
                if say.send(line).is_err() {
                    return;
                }
                waker.wake();
            }
        }
    });
}

/// Wakes the loop when the journal grows.
fn watch_journal(layout: Layout, waker: Waker) {
    let _ = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        let Ok(mut watch) = Watch::new(&[&layout.journal()]) else { return };
        while watch.wait(Some(Duration::from_secs(5))).is_ok() {
            waker.wake();
        }
    });
}
