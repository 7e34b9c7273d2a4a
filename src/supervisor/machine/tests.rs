//! The machine without any process: each cell of the table, and what holds for every series of events.

use super::*;
use proptest::prelude::*;

fn rules(restart: RestartPolicy) -> Rules {
    Rules { restart, max_restarts: 2, stop_timeout_ms: 1_000, listens: false }
}

fn exit(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, at_ms: 0 }
}

fn ended(code: i32) -> Event {
    Event::MainEnded { exit: exit(code), leftovers: false }
}

fn left(code: i32) -> Event {
    Event::MainEnded { exit: exit(code), leftovers: true }
}

/// A machine whose program runs and is ready at time 0.
fn online(rules: Rules) -> Machine {
    let mut machine = Machine::new(rules);
    machine.on(Event::Begin, 0);
    machine.on(Event::EnvRead, 0);
    machine.on(Event::Spawned, 0);
    machine.on(Event::Ready, 0);
    assert_eq!(machine.state(), State::Online);
    machine
}

const RESTARTED: [Effect; 2] = [Effect::NoDeadline, Effect::ReadEnv];
const OVER: [Effect; 2] = [Effect::NoDeadline, Effect::Finish];

#[test]
fn what_an_exit_leads_to_is_decided_by_policy_code_and_leftovers() {
    use RestartPolicy::{Always, No, OnFailure};
    let clearing = [Effect::SignalTree, Effect::Deadline(1_500)];
    let rows: &[(RestartPolicy, Event, &[Effect], State)] = &[
        (No, ended(0), &OVER, State::Exited),
        (No, ended(3), &OVER, State::Exited),
        (OnFailure, ended(0), &OVER, State::Exited),
        (OnFailure, ended(3), &RESTARTED, State::Starting),
        (Always, ended(0), &RESTARTED, State::Starting),
        (Always, ended(3), &RESTARTED, State::Starting),
        // It daemonized: followed under every policy.
        (No, left(0), &[Effect::Follow], State::Online),
        (OnFailure, left(0), &[Effect::Follow], State::Online),
        (Always, left(0), &[Effect::Follow], State::Online),
        // It failed and left a tree: that is ended first.
        (OnFailure, left(3), &clearing, State::Stopping),
        (No, left(3), &clearing, State::Stopping),
    ];
    for (policy, event, effects, state) in rows {
        let mut machine = online(rules(*policy));
        assert_eq!(machine.on(event.clone(), 500), *effects, "{policy} {event:?}");
        assert_eq!(machine.state(), *state, "{policy} {event:?}");
    }
}

#[test]
fn restarts_back_off_give_up_and_are_forgiven_by_a_long_run() {
    let mut machine = online(rules(RestartPolicy::OnFailure));
    assert_eq!(machine.on(ended(1), 100), RESTARTED);
    machine.on(Event::EnvRead, 100);
    machine.on(Event::Spawned, 100);
    assert_eq!(machine.on(ended(1), 200), [Effect::Deadline(300)], "the second waits 100 ms");
    assert_eq!(machine.state(), State::Backoff);
    assert_eq!(machine.on(Event::Deadline, 300), RESTARTED);
    machine.on(Event::EnvRead, 300);
    machine.on(Event::Spawned, 300);
    let mut patient = machine.clone();
    assert_eq!(machine.on(ended(1), 400), OVER, "the third failure in a row is one too many");
    assert_eq!(machine.state(), State::Errored);
    assert_eq!(machine.restarts(), 2);
    assert_eq!(machine.exit(), Some(exit(1)));
    assert_eq!(patient.on(ended(1), 300 + RESET_MS), RESTARTED, "10 s of uptime forgive");
}

#[test]
fn a_stop_signals_waits_kills_and_ends_only_with_an_empty_tree() {
    let mut machine = online(rules(RestartPolicy::Always));
    assert_eq!(machine.on(Event::Stop, 100), [Effect::SignalTree, Effect::Deadline(1_100)]);
    assert_eq!(machine.on(left(0), 150), [], "the leader is gone, its child is not");
    assert_eq!(machine.state(), State::Stopping);
    assert_eq!(machine.on(Event::Deadline, 1_100), [Effect::KillTree, Effect::Deadline(1_300)]);
    assert_eq!(machine.on(Event::Deadline, 1_300), [Effect::KillTree, Effect::Deadline(1_700)]);
    assert_eq!(machine.on(Event::TreeEmpty, 1_400), OVER);
    assert_eq!(machine.state(), State::Stopped);
}

#[test]
fn the_last_word_counts_between_stop_and_restart() {
    for (events, over) in [
        (vec![Event::Stop, Event::Restart], false),
        (vec![Event::Restart, Event::Stop], true),
        (vec![Event::Restart, Event::Kill], true),
        (vec![left(1), Event::Stop], true),
    ] {
        let mut machine = online(rules(RestartPolicy::OnFailure));
        for event in &events {
            machine.on(event.clone(), 10);
        }
        machine.on(Event::TreeEmpty, 20);
        assert_eq!(machine.over(), over, "{events:?}");
        assert_eq!(machine.restarts(), u32::from(!over), "{events:?}");
    }
}

