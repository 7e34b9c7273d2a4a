//! The life of a process as a table of phase × event: pure, with the time as an argument.
//!
//! It decides; `runtime` performs the effects and reports what came of them. It knows no PIDs, files or sockets.

use super::backoff::{RESET_MS, delay_ms};
use crate::model::{Exit, RestartPolicy, State};

/// What the machine must know of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When to start again.
    pub restart: RestartPolicy,
    /// How many restarts in a row are allowed.
    pub max_restarts: u32,
    /// How long a graceful stop may take, in milliseconds.
    pub stop_timeout_ms: u64,
    /// True when it is ready only once it listens or says so; otherwise it is when it still runs after 1 s.
    pub listens: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervisor is ready to begin.
    Begin,
    /// The supervisor is there, and the program that it is for runs already: its first one was killed.
    Adopted {
        /// The program was ready before.
        ready: bool,
        /// The main process is gone, and what is left of its tree is followed.
        followed: bool,
        /// How the run before ended.
        exit: Option<Exit>,
    },
    /// The environment file was read.
    EnvRead,
    /// The environment file could not be read; why.
    EnvFailed(String),
    /// The program runs.
    Spawned,
    /// The program could not be executed; why.
    SpawnFailed(String),
    /// The program is ready: it listens, or said so.
    Ready,
    /// The main process ended; `leftovers` tells whether descendants of it are alive.
    MainEnded {
        /// How it ended.
        exit: Exit,
        /// Whether anything of its tree is still alive.
        leftovers: bool,
    },
    /// Another process of the tree was made the main one, because the first one went into the background.
    Followed,
    /// Nothing of the tree is alive.
    TreeEmpty,
    /// A graceful stop is asked for.
    Stop,
    /// A stop without grace is asked for.
    Kill,
    /// A stop, then a start, is asked for.
    Restart,
    /// The time set with [`Effect::Deadline`] has come.
    Deadline,
}

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read `spec.json` anew; then the environment file: answered by `EnvRead` or `EnvFailed`.
    ReadEnv,
    /// Execute the program: answered by `Spawned` or `SpawnFailed`.
    Spawn,
    /// Make the oldest child of the supervisor the main process: answered by `Followed` or `TreeEmpty`.
    Follow,
    /// Send the stop signal to every process of the tree.
    SignalTree,
    /// Send KILL to every process of the tree.
    KillTree,
    /// Call `Deadline` at this time (monotonic milliseconds); replaces an earlier one.
    Deadline(u64),
    /// Forget the deadline.
    NoDeadline,
    /// The supervisor's work is over: publish the last state, answer everybody, end.
    Finish,
}

/// Where in its life the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before `Begin`.
    New,
    /// The environment file is being read, or the program is being executed.
    Preparing,
    /// It runs and is not ready.
    Starting,
    /// It runs.
    Online,
    /// It ended and left descendants, which are being ended; then what its exit asks for.
    Clearing,
    /// It waits for its next restart.
    Backoff,
    /// The tree is being ended.
    Stopping { then: Then },
    /// Over.
    Ended(State),
}

/// What follows on the end of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Stop,
    Restart,
}

/// When KILL is repeated first, in milliseconds, for what was born while it was sent; doubled each time.
const KILL_AGAIN_MS: u64 = 200;

/// How long a program without a port must run to count as ready, in milliseconds.
const SETTLED_MS: u64 = 1_000;

/// How long a server may take to listen before it is called running without it, in milliseconds.
const LISTENING_MS: u64 = 30_000;

/// The state of one process's life.
#[derive(Clone, Debug)]
pub struct Machine {
    rules: Rules,
    phase: Phase,
    /// Failures in a row.
    failures: u32,
    /// Restarts of every kind.
    restarts: u32,
    /// When the current run began.
    began: u64,
    exit: Option<Exit>,
    /// The main process went into the background: the tree is followed until it is empty.
    daemonized: bool,
    /// How often KILL was sent in this stop.
    kills: u32,
    note: Option<String>,
}

impl Machine {
    /// A life that has not begun.
    pub fn new(rules: Rules) -> Self {
        Machine {
            rules,
            phase: Phase::New,
            failures: 0,
            restarts: 0,
            began: 0,
            exit: None,
            daemonized: false,
            kills: 0,
            note: None,
        }
    }

