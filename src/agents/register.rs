//! The sessions that are known: what came of one look after another, and what changed between two.

use serde::Serialize;

use super::session::{AgentState, Session};

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// It was not there at the look before.
    Appeared,
    /// It has begun another conversation.
    Session,
    /// It does something else, or asks for something else.
    State,
    /// It is called otherwise.
    Label,
    /// Its process is gone.
    Gone,
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub what: What,
    /// The state before; none for one that appeared.
    pub from: Option<AgentState>,
    /// The session as it is now; one that is gone as it was last.
    pub session: Session,
}

/// The sessions of the last look.
#[derive(Debug, Default)]
pub struct Register {
    sessions: Vec<Session>,
}

impl Register {
    /// Takes what a look at `now_ms` has found in place of what was known, and returns what changed.
    ///
    /// Entering needs-input sets `waiting_since`, staying and going on to idle keep it, working clears it. A session
    /// that was not found is removed.
    pub fn update(&mut self, found: Vec<Session>, now_ms: u64) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.sessions);
        let mut changes = Vec::new();
        for mut session in found {
            let known = before.iter().position(|one| one.identity == session.identity);
            let known = known.map(|at| before.swap_remove(at));
            // What is known of one conversation says nothing about the next one of the same process.
            let same = known.as_ref().filter(|known| continues(known, &session));
            session.since_ms = since(same, &session, now_ms);
            session.waiting_since_ms = waiting_since(same, &session, now_ms);
            let what = match &known {
                None => Some(What::Appeared),
                Some(_) if same.is_none() => Some(What::Session),
                Some(known) if differs(known, &session) => Some(What::State),
                Some(known) => (known.label != session.label).then_some(What::Label),
            };
            if let Some(what) = what {
                let from = known.map(|known| known.state);
                changes.push(Change { what, from, session: session.clone() });
            }
            self.sessions.push(session);
        }
        before.sort_by_key(|gone| gone.identity.pid);
        let gone = |session: Session| Change { what: What::Gone, from: Some(session.state), session };
        changes.extend(before.into_iter().map(gone));
        self.sessions.sort_by_key(urgency);
        changes
    }

    /// Those of the last look: who waits for the user comes first, and of these who has waited longest.
    pub fn list(&self) -> &[Session] {
        &self.sessions
    }

    /// How many need input.
    pub fn waiting(&self) -> usize {
        self.sessions.iter().filter(|one| one.state == AgentState::NeedsInput).count()
    }
}

/// By what sessions are sorted.
fn urgency(session: &Session) -> (AgentState, u64, i32) {
    let since = session.waiting_since_ms.or(session.since_ms).unwrap_or(u64::MAX);
    (session.state, since, session.pid().get())
}

/// False when both tell of a conversation, and not of the same.
fn continues(known: &Session, session: &Session) -> bool {
    match (&known.session_id, &session.session_id) {
        (Some(before), Some(now)) => before == now,
        _ => true,
    }
}

/// Whether a user wants to hear of it. What a working agent does changes all the time; what it asks for is news.
fn differs(known: &Session, session: &Session) -> bool {
    known.state != session.state
        || (session.state == AgentState::NeedsInput && known.reason != session.reason)
}

/// The source's own time; else the moment at which the change was seen, if it was.
fn since(known: Option<&Session>, session: &Session, now_ms: u64) -> Option<u64> {
    session.since_ms.or_else(|| match known {
        Some(known) if known.state == session.state => known.since_ms,
        Some(_) => Some(now_ms),
        None => None,
    })
}

