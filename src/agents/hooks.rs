//! What Claude Code's hooks have told about its sessions: one small file for each, below `TSM_DIR/agents/hooks`.
//!
//! Only names are kept (of tools, events, files): nothing that was said, asked for or answered.

mod caller;
mod event;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::{AgentState, waiting};
use crate::error::{Error, Result};
use crate::model::{Identity, Pid};
use crate::store::{self, Durability};
use crate::sys::lock::Lock;
use crate::sys::{boot, process};
pub use caller::caller;
use event::is_session_id;
pub use event::{Event, Meaning};

/// What is known of one session from its hooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The conversation.
    pub session_id: String,
    /// The `claude` process whose hook it was.
    pub pid: Pid,
    /// When the kernel started that process (see [`Identity`]).
    pub start: u64,
    /// The boot in which that was.
    pub boot: String,
    /// The last event that said something: `PermissionRequest`.
    pub event: String,
    /// The state that follows from it and those before it.
    pub state: AgentState,
    /// Why that is so, in a few words: `permission: Bash`.
    pub reason: String,
    /// When the last event was, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Since when it is in that state, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Since when it waits for its user, in milliseconds since the Unix epoch; set as its turn ends or it asks, kept
    /// until it works.
    pub waiting_since_ms: Option<u64>,
    /// The file of the conversation.
    pub transcript: Option<PathBuf>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// The tool that the last event was about.
    pub tool: Option<String>,
    /// The sub-agent that the last event was about.
    pub agent: Option<String>,
}

/// An event that is dated later than a new one by more than this is no later one: the clock was set back.
const CLOCK_SET_BACK_MS: u64 = 10_000;

/// How long the end of another tool says nothing about a question that has just been asked: what runs beside it was
/// started before. What the agent does after a refusal takes it a few seconds at least.
const BESIDE_MS: u64 = 5_000;

/// How long a hook waits for another one to write.
const PATIENCE: Duration = Duration::from_millis(200);

impl Told {
    /// What the hooks have told about a session, of any process.
    pub fn read(dir: &Path, session_id: &str) -> Option<Told> {
        if !is_session_id(session_id) {
            return None;
        }
        let told: Told = serde_json::from_slice(&fs::read(file(dir, session_id)).ok()?).ok()?;
        (told.session_id == session_id).then_some(told)
    }

    /// The process, which may be gone.
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, start: self.start }
    }

    /// True for what this very process has told, in the boot `boot` (`sys::boot::id`).
    pub fn is_of(&self, process: Identity, boot: &str) -> bool {
        self.identity() == process && self.boot == boot
    }

    /// What is so after `event`, which `process` has told at `now_ms`; `None` when that changes nothing.
    fn after(
        before: Option<&Told>,
        event: &Event,
        process: Identity,
        boot: &str,
        now_ms: u64,
    ) -> Option<Told> {
        // A conversation that another process has taken up begins anew.
        let before = before.filter(|before| before.is_of(process, boot));
        let Meaning::Is(state, reason) = event.meaning() else { return None };
        if let Some(before) = before
            && (before.is_later(now_ms) || before.outlasts(event, state, now_ms))
        {
            return None;
        }
        let same = before.filter(|before| before.state == state);
        let waiting = before.and_then(|before| before.waiting_since_ms);
        let mut told = Told {
            session_id: event.session_id.clone(),
            pid: process.pid,
            start: process.start,
            boot: boot.to_owned(),
            event: event.name.clone(),
            state,
            reason,
            at_ms: now_ms,
            since_ms: same.map_or(now_ms, |before| before.since_ms),
            waiting_since_ms: match state {
                AgentState::NeedsInput => waiting.or(Some(now_ms)),
                AgentState::Idle if event.name != "SessionStart" => waiting.or(Some(now_ms)),
                _ => None,
            },
            transcript: event.transcript.clone().or_else(|| before?.transcript.clone()),
            cwd: event.cwd.clone().or_else(|| before?.cwd.clone()),
            tool: event.tool.clone(),
            agent: event.agent.clone(),
        };
        // A reminder of what is known says less than the event itself.
        if let Some(same) = same
            && event.name == "Notification"
        {
            (told.reason, told.tool, told.agent) =
                (same.reason.clone(), same.tool.clone(), same.agent.clone());
        }
        Some(told)
    }

    /// True when this was told after `now_ms`: of hooks that run at once the later event counts.
    fn is_later(&self, now_ms: u64) -> bool {
        self.at_ms > now_ms && self.at_ms - now_ms <= CLOCK_SET_BACK_MS
    }

    /// True when `event` leaves this as it is, because it is about something that goes on beside it.
    fn outlasts(&self, event: &Event, state: AgentState, now_ms: u64) -> bool {
        let of_a_tool = matches!(
            event.name.as_str(),
            "PreToolUse" | "PostToolUse" | "PostToolUseFailure" | "SubagentStart" | "SubagentStop"
        );
        match self.state {
            // Another sub-agent goes on, or a tool that was started together with the one that asks ends.
            AgentState::NeedsInput if of_a_tool && state == AgentState::Working => {
                let beside = now_ms.saturating_sub(self.since_ms) < BESIDE_MS;
                event.agent != self.agent || (beside && self.tool.is_some() && event.tool != self.tool)
            }
            // A minute later the prompt is still empty; the error has not gone by that.
            AgentState::NeedsInput => self.event == "StopFailure" && event.name == "Notification",
            // The turn has ended; a sub-agent in the background does not take it back.
            AgentState::Idle => of_a_tool && state == AgentState::Working && event.agent.is_some(),
            _ => false,
        }
    }
}

