//! A watcher is a position in a resource's window. It queues nothing, so that a slow one costs nothing until it falls
//! off the window; and it sleeps until something happens that concerns it, whatever else does.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{CacheError, Form, Shared, WatchEvent, resource::Resource, waiters::Waiter};
use crate::{Revision, keys};

/// A stream of the changes under a prefix, or of one key.
pub struct Watcher {
    shared: Arc<Shared>,
    resource: Arc<Resource>,
    waiter: Arc<Waiter>,
    /// Its place among the waiters.
    number: u64,
    within: Box<str>,
    /// Everything up to here was delivered, or does not concern it.
    position: Revision,
    ended: bool,
}

impl Watcher {
    /// A watcher of what comes after `position`.
    pub(super) fn after(
        shared: Arc<Shared>,
        resource: Arc<Resource>,
        within: &str,
        position: Revision,
    ) -> Self {
        Self::new(shared, resource, within, Some(position))
    }

    /// A watcher of what comes after the state that the caller takes next, and then sets by [`Self::start_at`].
    pub(super) fn from_now(shared: Arc<Shared>, resource: Arc<Resource>, within: &str) -> Self {
        Self::new(shared, resource, within, None)
    }

    fn new(shared: Arc<Shared>, resource: Arc<Resource>, within: &str, after: Option<Revision>) -> Self {
        shared.watchers.fetch_add(1, Ordering::Relaxed);
        let (number, waiter) = resource.waiters.add(within, after);
        let position = after.unwrap_or_default();
        Self { shared, resource, waiter, number, within: within.into(), position, ended: false }
    }

    pub(super) fn start_at(&mut self, position: Revision) {
        self.position = position;
    }

    /// Waits for the next change; cancel-safe. A watcher that fell off the window ends with [`CacheError::Expired`];
    /// `None` after that, and when the cache stops.
    pub async fn next(&mut self) -> Option<Result<Arc<WatchEvent>, CacheError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Self::next`] for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Arc<WatchEvent>, CacheError>>> {
        while !self.ended {
            let news = self.poll_news(cx);
            // Asked after the waker was left: a stop that came before it is seen here, a later one wakes it.
            if self.shared.stopped.load(Ordering::Acquire) {
                if news.is_ready() {
                    // What was not looked at stays undelivered, and progress short of it.
                    self.waiter.note(self.position);
                }
                break;
            }
            ready!(news);
            if let Some(result) = self.take().transpose() {
                self.ended = result.is_err();
                return Poll::Ready(Some(result));
            }
        }
        self.ended = true;
        Poll::Ready(None)
    }

    /// Whether watches are to end; who waits in [`Self::poll_next`] is woken when this changes.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// The event as bytes, made by `encode` unless another watcher of the resource asked for the same form before.
    pub fn encoded(&self, event: &Arc<WatchEvent>, form: Form, encode: impl FnOnce() -> Bytes) -> Bytes {
        // For a watcher that is alone the bytes would be kept for nothing.
        match self.resource.waiters.count() {
            0 | 1 => self.shared.encodings.encode(encode),
            _ => self.shared.encodings.get(event, form, encode),
        }
    }

    /// The revision up to which everything was delivered, for bookmarks. It also advances when other resources change.
    pub fn progress(&self) -> Revision {
        // Loaded before the note is looked at, which is left before this revision is reached.
        let applied = self.shared.applied();
        match self.waiter.news() {
            None => self.position.max(applied),
            Some(news) => self.delivered(self.position.max(news), applied),
        }
    }

    fn delivered(&self, position: Revision, applied: Revision) -> Revision {
        let state = self.resource.peek();
        let mut pending = state.events.range(position + 1..);
        if state.check(position).is_err() || pending.any(|(_, event)| self.concerns(event)) {
            return position;
        }
        position.max(applied).max(state.revision)
    }

    /// Waits until there may be something behind the position, which goes as far as nothing is.
    fn poll_news(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.waiter.take_news_or_wait(cx.waker()) {
            Some(news) => {
                self.position = self.position.max(news);
                Poll::Ready(())
            }
            None => Poll::Pending,
        }
    }

    fn take(&mut self) -> Result<Option<Arc<WatchEvent>>, CacheError> {
        let state = self.resource.peek();
        if let Err(expired) = state.check(self.position) {
            self.resource.counts.terminated.fetch_add(1, Ordering::Relaxed);
            return Err(expired);
        }
        for (revision, event) in state.events.range(self.position + 1..) {
            self.position = *revision;
            if self.concerns(event) {
                // There may be more.
                self.waiter.note(*revision);
                self.resource.counts.dispatched.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(event.clone()));
            }
        }
        self.position = self.position.max(state.revision);
        Ok(None)
    }

    fn concerns(&self, event: &WatchEvent) -> bool {
        keys::is_within(&event.object.key, &self.within)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watchers.fetch_sub(1, Ordering::Relaxed);
        if self.resource.waiters.remove(&self.within, self.number) == 0 {
            self.resource.recent.forget(&self.shared.encodings);
        }
    }
}
