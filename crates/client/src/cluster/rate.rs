//! So many requests a second, and as many at once as one second's worth: a token bucket that is one number (GCRA), the
//! time up to which everything is used up.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// A bound on requests a second.
#[derive(Debug)]
pub(super) struct Rate {
    /// Nanoseconds between two requests that come evenly.
    step: u64,
    used_until: AtomicU64,
}

impl Rate {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { step: (SECOND / u64::from(per_second.get())).max(1), used_until: AtomicU64::new(0) }
    }

    /// Takes one, `now` after some beginning; the error says how long it takes until there is one.
    pub(super) fn take(&self, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX - 2 * SECOND);
        let mut wait = 0;
        let taken = self.used_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| {
            let next = until.max(now) + self.step;
            wait = next.saturating_sub(now + SECOND);
            (wait == 0).then_some(next)
        });
        taken.map(|_| ()).map_err(|_| Duration::from_nanos(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_second).unwrap())
    }

    #[test]
    fn a_seconds_worth_at_once_and_then_as_they_come() {
        let rate = rate(10);
        let at = |millis| Duration::from_millis(millis);
        assert_eq!((0..20).filter(|_| rate.take(at(0)).is_ok()).count(), 10);
        assert_eq!(rate.take(at(0)), Err(at(100)));
        assert_eq!(rate.take(at(99)), Err(at(1)));
        assert_eq!(rate.take(at(100)), Ok(()));
        assert!(rate.take(at(100)).is_err());
        assert_eq!((0..20).filter(|_| rate.take(at(60_000)).is_ok()).count(), 10, "no more is saved up");
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let rate = rate(1);
        let took: Vec<_> =
            (0..40).filter(|tenth| rate.take(Duration::from_millis(tenth * 100)).is_ok()).collect();
        assert_eq!(took, [0, 10, 20, 30]);
    }
}
