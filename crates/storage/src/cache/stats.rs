//! What the cache tells of itself, for metrics: numbers that are kept anyway, or counted on the way.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Cache, resource::Resource};
use crate::{Revision, keys};

/// Sizes over all resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Resources that have, had, or were watched for objects.
    pub resources: usize,
    /// Cached objects.
    pub objects: usize,
    /// Bytes of their JSON.
    pub bytes: usize,
    /// Live watchers.
    pub watchers: usize,
    /// The last revision that reads see.
    pub applied_revision: Revision,
    /// Events kept for resuming.
    pub window_events: usize,
    /// Bytes of the JSON in these events.
    pub window_bytes: usize,
    /// Bytes of events that are kept encoded.
    pub encoding_bytes: usize,
    /// How often an event was encoded.
    pub encodings: u64,
    /// How often it was not, since another watcher had asked for the same.
    pub encodings_shared: u64,
}

/// What is known of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceStats {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// Cached objects.
    pub objects: usize,
    /// Bytes of their JSON.
    pub bytes: usize,
    /// Live watchers.
    pub watchers: usize,
    /// Events kept for resuming.
    pub window_events: usize,
    /// Bytes of the JSON in these events.
    pub window_bytes: usize,
    /// The oldest revision that a watch can resume after.
    pub oldest_revision: Revision,
    /// Events that came from the store.
    pub received: u64,
    /// Events that were handed to watchers.
    pub dispatched: u64,
    /// Watchers that were ended since they had fallen off the window.
    pub terminated: u64,
    /// Snapshots that were taken for lists.
    pub lists: u64,
    /// How often the objects were read as a whole: at the start, and when the feed lost history.
    pub initializations: u64,
}

/// The upper bounds of [`ReadStats::waits`], in seconds; upstream's.
pub const WAIT_BOUNDS: [f64; 13] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0];

/// How reads found the cache.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadStats {
    /// Reads that asked for the newest state, and got it.
    pub consistent: u64,
    /// Reads that asked for it, and failed.
    pub failed: u64,
    /// Reads that had to wait until the cache was new enough, by how long, each in the first bound of [`WAIT_BOUNDS`]
    /// that covers it, or behind the last.
    pub waits: [u64; WAIT_BOUNDS.len() + 1],
    /// How long they waited together, in seconds.
    pub waited: f64,
}

/// [`ReadStats`] as they are counted.
#[derive(Default)]
pub(super) struct Reads {
    consistent: AtomicU64,
    failed: AtomicU64,
    waits: [AtomicU64; WAIT_BOUNDS.len() + 1],
    waited_micros: AtomicU64,
}

impl Reads {
    pub(super) fn consistent(&self, success: bool) {
        let counter = if success { &self.consistent } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn waited(&self, time: Duration) {
        let bucket = WAIT_BOUNDS.iter().position(|bound| time.as_secs_f64() <= *bound);
        self.waits[bucket.unwrap_or(WAIT_BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn stats(&self) -> ReadStats {
        ReadStats {
            consistent: self.consistent.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waits: std::array::from_fn(|bucket| self.waits[bucket].load(Ordering::Relaxed)),
            waited: Duration::from_micros(self.waited_micros.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

impl Cache {
    /// Sizes over all resources; costs one step for each.
    pub fn stats(&self) -> CacheStats {
        let (encoding_bytes, encodings, encodings_shared) = self.shared.encodings.stats();
        let stats = CacheStats {
            watchers: self.shared.watchers.load(Ordering::Relaxed),
            applied_revision: self.shared.applied(),
            encoding_bytes,
            encodings,
            encodings_shared,
            ..CacheStats::default()
        };
        self.resources().into_iter().fold(stats, |stats, resource| CacheStats {
            resources: stats.resources + 1,
            objects: stats.objects + resource.objects,
            bytes: stats.bytes + resource.bytes,
            window_events: stats.window_events + resource.window_events,
            window_bytes: stats.window_bytes + resource.window_bytes,
            ..stats
        })
    }

    /// Each resource by itself, in the order of keys.
    pub fn resources(&self) -> Vec<ResourceStats> {
        let resources = self.shared.registry.all();
        resources.iter().filter_map(|(prefix, resource)| of(prefix, resource)).collect()
    }

    /// How reads found the cache.
    pub fn reads(&self) -> ReadStats {
        self.shared.reads.stats()
    }
}

fn of(prefix: &str, resource: &Resource) -> Option<ResourceStats> {
    let (group, plural) = keys::resource_of(prefix)?;
    let (state, counts) = (resource.state(), &resource.counts);
    Some(ResourceStats {
        group: group.to_owned(),
        resource: plural.to_owned(),
        objects: state.objects.len(),
        bytes: state.object_bytes,
        watchers: resource.waiters.count(),
        window_events: state.events.len(),
        window_bytes: state.event_bytes,
        oldest_revision: state.oldest,
        received: counts.received.load(Ordering::Relaxed),
        dispatched: counts.dispatched.load(Ordering::Relaxed),
        terminated: counts.terminated.load(Ordering::Relaxed),
        lists: counts.lists.load(Ordering::Relaxed),
        initializations: 1 + counts.resyncs.load(Ordering::Relaxed),
    })
}
