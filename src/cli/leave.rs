//! `tsm daemon leave`: what systemd runs before it ends the daemon.
//!
//! Where the unit alone is stopped, what the daemon has started goes on. Where the user's manager ends, at the last logout
//! or a shutdown, systemd kills all that is left in the unit's control group (`KillMode=mixed` of `user@.service`): a
//! database would lose what it has not written yet.

use std::time::Duration;

use super::boot::{self, NAME};
use super::context::Context;
use crate::model::Identity;
use crate::sys::pidfd::{self, Handle};
use crate::sys::process;
use crate::sys::signals::TERM;

/// A little less than systemd waits for the end of a unit (`DefaultTimeoutStopSec=`).
const PATIENCE: Duration = Duration::from_secs(80);

/// Stops what the daemon has started, where systemd would kill it.
pub(super) fn run(context: &Context) {
    if !boot::manager(context).is_ok_and(|manager| manager.is_ending()) {
        return;
    }
    // The supervisors stop what they look after, and remember that it was no word of the user.
    let ours = |identity: &Identity| process::service_unit(identity.pid).as_deref() == Some(NAME);
    let views = context.all();
    let handles: Vec<Handle> = views
        .iter()
        .filter(|view| view.status.supervised())
        .filter_map(|view| view.record.as_ref())
        // What the daemon has only adopted stays with the session that it was started in.
        .filter(|status| status.main.iter().chain(&status.supervisor).all(ours))
        .filter_map(|status| Handle::open(status.supervisor.as_ref()?))
        .collect();
    for handle in &handles {
        // Gone is what is wanted.
        let _ = handle.signal(TERM);
    }
    pidfd::wait_all(&handles, PATIENCE);
}
