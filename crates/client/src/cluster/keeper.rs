//! The one task of a cluster. It finds out in the background what no client should have to wait for: whether an
//! endpoint that could not be reached is back, and whether one that says nothing is still there. While nothing is under
//! way and nothing is wrong, it sleeps.

use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    /// Of each endpoint.
    silences: Vec<Silence>,
    /// End with the keeper.
    knocks: JoinSet<()>,
}

impl Keeper {
    pub(super) fn new(cluster: Arc<Inner>) -> Self {
        let silences = cluster.endpoints.iter().map(|_| Silence::default()).collect();
        Self { cluster, silences, knocks: JoinSet::new() }
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

    /// Whether requests wait, or something is wrong that another cluster with the same endpoint may see end.
    fn is_busy(&self) -> bool {
        self.cluster.endpoints.iter().any(|endpoint| endpoint.waiting() > 0 || endpoint.is_unreachable())
    }

    fn look(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        cluster.tell();
        for (index, endpoint) in cluster.endpoints.iter().enumerate() {
            if endpoint.is_unreachable() {
                self.spawn(endpoint, knock::until_reached(Arc::clone(&cluster), Arc::clone(endpoint)));
            } else if self.silences[index].look(endpoint.waiting(), endpoint.answers()) {
                self.spawn(endpoint, knock::once(Arc::clone(&cluster), Arc::clone(endpoint)));
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
