//! Keeping the log of the program under its limit.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::Supervisor;
use crate::model::Pid;
use crate::supervisor::rotate::{Pause, Rotator};
use crate::supervisor::stop;
use crate::sys::signals::{CONT, STOP};
use crate::sys::{poll, process};

impl Supervisor {
    pub(super) fn look_at_log(&mut self, now: u64) {
        let log = Rc::clone(&self.log);
        let tree = Tree { supervisor: self.me.pid, socket: self.socket.clone() };
        let mut rotator = std::mem::replace(
            &mut self.rotator,
            Rotator::new(Path::new("").into(), self.spec.policy.log, now),
        );
        // No space for the copy, say: the log grows on, and the next look tries again.
        let _ = rotator.look(&log, now, &tree, &mut |bytes| {
            self.log_base += bytes;
            let _ = self.publish();
        });
        self.rotator = rotator;
        // Nothing, unless the last change could not be written, on a full disk say.
        let _ = self.publish();
    }
}

/// The tree, for the moment in which nothing of it may write.
struct Tree {
    supervisor: Pid,
    socket: String,
}

impl Pause for Tree {
    fn pause(&self) -> bool {
        let members = stop::hold(self.supervisor, &self.socket, STOP);
        // STOP is acted on when the process is next scheduled, which is at once but not now.
        for _ in 0..1_000 {
            let all = members.iter().all(|member| {
                process::read(member.pid)
                    .is_none_or(|process| process.identity() != *member || "TtZX".contains(process.state))
            });
            if all {
                return true;
            }
            poll::pause(Duration::from_millis(1));
        }
        false
    }

    fn resume(&self) {
        stop::hold(self.supervisor, &self.socket, CONT);
    }
}