/// Writes down what `event` says, which the process `claude` has told at `now_ms`, and corrects the number of sessions
/// that need input by it.
///
/// # Errors
/// When the files cannot be written.
pub fn take(files: &Files, event: &Event, claude: Identity, now_ms: u64) -> Result<()> {
    let meaning = event.meaning();
    if meaning == Meaning::Nothing {
        return Ok(());
    }
    let dir = files.hooks();
    store::create_dir(&dir)?;
    let _alone = alone(&dir)?;
    let boot = boot::id();
    let known = Told::read(&dir, &event.session_id);
    // What another process has told of this conversation is no business of this one.
    let mut before = known.as_ref().filter(|told| told.is_of(claude, &boot)).cloned();
    let after = Told::after(known.as_ref(), event, claude, &boot, now_ms);
    match &after {
        Some(told) => {
            let text = serde_json::to_vec(told)
                .map_err(|error| Error::failed(format!("cannot write down what a hook told: {error}")))?;
            store::write(&file(&dir, &told.session_id), &text, Durability::Cached)?;
        }
        None if meaning == Meaning::Forget && before.is_some() => remove(&dir, &event.session_id)?,
        None => return Ok(()),
    }
    if event.name == "SessionStart" {
        // One process, one conversation: `/clear` and `/resume` leave the one before.
        for other in read_all(&dir).into_iter().filter(|other| other.session_id != event.session_id) {
            if other.is_of(claude, &boot) {
                remove(&dir, &other.session_id)?;
                before = before.or(Some(other));
            }
        }
    }
    count(files, before.as_ref(), after.as_ref(), now_ms)
}

/// Corrects the number of sessions that need input. A look at all of them, which would find it, costs more than an agent
/// should wait for.
fn count(files: &Files, before: Option<&Told>, after: Option<&Told>, now_ms: u64) -> Result<()> {
    let waits = |told: Option<&Told>| told.is_some_and(|told| told.state == AgentState::NeedsInput);
    let number = match (waiting::read(files, now_ms), waits(before), waits(after)) {
        (_, false, false) | (Some(_), true, true) => return Ok(()),
        (Some(known), false, true) => known + 1,
        (Some(known), true, false) => known.saturating_sub(1),
        // Nobody has looked for a while, so that nobody knows better.
        (None, ..) => all(&files.hooks()).iter().filter(|told| waits(Some(told))).count(),
    };
    waiting::note(files, number, now_ms)
}

/// What the hooks have told about every session whose process runs, by session ID. The files of the others are removed,
/// unless a hook just writes.
///
/// Nothing there is no error: the hooks are not installed, then.
pub fn all(dir: &Path) -> Vec<Told> {
    let boot = boot::id();
    let is_alive = |told: &Told| told.boot == boot && process::alive(&told.identity());
    let (alive, gone): (Vec<Told>, Vec<Told>) = read_all(dir).into_iter().partition(is_alive);
    if !gone.is_empty()
        && let Ok(Some(_alone)) = Lock::try_take(&dir.join("lock"))
    {
        for told in gone {
            // Not one that a new process has taken up meanwhile.
            if Told::read(dir, &told.session_id).is_some_and(|now| now.is_of(told.identity(), &told.boot)) {
                let _ = remove(dir, &told.session_id);
            }
        }
    }
    alive
}

fn read_all(dir: &Path) -> Vec<Told> {
    let Ok(listing) = fs::read_dir(dir) else { return Vec::new() };
    let read = |item: fs::DirEntry| Told::read(dir, item.file_name().to_str()?.strip_suffix(".json")?);
    let mut all: Vec<Told> = listing.flatten().filter_map(read).collect();
    all.sort_unstable_by(|a, b| a.session_id.cmp(&b.session_id));
    all
}

fn file(dir: &Path, session_id: &str) -> PathBuf {
    dir.join(format!("{session_id}.json"))
}

fn remove(dir: &Path, session_id: &str) -> Result<()> {
    let path = file(dir, session_id);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path, &error)),
        _ => Ok(()),
    }
}

/// Held while files are changed, by one hook at a time.
fn alone(dir: &Path) -> Result<Lock> {
    let path = dir.join("lock");
    let lock = Lock::take_within(&path, PATIENCE).map_err(|error| Error::io("lock", &path, &error))?;
    lock.ok_or_else(|| Error::failed(format!("cannot lock {}: another hook holds it", path.display())))
}

#[cfg(test)]
mod tests;
