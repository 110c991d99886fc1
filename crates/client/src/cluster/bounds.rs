//! How much of something may be asked for at once, so that whoever asks for too much of one backend takes nothing from
//! those who ask for another.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Class;
use super::rate::Rate;

/// What is bounded, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Requests under way at once, until their answers have been read.
    pub requests: usize,
    /// Requests that may wait for one of these places.
    pub queue: usize,
    /// How long they may wait.
    pub patience: Duration,
    /// Streams at once.
    pub streams: usize,
    /// Requests and streams begun a second; as many may come at once.
    pub rate: Option<NonZeroU32>,
}

/// A bound that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// [`Limits::requests`], with nobody more allowed to wait, or after waiting.
    Requests,
    /// [`Limits::streams`].
    Streams,
    /// [`Limits::rate`].
    Rate,
}

/// Why a request has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the bound of {limit} {}", match .bound {
    Bound::Requests => "requests under way",
    Bound::Streams => "streams",
    Bound::Rate => "requests per second",
})]
pub struct OverBound {
    /// Which bound.
    pub bound: Bound,
    /// The bound itself.
    pub limit: usize,
    /// When it makes sense to try again.
    pub retry_after: Duration,
}

/// The bounds of what is asked for under one name. Our own requests have none here.
#[derive(Debug)]
pub struct Bounds {
    limits: Limits,
    requests: Semaphore,
    streams: Semaphore,
    waiting: AtomicUsize,
    rate: Option<Rate>,
    began: Instant,
}

impl Bounds {
    /// Bounds that nobody uses yet.
    pub fn new(limits: Limits) -> Self {
        let most = |places: usize| Semaphore::new(places.min(Semaphore::MAX_PERMITS));
        Self {
            requests: most(limits.requests),
            streams: most(limits.streams),
            waiting: AtomicUsize::new(0),
            rate: limits.rate.map(Rate::new),
            began: Instant::now(),
            limits,
        }
    }

    /// What the bounds are.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A place for one more of `class`, to be held until its answer has been read. A stream never waits for one: those
    /// who have a place keep it for long.
    ///
    /// # Errors
    /// [`OverBound`] when there is none.
    pub async fn enter(self: &Arc<Self>, class: Class) -> Result<Place, OverBound> {
        let places = match class {
            Class::Own => return Ok(Place { bounds: Arc::clone(self), class }),
            Class::Request => &self.requests,
            Class::Stream => &self.streams,
        };
        let free = places.try_acquire().ok();
        if free.is_none() && class == Class::Stream {
            return Err(self.over(Bound::Streams, self.limits.streams, None));
        }
        let permit = match free {
            Some(permit) => permit,
            None => {
                self.wait().await.ok_or_else(|| self.over(Bound::Requests, self.limits.requests, None))?
            }
        };
        if let Some(rate) = &self.rate {
            let limit = self.limits.rate.map_or(0, NonZeroU32::get) as usize;
            rate.take(self.began.elapsed()).map_err(|wait| self.over(Bound::Rate, limit, Some(wait)))?;
        }
        permit.forget();
        Ok(Place { bounds: Arc::clone(self), class })
    }

    async fn wait(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let room = |waiting: usize| (waiting < self.limits.queue).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        let _waiting = Waiting(&self.waiting);
        timeout(self.limits.patience, self.requests.acquire()).await.ok()?.ok()
    }

    fn over(&self, bound: Bound, limit: usize, wait: Option<Duration>) -> OverBound {
        OverBound { bound, limit, retry_after: wait.unwrap_or(self.limits.patience) }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place within bounds, given back when dropped.
#[derive(Debug)]
pub struct Place {
    bounds: Arc<Bounds>,
    class: Class,
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.class {
            Class::Request => self.bounds.requests.add_permits(1),
            Class::Stream => self.bounds.streams.add_permits(1),
            Class::Own => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(change: impl FnOnce(&mut Limits)) -> Arc<Bounds> {
        let mut limits =
            Limits { requests: 2, queue: 1, patience: Duration::from_secs(60), streams: 1, rate: None };
        change(&mut limits);
        Arc::new(Bounds::new(limits))
    }

    #[tokio::test]
    async fn a_place_is_given_back_and_waited_for_by_so_many() {
        let bounds = bounds(|_| {});
        let first = bounds.enter(Class::Request).await.unwrap();
        let _second = bounds.enter(Class::Request).await.unwrap();
        let waiting = tokio::spawn({
            let bounds = Arc::clone(&bounds);
            async move { bounds.enter(Class::Request).await.map(drop) }
        });
        while bounds.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let over = bounds.enter(Class::Request).await.unwrap_err();
        assert_eq!(
            (over.bound, over.limit, over.to_string().as_str()),
            (Bound::Requests, 2, "over the bound of 2 requests under way")
        );
        drop(first);
        waiting.await.unwrap().unwrap();
        bounds.enter(Class::Request).await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_and_leaves_the_queue() {
        let bounds = bounds(|limits| limits.patience = Duration::from_millis(1));
        let _all = [bounds.enter(Class::Request).await.unwrap(), bounds.enter(Class::Request).await.unwrap()];
        for _ in 0..3 {
            assert_eq!(bounds.enter(Class::Request).await.unwrap_err().bound, Bound::Requests);
        }
    }

    #[tokio::test]
    async fn streams_and_our_own_have_nothing_to_do_with_requests() {
        let bounds = bounds(|limits| (limits.requests, limits.queue) = (0, 0));
        let stream = bounds.enter(Class::Stream).await.unwrap();
        assert_eq!(bounds.enter(Class::Stream).await.unwrap_err().bound, Bound::Streams);
        drop(stream);
        bounds.enter(Class::Stream).await.unwrap();
        let _own: Vec<_> =
            [bounds.enter(Class::Own).await.unwrap(), bounds.enter(Class::Own).await.unwrap()].into();
        assert_eq!(bounds.enter(Class::Request).await.unwrap_err().bound, Bound::Requests);
    }

    #[tokio::test]
    async fn a_rate_is_for_requests_and_streams_together_and_refusals_hold_no_place() {
        let bounds = bounds(|limits| limits.rate = NonZeroU32::new(1));
        bounds.enter(Class::Stream).await.unwrap();
        for _ in 0..9 {
            let over = bounds.enter(Class::Request).await.unwrap_err();
            assert_eq!((over.bound, over.limit), (Bound::Rate, 1));
            assert!(over.retry_after <= Duration::from_secs(1) && !over.retry_after.is_zero());
        }
        assert_eq!(bounds.requests.available_permits(), 2);
    }
}
