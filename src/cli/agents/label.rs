//! `tsm agents label`: what the user calls a session.

use super::looker::{Looker, document, tracked};
use crate::agents::{Labels, Session, refs};
use crate::cli::context::Context;
use crate::error::Result;
use crate::render::sanitize;

/// Call a session by a name of your own, or take that away.
///
/// The label belongs to the conversation, and is there again when that is resumed. An agent whose conversation is not known
/// keeps it until its process ends.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tsm agents label 4711 'review of the API'\n  tsm agents label review --clear"
)]
pub(super) struct Args {
    /// A label, session ID, PID, project, workspace, or a part that only one has.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// The label; an empty one takes it away.
    #[arg(value_name = "TEXT", required_unless_present = "clear", conflicts_with = "clear")]
    text: Option<String>,
    /// Take the label away.
    #[arg(long)]
    clear: bool,
    /// Print the session as a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let mut looker = Looker::new(context, false);
    let session = looker.look_for(&args.agent)?;
    let labels = Labels::set(looker.files(), &session, args.text.as_deref().unwrap_or_default())?;
    let label = labels.of(&session).map(str::to_owned);
    let called = Session { label: label.clone(), ..session.clone() };
    let same: Vec<String> = looker
        .sessions()
        .iter()
        .filter(|one| label.is_some() && one.label == label && one.identity != session.identity)
        .map(|one| refs::described(&Session { label: None, ..one.clone() }))
        .collect();
    if !same.is_empty() {
        let text = format!("that is also the label of {}: it names neither alone", same.join(", "));
        let pid = session.pid();
        context.output.advise(&text, &format!("tsm agents label {pid} TEXT, with another text"));
    }
    if args.json {
        return context.output.json(&document(&called, &tracked(context)));
    }
    let plain = Session { label: None, ..session.clone() };
    let text = match (&session.label, &label) {
        (Some(before), None) => format!("{} is no longer called {before}", refs::described(&plain)),
        (None, None) => format!("{} has no label", refs::described(&plain)),
        (_, Some(now)) => format!("{} is called {now}", refs::described(&plain)),
    };
    context.output.line(&sanitize::text(&text))
}
