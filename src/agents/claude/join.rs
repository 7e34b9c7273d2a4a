//! What all sources together say: the best one that gives an answer decides, and all are named.

use std::path::PathBuf;

use super::Assessment;
use super::detect::{Facts, Verdict};
use super::registry::{Entry, Registry};
use super::tail::Tail;
use super::text::cut;
use crate::agents::hooks::Told;
use crate::agents::{AgentState, Evidence, Source};

/// How much earlier than an event a record may be written that follows it, in milliseconds.
const BESIDE_MS: u64 = 1_000;

/// All that was read about one process.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) registry_path: PathBuf,
    pub(super) registry: Registry,
    pub(super) told_path: Option<PathBuf>,
    pub(super) told: Option<Told>,
    pub(super) tail: Option<&'a Tail>,
    pub(super) transcript: Option<PathBuf>,
    pub(super) session_id: Option<String>,
    pub(super) facts: Facts,
}

/// What one source says: how that is shown, and what follows if anything does.
struct Word {
    source: Source,
    path: Option<PathBuf>,
    found: String,
    verdict: Option<Verdict>,
}

/// The session, and what was looked at.
pub(super) fn join(known: Known) -> Assessment {
    let words = [known.of_registry(), known.of_hooks(), known.of_transcript(), known.of_activity()];
    let deciding = words.iter().position(|word| word.verdict.is_some());
    let (mut decided, mut source) = (Verdict::unknown(), Source::None);
    let mut evidence = Vec::with_capacity(words.len());
    for (at, word) in words.into_iter().enumerate() {
        let (is_best, state) = (deciding == Some(at), word.verdict.as_ref().map(|verdict| verdict.state));
        evidence.push(Evidence {
            source: word.source,
            decided: is_best,
            path: word.path,
            found: word.found,
            state,
        });
        if let Some(verdict) = word.verdict.filter(|_| is_best) {
            (decided, source) = (verdict, word.source);
        }
    }
    Assessment {
        preview: known.preview(),
        git_branch: known.tail.and_then(|tail| tail.summary().branch()).map(str::to_owned),
        session_id: known.session_id,
        transcript: known.transcript,
        state: decided.state,
        reason: decided.reason,
        source,
        since_ms: decided.since_ms,
        waiting_since_ms: decided.waiting_since_ms,
        evidence,
    }
}

