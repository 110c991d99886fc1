//! Events are news, not state: an old one is deleted now and then. This stands in for an expiry in the store.

use detectviz_api::{Reason, Status, meta, timestamp};
use detectviz_core::{Loopback, RunContext};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

use super::retry::Pace;
use super::write::{delete, segment};

/// How long an event stays after it last happened; upstream's default of `--event-ttl`.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long to wait between two passes.
const PERIOD: Duration = Duration::from_secs(3 * 60);
/// Events a page of a list.
const PAGE: usize = 500;
/// Deletes under way at once: expiry may take its time, clients may not wait for it.
const CONCURRENT_DELETES: usize = 8;

/// Deletes old events until `context` ends.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>) {
    context.spawn(run(Arc::clone(loopback), PERIOD));
}

async fn run(loopback: Arc<dyn Loopback>, period: Duration) {
    let mut pace = Pace::new();
    loop {
        // At the start, too: nothing is served yet.
        tokio::time::sleep(period).await;
        while let Err(refusal) = pass(&*loopback, OffsetDateTime::now_utc() - LIFETIME).await {
            // The deletes themselves can outrun the list's history; what is gone then is not found again.
            if !refusal.is(Reason::Expired) {
                tracing::warn!(error = %refusal, "delete old events later");
                break;
            }
            pace.pause().await;
        }
    }
}

/// Deletes, page by page, the events that last happened before `oldest`.
async fn pass(loopback: &dyn Loopback, oldest: OffsetDateTime) -> Result<(), Status> {
    let mut from = String::new();
    loop {
        let page = loopback.get(&format!("/api/v1/events?limit={PAGE}{from}")).await?;
        let deletes =
            stream::iter(old(&page, oldest)).map(|path| async move { delete(loopback, &path).await });
        deletes.buffer_unordered(CONCURRENT_DELETES).try_collect::<()>().await?;
        match page.pointer("/metadata/continue").and_then(Value::as_str).unwrap_or_default() {
            "" => return Ok(()),
            next => from = format!("&continue={}", segment(next)),
        }
    }
}

/// The paths of the events of `page` that last happened before `oldest`.
fn old(page: &Value, oldest: OffsetDateTime) -> Vec<String> {
    let events = page["items"].as_array().into_iter().flatten();
    let old = events.filter(|event| last_seen(event).is_some_and(|at| at < oldest));
    old.map(|event| {
        let name = segment(meta::name(event));
        format!("/api/v1/namespaces/{}/events/{name}", meta::namespace(event))
    })
    .collect()
}

/// When the event last happened, as far as it says; both generations of clients are understood.
fn last_seen(event: &Value) -> Option<OffsetDateTime> {
    let fields = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    fields.iter().find_map(|field| timestamp::parse(event.pointer(field)?.as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use serde_json::json;

    #[tokio::test]
    async fn only_events_that_last_happened_too_long_ago_go() {
        let fake = Fake::new();
        let (old, new) = ("2026-01-01T00:59:59Z", "2026-01-01T01:00:00.000000Z");
        for (name, event) in [
            ("last-old", json!({"lastTimestamp": old, "eventTime": new})),
            ("last-new", json!({"lastTimestamp": new, "eventTime": old})),
            (
                "series-new",
                json!({"series": {"lastObservedTime": new}, "lastTimestamp": null, "eventTime": old}),
            ),
            ("time-old", json!({"lastTimestamp": null, "eventTime": old})),
            ("created-old", json!({"metadata": {"creationTimestamp": old}})),
            ("created-new", json!({"metadata": {"creationTimestamp": new}})),
            ("no-time", json!({})),
        ] {
            let mut event = event;
            event["metadata"]["name"] = name.into();
            event["metadata"]["namespace"] = "a".into();
            event["involvedObject"] = json!({"namespace": "a"});
            fake.loopback().create("/api/v1/namespaces/a/events", &event).await.unwrap();
        }
        let map = json!({"metadata": {"name": "m", "creationTimestamp": old}});
        fake.loopback().create("/api/v1/namespaces/a/configmaps", &map).await.unwrap();
        pass(&*fake.loopback(), timestamp::parse("2026-01-01T01:00:00Z").unwrap()).await.unwrap();
        let left =
            ["configmaps/m", "events/created-new", "events/last-new", "events/no-time", "events/series-new"];
        assert_eq!(fake.paths_in("a"), left);
    }

    #[tokio::test]
    async fn a_pass_that_failed_is_made_again() {
        let fake = Fake::new();
        let event = json!({"metadata": {"name": "e", "namespace": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "involvedObject": {"namespace": "a"}});
        fake.loopback().create("/api/v1/namespaces/a/events", &event).await.unwrap();
        fake.fail_next(1);
        tokio::select! {
            () = run(fake.loopback(), Duration::from_millis(1)) => {}
            () = fake.until(|fake| fake.paths_in("a").is_empty()) => {}
        }
    }
}
