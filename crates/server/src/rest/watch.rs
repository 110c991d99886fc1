//! watch: the present state if asked for, then every change, an event a line. The stream holds a position, no queue.

use bytes::Bytes;
use detectviz_api::Status;
use detectviz_api::negotiate::presentation;
use detectviz_api::options::ListOptions;
use detectviz_core::http::{Body, BoxError, Response};
use detectviz_storage::cache::CacheError;
use detectviz_storage::cache::{Listing, Object, WatchEvent, WatchKind, Watcher};
use futures_util::stream;
use http::{HeaderValue, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::filter::Filter;
use super::present::View;
use super::{Call, cache_fault};
use crate::resource::Resource;

/// The most objects that are looked at before others get a turn.
const MAX_SCANNED: usize = 512;
/// How long a watch lasts at least when the client does not say; upstream's.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);
/// How often a quiet watch tells how far it is, if bookmarks are welcome.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

pub(super) async fn watch(call: Call) -> Result<Response, Status> {
    let query = &call.context.info.query;
    let view = View::new(presentation(call.accept())?, query)?;
    let options = ListOptions::parse(query, true)?;
    let filter = Filter::new(&call, &options)?;
    let events = match call.begin(&options).await {
        Ok(begun) => Events::new(&call, view, filter, &options, begun),
        // Past the checks of the request, a watch reports its faults as an event, as upstream does.
        Err(fault) => return Ok(respond(Body::full(error_line(&fault)))),
    };
    let lines = stream::unfold(events, |mut events| async move {
        let line = events.next().await?;
        Some((Ok::<_, BoxError>(Frame::data(line)), events))
    });
    Ok(respond(Body::stream(StreamBody::new(lines))))
}

fn respond(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Where a watch begins: with a state, or behind a version.
struct Begun {
    initial: Option<Listing>,
    watcher: Watcher,
}

impl Call {
    async fn begin(&self, options: &ListOptions) -> Result<Begun, Status> {
        let (cache, prefix, within) = (&self.resource.backend.cache, &self.resource.prefix, self.within());
        let initial = options.send_initial_events;
        let after = match options.resource_version {
            Some(version) if version > 0 && initial != Some(true) => Some(version),
            None if initial == Some(false) => {
                self.reach(None).await?;
                Some(cache.applied_revision())
            }
            _ => None,
        };
        match after {
            Some(version) => {
                let watcher = cache.watch(prefix, &within, version).await.map_err(cache_fault)?;
                Ok(Begun { initial: None, watcher })
            }
            None => {
                self.reach(options.resource_version).await?;
                let (listing, watcher) = cache.list_and_watch(prefix, &within);
                Ok(Begun { initial: Some(listing), watcher })
            }
        }
    }
}

struct Events {
    resource: Arc<Resource>,
    view: View,
    filter: Filter,
    watcher: Watcher,
    initial: Option<(Listing, Arc<str>)>,
    /// Whether the end of the initial events must be marked.
    mark_initial_end: bool,
    bookmarks: bool,
    ticks: Interval,
    deadline: Instant,
    ended: bool,
}

impl Events {
    fn new(call: &Call, view: View, filter: Filter, options: &ListOptions, begun: Begun) -> Self {
        let mut ticks = tokio::time::interval_at(Instant::now() + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let timeout = options
            .timeout_seconds
            .filter(|seconds| *seconds != 0)
            .map_or_else(default_timeout, |seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
        Self {
            resource: Arc::clone(&call.resource),
            view,
            filter,
            watcher: begun.watcher,
            initial: begun.initial.map(|listing| (listing, Arc::from(""))),
            mark_initial_end: options.send_initial_events == Some(true) && options.allow_bookmarks,
            bookmarks: options.allow_bookmarks,
            ticks,
            deadline: Instant::now() + timeout.min(Duration::from_secs(24 * 3600)),
            ended: false,
        }
    }

    /// The next line; `None` ends the watch cleanly.
    async fn next(&mut self) -> Option<Bytes> {
        while self.initial.is_some() {
            if let Some(line) = self.next_initial() {
                return Some(line);
            }
            tokio::task::yield_now().await;
        }
        while !self.ended {
            let step = tokio::select! {
                event = self.watcher.next() => Step::Event(event),
                _ = self.ticks.tick(), if self.bookmarks => Step::Tick,
                () = tokio::time::sleep_until(self.deadline) => Step::End,
                () = self.resource.context.draining() => Step::End,
            };
            if let Some(line) = self.line(step) {
                return Some(line);
            }
        }
        None
    }

    fn next_initial(&mut self) -> Option<Bytes> {
        let (listing, after) = self.initial.as_mut()?;
        let mut seen = None;
        for object in listing.iter_after(after).take(MAX_SCANNED) {
            seen = Some(Arc::clone(&object.key));
            if self.filter.matches(object) {
                let line = event(&self.view, &self.resource, "ADDED", object);
                *after = Arc::clone(&object.key);
                return Some(line);
            }
        }
        if let Some(seen) = seen {
            *after = seen;
            return None;
        }
        let revision = listing.revision;
        self.initial = None;
        self.mark_initial_end.then(|| self.bookmark(revision, true))
    }

    fn line(&mut self, step: Step) -> Option<Bytes> {
        match step {
            Step::Event(Some(Ok(event))) => self.change(&event),
            Step::Event(Some(Err(fault))) => {
                self.ended = true;
                Some(error_line(&cache_fault(fault)))
            }
            Step::Tick => Some(self.bookmark(self.watcher.progress(), false)),
            Step::Event(None) | Step::End => {
                self.ended = true;
                self.bookmarks.then(|| self.bookmark(self.watcher.progress(), false))
            }
        }
    }

    /// A change as this watch sees it: an object that enters the selection is added, one that leaves it deleted.
    fn change(&self, event: &WatchEvent) -> Option<Bytes> {
        let was = event.previous.as_ref().is_some_and(|previous| self.filter.matches(previous));
        let is = event.kind != WatchKind::Deleted && self.filter.matches(&event.object);
        match (was, is) {
            (false, false) => None,
            (false, true) => Some(self.event("ADDED", &event.object)),
            (true, true) => Some(self.event("MODIFIED", &event.object)),
            (true, false) if event.kind == WatchKind::Deleted => Some(self.event("DELETED", &event.object)),
            (true, false) => {
                let last = event.previous.as_ref()?.with_revision(event.revision);
                Some(self.event("DELETED", &last))
            }
        }
    }

    fn event(&self, kind: &str, object: &Object) -> Bytes {
        event(&self.view, &self.resource, kind, object)
    }

    fn bookmark(&self, revision: u64, initial_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": self.resource.kind(), "apiVersion": self.resource.api_version(), "metadata": metadata,
        });
        let shown = self.view.object(&self.resource, &Bytes::from(object.to_string()));
        shown.map_or_else(|fault| error_line(&fault), |shown| line("BOOKMARK", &shown))
    }
}

enum Step {
    Event(Option<Result<Arc<WatchEvent>, CacheError>>),
    Tick,
    End,
}

fn event(view: &View, resource: &Resource, kind: &str, object: &Object) -> Bytes {
    match view.object(resource, &object.json()) {
        Ok(shown) => line(kind, &shown),
        Err(fault) => error_line(&fault),
    }
}

/// Half an hour to an hour, spread so that clients which came together do not come back together.
fn default_timeout() -> Duration {
    let random = u64::from(u16::from_be_bytes([
        uuid::Uuid::new_v4().as_bytes()[0],
        uuid::Uuid::new_v4().as_bytes()[1],
    ]));
    DEFAULT_TIMEOUT + DEFAULT_TIMEOUT.mul_f64(random as f64 / f64::from(u16::MAX))
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(br#"{"type":""#);
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(br#"","object":"#);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

fn error_line(fault: &Status) -> Bytes {
    line("ERROR", &fault.to_json())
}
