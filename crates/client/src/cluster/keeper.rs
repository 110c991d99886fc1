//! The one task of a cluster. It finds out in the background what no client should have to wait for: whether an
//! endpoint that could not be reached is back, and whether one that says nothing is still there. While nothing is under
//! way and nothing is wrong, it sleeps.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::inner::Inner;
use super::knock;

/// How often endpoints are looked at while requests wait for answers.
const LOOK: Duration = Duration::from_millis(250);
/// After so many looks in which requests waited and no answer began, an endpoint is knocked at.
const SILENT_LOOKS: u32 = 2;
/// An endpoint that is there but slow is knocked at less and less often, down to once in so many looks.
const MOST_LOOKS: u32 = 64;

pub(super) struct Keeper {
    cluster: Arc<Inner>,
    watched: Vec<Watched>,
    /// End with the keeper.
    knocks: JoinSet<()>,
}

/// What the keeper remembers of an endpoint.
struct Watched {
    endpoint: Weak<Endpoint>,
    silence: Silence,
}

impl Keeper {
    pub(super) fn new(cluster: Arc<Inner>) -> Self {
        Self { cluster, watched: Vec::new(), knocks: JoinSet::new() }
    }

    /// Keeps until the task is aborted.
    pub(super) async fn keep(mut self) {
        loop {
            while self.knocks.try_join_next().is_some() {}
            self.look();
            let cluster = &self.cluster;
            cluster.awake.store(self.is_busy(), Ordering::SeqCst);
            // Whoever came before it was said that we sleep has not woken us.
            if self.is_busy() {
                // The end of the time is as good as work.
                let _ = timeout(LOOK, cluster.work.notified()).await;
            } else {
                cluster.work.notified().await;
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.cluster.endpoints.load().iter().any(|endpoint| endpoint.waiting() > 0)
    }

    fn look(&mut self) {
        let endpoints = self.cluster.endpoints.load_full();
        self.watched.retain(|watched| watched.endpoint.strong_count() > 0);
        for endpoint in endpoints.iter() {
            if endpoint.is_unreachable() {
                self.spawn(endpoint, knock::until_reached(Arc::clone(&self.cluster), Arc::clone(endpoint)));
            } else if self.silence_of(endpoint).look(endpoint.waiting(), endpoint.answers()) {
                self.spawn(endpoint, knock::once(Arc::clone(&self.cluster), Arc::clone(endpoint)));
            }
        }
    }

    /// Knocks, unless somebody does already.
    fn spawn(&mut self, endpoint: &Arc<Endpoint>, knocking: impl Future<Output = ()> + Send + 'static) {
        if let Some(place) = endpoint.take_place_at_the_door() {
            self.knocks.spawn(async move {
                knocking.await;
                drop(place);
            });
        }
    }

    fn silence_of(&mut self, endpoint: &Arc<Endpoint>) -> &mut Silence {
        let is_it = |watched: &Watched| watched.endpoint.as_ptr() == Arc::as_ptr(endpoint);
        let index = self.watched.iter().position(is_it).unwrap_or_else(|| {
            self.watched.push(Watched { endpoint: Arc::downgrade(endpoint), silence: Silence::default() });
            self.watched.len() - 1
        });
        &mut self.watched[index].silence
    }
}

/// How long an endpoint has said nothing.
struct Silence {
    answers: u64,
    /// Looks since the last answer, or knock, in which requests waited.
    looks: u32,
    /// The number of looks at which it is knocked at.
    enough: u32,
}

impl Default for Silence {
    fn default() -> Self {
        Self { answers: 0, looks: 0, enough: SILENT_LOOKS }
    }
}

impl Silence {
    /// Whether the endpoint is to be knocked at, after another look at it: so many requests wait, and so many answers
    /// have begun since the beginning.
    fn look(&mut self, waiting: usize, answers: u64) -> bool {
        if waiting == 0 || answers != self.answers {
            *self = Self { answers, ..Self::default() };
            return false;
        }
        self.looks += 1;
        let due = self.looks >= self.enough;
        if due {
            (self.looks, self.enough) = (0, (self.enough * 2).min(MOST_LOOKS));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_while_requests_wait_counts_and_is_asked_about_less_and_less() {
        let mut silence = Silence::default();
        assert!(!(0..100).any(|_| silence.look(0, 0)), "nobody waits");
        assert!(!(1..100).any(|answers| silence.look(9, answers)), "it speaks");
        let knocks: Vec<_> = (1..400).filter(|_| silence.look(9, 99)).collect();
        assert_eq!(knocks, [2, 6, 14, 30, 62, 126, 190, 254, 318, 382]);
        assert!(!silence.look(9, 100));
        assert_eq!((0..2).map(|_| silence.look(9, 100)).collect::<Vec<_>>(), [false, true]);
    }
}
