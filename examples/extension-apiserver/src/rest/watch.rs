//! A watch is a cursor over the store's ring: it reads on when the revision rises, and owns no task and no queue.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, Interval};
use tokio_util::sync::CancellationToken;

use super::view::View;
use super::{Call, read};
use crate::flight::Flight;
use crate::query::Query;
use crate::respond::{self, Body};
use crate::selector::Filter;
use crate::status::{Cause, Status};
use crate::store::{Event, Store};

/// How long a watch runs that says nothing, and how long one may run that does.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const MAX_TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// How often a quiet watch gets a bookmark.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);

/// Where a watch begins.
#[derive(Debug, PartialEq, Eq)]
enum Start {
    /// With the present state as `ADDED`; `marked` asks for the bookmark that ends it.
    State { marked: bool },
    /// With the change after this revision.
    After(u64),
}

/// One client's view of the changes.
struct Watcher {
    store: Arc<Store>,
    revisions: watch::Receiver<u64>,
    shutdown: CancellationToken,
    deadline: Instant,
    /// Ticks where the client allows bookmarks.
    bookmarks: Option<Interval>,
    filter: Filter,
    view: View,
    /// The last revision that was handed out or skipped.
    cursor: u64,
    /// What is left of the present state at the start.
    initial: std::vec::IntoIter<Arc<Flight>>,
    initial_mark: bool,
    events: std::vec::IntoIter<Event>,
    first: bool,
    ended: bool,
}

/// GET of a collection with `watch=true`: newline-delimited events until the timeout, the server's end or an error.
/// A `resourceVersion` that is too old gives, as upstream, an `ERROR` event with a 410 `Status`.
pub(super) fn watch(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let start = start(call.query)?;
    let watcher = Watcher::new(call, &start)?;
    let lines = stream::unfold(watcher, |mut watcher| async move {
        let line = watcher.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(line)), watcher))
    });
    let mut response = respond::bytes(StatusCode::OK, respond::JSON, Bytes::new());
    *response.body_mut() = StreamBody::new(lines).boxed_unsync();
    Ok(response)
}

fn start(query: &Query) -> Result<Start, Status> {
    let forbidden = |field: &str, message: &str| {
        let message = format!("Forbidden: {message}");
        Err(Status::invalid("", &[Cause { field: field.to_owned(), reason: "FieldValueForbidden", message }]))
    };
    let marked = query.flag("sendInitialEvents");
    match (query.get("sendInitialEvents"), query.get("resourceVersionMatch")) {
        (Some(_), Some("NotOlderThan")) | (None, None) => {}
        (Some(_), _) => {
            return forbidden("resourceVersionMatch", "sendInitialEvents requires NotOlderThan");
        }
        (None, Some(_)) => {
            return forbidden("resourceVersionMatch", "is forbidden for watch without sendInitialEvents");
        }
    }
    if marked && !query.flag("allowWatchBookmarks") {
        return forbidden("allowWatchBookmarks", "sendInitialEvents requires it");
    }
    match read::revision(query)? {
        Some(revision) if revision > 0 && !marked => Ok(Start::After(revision)),
        _ => Ok(Start::State { marked }),
    }
}

fn timeout(query: &Query) -> Result<Duration, Status> {
    let Some(text) = query.get("timeoutSeconds") else { return Ok(DEFAULT_TIMEOUT) };
    let seconds = text.parse::<u64>().map_err(|_| {
        Status::bad_request(format!("timeoutSeconds: Invalid value: {text:?}: not a number of seconds"))
    })?;
    Ok(if seconds == 0 { DEFAULT_TIMEOUT } else { Duration::from_secs(seconds).min(MAX_TIMEOUT) })
}

