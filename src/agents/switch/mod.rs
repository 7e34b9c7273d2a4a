//! Bringing an agent's session before its user's eyes: its pane of tmux, its window of i3 or sway.
//!
//! Where a session is seen is found by the parents of its process and by its terminal. What environments say (`TMUX`,
//! `I3SOCK`, `DISPLAY`) tells only where to ask: they are inherited, and may be those of a place long gone.

mod chain;
mod elsewhere;
mod environment;
mod i3;
mod talk;
mod tmux;
mod window;
mod workspaces;
mod x11;

use std::fmt;

use serde::Serialize;

pub use environment::{Environment, VARIABLES};
pub use workspaces::Workspaces;

use crate::error::{Error, Result};
use crate::model::Pid;
use chain::Chain;
use window::Desk;

/// A terminal in a terminal in a terminal, no more.
const DEEPEST: usize = 4;

/// What brought a session forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The pane of tmux that it sits in was selected.
    Tmux,
    /// Its window was given the focus by i3.
    I3,
    /// The same, by sway.
    Sway,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            By::Tmux => "tmux",
            By::I3 => "i3",
            By::Sway => "sway",
        })
    }
}

/// Where a session was brought forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Switched {
    /// What did it.
    pub by: By,
    /// `SESSION:WINDOW.PANE` of tmux, else the workspace.
    pub place: String,
    /// The workspace of i3 or sway that was shown with it, if one was.
    pub workspace: Option<String>,
    /// Nobody looks at that server of tmux: the command, word by word, that does.
    pub attach: Option<Vec<String>>,
    /// What could not be done, in words.
    pub remark: Option<String>,
}

/// Brings the session of the process `pid` forward; for the process `caller`, if it is given, in the terminal that this one
/// sits at. `ours` is the caller's environment.
///
/// # Errors
/// Failed: why it cannot, with what its user can do as the hint.
pub fn switch(pid: Pid, caller: Option<Pid>, ours: &Environment) -> Result<Switched> {
    bring(pid, caller.map(Chain::of).as_ref(), ours, DEEPEST)
}

fn bring(pid: Pid, caller: Option<&Chain>, ours: &Environment, depth: usize) -> Result<Switched> {
    let chain = Chain::of(pid);
    let mut environments = chain.environments();
    environments.push(ours.clone());
    let mut troubles = Vec::new();
    for socket in tmux::sockets([&chain], &environments) {
        let server = match tmux::Server::at(&socket, ours) {
            Ok(server) if server.has(&chain) => server,
            Ok(_) => continue,
            Err(why) => {
                troubles.extend(why.map(|why| format!("tmux at {}: {why}", socket.display())));
                continue;
            }
        };
        let shown = server.show(&chain, caller).map_err(|why| {
            Error::failed(format!("tmux at {} did not bring PID {pid} forward: {why}", socket.display()))
        })?;
        return Ok(around(shown, caller, ours, depth));
    }
    let desk = Desk::at(&environments);
    if let Some(switched) = desk.show(&chain)? {
        return Ok(switched);
    }
    troubles.extend(desk.troubles);
    Err(elsewhere::why_not(pid, &chain, &environments, &troubles))
}

/// Brings forward the terminal in which tmux shows the pane.
fn around(shown: tmux::Shown, caller: Option<&Chain>, ours: &Environment, depth: usize) -> Switched {
    let mut switched =
        Switched { by: By::Tmux, place: shown.place, workspace: None, attach: shown.attach, remark: None };
    let Some(client) = shown.client.filter(|_| depth > 0) else { return switched };
    match bring(client, caller, ours, depth - 1) {
        Ok(outer) => {
            switched.workspace = outer.workspace;
            switched.attach = outer.attach;
            switched.remark = outer.remark;
        }
        // Whoever called from that terminal looks at it.
        Err(_) if shown.callers => {}
        Err(error) => switched.remark = Some(format!("the terminal of that tmux was left as it is: {error}")),
    }
    switched
}
