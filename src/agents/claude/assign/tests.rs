//! Several processes and several files of one directory.

use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;

/// A process started so many minutes after the beginning of time.
fn started(minute: u64) -> Seeker {
    Seeker { started_ms: minute * MINUTE, ..Seeker::default() }
}

/// A process that says that it has this file.
fn says(minute: u64, own: usize) -> Seeker {
    Seeker { own: Some(own), is_declared: true, ..started(minute) }
}

/// A process that had this file at the last look.
fn had(minute: u64, own: usize) -> Seeker {
    Seeker { own: Some(own), ..started(minute) }
}

/// A file whose first and last records are of these minutes.
fn file(first: u64, last: u64) -> Candidate {
    Candidate {
        mtime_ms: last * MINUTE,
        first_ms: Some(first * MINUTE),
        last_ms: Some(last * MINUTE),
        ..Candidate::default()
    }
}

fn clear(first: u64, last: u64) -> Candidate {
    Candidate { is_clear: true, ..file(first, last) }
}

#[test]
fn one_process_has_the_newest_file() {
    assert_eq!(assign(&[started(10)], &[file(1, 11), file(2, 12), file(3, 10)]), [Some(1)]);
    assert_eq!(assign(&[started(10)], &[]), [None]);
}

#[test]
fn a_file_from_before_its_start_is_not_its_own_unless_it_resumes() {
    assert_eq!(assign(&[started(10)], &[file(1, 9)]), [None]);
    let resumes = Seeker { resumes: true, ..started(10) };
    assert_eq!(assign(&[resumes], &[file(1, 8), file(2, 9)]), [Some(1)]);
}

#[test]
fn two_processes_have_the_two_newest_in_the_order_of_their_beginnings() {
    let files = [file(1, 2), file(21, 40), file(11, 50)];
    assert_eq!(assign(&[started(10), started(20)], &files), [Some(2), Some(1)]);
    assert_eq!(assign(&[started(20), started(10)], &files), [Some(1), Some(2)]);
}

#[test]
fn one_file_of_two_processes_is_of_who_could_have_begun_it() {
    assert_eq!(assign(&[started(10), started(20)], &[file(15, 30)]), [Some(0), None]);
    assert_eq!(
        assign(&[started(10), started(20)], &[file(25, 30)]),
        [None, Some(0)],
        "the newer one, more likely"
    );
    assert_eq!(assign(&[started(10), started(20)], &[file(5, 30)]), [Some(0), None], "taken up again");
}

#[test]
fn what_was_given_stays_when_the_other_file_is_newer() {
    let (a, b) = (file(11, 40), file(21, 50));
    assert_eq!(assign(&[had(10, 0), had(20, 1)], &[a.clone(), b.clone()]), [Some(0), Some(1)]);
    assert_eq!(assign(&[had(10, 1), had(20, 0)], &[a, b]), [Some(1), Some(0)]);
}

#[test]
fn what_is_said_takes_from_who_only_had_it() {
    let files = [file(11, 40), file(21, 50)];
    assert_eq!(assign(&[had(10, 0), says(20, 0)], &files), [Some(1), Some(0)]);
    assert_eq!(assign(&[started(10), says(20, 1)], &files), [Some(0), Some(1)]);
    assert_eq!(assign(&[started(10), says(20, 0)], &files[..1]), [None, Some(0)]);
}

#[test]
fn after_clear_a_process_goes_on_in_the_new_file() {
    let files = [file(11, 40), clear(41, 42)];
    assert_eq!(assign(&[says(10, 0)], &files), [Some(1)], "though it names the old one");
    assert_eq!(assign(&[had(10, 0)], &files), [Some(1)]);
    assert_eq!(
        assign(&[says(10, 0), says(30, 1)], &files),
        [Some(0), Some(1)],
        "somebody else says that it is his"
    );
    let twice = [file(11, 40), clear(41, 42), clear(43, 44)];
    assert_eq!(assign(&[says(10, 0)], &twice), [Some(2)]);
}