impl Known<'_> {
    fn of_registry(&self) -> Word {
        let (found, verdict) = match &self.registry {
            Registry::Missing => ("no such file".to_owned(), None),
            Registry::Unreadable(why) | Registry::OfAnother(why) => (why.clone(), None),
            Registry::Fits(entry) => (self.entry_words(entry), self.entry_verdict(entry)),
        };
        Word { source: Source::Registry, path: Some(self.registry_path.clone()), found, verdict }
    }

    fn entry_words(&self, entry: &Entry) -> String {
        let Some(status) = &entry.status else { return "no status".into() };
        let status = cut(status, 40).unwrap_or_default();
        let waits = entry.waiting_for.as_deref().and_then(|text| cut(text, 60));
        let waits = waits.map_or_else(String::new, |text| format!(" for {text:?}"));
        let unknown = if entry.state().is_none() { ", which is not known" } else { "" };
        let kind = entry.kind.as_deref().filter(|kind| *kind != "interactive").and_then(|kind| cut(kind, 20));
        let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
        format!("status {status:?}{kind}{waits}{}{unknown}", self.ago(entry.at_ms))
    }

    fn entry_verdict(&self, entry: &Entry) -> Option<Verdict> {
        let state = entry.state()?;
        let summary = self.tail.map(Tail::summary);
        let tool = summary.and_then(super::detect::Summary::tool);
        let question = summary.and_then(super::detect::Summary::question);
        let has_worked = summary.is_some_and(super::detect::Summary::has_worked)
            || self.told.as_ref().is_some_and(|told| told.waiting_since_ms.is_some());
        let reason = match state {
            AgentState::Working => tool.map_or_else(|| "busy".to_owned(), |tool| format!("tool: {tool}")),
            AgentState::NeedsInput => match (question, &entry.waiting_for, tool) {
                (Some((question, _)), _, _) => question,
                (None, Some(what), Some(tool)) if what.starts_with("permission") => {
                    format!("permission: {tool}")
                }
                (None, Some(what), _) => cut(what, 60).unwrap_or_default(),
                (None, None, Some(tool)) => format!("permission: {tool}"),
                (None, None, None) => "a dialog is open".into(),
            },
            _ if entry.has_background() => "your turn +bg".into(),
            _ if summary.is_some() && !has_worked => "no prompt yet".into(),
            _ => "your turn".into(),
        };
        let waits = state == AgentState::NeedsInput || (state == AgentState::Idle && has_worked);
        let waiting_since_ms = entry.at_ms.filter(|_| waits);
        Some(Verdict { state, reason, since_ms: entry.at_ms, waiting_since_ms })
    }

    fn of_hooks(&self) -> Word {
        let Some(told) = &self.told else {
            return Word {
                source: Source::Hooks,
                path: None,
                found: "no hook has told anything".into(),
                verdict: None,
            };
        };
        let mut verdict = Some(Verdict {
            state: told.state,
            reason: told.reason.clone(),
            since_ms: Some(told.since_ms),
            waiting_since_ms: told.waiting_since_ms,
        });
        let mut found = format!("{} {}{}", told.event, told.reason, self.ago(Some(told.at_ms)));
        if let Some(why) = self.overtakes(told) {
            found = format!("{found}; {why}");
            verdict = None;
        }
        Word { source: Source::Hooks, path: self.told_path.clone(), found, verdict }
    }

    /// Why what the hooks have told last is no longer so: nobody calls a hook when a turn is interrupted, nor when a
    /// permission is given.
    fn overtakes(&self, told: &Told) -> Option<&'static str> {
        if self.session_id.as_ref().is_some_and(|id| *id != told.session_id) {
            return Some("of another conversation");
        }
        let summary = self.tail?.summary();
        let is_later = summary.at_ms().is_some_and(|at| at > told.at_ms.saturating_add(BESIDE_MS));
        let works = summary.verdict(&self.facts).state == AgentState::Working;
        match told.state {
            AgentState::Working if is_later && summary.is_at_rest() => Some("the turn has ended since"),
            AgentState::NeedsInput
                if self.facts.youngest_child_ms.is_some_and(|child| child > told.at_ms) =>
            {
                Some("a command was started since")
            }
            AgentState::NeedsInput if is_later && works && summary.tool().is_none() => {
                Some("it has gone on since")
            }
            AgentState::Idle if is_later && works => Some("it has gone on since"),
            _ => None,
        }
    }

    fn of_transcript(&self) -> Word {
        let (found, verdict) = match (self.tail, &self.transcript) {
            (Some(tail), _) => {
                let verdict = tail.summary().verdict(&self.facts);
                let found = format!("{}{}", verdict.reason, self.ago(verdict.since_ms));
                (found, Some(verdict).filter(|verdict| verdict.state != AgentState::Unknown))
            }
            (None, Some(_)) => ("it cannot be read".into(), None),
            (None, None) => ("no conversation of this directory is its own".into(), None),
        };
        Word { source: Source::Transcript, path: self.transcript.clone(), found, verdict }
    }

    fn of_activity(&self) -> Word {
        let (found, works) = match self.facts.has_busy_child {
            Some(true) => ("a command that it runs uses the processor", true),
            Some(false) => ("no command that it runs uses the processor", false),
            None => ("not measured", false),
        };
        let verdict = works.then(|| Verdict::plain(AgentState::Working, "a command of it works"));
        Word { source: Source::Activity, path: None, found: found.into(), verdict }
    }

    fn preview(&self) -> Option<String> {
        let name = match &self.registry {
            Registry::Fits(entry) => entry.name.as_deref().and_then(|name| cut(name, 200)),
            _ => None,
        };
        let preview = self.tail.map(|tail| tail.summary().preview().or(&tail.head().preview));
        let title = preview.as_ref().and_then(|preview| preview.title()).map(str::to_owned);
        let line = preview.as_ref().and_then(|preview| preview.line()).map(str::to_owned);
        title.or(name).or(line)
    }

    fn ago(&self, at_ms: Option<u64>) -> String {
        let Some(at) = at_ms else { return String::new() };
        let seconds = self.facts.now_ms.saturating_sub(at) / 1000;
        // As the times are written that stand beside it.
        match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
            (0, 0, 0, seconds) => format!(", {seconds}s ago"),
            (0, 0, minutes, 0) => format!(", {minutes}m ago"),
            (0, 0, minutes, seconds) => format!(", {minutes}m {seconds}s ago"),
            (0, hours, 0, _) => format!(", {hours}h ago"),
            (0, hours, minutes, _) => format!(", {hours}h {minutes}m ago"),
            (days, 0, ..) => format!(", {days}d ago"),
            (days, hours, ..) => format!(", {days}d {hours}h ago"),
        }
    }
}

impl Verdict {
    fn unknown() -> Self {
        Verdict::plain(AgentState::Unknown, "nothing tells what it does")
    }

    fn plain(state: AgentState, reason: &str) -> Self {
        Verdict { state, reason: reason.to_owned(), since_ms: None, waiting_since_ms: None }
    }
}
