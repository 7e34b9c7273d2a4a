//! How long to wait before the next restart.

/// A run of this length, in milliseconds, forgives the failures before it.
pub(super) const RESET_MS: u64 = 10_000;

const FIRST_MS: u64 = 100;
const MOST_MS: u64 = 30_000;

/// The delay before restart number `failures` in a row, in milliseconds: none before the first, then 100 ms, doubled
/// each time up to 30 s.
pub(super) fn delay_ms(failures: u32) -> u64 {
    match failures {
        0 | 1 => 0,
        n => (FIRST_MS << (n - 2).min(16)).min(MOST_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_immediate_and_the_delay_doubles_up_to_30_s() {
        let delays: Vec<u64> = (1..=11).map(delay_ms).collect();
        assert_eq!(delays, [0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
        assert_eq!([delay_ms(63), delay_ms(64), delay_ms(70), delay_ms(u32::MAX)], [MOST_MS; 4]);
    }
}
