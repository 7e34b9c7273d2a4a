//! What the records of a conversation say about its state: a pure function of them and the time.
//!
//! [`Summary`] takes the records one by one and keeps only what can still decide, so that a look at a grown file costs no
//! more than what is new in it.

mod preview;

use super::record::{Kind, Part, Record, Tool};
use super::text::cut;
use crate::agents::AgentState;
pub(super) use preview::Preview;

/// How long a tool may run before it looks as if it were asked about.
const GRACE_MS: u64 = 10_000;

/// How long a message may stand still in the middle.
const SILENCE_MS: u64 = 15_000;

/// How long a session waits until nobody is expected to answer at once.
const PATIENCE_MS: u64 = 30 * 60_000;

/// How much earlier than the record of its tool a command may seem to start: the clocks of the two differ in origin.
const CLOCKS_MS: u64 = 2_000;

/// Tools that never ask: they only read, or plan. (Names of Claude Code 1 and 2.)
const UNASKED: [&str; 17] = [
    "Read",
    "Glob",
    "Grep",
    "LS",
    "NotebookRead",
    "Task",
    "Agent",
    "TodoWrite",
    "TodoRead",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskUpdate",
    "TaskOutput",
    "BashOutput",
    "ToolSearch",
    "SendMessage",
];

/// What has been learned from the records of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    last: Option<Last>,
    /// When the record was written that [`Summary::last`] is about.
    at_ms: Option<u64>,
    /// When the last record of all was written.
    newest_ms: Option<u64>,
    /// True when there are records of a conversation, though none of a turn.
    has_asides: bool,
    /// The message whose parts come in.
    message: Option<String>,
    /// True when there was one.
    has_message: bool,
    pending: Vec<Pending>,
    mode: Option<String>,
    /// True when no earlier record could change what is said.
    is_bounded: bool,
    branch: Option<String>,
    preview: Preview,
}

/// What happened last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Prompt,
    Results,
    Interrupted,
    ApiError {
        retry_at_ms: Option<u64>,
    },
    /// The turn is over, by an error or not.
    Ended {
        by_error: bool,
    },
    /// A message that may go on.
    Open,
    /// A tool that has no result.
    Tool,
}

/// A tool that has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pending {
    id: String,
    name: String,
    about: Option<String>,
    at_ms: Option<u64>,
}

/// What is known beside the records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) now_ms: u64,
    /// When the file was written last.
    pub(super) mtime_ms: Option<u64>,
    /// When the youngest child of the process was started that is no helper.
    pub(super) youngest_child_ms: Option<u64>,
    /// Whether a child that is no helper uses the processor, where that was measured.
    pub(super) has_busy_child: Option<bool>,
}

/// What follows from the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) state: AgentState,
    pub(super) reason: String,
    pub(super) since_ms: Option<u64>,
    pub(super) waiting_since_ms: Option<u64>,
}

impl Summary {
    /// Takes the next record.
    pub(super) fn push(&mut self, record: &Record) {
        if record.is_side {
            return;
        }
        self.newest_ms = record.at_ms.or(self.newest_ms);
        if record.branch.is_some() {
            self.branch.clone_from(&record.branch);
        }
        if record.mode.is_some() {
            self.mode.clone_from(&record.mode);
        }
        self.preview.push(&record.kind);
        match &record.kind {
            Kind::Prompt(_) => self.close(Last::Prompt, record),
            Kind::Interrupted => self.close(Last::Interrupted, record),
            // What ended the turn has been said already, and earlier.
            Kind::TurnEnded if matches!(self.last, Some(Last::Ended { .. } | Last::Interrupted)) => {}
            Kind::TurnEnded => {
                let was_bounded = self.is_bounded;
                self.close(Last::Ended { by_error: false }, record);
                self.is_bounded = was_bounded;
            }
            Kind::ApiError { retry_in_ms } => {
                let retry_at_ms = record.at_ms.zip(*retry_in_ms).map(|(at, wait)| at.saturating_add(wait));
                self.happened(Last::ApiError { retry_at_ms }, record);
            }
            Kind::Results(results) => {
                self.pending.retain(|tool| !results.iter().any(|result| result.tool == tool.id));
                let last = if self.pending.is_empty() { Last::Results } else { Last::Tool };
                self.happened(last, record);
            }
            Kind::Said { message, parts, stop, is_error } => {
                self.said(message.as_ref(), parts, record);
                let has_tools = parts.iter().any(|part| matches!(part, Part::Tool(_)));
                let is_last = matches!(stop.as_deref(), Some("end_turn" | "stop_sequence" | "max_tokens"));
                match self.pending.is_empty() {
                    _ if *is_error || (is_last && !has_tools) => {
                        self.close(Last::Ended { by_error: *is_error }, record);
                    }
                    true => self.happened(Last::Open, record),
                    false => self.happened(Last::Tool, record),
                }
            }
            Kind::Aside { .. } => self.has_asides = true,
            Kind::Title(..) | Kind::Skipped => {}
        }
    }

