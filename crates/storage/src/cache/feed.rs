//! The only writer of the cache: one task that folds the store's event stream into the snapshots. It reports what it
//! cannot follow instead of ending, so that reads wait or fail rather than being silently old.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    task::Waker,
    time::Duration,
};

use super::{
    CacheOptions, Progress, Shared, WatchEvent, registry,
    resource::{Resource, State},
    resync, windows,
};
use crate::{Batch, Event, EventKind, KeyValue, Revision, StoreError, Watch, keys};

/// The pause before asking a store again that has just failed.
const RETRY: Duration = Duration::from_secs(1);

/// Applies what the store already has, up to `revision`.
pub(super) async fn catch_up(
    shared: &Shared,
    watch: &mut Watch,
    revision: Revision,
) -> Result<(), StoreError> {
    while shared.applied() < revision {
        let Batch { events, revision } = watch.next().await.ok_or(StoreError::Closed)??;
        apply(shared, &events, revision);
    }
    Ok(())
}

/// Follows the store until the cache stops.
pub(super) async fn run(shared: Arc<Shared>, watch: Watch) {
    let _ending = Ending(&shared);
    tokio::select! {
        () = shared.stopping.cancelled() => {}
        () = follow(&shared, watch) => {}
    }
}

/// Reports the end of the feed, also when it panics.
struct Ending<'a>(&'a Shared);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| progress.broken = Some("ended".into()));
    }
}

async fn follow(shared: &Shared, mut watch: Watch) {
    loop {
        match watch.next().await {
            Some(Ok(Batch { events, revision })) => {
                apply(shared, &events, revision);
                // The store may always have more: let others run, and see a stop.
                tokio::task::yield_now().await;
                continue;
            }
            Some(Err(StoreError::Compacted { .. })) => {}
            Some(Err(error)) => pause(shared, format!("event stream: {error}")).await,
            None => pause(shared, "event stream: ended".into()).await,
        }
        watch = reconnect(shared).await;
    }
}

async fn pause(shared: &Shared, reason: String) {
    tracing::warn!(reason, "cache feed is broken, retrying");
    shared.progress.send_modify(|progress| progress.broken = Some(reason));
    tokio::time::sleep(RETRY).await;
}

async fn reconnect(shared: &Shared) -> Watch {
    loop {
        match connect(shared).await {
            Ok(watch) => {
                shared.progress.send_modify(|progress| progress.broken = None);
                return watch;
            }
            Err(reason) => pause(shared, reason).await,
        }
    }
}

/// Goes on where the feed was; when that is no longer possible, reads the whole store and makes up for the difference.
async fn connect(shared: &Shared) -> Result<Watch, String> {
    match shared.store.watch(shared.applied()).await {
        Err(StoreError::Compacted { .. }) => {}
        watch => return watch.map_err(|error| error.to_string()),
    }
    let range = shared.store.range(keys::ROOT, None).await.map_err(|error| error.to_string())?;
    let revision = range.revision;
    let events = resync::difference(shared, range)?;
    tracing::warn!(
        from = shared.applied(),
        to = revision,
        events = events.len(),
        "cache feed lost history, resynced"
    );
    shared.registry.add_gap(shared.applied(), revision);
    for resource in shared.registry.all().values() {
        resource.counts.resyncs.fetch_add(1, Ordering::Relaxed);
    }
    apply(shared, &events, revision);
    shared.store.watch(revision).await.map_err(|error| error.to_string())
}

/// Folds in a batch, after which everything up to `revision` is visible. One without events wakes only those who wait for
/// its revision.
fn apply(shared: &Shared, batch: &[Arc<Event>], revision: Revision) {
    let mut touched = BTreeMap::<&str, Touched<'_>>::new();
    for event in batch {
        let Some(prefix) = keys::prefix_of(&event.key) else { continue };
        let touched =
            touched.entry(prefix).or_insert_with(|| Touched::new(shared.registry.find_or_create(prefix)));
        touched.apply(event);
    }
    // First all snapshots and the notes that there is something new in them, then the revision that they are said to
    // have, then those who wait.
    let wakers: Vec<Waker> =
        touched.into_iter().flat_map(|(prefix, touched)| touched.publish(shared, prefix, revision)).collect();
    windows::shrink(shared);
    shared.applied.fetch_max(revision, Ordering::AcqRel);
    shared.progress.send_if_modified(|progress: &mut Progress| {
        let advanced = revision > progress.revision;
        progress.revision = progress.revision.max(revision);
        advanced
    });
    wakers.into_iter().for_each(Waker::wake);
}

/// A resource that a batch changes.
struct Touched<'a> {
    resource: Arc<Resource>,
    state: State,
    bytes_before: usize,
    changes: Vec<&'a Event>,
    made: Vec<Arc<WatchEvent>>,
}

impl<'a> Touched<'a> {
    fn new(resource: Arc<Resource>) -> Self {
        let state = State::clone(&resource.state());
        let bytes_before = state.event_bytes;
        Self { resource, state, bytes_before, changes: Vec::new(), made: Vec::new() }
    }

    fn apply(&mut self, event: &'a Event) {
        self.made.extend(self.state.apply(&event.key, object_of(event), event.revision));
        self.changes.push(event);
    }

    /// Makes the new state visible, and gives the wakers of those whom it concerns.
    fn publish(mut self, shared: &Shared, prefix: &str, revision: Revision) -> Vec<Waker> {
        let CacheOptions { window_events, window_bytes, .. } = shared.options;
        self.state.revision = revision;
        self.state.trim(window_events, window_bytes);
        // Only the feed writes this: nothing is lost between the two steps.
        let total = shared.window_bytes.load(Ordering::Relaxed);
        shared.window_bytes.store(total + self.state.event_bytes - self.bytes_before, Ordering::Relaxed);
        let resource = self.resource;
        resource.counts.received.fetch_add(self.changes.len() as u64, Ordering::Relaxed);
        resource.publish(self.state);
        resource.recent.extend(self.made, &shared.encodings);
        resource.waiters.alert(prefix, self.changes.iter().map(|event| (&*event.key, event.revision)))
    }
}

fn object_of(event: &Event) -> Option<super::Object> {
    let EventKind::Put { value, .. } = &event.kind else { return None };
    let Event { key, revision, create_revision, .. } = event;
    registry::parse(&KeyValue {
        key: key.clone(),
        value: value.clone(),
        create_revision: *create_revision,
        mod_revision: *revision,
    })
}
