//! The poll loop of the daemon: asks nobody to wait, and answers everybody in their turn.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::agents::{Agents, Changes};
use super::answers::{Course, Reply};
use super::capture::Captures;
use super::files::Files;
use super::jobs::{Jobs, Work};
use super::keeper::Keeper;
use super::methods::Method;
use super::protocol::{Asked, Failure, Form, code};
use super::registry::Registry;
use super::server::{Server, Token};
use super::subscriptions::Subscriptions;
use crate::agents;
use crate::error::{Error, Result};
use crate::model::Happening;
use crate::store::{Journal, Layout};
use crate::sys::poll::{self, Interest};
use crate::sys::signals::{Caught, Signals};
use crate::sys::wake::{self, Waker, Wakes};
use crate::sys::watch::Watch;
use crate::sys::{clock, memory, notify, run};

/// How long the end waits for verbs that are under way, in milliseconds: as long as a stop may take by itself.
const LAST_MS: u64 = 30_000;

/// What an answer is owed to.
#[derive(Debug)]
struct Ticket {
    to: Option<(Token, Form)>,
    method: &'static str,
    since: Instant,
    then: Then,
}

/// What follows on the success of a job.
#[derive(Debug)]
pub(super) enum Then {
    /// Its answer.
    Answer,
    /// The same, and a look at the agents, of which something is another way now.
    Look,
    /// The lines of the logs that it has found to be there.
    Follow(Map<String, Value>),
    /// The end of the daemon: it has stopped everything.
    End,
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

/// Whose daemon it is.
#[derive(Clone, Debug)]
pub struct User {
    /// Whose agents are looked for.
    pub agents: agents::Config,
    /// The user's `capture.toml`, whether it is there or not.
    pub capture: Option<PathBuf>,
}

/// A daemon that runs.
pub(super) struct Daemon {
    pub(super) layout: Layout,
    pub(super) files: Files,
    pub(super) server: Server,
    signals: Signals,
    wakes: Wakes,
    jobs: Jobs<Ticket>,
    pub(super) registry: Registry,
    pub(super) subscriptions: Subscriptions,
    pub(super) journal: Journal,
    pub(super) agents: Arc<Agents>,
    changes: Receiver<Changes>,
    pub(super) captures: Arc<Captures>,
    /// What was seen of agents before this is not so any more.
    pub(super) looked: Instant,
    said: Receiver<String>,
    /// Has the keeper look before long.
    poke: Waker,
    pub(super) counts: BTreeMap<&'static str, Count>,
    /// When the end was asked for, in monotonic milliseconds.
    ending: Option<u64>,
    /// Everything is being stopped, which may take as long as it takes.
    stopping: bool,
    watchdog: Option<Duration>,
    pub(super) unlimited: bool,
}

/// Runs the daemon of this user until it is told to end.
///
/// # Errors
/// A conflict when another one runs; what of its files or sockets cannot be made.
pub fn run(layout: &Layout, options: Options, user: User) -> Result<()> {
    let files = Files::claim(layout.daemon())?
        .ok_or_else(|| Error::conflict("the daemon runs already").hint("tsm daemon status"))?;
    layout.create()?;
    let _ = run::own_path();
    let mut daemon = Daemon::prepare(layout, files, options, user)?;
    if !options.no_startup {
        let words = ["startup", "--boot", "--json"].map(str::to_owned).to_vec();
        let ticket = Ticket { to: None, method: "startup", since: Instant::now(), then: Then::Answer };
        let _ = daemon.jobs.add(None, ticket, Work::Verb(words));
    }
    daemon.files.log(&format!("started, version {}", daemon.files.state.version));
    notify::say("READY=1");
    // From here on it mostly waits: what only its start has run need not stay in memory.
    memory::release_code();
    while !daemon.is_over() {
        daemon.turn();
    }
    notify::say("STOPPING=1");
    daemon.files.log("ended");
    Ok(())
}

impl Daemon {
    fn prepare(layout: &Layout, files: Files, options: Options, user: User) -> Result<Self> {
        let signals =
            Signals::catch().map_err(|error| Error::io("catch signals for", layout.root(), &error))?;
        let (waker, woken) = wake::pair().map_err(|error| Error::io("wake", layout.root(), &error))?;
        let journal = Journal::from_now(layout)?;
        let looked = Instant::now();
        // The first look ends before the socket listens, so that no client sees less than there is.
        let mut keeper = Keeper::remembering(layout);
        let first = keeper.scan(layout);
        let (tell, changes) = channel();
        let captures = Arc::new(Captures::new(layout, &user));
        let agents = Arc::new(Agents::looked_at(layout, user.agents, tell, waker.clone()));
        let (say, said) = channel();
        for line in first {
            let _ = say.send(line);
        }
        let path = files.paths.socket();
        // Before there are threads: it changes the umask for a moment, which their children would inherit.
        let server =
            Server::bind(&path, options.unlimited).map_err(|error| Error::io("listen at", &path, &error))?;
        let (poke, pokes) = wake::pair().map_err(|error| Error::io("wake", layout.root(), &error))?;
        keep(layout.clone(), keeper, pokes, say, waker.clone());
        watch_journal(layout.clone(), waker.clone());
        agents.watch(Arc::clone(&captures));
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
            agents,
            changes,
            captures,
            looked,
            said,
            poke,
            counts: BTreeMap::new(),
            ending: None,
            stopping: false,
            watchdog: notify::watchdog(),
            unlimited: options.unlimited,
        })
    }

    fn is_over(&self) -> bool {
        self.ending.is_some_and(|since| {
            (!self.jobs.is_busy() && self.server.is_flushed())
                || (!self.stopping && clock::monotonic_ms().saturating_sub(since) > LAST_MS)
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
            self.others();
        }
        for (token, asked) in self.server.serve(&ready[ready.len().min(2)..], now) {
            self.request(token, asked);
        }
    }

    /// What other threads have brought.
    fn others(&mut self) {
        for line in self.said.try_iter().collect::<Vec<_>>() {
            self.files.log(&line);
        }
        for done in self.jobs.ended() {
            let Ticket { to, method, since, then } = done.ticket;
            self.count(method, since, done.outcome.is_ok());
            let Some((token, form)) = to else {
                self.tell_outcome(method, done.outcome);
                continue;
            };
            let outcome = match (then, done.outcome) {
                (Then::Follow(params), Ok(_)) if self.server.has(token) => {
                    self.subscriptions.add_logs(token, &params, &mut self.server)
                }
                (Then::End, outcome) => {
                    self.stopping = false;
                    outcome.map(|done| json!({"stopping": true, "processes": done}))
                }
                (Then::Look, outcome) => {
                    self.look_again();
                    outcome
                }
                (_, outcome) => outcome,
            };
            self.server.answer(token, &form, outcome);
        }
        self.tell_events();
        for changes in self.changes.try_iter() {
            self.subscriptions.agents(&changes, &mut self.server);
        }
        self.subscriptions.lines(&mut self.server);
    }

    /// Passes on what the journal has to say.
    pub(super) fn tell_events(&mut self) {
        match self.journal.read() {
            Ok(events) => {
                // A program that is ready may just have begun to listen.
                if events.iter().any(|event| event.event == Happening::Ready) {
                    self.poke.wake();
                }
                self.subscriptions.events(&events, &mut self.server);
            }
            Err(error) => self.files.log(&format!("cannot read the journal: {error}")),
        }
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

    pub(super) fn end(&mut self, now: u64) {
        self.ending.get_or_insert(now);
        self.server.close();
    }

    fn request(&mut self, token: Token, asked: Asked) {
        let since = Instant::now();
        let Asked { method, params, form } = asked;
        let method = Method::find(&method);
        let name = method.as_ref().map_or("unknown", |method| method.name);
        let course = match method {
            _ if self.ending.is_some() => {
                Err(Failure::new(code::LIMIT, "ending", "the daemon is ending; ask the next one"))
            }
            Err(failure) => Err(failure),
            Ok(method) => self.course(token, method, params, &form),
        };
        let outcome = match course {
            Ok(Course::Answer(reply)) => Ok(reply),
            Err(failure) => Err(failure),
            Ok(Course::Job(work, then)) => {
                let is_last = matches!(then, Then::End);
                let ticket = Ticket { to: Some((token, form.clone())), method: name, since, then };
                let added = self.jobs.add(Some(token), ticket, work);
                if added.is_ok() {
                    if is_last {
                        self.files.log("asked to stop everything and to end by a client");
                        self.stopping = true;
                        self.end(clock::monotonic_ms());
                    }
                    return;
                }
                added.map(|()| Reply::Value(Value::Null))
            }
        };
        self.count(name, since, outcome.is_ok());
        self.server.answer(token, &form, outcome);
        self.subscriptions.began(token, &mut self.server, &self.layout);
    }

    /// Looks at the agents before anybody is told of them again.
    fn look_again(&mut self) {
        self.looked = Instant::now();
        let (agents, since) = (Arc::clone(&self.agents), self.looked);
        let work = Work::call(move || {
            agents.look(since);
            Ok(Value::Null)
        });
        let ticket = Ticket { to: None, method: "agents", since, then: Then::Answer };
        let _ = self.jobs.add(None, ticket, work);
    }
}

/// Looks after the processes in a thread of its own: a look takes milliseconds, an adoption longer.
fn keep(layout: Layout, mut keeper: Keeper, pokes: Wakes, say: Sender<String>, waker: Waker) {
    let _ = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        loop {
            keeper.wait(&pokes);
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
        loop {
            if let Ok(mut watch) = Watch::new(&[&layout.journal()]) {
                // What came before the watch, too.
                waker.wake();
                while watch.wait(Some(Duration::from_secs(5))).is_ok() {
                    waker.wake();
                }
            }
            // Its directory is gone, say; the next process makes a new one.
            poll::pause(Duration::from_secs(1));
        }
    });
}
