//! When a watch does something by itself: bookmarks about every minute and shortly before its end, and the end.

use std::time::Duration;
use tokio::time::Instant;

/// How long a watch lasts at least when the client does not say; upstream's.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// The longest that a client may ask for.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// How often a watch tells how far it is, if bookmarks are welcome; upstream's.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// How long before the end the last bookmark is sent, so that it arrives; upstream's.
const BEFORE_END: Duration = Duration::from_secs(2);

/// The times of one watch.
pub(super) struct Schedule {
    bookmark: Option<Instant>,
    end: Instant,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A bookmark.
    Bookmark,
    /// The end.
    End,
}

impl Schedule {
    /// The times of a watch that begins now. `timeout` is in seconds; absent or 0 leaves it to the server.
    pub(super) fn new(timeout: Option<i64>, bookmarks: bool) -> Self {
        let asked = timeout.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let timeout = asked.map_or_else(default_timeout, Duration::from_secs).min(MAX_TIMEOUT);
        let now = Instant::now();
        let mut schedule = Self { bookmark: None, end: now + timeout };
        if bookmarks {
            schedule.next_bookmark(now);
        }
        schedule
    }

    /// When something is due.
    pub(super) fn next(&self) -> Instant {
        self.bookmark.map_or(self.end, |bookmark| bookmark.min(self.end))
    }

    /// What is due now, which is then done; nothing if it is too early.
    pub(super) fn take(&mut self, now: Instant) -> Option<Due> {
        if now >= self.end {
            return Some(Due::End);
        }
        self.bookmark.filter(|bookmark| now >= *bookmark)?;
        self.next_bookmark(now);
        Some(Due::Bookmark)
    }

    /// In about a minute, or shortly before the end if that is sooner.
    fn next_bookmark(&mut self, now: Instant) {
        let regular = now + BOOKMARK_INTERVAL.mul_f64(0.9 + 0.2 * random());
        let last = self.end.checked_sub(BEFORE_END).filter(|last| *last > now);
        self.bookmark = last.map(|last| last.min(regular));
    }
}

/// Half an hour to an hour, spread so that clients which came together do not come back together.
fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT.mul_f64(1.0 + random())
}

/// A number from 0 to below 1.
fn random() -> f64 {
    let random = u32::from_be_bytes(uuid::Uuid::new_v4().as_bytes()[..4].try_into().unwrap_or_default());
    f64::from(random) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bookmarks_come_about_every_minute_and_shortly_before_the_end() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Some(180), true);
        let (mut times, mut last) = (Vec::new(), now);
        while schedule.next() < schedule.end {
            let next = schedule.next();
            times.push((next - last).as_secs_f64());
            assert_eq!(schedule.take(last), None);
            assert_eq!(schedule.take(next), Some(Due::Bookmark));
            last = next;
        }
        assert!(schedule.end - last < BEFORE_END + Duration::from_millis(1), "{times:?}");
        assert!(times[..2].iter().all(|time| (53.0..68.0).contains(time)), "{times:?}");
        assert_eq!(schedule.take(schedule.end), Some(Due::End));
    }

    #[tokio::test]
    async fn a_watch_lasts_as_long_as_asked_within_bounds() {
        for (timeout, least, most) in [
            (None, 1800, 3601),
            (Some(0), 1800, 3601),
            (Some(1), 0, 1),
            (Some(i64::MAX), 24 * 3600 - 1, 24 * 3600),
        ] {
            let schedule = Schedule::new(timeout, false);
            let lasts = (schedule.end - Instant::now()).as_secs();
            assert!((least..=most).contains(&lasts), "{timeout:?}: {lasts}");
            assert_eq!(schedule.next(), schedule.end, "no bookmarks were asked for");
        }
        assert_eq!(Schedule::new(Some(1), true).bookmark, None, "there is no time before such an end");
    }
}
