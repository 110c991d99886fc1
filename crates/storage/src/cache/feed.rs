//! The only writer of the cache: one task that folds the store's event stream into the snapshots. It reports what it
//! cannot follow instead of ending, so that reads wait or fail rather than being silently old.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Progress, Shared, registry,
    resource::{Resource, State},
    resync,
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
    apply(shared, &events, revision);
    shared.store.watch(revision).await.map_err(|error| error.to_string())
}

/// Folds in a batch, after which everything up to `revision` is visible.
fn apply(shared: &Shared, batch: &[Arc<Event>], revision: Revision) {
    let mut touched = BTreeMap::<&str, (Arc<Resource>, State)>::new();
    for event in batch {
        let Some(prefix) = keys::prefix_of(&event.key) else { continue };
        let (_, state) = touched.entry(prefix).or_insert_with(|| {
            let resource = shared.registry.find_or_create(prefix);
            let state = State::clone(&resource.state());
            (resource, state)
        });
        state.apply(&event.key, object_of(event), event.revision);
    }
    let resources = touched.into_values().map(|(resource, mut state)| {
        state.revision = revision;
        state.trim(&shared.options);
        resource.publish(state);
        resource
    });
    // First all snapshots, then the revision that they are said to have, then those who wait.
    let resources: Vec<_> = resources.collect();
    shared.applied.store(revision, Ordering::Release);
    for resource in resources {
        resource.changed.send_replace(());
    }
    shared.progress.send_modify(|progress: &mut Progress| progress.revision = revision);
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