    /// Counts on from the restarts under an earlier supervisor.
    pub fn go_on_from(&mut self, restarts: u32) {
        self.restarts = restarts;
    }

    /// The rules of a spec that was read anew.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The state, as users read it.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::New | Phase::Preparing | Phase::Starting => State::Starting,
            Phase::Online => State::Online,
            Phase::Clearing | Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff => State::Backoff,
            Phase::Ended(state) => state,
        }
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How the last run ended.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Why the state is what it is.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// True while the program runs and its readiness is to be looked for.
    pub fn wants_ready(&self) -> bool {
        self.phase == Phase::Starting
    }

    /// True while the tree is being ended.
    pub fn ending(&self) -> bool {
        matches!(self.phase, Phase::Clearing | Phase::Stopping { .. })
    }

    /// True while another run is under way to its start.
    pub fn another_run(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Preparing | Phase::Stopping { then: Then::Restart })
    }

    /// True when the life is over.
    pub fn over(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// The table: what to do when `event` happens at `now` (monotonic milliseconds).
    ///
    /// An event that makes no sense in a phase, such as a late one of an earlier run, changes nothing.
    pub fn on(&mut self, event: Event, now: u64) -> Vec<Effect> {
        match (self.phase, event) {
            (Phase::New, Event::Begin) => self.prepare(),
            (Phase::New, Event::Adopted { ready, followed, exit }) => {
                self.adopted(ready, followed, exit, now)
            }
            (Phase::Preparing, Event::EnvRead) => vec![Effect::Spawn],
            (Phase::Preparing, Event::EnvFailed(why)) => self.end(State::Errored, Some(why)),
            (Phase::Preparing, Event::Spawned) => self.spawned(now),
            (Phase::Preparing, Event::SpawnFailed(why)) => self.failed(Some(why), now),

            (Phase::Starting, Event::Ready) => self.online(None),
            (Phase::Starting, Event::Deadline) => {
                self.online(self.rules.listens.then_some("it runs but listens on no port"))
            }

            (Phase::Starting | Phase::Online, Event::MainEnded { exit, leftovers }) => {
                self.main_ended(exit, leftovers, now)
            }
            (Phase::Starting | Phase::Online, Event::Followed) => Vec::new(),
            (Phase::Starting | Phase::Online, Event::TreeEmpty) => self.run_over(now),
            (Phase::Clearing, Event::TreeEmpty) => self.run_over(now),

            (Phase::Backoff, Event::Deadline) => self.again(),

            (Phase::Clearing | Phase::Stopping { .. }, Event::Deadline) => self.kill(now),
            (Phase::Stopping { then }, Event::TreeEmpty) => self.tree_ended(then),
            (Phase::Stopping { .. }, Event::MainEnded { exit, leftovers }) => {
                self.exit = Some(exit);
                if leftovers { Vec::new() } else { self.on(Event::TreeEmpty, now) }
            }

            (Phase::New | Phase::Preparing | Phase::Backoff, Event::Stop | Event::Kill) => {
                self.end(State::Stopped, None)
            }
            (Phase::Starting | Phase::Online, Event::Stop) => self.stop(Then::Stop, now),
            (Phase::Starting | Phase::Online, Event::Kill) => {
                self.phase = Phase::Stopping { then: Then::Stop };
                self.kill(now)
            }
            (Phase::Clearing | Phase::Stopping { .. }, Event::Stop) => self.then(Then::Stop),
            (Phase::Clearing | Phase::Stopping { .. }, Event::Restart) => self.then(Then::Restart),
            (Phase::Clearing | Phase::Stopping { .. }, Event::Kill) => {
                self.phase = Phase::Stopping { then: Then::Stop };
                self.kill(now)
            }

            // The spec may have changed since the reading began.
            (Phase::Preparing, Event::Restart) => vec![Effect::ReadEnv],
            (Phase::Starting | Phase::Online, Event::Restart) => self.stop(Then::Restart, now),
            (Phase::Backoff, Event::Restart) => {
                self.failures = 0;
                self.again()
            }
            _ => Vec::new(),
        }
    }

    fn prepare(&mut self) -> Vec<Effect> {
        self.phase = Phase::Preparing;
        vec![Effect::ReadEnv]
    }

    fn spawned(&mut self, now: u64) -> Vec<Effect> {
        self.phase = Phase::Starting;
        self.began = now;
        self.daemonized = false;
        self.kills = 0;
        self.note = None;
        let patience = if self.rules.listens { LISTENING_MS } else { SETTLED_MS };
        vec![Effect::Deadline(now + patience)]
    }

    fn adopted(&mut self, ready: bool, followed: bool, exit: Option<Exit>, now: u64) -> Vec<Effect> {
        let waits = self.spawned(now);
        self.exit = exit;
        self.daemonized = followed;
        let effects = if ready { self.online(None) } else { waits };
        self.note = Some("its supervisor was killed, and this one took over".into());
        effects
    }

    fn online(&mut self, note: Option<&str>) -> Vec<Effect> {
        self.phase = Phase::Online;
        self.note = note.map(str::to_owned);
        vec![Effect::NoDeadline]
    }

    fn main_ended(&mut self, exit: Exit, leftovers: bool, now: u64) -> Vec<Effect> {
        self.exit = Some(exit);
        match (leftovers, exit.success() || self.daemonized) {
            (false, _) => self.run_over(now),
            // It went into the background (or is on its way out, child by child): what is left is the service.
            (true, true) => {
                self.daemonized = true;
                vec![Effect::Follow]
            }
            (true, false) => {
                self.phase = Phase::Clearing;
                vec![Effect::SignalTree, Effect::Deadline(now + self.rules.stop_timeout_ms)]
            }
        }
    }

    /// The tree is empty without having been asked to: what does the policy say?
    fn run_over(&mut self, now: u64) -> Vec<Effect> {
        let success = self.exit.is_some_and(|exit| exit.success());
        if now.saturating_sub(self.began) >= RESET_MS {
            self.failures = 0;
        }
        match self.rules.restart {
            RestartPolicy::No => self.end(State::Exited, None),
            RestartPolicy::OnFailure if success => self.end(State::Exited, None),
            RestartPolicy::OnFailure | RestartPolicy::Always => self.failed(None, now),
        }
    }

    fn failed(&mut self, why: Option<String>, now: u64) -> Vec<Effect> {
        self.failures = self.failures.saturating_add(1);
        if self.rules.restart == RestartPolicy::No || self.failures > self.rules.max_restarts {
            let restarts = match self.rules.max_restarts {
                0 => "no restart is".to_owned(),
                1 => "1 restart is".to_owned(),
                n => format!("{n} restarts in a row are"),
            };
            let note = why.unwrap_or_else(|| format!("it ended again and {restarts} allowed"));
            return self.end(State::Errored, Some(note));
        }
        self.note = why;
        let delay = delay_ms(self.failures);
        if delay == 0 && self.note.is_none() {
            return self.again();
        }
        self.phase = Phase::Backoff;
        vec![Effect::Deadline(now + delay.max(delay_ms(2)))]
    }

    fn again(&mut self) -> Vec<Effect> {
        self.restarts = self.restarts.saturating_add(1);
        let mut effects = vec![Effect::NoDeadline];
        effects.extend(self.prepare());
        effects
    }

    fn stop(&mut self, then: Then, now: u64) -> Vec<Effect> {
        self.phase = Phase::Stopping { then };
        self.kills = 0;
        vec![Effect::SignalTree, Effect::Deadline(now + self.rules.stop_timeout_ms)]
    }

    fn then(&mut self, then: Then) -> Vec<Effect> {
        self.phase = Phase::Stopping { then };
        Vec::new()
    }

    fn kill(&mut self, now: u64) -> Vec<Effect> {
        let again = KILL_AGAIN_MS << self.kills.min(6);
        self.kills = self.kills.saturating_add(1);
        vec![Effect::KillTree, Effect::Deadline(now + again)]
    }

    fn tree_ended(&mut self, then: Then) -> Vec<Effect> {
        match then {
            Then::Stop => self.end(State::Stopped, None),
            Then::Restart => {
                self.failures = 0;
                self.again()
            }
        }
    }

    fn end(&mut self, state: State, note: Option<String>) -> Vec<Effect> {
        self.phase = Phase::Ended(state);
        self.note = note;
        vec![Effect::NoDeadline, Effect::Finish]
    }
}

#[cfg(test)]
mod tests;
