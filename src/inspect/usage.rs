//! How much of the machine a tree uses.

use crate::sys::process::{self, Process};

/// The use of processor and memory by a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time over lifetime, in percent of one processor, as `ps` counts it, summed over the tree.
    pub cpu_percent: f64,
    /// Resident memory, summed over the tree; pages that its processes share count for each of them.
    pub memory_bytes: u64,
}

/// The use of the machine by these processes; `now` is [`process::clock`]'s.
pub fn usage(tree: &[&Process], now: u64) -> Usage {
    let percent = |process: &&Process| {
        let age_ms = process::age_ms(process.start, now);
        // In its first tick a process has no meaningful share yet.
        if age_ms == 0 { 0.0 } else { process.cpu_ms as f64 * 100.0 / age_ms as f64 }
    };
    Usage {
        cpu_percent: tree.iter().map(percent).sum(),
        memory_bytes: tree.iter().map(|process| process.rss_bytes).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::process as made;
    use super::*;

    #[test]
    fn shares_and_memory_are_summed_over_the_tree() {
        let now = process::clock();
        let second = 1000 * now / process::age_ms(0, now).max(1);
        let one = Process { start: now - 10 * second, cpu_ms: 2500, rss_bytes: 4096, ..made(10, 1, 'S') };
        let two = Process { start: now - 2 * second, cpu_ms: 3000, rss_bytes: 8192, ..made(11, 10, 'R') };
        let new = Process { start: now + 1, cpu_ms: 10, rss_bytes: 1, ..made(12, 10, 'R') };
        let used = usage(&[&one, &two, &new], now);
        assert!((used.cpu_percent - 175.0).abs() < 2.0, "{used:?}");
        assert_eq!(used.memory_bytes, 4096 + 8192 + 1);
        assert_eq!(usage(&[], now), Usage::default());
    }
}
