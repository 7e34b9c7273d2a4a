//! The sessions of agents as the daemon sees them: a look every 5 s and when one is asked for, and what has changed from one
//! look to the next.
//!
//! Looks are made in other threads than the poll loop's: the first of a session reads the end of a long file.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::keeper::SCAN_MS;
use crate::agents::Session;
use crate::store::Layout;
use crate::sys::wake::Waker;
use crate::sys::{clock, poll};

/// How long what a look has seen answers for, in milliseconds.
const YOUNG_MS: u64 = 1_000;

/// What one look has seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// Which look it was.
    pub(super) number: u64,
    began: Instant,
    pub(super) sessions: Vec<Session>,
}

/// What has become of one session.
#[derive(Debug)]
pub(super) struct Change {
    /// `appeared`, `session`, `state`, `label` or `gone`.
    pub(super) what: &'static str,
    pub(super) session: Session,
}

/// What a look has found to be changed.
#[derive(Debug)]
pub(super) struct Changes {
    /// The look that saw it.
    pub(super) number: u64,
    pub(super) all: Vec<Change>,
}

/// Looks at the sessions, from any thread.
#[derive(Debug)]
pub(super) struct Agents {
    looker: Mutex<Looker>,
    /// Not held during a look.
    seen: Mutex<Arc<Seen>>,
    tell: Sender<Changes>,
    waker: Waker,
}

/// What looks.
#[derive(Debug)]
struct Looker {
    #[expect(dead_code, reason = "what it looks at comes with the watcher")]
    layout: Layout,
}

impl Looker {
    fn look(&mut self, _now_ms: u64) -> Vec<Session> {
        Vec::new()
    }
}

impl Agents {
    /// After a first look. Those that follow send what has changed, and wake the loop then.
    pub(super) fn looked_at(layout: &Layout, tell: Sender<Changes>, waker: Waker) -> Self {
        let mut looker = Looker { layout: layout.clone() };
        let began = Instant::now();
        let seen = Seen { number: 1, began, sessions: looker.look(clock::wall_ms()) };
        Agents { looker: Mutex::new(looker), seen: Mutex::new(Arc::new(seen)), tell, waker }
    }

    /// What was seen last.
    pub(super) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&lock(&self.seen))
    }

    /// The same, if it is young and of after `since`.
    pub(super) fn young(&self, since: Instant) -> Option<Arc<Seen>> {
        let seen = self.seen();
        let is_young = seen.began.elapsed() < Duration::from_millis(YOUNG_MS);
        (is_young && seen.began >= since).then_some(seen)
    }

    /// Looks, unless somebody else has begun to after `since`.
    pub(super) fn look(&self, since: Instant) -> Arc<Seen> {
        let mut looker = lock(&self.looker);
        let before = self.seen();
        if before.began >= since {
            return before;
        }
        let began = Instant::now();
        let sessions = looker.look(clock::wall_ms());
        let number = before.number + 1;
        let all = changes(&before.sessions, &sessions);
        let seen = Arc::new(Seen { number, began, sessions });
        *lock(&self.seen) = Arc::clone(&seen);
        if !all.is_empty() && self.tell.send(Changes { number, all }).is_ok() {
            self.waker.wake();
        }
        seen
    }

    /// Looks for ever, 5 s after the last look of anybody.
    pub(super) fn watch(self: &Arc<Self>) {
        let agents = Arc::clone(self);
        let _ = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            loop {
                let due = agents.seen().began + Duration::from_millis(SCAN_MS);
                match due.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => poll::pause(left),
                    _ => drop(agents.look(due)),
                }
            }
        });
    }
}

