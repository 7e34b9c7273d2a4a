//! Why a process is in the state that it is in, in one sentence.

use crate::model::{Exit, RestartPolicy, State};
use crate::render::human;

/// What is known of a process.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) state: State,
    /// What its supervisor, or a look from outside, says about the state.
    pub(super) note: Option<String>,
    pub(super) exit: Option<Exit>,
    /// How long the run lasted that ended so, in milliseconds.
    pub(super) lasted_ms: Option<u64>,
    pub(super) restarts: u32,
    pub(super) policy: RestartPolicy,
    pub(super) max_restarts: u32,
    /// When the next attempt is due, in milliseconds from now.
    pub(super) retry_in_ms: Option<u64>,
    /// How many processes did not end by themselves.
    pub(super) killed: usize,
    pub(super) port: Option<u16>,
    /// What its tree listens on.
    pub(super) ports: Vec<u16>,
}

/// What begins the note of a supervisor that gave up because the program ended too often.
const TOO_OFTEN: &str = "it ended again";

impl Facts {
    /// True when the program runs and is ready, as far as anybody can tell.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Online | State::Unsupervised)
    }
}

/// How the last run ended: `exit code 1 after 300ms`.
pub(super) fn last_exit(facts: &Facts) -> Option<String> {
    let exit = facts.exit?;
    let after = facts.lasted_ms.map(|ms| format!(" after {}", human::span(ms))).unwrap_or_default();
    Some(format!("{exit}{after}"))
}

/// The sentence.
pub(super) fn why(facts: &Facts) -> String {
    let ended =
        last_exit(facts).map_or_else(|| "for an unknown reason".to_owned(), |exit| format!("with {exit}"));
    let note = facts.note.as_deref();
    match facts.state {
        State::Online => elsewhere(facts).unwrap_or_else(|| match note {
            Some(note) => format!("it is up: {note}"),
            None => "it is up".to_owned(),
        }),
        State::Unsupervised => {
            "it is up, but its supervisor was killed: nobody restarts it or rotates its log".into()
        }
        State::Starting => match facts.port {
            Some(port) if facts.ports.is_empty() => {
                format!("it is starting, and does not listen on port {port} yet")
            }
            _ => "it is starting, and is not ready yet".to_owned(),
        },
        State::Stopping => match note {
            Some(note) => format!("it is being stopped: {note}"),
            None => "it is being stopped".to_owned(),
        },
        State::Backoff => {
            let next = facts.retry_in_ms.map_or_else(
                || "soon".to_owned(),
                |ms| if ms == 0 { "now".to_owned() } else { format!("in {}", human::span(ms)) },
            );
            let what = note.map_or_else(|| format!("it ended {ended}"), str::to_owned);
            let (count, most) = (facts.restarts, facts.max_restarts);
            format!(
                "{what}; it waits and is tried again {next} (restarts so far: {count}, in a row at most {most})"
            )
        }
        State::Stopped => match (note, facts.killed) {
            (Some(note), _) => note.to_owned(),
            (None, 0) => "it was stopped by the user".to_owned(),
            (None, count) => {
                format!("it was stopped by the user, and {count} of its processes had to be killed")
            }
        },
        State::Exited if facts.exit.is_some_and(|exit| exit.success()) => {
            format!("it ended by itself {ended}, which its restart policy ({}) leaves at that", facts.policy)
        }
        State::Exited => format!("it ended {ended}, and its restart policy is {}", facts.policy),
        State::Errored => match note {
            Some(note) if note.starts_with(TOO_OFTEN) => gave_up(facts, &ended),
            Some(note) => format!("it could not be started again: {note}"),
            None => format!("it ended {ended}"),
        },
        State::Lost => match note {
            Some(note) => format!("it is gone, and nobody saw it end: {note}"),
            None => "it is gone with its supervisor, and nobody saw it end".to_owned(),
        },
    }
}

