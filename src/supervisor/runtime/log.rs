//! Keeping the log of the program under its limit.

use std::path::Path;
use std::rc::Rc;

use super::Supervisor;
use crate::supervisor::rotate::Rotator;

impl Supervisor {
    pub(super) fn look_at_log(&mut self, now: u64) {
        let log = Rc::clone(&self.log);
        let tree = self.tree.clone();
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
