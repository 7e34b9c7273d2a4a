//! `tsm agents explain`: why the state of a session is what it is, and what to type about it.

use super::looker::{Looker, document, tracked};
use crate::agents::{AgentState, Evidence, Explained, Session, Source, refs};
use crate::cli::context::Context;
use crate::error::Result;
use crate::render::sanitize::text;
use crate::render::{human, style};

/// Show why a session is said to be in its state.
///
/// All sources are shown in the order in which they are asked; the first one that gives an answer decides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tsm agents explain review")]
pub(super) struct Args {
    /// A label, session ID, PID, project, workspace, or a part that only one has.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Look at those of other homes as well.
    #[arg(long)]
    all: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut looker = Looker::new(context, args.all);
    let session = looker.look_for(&args.agent)?;
    let document = document(&session, &tracked(context));
    let managed = document.managed.clone();
    if args.json {
        return context.output.json(&Explained { session: document, ..Explained::from(&session) });
    }
    let color = |style| if context.output.color { style } else { style::PLAIN };
    let ago = |ms: u64| human::span(looker.now_ms().saturating_sub(ms));
    let state = color(super::list::colour(session.state));
    let mut lines = vec![
        text(&refs::described(&session)).into_owned(),
        format!("{state}{}{state:#}: {}", session.state, text(&session.reason)),
    ];
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<14}{}", text(&value)));
        }
    };
    fact("said by", (session.source != Source::None).then(|| session.source.to_string()));
    fact("since", session.since_ms.map(|ms| format!("{} ({} ago)", human::time(ms), ago(ms))));
    fact("waits since", session.waiting_since_ms.map(|ms| format!("{} ({} ago)", human::time(ms), ago(ms))));
    fact("session", session.session_id.clone());
    fact("directory", session.cwd.as_ref().map(|path| path.display().to_string()));
    fact("conversation", session.transcript.as_ref().map(|path| path.display().to_string()));
    fact("workspace", session.workspace.clone());
    fact("managed as", managed);
    if !session.evidence.is_empty() {
        lines.push("what was looked at:".into());
    }
    let (title, plain) = (color(style::TITLE), color(style::DIM));
    for one in &session.evidence {
        let look = if one.decided { title } else { plain };
        lines.push(format!("  {look}{:<11}{look:#} {}", one.source, text(&said(one))));
        if let Some(path) = &one.path {
            lines.push(format!("  {:<11} {plain}{}{plain:#}", "", text(&path.display().to_string())));
        }
    }
    let hint = color(style::HINT);
    lines.extend(next(&session).map(|next| format!("  {hint}try:{hint:#} {}", text(&next))));
    // Not `line`: the colours are ours, and all else has been made visible.
    context.output.bytes(format!("{}\n", lines.join("\n")).as_bytes())
}

/// `needs-input: status "waiting", 12s ago (decides)`.
fn said(evidence: &Evidence) -> String {
    let state = evidence.state.map(|state| format!("{state}: ")).unwrap_or_default();
    let decides = if evidence.decided { " (this decides)" } else { "" };
    format!("{state}{}{decides}", evidence.found)
}

/// What to type now.
fn next(session: &Session) -> Option<String> {
    let word = quoted(&session.title());
    match (session.state, session.source) {
        (AgentState::NeedsInput, _) => Some(format!("tsm agents switch {word}")),
        // Guesses, which hooks would make knowledge.
        (_, Source::Transcript | Source::Activity | Source::None) if session.agent == "claude" => {
            Some("tsm agents install-hooks, which has Claude Code tell its state".into())
        }
        (AgentState::Working, _) => Some(format!("tsm agents wait {word}")),
        _ => None,
    }
}

/// A title as one word of a command line.
fn quoted(title: &str) -> String {
    let is_plain = title.chars().all(|c| c.is_alphanumeric() || "-_.:/".contains(c));
    if is_plain { title.to_owned() } else { crate::render::shell_quote::quote(title).into_owned() }
}
