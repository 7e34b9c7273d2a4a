//! The agent from inside of which this `tsm` was called.

use super::context::Context;
use crate::agents::{Config, Session, Watcher};
use crate::model::{Pid, Starter};
use crate::sys::{boot, clock};

/// The session that this process runs in, if it was called from inside of an agent.
pub(super) fn session(context: &Context) -> Option<Session> {
    let own = i32::try_from(std::process::id()).ok().and_then(Pid::new)?;
    watcher(context).session_of(own, clock::wall_ms())
}

/// What looks for the sessions of this user.
pub(super) fn watcher(context: &Context) -> Watcher {
    let settings = &context.settings;
    Watcher::new(Config {
        claude_dir: settings.claude_dir.clone(),
        home: settings.home.clone(),
        dir: context.layout.root().join("agents"),
        table: context.agent_table(),
        elsewhere: false,
    })
}

/// What is remembered of a session by the processes that are started in it.
pub(super) fn starter(session: Session) -> Starter {
    Starter {
        what: session.agent,
        identity: session.identity,
        boot_id: boot::id(),
        session_id: session.session_id,
        cwd: session.cwd,
    }
}