#[test]
fn of_two_the_one_that_fell_silent_has_cleared() {
    let files = [file(11, 60), file(12, 40), clear(41, 62)];
    assert_eq!(assign(&[says(10, 0), says(10, 1)], &files), [Some(0), Some(2)]);
    let both_silent = [file(11, 30), file(12, 40), clear(41, 62)];
    assert_eq!(assign(&[says(10, 0), says(10, 1)], &both_silent), [Some(0), Some(2)]);
}

#[test]
fn a_newer_file_without_clear_needs_a_sign_of_life() {
    let files = [file(11, 40), file(41, 42)];
    let active = |minute| Seeker { active_ms: Some(minute * MINUTE), ..says(10, 0) };
    assert_eq!(assign(&[active(40)], &files), [Some(0)], "it has done nothing since");
    assert_eq!(assign(&[active(42)], &files), [Some(1)]);
    assert_eq!(assign(&[says(10, 0)], &files), [Some(0)]);
    let doubtful = [file(11, 40), Candidate { is_doubtful: true, ..file(41, 42) }];
    assert_eq!(assign(&[active(42)], &doubtful), [Some(0)], "another process has written it");
    let sure = Seeker { sure_until_ms: Some(41 * MINUTE), ..active(42) };
    assert_eq!(assign(&[sure], &files), [Some(0)], "its hooks have named the old one meanwhile");
}

#[test]
fn a_new_file_is_of_the_new_process_and_not_of_who_has_one() {
    assert_eq!(assign(&[had(10, 0), started(40)], &[file(11, 39), file(41, 42)]), [Some(0), Some(1)]);
    assert_eq!(assign(&[had(10, 0)], &[file(11, 39), file(41, 42)]), [Some(1)], "the newest, of one process");
}

#[test]
fn a_file_that_went_on_meanwhile_is_not_left() {
    assert_eq!(assign(&[says(10, 0)], &[file(11, 45), clear(41, 50)]), [Some(0)]);
}

fn any_seeker(files: usize) -> impl Strategy<Value = Seeker> {
    let own = prop::option::of(0..files.max(1));
    (0..9_u64, any::<bool>(), own, any::<bool>(), prop::option::of(0..20_u64)).prop_map(
        move |(minute, resumes, own, is_declared, active)| Seeker {
            resumes,
            own: own.filter(|_| files > 0),
            is_declared,
            active_ms: active.map(|minute| minute * MINUTE),
            ..started(minute)
        },
    )
}

fn any_file() -> impl Strategy<Value = Candidate> {
    (0..20_u64, 0..20_u64, any::<bool>(), any::<bool>()).prop_map(|(first, last, is_clear, is_doubtful)| {
        Candidate { is_clear, is_doubtful, ..file(first, last) }
    })
}

proptest! {
    #[test]
    fn no_two_share_a_file_and_further_looks_change_nothing(
        (seekers, files) in (0..6_usize).prop_flat_map(|count| (
            prop::collection::vec(any_seeker(count), 0..6),
            prop::collection::vec(any_file(), count),
        ))
    ) {
        let first = assign(&seekers, &files);
        for (at, one) in first.iter().enumerate() {
            for (other_at, other) in first.iter().enumerate().skip(at + 1) {
                let both_say = seekers[at].is_declared && seekers[other_at].is_declared;
                prop_assert!(one.is_none() || one != other || both_say, "{first:?}");
            }
        }
        // As the reader asks again: each has what it was given, and what was left is spent.
        let mut files = files;
        let (mut now, mut seekers) = (first, seekers);
        for look in 0..4 {
            for (seeker, given) in seekers.iter_mut().zip(&now) {
                if let Some(left) = seeker.own.filter(|own| Some(*own) != *given) {
                    files[left].is_spent |= !now.contains(&Some(left));
                }
                seeker.own = *given;
            }
            let again = assign(&seekers, &files);
            prop_assert!(look == 0 || again == now, "{:?} {:?}", again, now);
            now = again;
        }
    }
}
