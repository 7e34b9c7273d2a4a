//! How many requests a connection may make: a bucket that fills by time (pure).

/// Requests a second that a connection may make for ever.
pub(super) const PER_SECOND: u64 = 100;

/// How many it may make at once after a rest.
pub(super) const BURST: u64 = 200;

/// The requests that one connection still has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// In thousandths of a request, so that a millisecond's share is a whole number.
    thousandths: u64,
    /// When it was filled last, in monotonic milliseconds.
    at: u64,
}

impl Bucket {
    /// A full one at `now`.
    pub(super) fn new(now: u64) -> Self {
        Bucket { thousandths: BURST * 1000, at: now }
    }

    /// Takes one request at `now`.
    ///
    /// # Errors
    /// After how many milliseconds there will be one.
    pub(super) fn take(&mut self, now: u64) -> Result<(), u64> {
        let since = now.saturating_sub(self.at);
        self.at = now.max(self.at);
        self.thousandths = (self.thousandths + since.saturating_mul(PER_SECOND)).min(BURST * 1000);
        if self.thousandths >= 1000 {
            self.thousandths -= 1000;
            return Ok(());
        }
        Err((1000 - self.thousandths).div_ceil(PER_SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_then_so_many_a_second() {
        let mut bucket = Bucket::new(1000);
        assert!((0..BURST).all(|_| bucket.take(1000).is_ok()));
        assert_eq!(bucket.take(1000), Err(10));
        assert_eq!(bucket.take(1009), Err(1));
        assert_eq!(bucket.take(1010), Ok(()));
        assert_eq!((0..1000).filter(|_| bucket.take(2010).is_ok()).count() as u64, PER_SECOND);
        // A rest of an hour saves no more than a burst.
        assert_eq!((0..1000).filter(|_| bucket.take(3_600_000).is_ok()).count() as u64, BURST);
    }

    proptest! {
        #[test]
        fn after_the_wait_that_it_names_there_is_one(steps in proptest::collection::vec(0u64..30, 1..600)) {
            let mut bucket = Bucket::new(0);
            let mut now = 0;
            for step in steps {
                now += step;
                if let Err(wait) = bucket.take(now) {
                    prop_assert!(wait >= 1);
                    now += wait;
                    prop_assert_eq!(bucket.take(now), Ok(()));
                }
            }
        }
    }
}
