//! What a supervisor tells the journal: one line for each change that a user could ask about.

use super::Supervisor;
use crate::model::{self, Happening, State};
use crate::store;
use crate::supervisor::machine;
use crate::sys::clock;

/// What `event` has meant to the user, when it led from `before` to `after`.
///
/// `again` tells that it ran before in the life of this supervisor, or was taken over from another run.
fn happenings(event: &machine::Event, before: State, after: State, again: bool) -> Vec<Happening> {
    let mut all = Vec::new();
    match event {
        machine::Event::Spawned => {
            all.push(if again { Happening::Restarted } else { Happening::Started });
        }
        machine::Event::MainEnded { .. } => all.push(Happening::Exited),
        // It was ready long before.
        machine::Event::Adopted { .. } => return vec![Happening::Adopted],
        _ => {}
    }
    if before != after {
        match after {
            State::Online => all.push(Happening::Ready),
            State::Stopped => all.push(Happening::Stopped),
            State::Errored => all.push(Happening::GaveUp),
            _ => {}
        }
    }
    all
}

impl Supervisor {
    /// Writes down what has happened; a full disk must not end a process.
    pub(super) fn report(&self, event: &machine::Event, before: State) {
        let after = self.machine.state();
        for happening in happenings(event, before, after, self.machine.restarts() > 0) {
            let mut line = model::Event {
                id: Some(self.spec.id),
                run: Some(self.run).filter(|run| *run > 0),
                pid: self.main.map(|main| main.pid.get()),
                port: self.spec.port,
                note: self.machine.note().map(str::to_owned).or_else(|| self.remark.clone()),
                ..model::Event::of(&self.spec.name, happening, clock::wall_ms())
            };
            if let (Happening::Exited, machine::Event::MainEnded { exit, .. }) = (happening, event) {
                line.exit = Some(*exit);
                line.pid = self.ended_pid;
            }
            let _ = store::record(&self.layout, &mut line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Exit;

    #[test]
    fn each_change_is_told_once_and_what_is_none_is_not() {
        use machine::Event as On;
        let ended = || On::MainEnded { exit: Exit::default(), leftovers: false };
        for (event, before, after, again, told) in [
            (On::Spawned, State::Starting, State::Starting, false, vec![Happening::Started]),
            (On::Spawned, State::Starting, State::Starting, true, vec![Happening::Restarted]),
            (On::Ready, State::Starting, State::Online, false, vec![Happening::Ready]),
            (On::Deadline, State::Starting, State::Online, false, vec![Happening::Ready]),
            (On::Deadline, State::Backoff, State::Starting, true, vec![]),
            (ended(), State::Online, State::Backoff, false, vec![Happening::Exited]),
            (ended(), State::Online, State::Errored, false, vec![Happening::Exited, Happening::GaveUp]),
            (ended(), State::Online, State::Exited, false, vec![Happening::Exited]),
            (ended(), State::Stopping, State::Stopped, false, vec![Happening::Exited, Happening::Stopped]),
            (ended(), State::Stopping, State::Stopping, false, vec![Happening::Exited]),
            (On::TreeEmpty, State::Stopping, State::Stopped, false, vec![Happening::Stopped]),
            (On::Stop, State::Backoff, State::Stopped, true, vec![Happening::Stopped]),
            (On::Stop, State::Online, State::Stopping, false, vec![]),
            (On::EnvFailed("x".into()), State::Starting, State::Errored, true, vec![Happening::GaveUp]),
        ] {
            assert_eq!(happenings(&event, before, after, again), told, "{event:?} {before} {after}");
        }
    }
}
