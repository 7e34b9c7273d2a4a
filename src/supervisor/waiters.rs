//! Clients that wait for something to come true.

use crate::control::message::Until;
use crate::control::server::Token;
use crate::model::State;

/// The moment of a process's life that a wait is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The state.
    pub(super) state: State,
    /// The current run; 0 before the first.
    pub(super) run: u64,
    /// True while another run is under way to its start.
    pub(super) another: bool,
}

#[derive(Debug)]
struct Waiter {
    token: Token,
    until: Until,
    /// The run that is waited for.
    run: u64,
}

/// The waiting clients.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    /// Adds a client; it waits for the current run, or for the next one when that is already under way.
    pub(super) fn add(&mut self, token: Token, until: Until, now: Moment) {
        self.0.push(Waiter { token, until, run: now.run + u64::from(now.another) });
    }

    /// Keeps the clients of which `keep` is true.
    pub(super) fn retain(&mut self, keep: impl Fn(Token) -> bool) {
        self.0.retain(|waiter| keep(waiter.token));
    }

    /// Takes out the clients whose wait is over.
    pub(super) fn due(&mut self, now: Moment) -> Vec<Token> {
        let mut due = Vec::new();
        self.0.retain(|waiter| {
            let over = waiter.over(now);
            if over {
                due.push(waiter.token);
            }
            !over
        });
        due
    }
}

impl Waiter {
    fn over(&self, now: Moment) -> bool {
        let runs = now.run == self.run && !now.another;
        let missed = now.run > self.run || now.state == State::Backoff || !now.state.live();
        match self.until {
            Until::Running => (runs && matches!(now.state, State::Starting | State::Online)) || missed,
            Until::Ready => (runs && now.state == State::Online) || missed,
            Until::Ended => !now.state.live(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(state: State, run: u64, another: bool) -> Moment {
        Moment { state, run, another }
    }

    #[test]
    fn a_wait_ends_when_it_came_true_or_cannot_any_more() {
        use State::{Backoff, Exited, Online, Starting, Stopped, Stopping};
        let before = moment(Stopping, 3, true);
        let cases = [
            (Until::Running, moment(Stopping, 3, true), false),
            (Until::Running, moment(Starting, 3, true), false),
            (Until::Running, moment(Starting, 4, false), true),
            (Until::Ready, moment(Starting, 4, false), false),
            (Until::Ready, moment(Online, 4, false), true),
            (Until::Ready, moment(Backoff, 4, false), true),
            (Until::Ready, moment(Starting, 5, false), true),
            (Until::Ready, moment(Exited, 4, false), true),
            (Until::Ended, moment(Backoff, 4, false), false),
            (Until::Ended, moment(Stopped, 4, false), true),
        ];
        for (until, now, over) in cases {
            let waiter = Waiter { token: test_token(), until, run: before.run + 1 };
            assert_eq!(waiter.over(now), over, "{until:?} {now:?}");
        }
    }

    fn test_token() -> Token {
        Token::default()
    }
}