fn gave_up(facts: &Facts, ended: &str) -> String {
    match facts.max_restarts {
        0 => format!("it ended {ended}, and no restart is allowed"),
        1 => format!("its supervisor gave up after 1 restart; the last run ended {ended}"),
        count => {
            format!("its supervisor gave up after {count} restarts in a row; the last run ended {ended}")
        }
    }
}

/// It serves, and not where it was meant to.
fn elsewhere(facts: &Facts) -> Option<String> {
    let port = facts.port.filter(|port| !facts.ports.contains(port))?;
    if facts.ports.is_empty() {
        return Some(format!("it is up, but does not listen on its planned port {port}"));
    }
    let real = facts.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    Some(format!("it is up, but listens on {real} instead of its planned port {port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: State) -> Facts {
        Facts {
            state,
            note: None,
            exit: None,
            lasted_ms: None,
            restarts: 0,
            policy: RestartPolicy::OnFailure,
            max_restarts: 10,
            retry_in_ms: None,
            killed: 0,
            port: None,
            ports: Vec::new(),
        }
    }

    fn exit(code: Option<i32>, signal: Option<i32>) -> Exit {
        Exit { code, signal, at_ms: 0 }
    }

    #[test]
    fn each_state_has_its_sentence() {
        let code =
            |code| Facts { exit: Some(exit(Some(code), None)), lasted_ms: Some(300), ..facts(State::Exited) };
        for (facts, sentence) in [
            (facts(State::Online), "it is up"),
            (
                Facts { port: Some(3000), ports: vec![5000], ..facts(State::Online) },
                "it is up, but listens on 5000 instead of its planned port 3000",
            ),
            (
                Facts { port: Some(3000), ..facts(State::Online) },
                "it is up, but does not listen on its planned port 3000",
            ),
            (
                Facts { port: Some(3000), ..facts(State::Starting) },
                "it is starting, and does not listen on port 3000 yet",
            ),
            (facts(State::Stopped), "it was stopped by the user"),
            (
                Facts { killed: 2, ..facts(State::Stopped) },
                "it was stopped by the user, and 2 of its processes had to be killed",
            ),
            (
                Facts { note: Some("its start was interrupted".into()), ..facts(State::Stopped) },
                "its start was interrupted",
            ),
            (
                code(0),
                "it ended by itself with exit code 0 after 300ms, which its restart policy (on-failure) leaves at that",
            ),
            (
                Facts { policy: RestartPolicy::No, ..code(7) },
                "it ended with exit code 7 after 300ms, and its restart policy is no",
            ),
            (
                Facts {
                    state: State::Errored,
                    note: Some("it ended again and 10 restarts in a row are allowed".into()),
                    ..code(1)
                },
                "its supervisor gave up after 10 restarts in a row; the last run ended with exit code 1 after 300ms",
            ),
            (
                Facts { note: Some("/e.env:3: why".into()), ..facts(State::Errored) },
                "it could not be started again: /e.env:3: why",
            ),
            (
                Facts {
                    exit: Some(exit(None, Some(9))),
                    retry_in_ms: Some(2000),
                    restarts: 3,
                    ..facts(State::Backoff)
                },
                "it ended with signal 9 (SIGKILL); it waits and is tried again in 2s (restarts so far: 3, in a row at most 10)",
            ),
            (
                Facts { note: Some("the machine was started anew since".into()), ..facts(State::Lost) },
                "it is gone, and nobody saw it end: the machine was started anew since",
            ),
        ] {
            assert_eq!(why(&facts), sentence);
        }
    }

    #[test]
    fn only_what_runs_is_up() {
        let up = |state| facts(state).is_up();
        assert!(up(State::Online) && up(State::Unsupervised));
        for state in [
            State::Starting,
            State::Backoff,
            State::Stopping,
            State::Stopped,
            State::Exited,
            State::Errored,
            State::Lost,
        ] {
            assert!(!up(state), "{state}");
        }
    }
}
