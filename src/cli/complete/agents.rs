//! What there is for a session of a coding agent: labels, short IDs, and projects that only one works in.

use super::candidates::{Answer, Candidate};
use crate::agents::{Session, refs};
use crate::cli::agents::Looker;
use crate::cli::context::Context;

/// Every session that is not among those `taken`, as short as it can be named.
pub(super) fn sessions(context: &Context, taken: &[String], answer: &mut Answer) {
    let mut looker = Looker::quiet(context);
    looker.look();
    let all = looker.sessions();
    let hit: Vec<usize> = taken.iter().filter_map(|text| refs::resolve(text, all).ok()).collect();
    let left = || all.iter().enumerate().filter(|(at, _)| !hit.contains(at));
    // What means several sessions, or another one than is shown beside it, helps nobody.
    let means = |word: &str, at: usize| refs::resolve(word, all).is_ok_and(|found| found == at);
    for (at, session) in left() {
        let title = session.title();
        let word = if means(&title, at) { title } else { session.pid().to_string() };
        answer.candidates.push(Candidate::new(word, about(session)));
    }
    for (at, session) in left() {
        let project = session.project_name().filter(|name| means(name, at));
        if let Some(name) = project.filter(|name| answer.candidates.iter().all(|one| one.value != *name)) {
            answer.candidates.push(Candidate::new(name, about(session)));
        }
    }
}

/// `needs-input, claude in my-api: permission: Bash`.
fn about(session: &Session) -> String {
    let place = session.project_name().map(|name| format!(" in {name}")).unwrap_or_default();
    let reason = if session.reason.is_empty() { String::new() } else { format!(": {}", session.reason) };
    format!("{}, {}{place}{reason}", session.state, session.agent)
}
