//! `tsm agents switch`: brings the terminal of a session forward.

use serde::Serialize;

use super::looker::Looker;
use crate::agents::switch::{self, By, Switched};
use crate::cli::context::Context;
use crate::error::Result;
use crate::model::Pid;
use crate::render::shell_quote;

/// Bring the terminal of a session forward.
///
/// Selects its window and pane in tmux, for the terminal that this is typed in if that shows the same tmux, else for the
/// one that was used last; then gives the window of that terminal, or of the session itself, the focus by i3 or sway.
/// Where it sits is told by its processes, not by variables. What cannot be brought forward is an error that says where
/// the session sits.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  tsm agents switch review\n  tsm agents switch 4711 --json\n\n\
    Exit codes: 0 it is there, or selected in a tmux that nobody looks at; 1 it cannot be brought forward;\n  \
    4 no such session; 6 several sessions or windows come into question")]
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

/// The object of `tsm agents switch --json`.
#[derive(Debug, Serialize)]
struct Document {
    pid: Pid,
    session_id: Option<String>,
    label: Option<String>,
    #[serde(flatten)]
    switched: Switched,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<()> {
    let session = Looker::new(context, args.all).look_for(&args.agent)?;
    let caller = Pid::new(std::process::id() as i32);
    let switched = switch::switch(session.pid(), caller, &context.settings.seat)?;
    if args.json {
        let (pid, session_id, label) = (session.pid(), session.session_id, session.label);
        return context.output.json(&Document { pid, session_id, label, switched });
    }
    let Switched { by, place, workspace, attach, remark } = switched;
    let workspace = workspace.filter(|_| by == By::Tmux);
    let on = workspace.map(|name| format!(", workspace {name}")).unwrap_or_default();
    let words = if by == By::Tmux { "" } else { "workspace " };
    context.output.line(&format!("{by}: {words}{place}{on}"))?;
    if let Some(remark) = remark {
        context.output.remark(&remark);
    }
    if let Some(attach) = attach {
        let attach: Vec<_> = attach.iter().map(|word| shell_quote::quote(word)).collect();
        context.output.advise("it is selected, and no terminal shows that tmux", &attach.join(" "));
    }
    Ok(())
}