impl Watcher {
    fn new(call: &Call<'_>, start: &Start) -> Result<Self, Status> {
        let filter = Filter::parse(call.target.namespace, call.query)?;
        let snapshot = call.store.list(&filter);
        let asked = read::revision(call.query)?.unwrap_or_default();
        if asked > snapshot.revision {
            return Err(Status::too_new(asked, snapshot.revision));
        }
        let (cursor, initial) = match start {
            Start::State { .. } => (snapshot.revision, snapshot.flights),
            Start::After(revision) => (*revision, Vec::new()),
        };
        let now = Instant::now();
        let bookmarks = call.query.flag("allowWatchBookmarks");
        let interval = || tokio::time::interval_at(now + BOOKMARK_INTERVAL, BOOKMARK_INTERVAL);
        Ok(Self {
            store: Arc::clone(call.store),
            revisions: call.store.subscribe(),
            shutdown: call.shutdown.clone(),
            deadline: now + timeout(call.query)?,
            bookmarks: bookmarks.then(interval),
            filter,
            view: call.view()?,
            cursor,
            initial: initial.into_iter(),
            initial_mark: *start == Start::State { marked: true },
            events: Vec::new().into_iter(),
            first: true,
            ended: false,
        })
    }

    /// The next line, or `None` once the watch has ended.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(line) = self.ready() {
                return Some(line);
            }
            if self.is_over() {
                self.ended = true;
                return self.bookmarks.is_some().then(|| self.bookmark(false));
            }
            self.revisions.borrow_and_update();
            match self.store.since(self.cursor) {
                Ok(events) if events.is_empty() => {
                    if let Some(line) = self.idle().await {
                        return Some(line);
                    }
                }
                Ok(events) => self.events = events.into_iter(),
                Err(status) => {
                    self.ended = true;
                    return Some(line("ERROR", &status.to_json()));
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.shutdown.is_cancelled() || Instant::now() >= self.deadline
    }

    /// What can be said without waiting: the initial state, its mark, then changes at hand.
    fn ready(&mut self) -> Option<Bytes> {
        if let Some(flight) = self.initial.next() {
            return Some(self.event("ADDED", &flight));
        }
        if std::mem::take(&mut self.initial_mark) {
            return Some(self.bookmark(true));
        }
        while let Some(event) = self.events.next() {
            self.cursor = event.revision;
            if let Some(line) = self.change(&event) {
                return Some(line);
            }
        }
        None
    }

    /// Waits until something is new, a bookmark is due, or the watch is over.
    async fn idle(&mut self) -> Option<Bytes> {
        let tick = async {
            match &mut self.bookmarks {
                Some(interval) => interval.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The store owns the sender and outlives this watch, so that this never fails.
            _ = self.revisions.changed() => None,
            () = tokio::time::sleep_until(self.deadline) => None,
            () = self.shutdown.cancelled() => None,
            _ = tick => Some(self.bookmark(false)),
        }
    }

    /// The event as this filter sees it: entering the selection is `ADDED`, leaving it is `DELETED`.
    fn change(&mut self, event: &Event) -> Option<Bytes> {
        let passes = |flight: &&Arc<Flight>| self.filter.matches(flight);
        match (event.old.as_ref().filter(passes), event.new.as_ref().filter(passes)) {
            (None, None) => None,
            (None, Some(new)) => Some(self.event("ADDED", new)),
            (Some(_), Some(new)) => Some(self.event("MODIFIED", new)),
            (Some(old), None) => {
                let mut gone = Flight::clone(old);
                gone.metadata.resource_version = event.revision.to_string();
                Some(self.event("DELETED", &gone))
            }
        }
    }

    fn event(&mut self, kind: &str, flight: &Flight) -> Bytes {
        let first = std::mem::take(&mut self.first);
        line(kind, &self.view.event(flight, first))
    }

    fn bookmark(&self, initial_end: bool) -> Bytes {
        line("BOOKMARK", &self.view.bookmark(self.cursor, initial_end))
    }
}

fn line(kind: &str, object: &Value) -> Bytes {
    let mut text = json!({"type": kind, "object": object}).to_string();
    text.push('\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str) -> Result<Start, u16> {
        start(&Query::parse(query)).map_err(|status| status.code.as_u16())
    }

    #[test]
    fn where_a_watch_begins() {
        assert_eq!(check(""), Ok(Start::State { marked: false }));
        assert_eq!(check("resourceVersion=0"), Ok(Start::State { marked: false }));
        assert_eq!(check("resourceVersion=7"), Ok(Start::After(7)));
        let marked = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        assert_eq!(check(&format!("{marked}&allowWatchBookmarks=true")), Ok(Start::State { marked: true }));
        assert_eq!(check(marked), Err(422));
        assert_eq!(check("sendInitialEvents=true"), Err(422));
        assert_eq!(check("resourceVersion=x"), Err(400));
    }
}