    fn happened(&mut self, last: Last, record: &Record) {
        self.last = Some(last);
        self.at_ms = record.at_ms;
    }

    /// After this no tool of before can be waited for.
    fn close(&mut self, last: Last, record: &Record) {
        self.happened(last, record);
        self.pending.clear();
        self.is_bounded = true;
    }

    /// Takes the parts of a message. Its lines have one ID and may stand among the results of its tools.
    fn said(&mut self, message: Option<&String>, parts: &[Part], record: &Record) {
        if !self.has_message || self.message.as_ref() != message {
            // A new message is written when all tools of the one before have answered.
            self.is_bounded |= self.has_message;
            self.has_message = true;
            self.pending.clear();
            self.message = message.cloned();
        }
        let tools = parts.iter().filter_map(|part| match part {
            Part::Tool(tool) => Some(tool),
            _ => None,
        });
        self.pending.extend(tools.map(|tool| Pending::of(tool, record.at_ms)));
    }

    /// True when no record before those that were pushed could change the state.
    pub(super) fn decides(&self) -> bool {
        self.is_bounded && self.last.is_some()
    }

    /// True when records further back could say more: how permissions are asked for, or something to show.
    pub(super) fn lacks_something(&self) -> bool {
        let asks = self.pending.iter().any(|tool| !tool.is_unasked());
        (asks && self.mode.is_none()) || self.preview.line().is_none()
    }

    /// When the last record was written that says something about the state, in milliseconds since the Unix epoch.
    pub(super) fn at_ms(&self) -> Option<u64> {
        self.at_ms
    }

    /// When the last record of any kind was written.
    pub(super) fn newest_ms(&self) -> Option<u64> {
        self.newest_ms.or(self.at_ms)
    }