/// A look that panicked has left nothing half done that the next one would not do anew.
fn lock<Any>(mutex: &Mutex<Any>) -> MutexGuard<'_, Any> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of whom, from one look to the next.
fn changes(before: &[Session], after: &[Session]) -> Vec<Change> {
    let mut all = Vec::new();
    let mut add = |what, session: &Session| all.push(Change { what, session: session.clone() });
    for old in before.iter().filter(|old| !after.iter().any(|new| new.identity == old.identity)) {
        add("gone", old);
    }
    for new in after {
        let Some(old) = before.iter().find(|old| old.identity == new.identity) else {
            add("appeared", new);
            continue;
        };
        if old.session_id != new.session_id {
            add("session", new);
        }
        if (old.state, &old.reason) != (new.state, &new.reason) {
            add("state", new);
        }
        if old.label != new.label {
            add("label", new);
        }
    }
    all
}

/// A time in milliseconds since the Unix epoch as it stands in JSON: ISO 8601 in UTC, with milliseconds.
pub(super) fn time(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis);
    moment.map_or_else(String::new, |moment| moment.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A session as an object.
pub(super) fn document(session: &Session) -> Value {
    json!({"pid": session.pid(), "session_id": session.session_id})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::{AgentState, Source};
    use crate::model::{Identity, Pid};

    fn session(pid: i32, state: AgentState) -> Session {
        Session {
            agent: "claude".into(),
            identity: Identity { pid: Pid::new(pid).unwrap(), start: 7 },
            session_id: Some(format!("s{pid}")),
            label: None,
            state,
            reason: "so".into(),
            source: Source::Registry,
            since_ms: None,
            waiting_since_ms: None,
            cwd: None,
            project: None,
            git_branch: None,
            worktree: None,
            preview: None,
            workspace: None,
            tty: None,
            age_ms: 1,
            memory_bytes: 1,
            ports: Vec::new(),
            transcript: None,
            evidence: Vec::new(),
        }
    }

    #[test]
    fn what_has_changed_is_told_once_for_each_session() {
        let told = |before: &[Session], after: &[Session]| -> Vec<(&'static str, i32)> {
            changes(before, after).iter().map(|one| (one.what, one.session.pid().get())).collect()
        };
        let (one, two) = (session(10, AgentState::Working), session(20, AgentState::Idle));
        assert_eq!(told(&[], &[one.clone(), two.clone()]), [("appeared", 10), ("appeared", 20)]);
        // That it is older and larger by now is nothing to tell of.
        let older = Session { age_ms: 9, memory_bytes: 9, since_ms: Some(9), ..one.clone() };
        assert_eq!(told(&[one.clone(), two.clone()], &[two.clone(), older]), []);
        let waits = Session { label: Some("x".into()), ..session(10, AgentState::NeedsInput) };
        assert_eq!(told(&[one.clone(), two.clone()], &[waits]), [("gone", 20), ("state", 10), ("label", 10)]);
        let cleared = Session { session_id: Some("new".into()), ..one.clone() };
        assert_eq!(told(std::slice::from_ref(&one), &[cleared]), [("session", 10)]);
        // Another process that got its PID.
        let other = Session { identity: Identity { start: 8, ..one.identity }, ..one.clone() };
        assert_eq!(told(&[one], &[other]), [("gone", 10), ("appeared", 10)]);
    }

    #[test]
    fn a_look_that_began_later_is_as_good_as_one_more() {
        let dir = tempfile::tempdir().unwrap();
        let (tell, _told) = std::sync::mpsc::channel();
        let (waker, _woken) = crate::sys::wake::pair().unwrap();
        let agents = Agents::looked_at(&Layout::new(dir.path().into()), tell, waker);
        let before = Instant::now();
        assert!(agents.young(before).is_none());
        assert_eq!(agents.look(before).number, 2);
        assert_eq!(agents.look(before).number, 2);
        assert!(agents.young(before).is_some());
        assert_eq!(agents.look(Instant::now()).number, 3);
    }

    #[test]
    fn times_are_in_utc_with_milliseconds() {
        assert_eq!(time(1_795_240_000_007), "2026-11-21T05:46:40.007Z");
    }
}
