//! Capture over the API, in the words of its older daemon: `createSession`, `addMessage` and so on.
//!
//! Each is a call of the library in a job: it waits for the disk. An answer means that what it tells of is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Map, Value, json};

use super::methods::Method;
use super::params::{
    ActiveSessions, AddCodeChange, AddMessage, CreateSession, Nothing, SaveSession, SaveSessionsForRepo,
};
use super::protocol::Failure;
use super::runtime::User;
use crate::agents::time;
use crate::capture::commit::Desk;
use crate::capture::installed::Installed;
use crate::capture::pending::Pending;
use crate::capture::{Captured, Code, Config, Refusal, Sessions, ingest};
use crate::error::Error;
use crate::inspect::Repository;
use crate::store::Layout;
use crate::sys::clock;

/// The methods.
pub(super) const METHODS: [&str; 7] = [
    "createSession",
    "addMessage",
    "addCodeChange",
    "saveSession",
    "saveSessionsForRepo",
    "getActiveSessions",
    "getConfig",
];

/// How many bytes of conversations `getActiveSessions` tells: an answer must fit into what may wait for a client.
const MOST_TOLD: usize = 4 << 20;

/// Every so many looks, of which there is one in 5 s, what is old is forgotten: each hour.
const FORGET: usize = 720;

/// What the calls share.
#[derive(Debug)]
pub(super) struct Captures {
    layout: Layout,
    /// `capture.toml`, read by each call: it may be changed at any time.
    config: Option<PathBuf>,
    home: Option<PathBuf>,
    claude_dir: Option<PathBuf>,
    /// How many looks there were.
    looks: AtomicUsize,
    /// A look is under way.
    looking: AtomicBool,
    /// How many sessions there were when one was last made or counted.
    active: AtomicUsize,
}

impl Captures {
    pub(super) fn new(layout: &Layout, user: &User) -> Self {
        let (home, claude) = (user.agents.home.as_ref(), user.agents.claude_dir.clone());
        let captures = Captures {
            layout: layout.clone(),
            config: user.capture.clone(),
            home: home.map(|home| home.canonicalize().unwrap_or_else(|_| home.clone())),
            claude_dir: claude.or_else(|| Some(home?.join(".claude"))),
            looks: AtomicUsize::new(0),
            looking: AtomicBool::new(false),
            active: AtomicUsize::new(0),
        };
        captures.count();
        captures
    }

    /// Keeps what belongs to commits that a worker was kept from, and takes down what agents have written themselves where
    /// capture is installed: in a thread of its own, and none where there is nothing of both. `dirs` are those that agents
    /// work in.
    pub(super) fn look(self: &Arc<Self>, dirs: Vec<PathBuf>) {
        let is_due = self.looks.fetch_add(1, Ordering::Relaxed).is_multiple_of(FORGET);
        let installed = Installed::read(&self.layout).ok();
        let is_installed =
            installed.as_ref().is_some_and(|all| all.global.is_some() || !all.repositories.is_empty());
        let is_idle = !is_due && !is_installed && Pending::all(&self.layout).is_empty();
        if is_idle || self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let captures = Arc::clone(self);
        let work = move || {
            if let (Ok(desk), Some(installed)) = (captures.desk(), installed) {
                captures.follow(&desk, &installed, &dirs);
                let now = clock::wall_ms();
                // What could not be kept is tried again by the next look, and told by `tsm capture list`.
                let _ = desk.sweep(now);
                if is_due {
                    let _ = desk.sessions.sweep(now);
                }
                captures.count();
            }
            captures.looking.store(false, Ordering::Release);
        };
        if std::thread::Builder::new().stack_size(1 << 20).spawn(work).is_err() {
            self.looking.store(false, Ordering::Release);
        }
    }

    /// Takes down what agents have written in the repositories of `dirs`.
    fn follow(&self, desk: &Desk, installed: &Installed, dirs: &[PathBuf]) {
        let mut roots: Vec<PathBuf> = Vec::new();
        for repository in dirs.iter().filter_map(|dir| Repository::of(dir)) {
            let since = repository.common_dir.canonicalize().ok().and_then(|dir| installed.since(&dir));
            if let Some(since) = since.filter(|_| !roots.contains(&repository.root)) {
                let _ = ingest(&desk.sessions, &desk.claude_dirs, &repository.root, since);
                roots.push(repository.root);
            }
        }
    }

    fn desk(&self) -> Result<Desk, Error> {
        Ok(Desk {
            layout: self.layout.clone(),
            sessions: self.sessions()?,
            home: self.home.clone(),
            claude_dirs: self.claude_dir.iter().cloned().collect(),
        })
    }

    /// How many sessions are active.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Counts them anew.
    pub(super) fn count(&self) {
        let all = self.sessions().ok().and_then(|all| all.active(None, clock::wall_ms()).ok());
        self.active.store(all.map_or(0, |all| all.len()), Ordering::Relaxed);
    }

    fn sessions(&self) -> Result<Sessions, Error> {
        let config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
        Ok(Sessions::open(&self.layout, config))
    }