    /// True when the turn is over, by itself or by its user.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.last, Some(Last::Ended { .. } | Last::Interrupted))
    }

    /// True when a turn has begun.
    pub(super) fn has_worked(&self) -> bool {
        self.last.is_some()
    }

    /// The branch that the last record with one names.
    pub(super) fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    pub(super) fn preview(&self) -> &Preview {
        &self.preview
    }

    /// The tool that waits for an answer or runs, in a few words such as `Bash: make`; the first of several that may ask.
    pub(super) fn tool(&self) -> Option<String> {
        self.pending.iter().find(|tool| !tool.is_unasked()).or(self.pending.first()).map(Pending::words)
    }

    /// What is asked by a tool that does nothing but ask: a question, or whether a plan is good.
    pub(super) fn question(&self) -> Option<(String, Option<u64>)> {
        self.pending.iter().find_map(|tool| Some((tool.question()?, tool.at_ms)))
    }

    /// The state that follows.
    pub(super) fn verdict(&self, facts: &Facts) -> Verdict {
        let Some(last) = self.last else {
            if self.has_asides {
                return Verdict::new(AgentState::Idle, "no prompt yet", self.newest_ms);
            }
            return Verdict::new(AgentState::Unknown, "no record of a turn", None);
        };
        let at = self.at_ms;
        let verdict = match last {
            Last::Prompt => Verdict::new(AgentState::Working, "a prompt was sent", at),
            Last::Results => Verdict::new(AgentState::Working, "a tool has answered", at),
            Last::Interrupted => Verdict::new(AgentState::NeedsInput, "interrupted", at),
            Last::ApiError { retry_at_ms } if retry_at_ms.is_some_and(|retry| retry > facts.now_ms) => {
                Verdict::new(AgentState::Working, "tries again after an API error", at)
            }
            Last::ApiError { .. } | Last::Ended { by_error: true } => {
                Verdict::new(AgentState::NeedsInput, "API error", at)
            }
            Last::Ended { by_error: false } => Verdict::new(AgentState::NeedsInput, "its turn has ended", at),
            Last::Open if is_younger(facts.now_ms, at.max(facts.mtime_ms), SILENCE_MS) => {
                Verdict::new(AgentState::Working, "talks", at)
            }
            Last::Open => {
                Verdict::new(AgentState::NeedsInput, "it has stopped talking", at.or(facts.mtime_ms))
            }
            Last::Tool => self.at_tools(facts),
        };
        verdict.settled(facts.now_ms)
    }

    /// The state while tools have no result.
    fn at_tools(&self, facts: &Facts) -> Verdict {
        if let Some((question, at)) = self.question() {
            return Verdict::new(AgentState::NeedsInput, &question, at.or(self.at_ms));
        }
        let words = self.tool().unwrap_or_default();
        let working = || Verdict::new(AgentState::Working, &format!("tool: {words}"), self.at_ms);
        let is_free = matches!(self.mode.as_deref(), Some("bypassPermissions" | "dontAsk"));
        let asked: Vec<&Pending> = self.pending.iter().filter(|tool| !tool.is_unasked()).collect();
        if is_free || asked.is_empty() {
            return working();
        }
        let at = self.at_ms.or(facts.mtime_ms);
        // A child that runs longer than the tool is a server or a command in the background, not the tool.
        let first = asked.iter().filter_map(|tool| tool.at_ms).min().or(at);
        let runs = facts
            .youngest_child_ms
            .is_some_and(|child| first.is_none_or(|at| child.saturating_add(CLOCKS_MS) >= at));
        if runs || is_younger(facts.now_ms, at, GRACE_MS) {
            return working();
        }
        Verdict::new(AgentState::NeedsInput, &format!("probably permission: {words}"), at)
    }
}

/// True when `at` is less than `limit` ago; a time to come is.
fn is_younger(now_ms: u64, at_ms: Option<u64>, limit: u64) -> bool {
    at_ms.is_some_and(|at| now_ms.saturating_sub(at) < limit)
}

impl Pending {
    fn of(tool: &Tool, at_ms: Option<u64>) -> Self {
        let about = tool.input.about.as_deref().and_then(|about| cut(about, 60));
        Pending { id: tool.id.clone(), name: cut(&tool.name, 60).unwrap_or_default(), about, at_ms }
    }

    fn is_unasked(&self) -> bool {
        UNASKED.contains(&self.name.as_str())
    }

    fn question(&self) -> Option<String> {
        match (self.name.as_str(), &self.about) {
            ("AskUserQuestion", Some(question)) => Some(format!("question: {question}")),
            ("AskUserQuestion", None) => Some("question".into()),
            ("ExitPlanMode" | "exit_plan_mode", _) => Some("plan to approve".into()),
            _ => None,
        }
    }

    fn words(&self) -> String {
        match &self.about {
            Some(about) => format!("{}: {about}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Verdict {
    fn new(state: AgentState, reason: &str, since_ms: Option<u64>) -> Self {
        let waiting_since_ms = since_ms.filter(|_| state == AgentState::NeedsInput);
        Verdict { state, reason: reason.to_owned(), since_ms, waiting_since_ms }
    }

    /// What has waited too long is idle; that it waits stays true.
    fn settled(mut self, now_ms: u64) -> Self {
        let is_old = self.since_ms.is_some_and(|since| now_ms.saturating_sub(since) > PATIENCE_MS);
        if self.state == AgentState::NeedsInput && is_old {
            self.state = AgentState::Idle;
        }
        self
    }
}

#[cfg(test)]
mod tests;
