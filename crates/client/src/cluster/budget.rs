//! How many requests may be under way for a second time: without a bound, a backend that begins to fail would be sent
//! more the worse it gets.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The part of the requests under way that may be retries: a fifth.
const PART: usize = 5;
/// So many may be, however few are under way.
const AT_LEAST: usize = 3;

/// The most retries under way beside `under_way` requests.
pub(super) fn most(under_way: usize) -> usize {
    (under_way / PART).max(AT_LEAST)
}

/// The retries under way.
#[derive(Debug, Default)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    /// A place for one retry, if there is one beside so many requests `under_way`.
    pub(super) fn take(&self, under_way: usize) -> Option<Retry<'_>> {
        let room = |retries: usize| (retries < most(under_way)).then_some(retries + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok().map(|_| Retry(self))
    }

    /// How many retries are under way.
    pub(super) fn retries(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One retry under way.
pub(super) struct Retry<'a>(&'a Budget);

impl Drop for Retry<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever begins and ends: never more retries than the budget of that moment allows to begin.
        #[test]
        fn a_budget_is_never_exceeded(steps in prop::collection::vec((0_usize..200, any::<bool>()), 0..200)) {
            let (budget, mut retries) = (Budget::default(), Vec::new());
            for (under_way, end) in steps {
                if end {
                    retries.pop();
                    continue;
                }
                let before = budget.retries();
                let taken = budget.take(under_way);
                prop_assert_eq!(taken.is_some(), before < (under_way / 5).max(3));
                retries.extend(taken);
                prop_assert_eq!(budget.retries(), retries.len());
            }
            retries.clear();
            prop_assert_eq!(budget.retries(), 0);
        }
    }
}
