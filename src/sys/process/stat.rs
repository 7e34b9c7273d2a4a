//! The line of `/proc/PID/stat` (proc(5)), read byte by byte.

use super::{Comm, Process};
use crate::model::Pid;

/// The unit of the times in it: `USER_HZ`, 100 on every architecture that Rust's Linux targets share with us; musl has
/// it as a constant too.
pub(super) const TICKS_PER_SECOND: u64 = 100;

/// Reads one line; `None` for anything else, and for PID 1, which is never looked at.
///
/// The command stands in parentheses and may hold any byte, parentheses and newlines too: it ends at the last `)`.
pub(super) fn parse(line: &[u8], page_bytes: u64) -> Option<Process> {
    let open = line.iter().position(|&byte| byte == b'(')?;
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let comm = line.get(open + 1..close)?;
    let pid = Pid::new(number(line[..open].trim_ascii())? as i32)?;

    // Counted from `state`, which proc(5) calls field 3.
    let mut fields = line[close + 1..].trim_ascii().split(|&byte| byte == b' ');
    let state = char::from(*fields.next()?.first()?);
    let parent = number(fields.next()?)? as i32;
    let group = number(fields.next()?)? as i32;
    let session = number(fields.next()?)? as i32;
    let user = number(fields.nth(7)?)?;
    let system = number(fields.next()?)?;
    let threads = number(fields.nth(4)?)? as u32;
    let start = number(fields.nth(1)?)?;
    let pages = number(fields.nth(1)?)?;

    // A main thread that ended before its siblings is shown as a zombie, but the process runs on.
    let state = if state == 'Z' && threads > 1 { 'S' } else { state };
    Some(Process {
        pid,
        ppid: parent,
        pgid: group,
        session,
        state,
        start,
        cpu_ms: user.saturating_add(system).saturating_mul(1000 / TICKS_PER_SECOND),
        rss_bytes: pages.saturating_mul(page_bytes),
        threads,
        comm: Comm::new(comm),
    })
}

/// A decimal number; a negative one (the group of a kernel thread in a PID namespace) counts as 0.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if let [b'-', rest @ ..] = digits {
        return number(rest).map(|_| 0);
    }
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded from Linux 6.18: a sleep, with the command and the state as placeholders.
    fn line(comm: &str, state: char, threads: u32) -> Vec<u8> {
        format!(
            "4711 ({comm}) {state} 4700 4711 4690 34816 4711 4194304 120 5 1 0 250 50 7 3 20 0 {threads} 0 \
             987654 5672960 512 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        )
        .into_bytes()
    }

    #[test]
    fn every_field_is_taken_from_its_place() {
        let process = parse(&line("sleep", 'S', 3), 4096).unwrap();
        assert_eq!(
            process,
            Process {
                pid: Pid::new(4711).unwrap(),
                ppid: 4700,
                pgid: 4711,
                session: 4690,
                state: 'S',
                start: 987_654,
                cpu_ms: 3000,
                rss_bytes: 512 * 4096,
                threads: 3,
                comm: "sleep".into(),
            }
        );
    }

    #[test]
    fn a_zombie_is_dead_unless_its_threads_run_on() {
        for (state, threads, dead) in [('Z', 1, true), ('Z', 4, false), ('X', 1, true), ('T', 1, false)] {
            assert_eq!(parse(&line("a", state, threads), 4096).unwrap().is_dead(), dead, "{state} {threads}");
        }
    }

    #[test]
    fn what_is_no_stat_line_is_nothing() {
        for text in
            ["", "1 (init) S 0 1 1", "x (y) S 1", "4711", "4711 (sleep", "4711 )(", "4711 (a) S 1 2 3 4"]
        {
            assert_eq!(parse(text.as_bytes(), 4096), None, "{text:?}");
        }
        let init = line("init", 'S', 1);
        assert_eq!(parse(&[b"1", &init[4..]].concat(), 4096), None);
    }

    #[test]
    fn numbers_are_decimal_and_bounded() {
        for (text, value) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", Some(0)),
            ("", None),
            ("-", None),
            ("1x", None),
        ] {
            assert_eq!(number(text.as_bytes()), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_command_leaves_the_numbers_alone(comm in "[()\\n\\\\ a-zS0-9]{0,16}") {
            let process = parse(&line(&comm, 'R', 1), 4096).unwrap();
            prop_assert_eq!(process.comm, Comm::from(&*comm));
            prop_assert_eq!((process.ppid, process.start), (4700, 987_654));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 4096);
        }
    }
}