    /// Answers one of [`METHODS`].
    pub(super) fn call(&self, method: &Method, params: Map<String, Value>) -> Result<Value, Failure> {
        let now = clock::wall_ms();
        let sessions = || self.sessions().map_err(|error| Failure::of(&error));
        match method.name {
            "createSession" => {
                let wanted: CreateSession = method.params(params)?;
                let made =
                    sessions()?.create(&wanted.tool, &wanted.metadata, now).map_err(|why| refused(&why))?;
                self.count();
                Ok(json!({"sessionId": made.id}))
            }
            "addMessage" => {
                let AddMessage { session_id, role, content } = method.params(params)?;
                sessions()?.add_message(&session_id, &role, &content, now).map_err(|why| refused(&why))?;
                Ok(json!({"success": true}))
            }
            "addCodeChange" => {
                let wanted: AddCodeChange = method.params(params)?;
                let (before, after) = (wanted.before_content.as_deref(), wanted.after_content.as_deref());
                let file = Path::new(&wanted.file_path);
                let added = sessions()?.add_change(&wanted.session_id, file, before, after, now);
                // Of a file that is left out by the settings nothing is kept, and nothing is wrong.
                Ok(json!({"success": true, "stored": added.map_err(|why| refused(&why))?.is_some()}))
            }
            "saveSession" => {
                let wanted: SaveSession = method.params(params)?;
                let desk = self.desk().map_err(|error| Failure::of(&error))?;
                let session = desk.sessions.get(&wanted.session_id).map_err(|why| refused(&why))?;
                let commit = wanted.commit_sha.as_deref().unwrap_or("HEAD");
                let file =
                    desk.save_session(&session.key, commit, now).map_err(|error| Failure::of(&error))?;
                Ok(json!({"success": true, "file": file}))
            }
            "saveSessionsForRepo" => {
                let wanted: SaveSessionsForRepo = method.params(params)?;
                let root = root_of(&wanted.repo_path)?;
                let desk = self.desk().map_err(|error| Failure::of(&error))?;
                let files = desk.save_for_repo(&root, &wanted.commit_sha, now);
                let files = files.map_err(|error| Failure::of(&error))?;
                Ok(json!({"success": true, "sessionsSaved": files.len(), "files": files}))
            }
            "getActiveSessions" => {
                let wanted: ActiveSessions = method.params(params)?;
                let root = wanted.repo_path.map(|dir| root_of(&dir)).transpose()?;
                let all = sessions()?.active(root.as_deref(), now).map_err(|error| Failure::of(&error))?;
                let mut left = MOST_TOLD;
                let told: Vec<Value> = all.iter().rev().map(|one| told(one, &mut left)).collect();
                Ok(json!({"sessions": told.into_iter().rev().collect::<Vec<_>>()}))
            }
            "getConfig" => {
                method.params::<Nothing>(params)?;
                Ok(json!({"config": sessions()?.config().document()}))
            }
            other => Err(Failure::of(&Error::failed(format!("{other} is not answered")))),
        }
    }
}

/// The root of the repository of a directory.
fn root_of(dir: &str) -> Result<PathBuf, Failure> {
    let found = Path::new(dir).canonicalize().ok().and_then(|dir| Repository::of(&dir));
    let none = || {
        let mut failure = Failure::of(&Error::not_found(format!("{dir} is in no git repository")));
        failure.data.kind = kind(Code::NotARepository);
        failure
    };
    found.filter(|_| Path::new(dir).is_absolute()).map(|repository| repository.root).ok_or_else(none)
}

fn kind(code: Code) -> String {
    code.word().replace('_', "-")
}

/// A refusal with its own word for what is wrong.
fn refused(refusal: &Refusal) -> Failure {
    let mut failure = Failure::of(&refusal.error);
    failure.data.kind = kind(refusal.code);
    failure
}

/// A session in the older daemon's words. What was said is told from its end, as far as there are bytes `left`.
fn told(session: &Captured, left: &mut usize) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    for one in session.messages.iter().rev() {
        let Some(rest) = left.checked_sub(one.content.len() + 100) else { break };
        *left = rest;
        messages.push(json!({"role": one.role, "content": one.content, "timestamp": time(one.at_ms)}));
    }
    messages.reverse();
    let mut changes: Vec<Value> = Vec::new();
    for one in session.changes.iter().rev() {
        let texts = [&one.before, &one.after].map(|text| text.as_ref().map_or(0, String::len));
        let Some(rest) = left.checked_sub(texts.iter().sum::<usize>() + 200) else { break };
        *left = rest;
        let mut change = json!({"filePath": one.file, "timestamp": time(one.at_ms)});
        for (name, text) in [("beforeContent", &one.before), ("afterContent", &one.after)] {
            if let Some(text) = text {
                change[name] = text.as_str().into();
            }
        }
        changes.push(change);
    }
    changes.reverse();
    let mut metadata = session.metadata.clone();
    metadata.insert("cwd".into(), json!(session.cwd));
    metadata.insert("repoPath".into(), json!(session.root));
    json!({
        "id": session.key,
        "tool": session.tool,
        "startTime": time(session.started_ms),
        "lastUpdate": time(session.last_ms),
        "messageCount": session.messages.len(),
        "codeChangeCount": session.changes.len(),
        "messages": messages,
        "codeChanges": changes,
        "metadata": metadata,
    })
}
