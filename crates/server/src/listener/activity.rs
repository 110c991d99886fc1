//! Whether a connection is used. One that is not costs a place that somebody else waits for, so it is let go: soon when
//! it never asked anything, later when it did. HTTP timers alone do not see a client that never begins.

use detectviz_core::http::{Body, Held};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a connection may be there before its first request.
const UNUSED: Duration = Duration::from_secs(15);
/// How long a connection may rest between requests.
const RESTING: Duration = Duration::from_secs(180);

/// The requests of one connection.
pub(super) struct Activity {
    under_way: AtomicUsize,
    used: AtomicBool,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            last: Mutex::new(Instant::now()),
        }
    }
}

impl Activity {
    /// A request begins; it is under way until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.used.store(true, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Waits until the connection has been idle for too long.
    pub(super) async fn idle(&self) {
        loop {
            let limit = if self.used.load(Ordering::Relaxed) { RESTING } else { UNUSED };
            let Some(rest) = self.missing(limit) else { return };
            tokio::time::sleep(rest).await;
        }
    }

    /// Waits until no request was under way for `limit`, counted from now at the earliest.
    pub(super) async fn idle_for(&self, limit: Duration) {
        self.touch();
        while let Some(rest) = self.missing(limit) {
            tokio::time::sleep(rest).await;
        }
    }

    /// How much is missing until the connection was idle for `limit`; nothing when it was.
    fn missing(&self, limit: Duration) -> Option<Duration> {
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return Some(limit);
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        limit.checked_sub(last.elapsed()).filter(|rest| !rest.is_zero())
    }

    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// A body that is sent; its request, if it has one, is under way until then.
pub(super) type Sent = Held<Option<Busy>>;

/// A request under way.
pub(super) struct Busy(Arc<Activity>);

impl Busy {
    /// The body of the answer, which is under way for as long as it is sent.
    pub(super) fn until_end_of(self, body: Body) -> Sent {
        Sent::new(body, Some(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_only_while_nothing_is_under_way() {
        let activity = Arc::new(Activity::default());
        assert!(activity.missing(UNUSED).is_some() && activity.missing(Duration::ZERO).is_none());
        let answer = activity.begin().until_end_of(Body::empty());
        assert_eq!(activity.missing(Duration::ZERO), Some(Duration::ZERO), "a request is under way");
        drop(answer);
        assert!(activity.missing(Duration::ZERO).is_none() && activity.missing(RESTING).is_some());
        tokio::time::timeout(RESTING, activity.idle_for(Duration::from_millis(1))).await.unwrap();
    }
}
