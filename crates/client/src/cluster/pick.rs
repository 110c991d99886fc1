//! Which endpoint is next: of two picked at random, the one with less to do. That is nearly as good as always taking
//! the least loaded, and unlike it does not send everything to one place when many decide at the same time.

use std::time::Duration;

/// How long an endpoint that was added, or is back, is given less than its share.
pub(super) const WARM_UP: Duration = Duration::from_secs(5);
/// The share that it begins with, of [`WHOLE`].
const FIRST_SHARE: u64 = 100;
const WHOLE: u64 = 1000;

/// What one more request would cost at an endpoint with `load` requests under way, which is warm in `warming`.
pub(super) fn cost(load: usize, warming: Duration) -> u64 {
    let passed = WARM_UP.saturating_sub(warming).as_millis() as u64;
    let share = FIRST_SHARE + (WHOLE - FIRST_SHARE) * passed / WARM_UP.as_millis() as u64;
    (load as u64 + 1) * WHOLE * WHOLE / share
}

/// The index of the endpoint to take, of `count`: two of those that have a cost are drawn by `random`, and the cheaper
/// one is taken. `None` when none has a cost.
pub(super) fn pick(count: usize, random: u64, cost: impl Fn(usize) -> Option<u64>) -> Option<usize> {
    if count == 1 {
        return cost(0).map(|_| 0);
    }
    let eligible = || (0..count).filter_map(|index| Some((index, cost(index)?)));
    let among = eligible().count();
    if among < 2 {
        return eligible().next().map(|(index, _)| index);
    }
    let first = random as u32 as usize % among;
    let second = (first + 1 + (random >> 32) as usize % (among - 1)) % among;
    // Between the two counts an endpoint may have gone.
    let (first, second) = (eligible().nth(first), eligible().nth(second));
    match (first, second) {
        (Some(first), Some(second)) => Some(if second.1 < first.1 { second.0 } else { first.0 }),
        (one, other) => one.or(other).or_else(|| eligible().next()).map(|(index, _)| index),
    }
}

/// Spreads consecutive numbers over all of `u64` (the finalizer of splitmix64).
pub(super) fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn warm(load: usize) -> u64 {
        cost(load, Duration::ZERO)
    }

    #[test]
    fn one_endpoint_is_taken_if_it_may_be() {
        assert_eq!(pick(1, 7, |_| Some(1)), Some(0));
        assert_eq!(pick(1, 7, |_| None), None);
        assert_eq!(pick(0, 7, |_| Some(1)), None);
        assert_eq!(pick(5, 7, |_| None), None);
        assert_eq!(pick(5, 7, |index| (index == 3).then_some(1)), Some(3));
    }

    #[test]
    fn of_two_the_one_with_less_to_do_is_taken() {
        for random in (0..1000).map(scatter) {
            assert_eq!(pick(2, random, |index| Some(warm([3, 2][index]))), Some(1));
            let taken = pick(4, random, |index| Some(warm([9, 2, 5, 7][index])));
            assert_ne!(taken, Some(0), "it has most to do, whomever it is compared with");
        }
    }

    #[test]
    fn who_is_not_warm_yet_is_given_a_tenth_and_then_more_and_more() {
        let cold = |load| cost(load, WARM_UP);
        assert!(cold(0) > warm(8) && cold(0) <= warm(9));
        assert!(cost(0, WARM_UP / 2) > warm(0) && cost(0, WARM_UP / 2) < warm(1));
        assert_eq!(cost(3, Duration::ZERO), 4 * warm(0));
    }

    proptest! {
        /// Whatever is begun and ended, in whatever order: as long as everything lasts equally long, no endpoint has
        /// much more to do than another. (The theory says log log n more; the bound here is far above that.)
        #[test]
        fn loads_differ_by_little(count in 2_usize..12, requests in 1_usize..2000, seed: u64) {
            let mut loads = vec![0_usize; count];
            for number in 0..requests {
                let random = scatter(seed.wrapping_add(number as u64));
                let taken = pick(count, random, |index| Some(warm(loads[index]))).unwrap();
                loads[taken] += 1;
            }
            let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
            // Two of few endpoints are nearly all of them; of many, one may be drawn rarely.
            prop_assert!(most * count <= requests + 5 * count, "{loads:?}");
            prop_assert!((most - least) <= 24, "{loads:?}");
        }

        #[test]
        fn nobody_without_a_cost_is_ever_taken(costs in prop::collection::vec(prop::option::of(0_u64..9), 0..9), random: u64) {
            let taken = pick(costs.len(), random, |index| costs[index]);
            prop_assert_eq!(taken.is_some(), costs.iter().any(Option::is_some));
            prop_assert!(taken.is_none_or(|index| costs[index].is_some()));
        }
    }
}