/// The source's own time comes first here, too: it survives a restart of whoever looks, and it knows of a turn that began
/// and ended between two looks.
fn waiting_since(known: Option<&Session>, session: &Session, now_ms: u64) -> Option<u64> {
    let kept = known.and_then(|known| known.waiting_since_ms);
    let worked = known.is_some_and(|known| known.state == AgentState::Working);
    let entered = || Some(session.since_ms.unwrap_or(now_ms));
    match session.state {
        AgentState::Working => None,
        AgentState::NeedsInput => session.waiting_since_ms.or(kept).or_else(entered),
        AgentState::Idle if worked => session.waiting_since_ms.or_else(entered),
        AgentState::Idle | AgentState::Unknown => session.waiting_since_ms.or(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::session::tests::session;

    fn one(state: AgentState) -> Session {
        Session { state, ..session(7) }
    }

    fn waits_since(register: &Register) -> Option<u64> {
        register.list()[0].waiting_since_ms
    }

    fn told(changes: &[Change]) -> Vec<(What, i32, Option<AgentState>, AgentState)> {
        changes.iter().map(|one| (one.what, one.session.pid().get(), one.from, one.session.state)).collect()
    }

    #[test]
    fn registry_update() {
        let mut register = Register::default();
        assert!(register.list().is_empty());
        let changes = register.update(vec![session(7)], 1000);
        assert_eq!(told(&changes), [(What::Appeared, 7, None, AgentState::Working)]);
        assert_eq!(register.list(), [session(7)]);
        assert!(register.update(vec![session(7)], 2000).is_empty(), "nothing has changed");
    }

    #[test]
    fn registry_waiting_since() {
        use AgentState::{Idle, NeedsInput, Unknown, Working};
        let mut register = Register::default();
        for (now, state, expected) in [
            (1000, Working, None),
            (2000, NeedsInput, Some(2000)),
            (3000, NeedsInput, Some(2000)),
            (4000, Working, None),
            (5000, NeedsInput, Some(5000)),
            (6000, Idle, Some(5000)),
            (7000, Unknown, Some(5000)),
            (8000, NeedsInput, Some(5000)),
            (9000, Working, None),
            // Its turn has ended.
            (10_000, Idle, Some(10_000)),
            (11_000, Idle, Some(10_000)),
        ] {
            register.update(vec![one(state)], now);
            assert_eq!(waits_since(&register), expected, "{now}");
        }
        let mut fresh = Register::default();
        fresh.update(vec![one(Idle)], 1000);
        assert_eq!(waits_since(&fresh), None, "nobody has asked it anything");
    }

    #[test]
    fn the_time_of_the_source_is_better_than_that_of_the_look() {
        let mut register = Register::default();
        let asks = |since_ms, waiting_since_ms| Session {
            since_ms,
            waiting_since_ms,
            ..one(AgentState::NeedsInput)
        };
        register.update(vec![asks(Some(500), None)], 1000);
        assert_eq!(waits_since(&register), Some(500));
        register.update(vec![asks(Some(700), None)], 2000);
        assert_eq!(waits_since(&register), Some(500), "staying keeps it");
        // It has worked and asked again between two looks.
        register.update(vec![asks(Some(2500), Some(2500))], 3000);
        assert_eq!(waits_since(&register), Some(2500));
        let mut restarted = Register::default();
        restarted.update(vec![asks(Some(2600), Some(2500))], 9000);
        assert_eq!(waits_since(&restarted), Some(2500));
    }

    #[test]
    fn the_moment_of_a_change_stands_in_for_a_source_without_times() {
        let mut register = Register::default();
        let since = |register: &Register| register.list()[0].since_ms;
        register.update(vec![one(AgentState::Working)], 1000);
        assert_eq!(since(&register), None, "it may have worked for hours");
        register.update(vec![one(AgentState::Unknown)], 2000);
        assert_eq!(since(&register), Some(2000));
        register.update(vec![one(AgentState::Unknown)], 3000);
        assert_eq!(since(&register), Some(2000));
    }

    #[test]
    fn registry_remove_stale() {
        let mut register = Register::default();
        register.update(vec![session(7), session(8)], 1000);
        let changes = register.update(vec![session(8)], 2000);
        assert_eq!(told(&changes), [(What::Gone, 7, Some(AgentState::Working), AgentState::Working)]);
        assert_eq!(register.list(), [session(8)]);
        // Another process of the same number is another session.
        let mut other = session(8);
        other.identity.start += 1;
        let changes = register.update(vec![other], 3000);
        assert_eq!(changes.iter().map(|one| one.what).collect::<Vec<_>>(), [What::Appeared, What::Gone]);
    }

    #[test]
    fn what_is_asked_for_is_news_and_what_is_worked_on_is_not() {
        let because = |state, reason: &str| Session { reason: reason.into(), ..one(state) };
        let mut register = Register::default();
        register.update(vec![because(AgentState::Working, "Bash")], 1000);
        assert!(register.update(vec![because(AgentState::Working, "Read")], 2000).is_empty());
        let changes = register.update(vec![because(AgentState::NeedsInput, "permission: Bash")], 3000);
        assert_eq!(changes[0].from, Some(AgentState::Working));
        let changes = register.update(vec![because(AgentState::NeedsInput, "permission: Edit")], 4000);
        assert_eq!(changes[0].from, Some(AgentState::NeedsInput));
        assert_eq!(waits_since(&register), Some(3000));
    }

    #[test]
    fn another_conversation_of_the_same_process_begins_anew() {
        let in_conversation =
            |id: Option<&str>, state| Session { session_id: id.map(Into::into), ..one(state) };
        let mut register = Register::default();
        register.update(vec![in_conversation(None, AgentState::NeedsInput)], 1000);
        assert!(register.update(vec![in_conversation(Some("a"), AgentState::NeedsInput)], 2000).is_empty());
        assert_eq!(waits_since(&register), Some(1000));
        let changes = register.update(vec![in_conversation(Some("b"), AgentState::Idle)], 3000);
        assert_eq!(changes[0].what, What::Session);
        assert_eq!(waits_since(&register), None);
    }

    #[test]
    fn a_label_is_news() {
        let mut register = Register::default();
        register.update(vec![session(7)], 1000);
        let changes = register.update(vec![Session { label: Some("x".into()), ..session(7) }], 2000);
        assert_eq!(told(&changes), [(What::Label, 7, Some(AgentState::Working), AgentState::Working)]);
    }

    #[test]
    fn who_waits_longest_comes_first() {
        let at = |pid, state, waiting| Session { state, waiting_since_ms: waiting, ..session(pid) };
        let mut register = Register::default();
        register.update(
            vec![
                at(2, AgentState::Unknown, None),
                at(3, AgentState::Working, None),
                at(4, AgentState::NeedsInput, Some(900)),
                at(5, AgentState::Idle, None),
                at(6, AgentState::NeedsInput, Some(800)),
                at(7, AgentState::Idle, Some(10)),
            ],
            1000,
        );
        let order: Vec<i32> = register.list().iter().map(|one| one.pid().get()).collect();
        assert_eq!(order, [6, 4, 7, 5, 3, 2]);
        assert_eq!(register.waiting(), 2);
    }
}
