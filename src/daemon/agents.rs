//! The sessions of agents as the daemon sees them: a look every 5 s and when one is asked for, and what has changed from one
//! look to the next.
//!
//! Looks are made in other threads than the poll loop's: the first of a session reads the end of a long file.

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::capture::Captures;
use super::keeper::SCAN_MS;
use super::params::Label;
use super::protocol::{Failure, Form};
use crate::agents::switch::{Environment, Workspaces};
use crate::agents::{
    ChangeDocument, Config, Document, Files, Labels, Register, Session, SessionInfo, Watcher,
};
use crate::agents::{refs, waiting};
use crate::error::Error;
use crate::inspect::{View, glance};
use crate::store::Layout;
use crate::sys::wake::Waker;
use crate::sys::{clock, memory, poll};

/// How long what a look has seen answers for, in milliseconds.
const YOUNG_MS: u64 = 1_000;

/// What one look has seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// Which look it was.
    pub(super) number: u64,
    began: Instant,
    pub(super) sessions: Vec<Session>,
    /// The same in the form of `tsm agents --json`.
    pub(super) documents: Vec<Document>,
}

impl Seen {
    /// Where agents work.
    fn dirs(&self) -> Vec<PathBuf> {
        let mut dirs: Vec<PathBuf> = self.sessions.iter().filter_map(|one| one.cwd.clone()).collect();
        dirs.sort_unstable();
        dirs.dedup();
        dirs
    }
}

/// What a look has found to be changed.
#[derive(Debug)]
pub(super) struct Changes {
    /// The look that saw it.
    pub(super) number: u64,
    pub(super) all: Vec<ChangeDocument>,
}

/// Looks at the sessions, from any thread.
#[derive(Debug)]
pub(super) struct Agents {
    files: Files,
    looker: Mutex<Looker>,
    /// Not held during a look.
    seen: Mutex<Arc<Seen>>,
    tell: Sender<Changes>,
    waker: Waker,
}

/// What looks, and what it remembers.
#[derive(Debug)]
struct Looker {
    layout: Layout,
    watcher: Watcher,
    register: Register,
    workspaces: Workspaces,
}

impl Looker {
    /// Look number `number`, and what has changed since the one before.
    fn look(&mut self, number: u64) -> (Seen, Vec<ChangeDocument>) {
        let (began, now) = (Instant::now(), clock::wall_ms());
        let files = Files::of(&self.layout);
        let mut found = self.watcher.look(now);
        // Without its label a session is still one; `tsm agents label` says what is wrong with the file.
        if let Ok(labels) = Labels::load(&files) {
            labels.apply(&mut found);
        }
        // Where to ask, the agents' own environments say; the daemon may have been started from anywhere.
        self.workspaces.note(&mut found, &Environment::default(), now);
        let changes = self.register.update(found, now);
        // For the prompt of shells, which can do without.
        let _ = waiting::note(&files, self.register.waiting(), now);
        let sessions = self.register.list().to_vec();
        let views = if sessions.is_empty() { Vec::new() } else { glance(&self.layout) };
        let documents = sessions.iter().map(|session| document(session, &views)).collect();
        let changes = changes.iter().map(|change| ChangeDocument {
            session: document(&change.session, &views),
            ..ChangeDocument::new(change, now)
        });
        (Seen { number, began, sessions, documents }, changes.collect())
    }
}

/// A session, with the name of the tracked process that it is, if `tsm start` started it.
fn document(session: &Session, views: &[View]) -> Document {
    let is_it = |view: &&View| view.main == Some(session.identity) && view.status.live();
    let managed = views.iter().find(is_it).map(|view| view.name.to_string());
    Document { managed, ..Document::from(session) }
}

impl Agents {
    /// After a first look. Those that follow send what has changed, and wake the loop then.
    pub(super) fn looked_at(layout: &Layout, config: Config, tell: Sender<Changes>, waker: Waker) -> Self {
        let watcher = Watcher::new(config);
        let mut looker = Looker {
            layout: layout.clone(),
            watcher,
            register: Register::default(),
            workspaces: Workspaces::default(),
        };
        let (seen, _) = looker.look(1);
        let files = Files::of(layout);
        Agents { files, looker: Mutex::new(looker), seen: Mutex::new(Arc::new(seen)), tell, waker }
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
        let (seen, all) = looker.look(before.number + 1);
        let (number, seen) = (seen.number, Arc::new(seen));
        *lock(&self.seen) = Arc::clone(&seen);
        if !all.is_empty() && self.tell.send(Changes { number, all }).is_ok() {
            self.waker.wake();
        }
        seen
    }

    /// Labels the session that `reference` means, or the conversation `session_id`, whether it runs or not.
    ///
    /// # Errors
    /// When none is meant, or several are; when it is no label, or cannot be kept.
    pub(super) fn label(&self, wanted: &Label, form: &Form) -> Result<Value, Failure> {
        let labelled = || {
            let seen = self.look(Instant::now());
            let meant = |id: &str| seen.sessions.iter().find(|one| one.session_id.as_deref() == Some(id));
            let session = match (&wanted.session_id, &wanted.reference) {
                (Some(id), None) => match meant(id) {
                    Some(session) => Some(session),
                    None => return Labels::set_by_id(&self.files, id, &wanted.label).map(|_| None),
                },
                (None, Some(text)) => seen.sessions.get(refs::resolve(text, &seen.sessions)?),
                _ => None,
            };
            let session =
                session.ok_or_else(|| Error::usage("agents.label: say either ref or session_id"))?;
            let labels = Labels::set(&self.files, session, &wanted.label)?;
            let mut session = session.clone();
            session.label = labels.of(&session).map(str::to_owned);
            Ok(Some(session))
        };
        let session = labelled().map_err(|error| Failure::of(&error))?;
        Ok(match form {
            Form::Action => json!({"sessions": session.iter().map(SessionInfo::from).collect::<Vec<_>>()}),
            _ => json!({"session": session.as_ref().map(Document::from)}),
        })
    }

    /// Looks for ever, 5 s after the last look of anybody; capture looks along.
    pub(super) fn watch(self: &Arc<Self>, captures: Arc<Captures>) {
        let agents = Arc::clone(self);
        let _ = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            let mut followed: Option<Instant> = None;
            loop {
                let pause = Duration::from_millis(SCAN_MS);
                if followed.is_none_or(|at| at.elapsed() >= pause) {
                    captures.look(agents.seen().dirs());
                    followed = Some(Instant::now());
                }
                let due = agents.seen().began + pause;
                match due.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => poll::pause(left),
                    _ => {
                        agents.look(due);
                        memory::release_code();
                    }
                }
            }
        });
    }
}

/// A look that panicked has left nothing half done that the next one would not do anew.
fn lock<Any>(mutex: &Mutex<Any>) -> MutexGuard<'_, Any> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::AgentTable;

    #[test]
    fn a_look_that_began_later_is_as_good_as_one_more() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().into());
        let (tell, _told) = std::sync::mpsc::channel();
        let (waker, _woken) = crate::sys::wake::pair().unwrap();
        let config = Config {
            claude_dir: None,
            home: Some(dir.path().into()),
            dir: dir.path().join("agents"),
            table: AgentTable::built_in(),
            elsewhere: false,
        };
        let agents = Agents::looked_at(&layout, config, tell, waker);
        let before = Instant::now();
        assert!(agents.young(before).is_none());
        assert_eq!(agents.look(before).number, 2);
        assert_eq!(agents.look(before).number, 2);
        assert!(agents.young(before).is_some());
        assert_eq!(agents.look(Instant::now()).number, 3);
    }
}
