//! How often a backend is asked. While it is available, now and then; while it is away, soon and then every second, so
//! that its return is seen within one. Many that are away at once take turns, and one that is silent takes no turn from
//! those that answer.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::backend::FETCH_TIMEOUT;

/// How long a backend that is away may take to answer, at most times.
const QUICK: Duration = Duration::from_secs(1);
/// Each so many checks a backend that is away is given [`FETCH_TIMEOUT`], in case it is there again but slow.
const PATIENT_EVERY: u32 = 8;
/// The pause after the first failed check, doubled after each further one, and the longest: with the check itself it is
/// less than a second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));
/// The same for checks that failing requests asked for and that passed all the same.
const DOUBTS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// The shortest wait between two checks that an option can ask for.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// Checks under way at once.
const SOUND: usize = 256;
const FAILING: usize = 64;
const SILENT: usize = 256;

/// How long the check after so many failures may last.
pub(super) fn patience(failures: u32, is_available: bool) -> Duration {
    if is_available || failures % PATIENT_EVERY == 1 { FETCH_TIMEOUT } else { QUICK }
}

/// How long to wait after so many failures in a row; `interval` is how often a backend is asked that is available.
pub(super) fn wait(failures: u32, interval: Duration) -> Duration {
    let interval = interval.max(SHORTEST_WAIT);
    match failures {
        0 => interval + fraction(interval, 0.1),
        _ => {
            let pause = doubled(PAUSES, failures - 1).min(interval);
            pause - fraction(pause, 0.2)
        }
    }
}

/// How far apart the beginnings of two checks are that requests asked for, after so many that found nothing.
pub(super) fn doubt(found_nothing: u32) -> Duration {
    doubled(DOUBTS, found_nothing)
}

/// `first`, doubled so many times, at most `longest`.
pub(super) fn doubled((first, longest): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(longest)
}

/// A random part of `whole` of at most `share`, so that many do not fall together.
fn fraction(whole: Duration, share: f64) -> Duration {
    let thousandths = RandomState::new().build_hasher().finish() % 1001;
    whole.mul_f64(share * thousandths as f64 / 1000.0)
}

/// How the last check of a backend went, and so with whom it takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// It passed, or there was none yet.
    Sound,
    /// It failed at once: the next one will be over soon, too.
    Failing,
    /// It lasted until it was given up.
    Silent,
}

impl Lane {
    /// The lane after a check that failed within `lasted`.
    pub(super) fn failed(lasted: Duration) -> Self {
        if lasted < QUICK / 2 { Self::Failing } else { Self::Silent }
    }
}

/// The turns.
pub(crate) struct Lanes {
    sound: Semaphore,
    failing: Semaphore,
    silent: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        let lane = Semaphore::new;
        Self { sound: lane(SOUND), failing: lane(FAILING), silent: lane(SILENT) }
    }
}

impl Lanes {
    /// Waits for a turn, which lasts as long as what is returned.
    pub(super) async fn turn(&self, lane: Lane) -> Option<SemaphorePermit<'_>> {
        let lane = match lane {
            Lane::Sound => &self.sound,
            Lane::Failing => &self.failing,
            Lane::Silent => &self.silent,
        };
        // Nobody closes them.
        lane.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    #[test]
    fn who_is_away_is_asked_soon_and_then_each_second() {
        let wait = |failures| wait(failures, INTERVAL).as_millis();
        for (failures, expected) in [(1, 50), (2, 100), (3, 200), (6, 800), (40, 800), (u32::MAX, 800)] {
            let (least, most) = (expected * 4 / 5, expected);
            assert!((least..=most).contains(&wait(failures)), "{failures}: {}", wait(failures));
        }
        assert!(super::wait(9, Duration::from_millis(50)) <= Duration::from_millis(50));
    }

    #[test]
    fn who_is_there_is_asked_at_the_interval_and_not_all_at_once() {
        let waits: Vec<_> = (0..100).map(|_| wait(0, INTERVAL)).collect();
        assert!(waits.iter().all(|wait| (30_000..=33_000).contains(&wait.as_millis())));
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }

    #[test]
    fn who_is_away_is_waited_for_now_and_then() {
        let patient: Vec<u32> = (0..20).filter(|n| patience(*n, false) == FETCH_TIMEOUT).collect();
        assert_eq!(patient, [1, 9, 17]);
        assert_eq!(patience(0, true), FETCH_TIMEOUT);
    }

    #[tokio::test]
    async fn the_silent_take_no_turn_from_others() {
        let lanes = Lanes::default();
        let mut turns = Vec::new();
        for _ in 0..SILENT {
            turns.push(lanes.turn(Lane::Silent).await);
        }
        let silent = tokio::time::timeout(Duration::from_millis(1), lanes.turn(Lane::Silent)).await;
        assert!(silent.is_err(), "there are so many turns");
        assert!(lanes.turn(Lane::Failing).await.is_some());
        assert!(lanes.turn(Lane::Sound).await.is_some());
        assert_eq!(Lane::failed(Duration::ZERO), Lane::Failing);
        assert_eq!(Lane::failed(QUICK), Lane::Silent);
    }
}
