//! The agent from inside of which this `tsm` was called.

use super::agents;
use super::context::Context;
use crate::agents::{Session, Watcher};
use crate::model::{Pid, Starter};
use crate::sys::{boot, clock};

/// The session that this process runs in, if it was called from inside of an agent.
pub(super) fn session(context: &Context) -> Option<Session> {
    let own = i32::try_from(std::process::id()).ok().and_then(Pid::new)?;
    // What is wrong with the user's table is told by the verbs that show agents.
    let (config, _) = agents::config(context, false);
    Watcher::new(config).session_of(own, clock::wall_ms())
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