/// A machine whose program had another supervisor before.
fn adopted(restart: RestartPolicy, ready: bool, followed: bool) -> Machine {
    let mut machine = Machine::new(rules(restart));
    machine.go_on_from(2);
    machine.on(Event::Adopted { ready, followed, exit: Some(exit(9)) }, 0);
    machine
}

#[test]
fn an_adopted_program_is_what_it_was_and_its_unknown_end_is_no_success() {
    use RestartPolicy::{Always, No, OnFailure};
    let machine = adopted(OnFailure, true, false);
    assert_eq!((machine.state(), machine.restarts(), machine.exit()), (State::Online, 2, Some(exit(9))));
    assert!(machine.note().unwrap().contains("took over"));
    assert_eq!(adopted(OnFailure, false, false).state(), State::Starting);

    let unknown = Exit::unknown(7);
    let clearing = [Effect::SignalTree, Effect::Deadline(1_500)];
    let rows: [(RestartPolicy, bool, bool, &[Effect], State); 6] = [
        (OnFailure, false, false, &RESTARTED, State::Starting),
        (Always, false, false, &RESTARTED, State::Starting),
        (No, false, false, &OVER, State::Exited),
        (OnFailure, false, true, &clearing, State::Stopping),
        // The first main process had gone before: what is left is the service.
        (OnFailure, true, true, &[Effect::Follow], State::Online),
        (OnFailure, true, false, &RESTARTED, State::Starting),
    ];
    for (policy, followed, leftovers, effects, state) in rows {
        let mut machine = adopted(policy, true, followed);
        assert_eq!(
            machine.on(Event::MainEnded { exit: unknown, leftovers }, 500),
            effects,
            "{policy} {followed}"
        );
        assert_eq!((machine.state(), machine.exit()), (state, Some(unknown)), "{policy} {followed}");
    }
}

#[test]
fn a_program_without_a_port_is_ready_when_it_still_runs_after_a_second() {
    let mut machine = Machine::new(rules(RestartPolicy::No));
    machine.on(Event::Begin, 0);
    machine.on(Event::EnvRead, 0);
    assert_eq!(machine.on(Event::Spawned, 5), [Effect::Deadline(1_005)]);
    assert_eq!(machine.state(), State::Starting);
    machine.on(Event::Deadline, 1_005);
    assert_eq!((machine.state(), machine.note()), (State::Online, None));
}

#[test]
fn a_broken_environment_file_ends_it_and_says_why() {
    let mut machine = online(rules(RestartPolicy::OnFailure));
    machine.on(ended(1), 10);
    assert_eq!(machine.on(Event::EnvFailed("dev.env:3: no".into()), 11), OVER);
    assert_eq!((machine.state(), machine.note()), (State::Errored, Some("dev.env:3: no")));
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::EnvRead),
        Just(Event::EnvFailed("x".into())),
        Just(Event::Spawned),
        Just(Event::SpawnFailed("x".into())),
        Just(Event::Ready),
        (0..3i32, any::<bool>())
            .prop_map(|(code, leftovers)| Event::MainEnded { exit: exit(code), leftovers }),
        Just(Event::Followed),
        Just(Event::TreeEmpty),
        Just(Event::Stop),
        Just(Event::Kill),
        Just(Event::Restart),
        Just(Event::Deadline),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a program is only started from an empty tree, an end is final, and
    /// everything that waits has a deadline or an event that the kernel will deliver.
    #[test]
    fn no_order_of_events_breaks_the_invariants(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut machine = Machine::new(rules(RestartPolicy::OnFailure));
        machine.on(Event::Begin, 0);
        let mut running = false;
        let mut deadline = false;
        for (now, event) in events.into_iter().enumerate() {
            // Only what can happen: the world answers a spawn, and only a running tree ends.
            let possible = match &event {
                Event::Spawned => machine.state() == State::Starting && !running,
                Event::MainEnded { .. } | Event::TreeEmpty | Event::Followed => running,
                Event::Deadline => deadline,
                _ => true,
            };
            if !possible {
                continue;
            }
            let was_over = machine.over();
            match &event {
                Event::Spawned if machine.on(Event::EnvRead, 0) == [Effect::Spawn] => running = true,
                Event::Spawned => continue,
                Event::TreeEmpty | Event::MainEnded { leftovers: false, .. } => running = false,
                _ => {}
            }
            let effects = machine.on(event, now as u64);
            for effect in &effects {
                match effect {
                    Effect::Spawn | Effect::ReadEnv | Effect::Finish => prop_assert!(!running, "{effect:?}"),
                    Effect::Deadline(at) => { prop_assert!(*at >= now as u64); deadline = true; }
                    Effect::NoDeadline => deadline = false,
                    _ => {}
                }
            }
            prop_assert!(!was_over || effects.is_empty(), "an end is final");
            prop_assert!(!machine.ending() || deadline, "ending a tree always has a deadline");
        }
    }
}
