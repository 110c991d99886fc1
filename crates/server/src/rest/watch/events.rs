//! The body of a watch. It is polled when there is room for more, and wakes for what concerns it alone: a change, a
//! bookmark, its end, the server's.

use bytes::{Bytes, BytesMut};
use detectviz_api::options::ListOptions;
use detectviz_core::http::BoxError;
use detectviz_storage::cache::{WatchEvent, WatchKind, Watcher};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep};

use super::super::filter::Filter;
use super::super::{Call, cache_fault};
use super::MAX_SCANNED;
use super::begin::Begun;
use super::encode::{self, Encoder, Kind};
use super::initial::{Initial, Step};
use super::schedule::{Due, Schedule};
use crate::metrics::{RunningWatch, Scope};

/// About how many bytes of a watch that is behind are sent at once.
const CHUNK: usize = 16 * 1024;

/// The events of one watch.
pub(super) struct Events {
    encoder: Encoder,
    filter: Filter,
    watcher: Watcher,
    initial: Option<Initial>,
    /// Whether the end of the initial events must be marked.
    mark_initial_end: bool,
    bookmarks: bool,
    /// The revision of the last bookmark.
    marked: u64,
    schedule: Schedule,
    alarm: Pin<Box<Sleep>>,
    /// Whether several events may be sent at once.
    joined: bool,
    /// Whether there was more than could be sent at once: then what happens by itself has to be looked for.
    behind: bool,
    ended: bool,
    running: RunningWatch,
}

impl Events {
    pub(super) fn new(
        call: &Call,
        encoder: Encoder,
        filter: Filter,
        options: &ListOptions,
        begun: Begun,
        joined: bool,
    ) -> Self {
        let schedule = Schedule::new(options.timeout_seconds, options.allow_bookmarks);
        Self {
            encoder,
            filter,
            watcher: begun.watcher,
            initial: begun.initial.map(Initial::new),
            mark_initial_end: options.send_initial_events == Some(true) && options.allow_bookmarks,
            bookmarks: options.allow_bookmarks,
            marked: 0,
            alarm: Box::pin(tokio::time::sleep_until(schedule.next())),
            schedule,
            joined,
            behind: false,
            ended: false,
            running: RunningWatch::new(&call.resource, Scope::of(call.info())),
        }
    }

    fn poll_initial(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let Some(initial) = &mut self.initial else { return Poll::Ready(None) };
        let size = if self.joined { CHUNK } else { 1 };
        match initial.next(&mut self.encoder, &self.filter, size) {
            Step::Some(bytes) => Poll::Ready(Some(bytes)),
            Step::Yield => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::End(revision) => {
                self.initial = None;
                Poll::Ready(self.mark_initial_end.then(|| self.bookmark(revision, true)))
            }
        }
    }

    /// The changes that are there now, as many as fit.
    fn poll_changes(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut chunk = Chunk::default();
        self.behind = false;
        for _ in 0..MAX_SCANNED {
            match self.watcher.poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => chunk.extend(self.change(&event)),
                Poll::Ready(Some(Err(fault))) => {
                    self.ended = true;
                    chunk.extend(Some(encode::error(&cache_fault(fault))));
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    chunk.extend(self.last_bookmark());
                }
                Poll::Pending if chunk.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
            if self.ended || chunk.len() >= if self.joined { CHUNK } else { 1 } {
                self.behind = true;
                break;
            }
        }
        if chunk.is_empty() && !self.ended {
            // Many were looked at, and none selected: others get a turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(chunk.into())
    }

    /// What is to be done although nothing changed.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Asked after the watcher was left to wait: it is woken for this too.
        if self.watcher.is_draining() {
            self.ended = true;
            return Poll::Ready(self.last_bookmark());
        }
        ready!(self.alarm.as_mut().poll(cx));
        let due = self.schedule.take(Instant::now());
        self.alarm.as_mut().reset(self.schedule.next());
        match due {
            None => Poll::Ready(None),
            Some(Due::Bookmark) => Poll::Ready(Some(self.bookmark(self.watcher.progress(), false))),
            Some(Due::End) => {
                self.ended = true;
                Poll::Ready(self.last_bookmark())
            }
        }
    }

    /// A change as this watch sees it: an object that enters the selection is added, one that leaves it deleted.
    fn change(&mut self, event: &Arc<WatchEvent>) -> Option<Bytes> {
        let was = event.previous.as_ref().is_some_and(|previous| self.filter.matches(previous));
        let is = event.kind != WatchKind::Deleted && self.filter.matches(&event.object);
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => Kind::Added,
            (true, true) => Kind::Modified,
            (true, false) => Kind::Deleted,
        };
        let left = kind == Kind::Deleted && event.kind != WatchKind::Deleted;
        let last = left.then(|| event.previous.as_ref().map(|last| last.with_revision(event.revision)));
        let object = last.as_ref().map_or(Some(&*event.object), Option::as_ref)?;
        let bytes = self.encoder.change(&self.watcher, event, kind, object);
        self.running.sent(bytes.len());
        Some(bytes)
    }

    fn bookmark(&mut self, revision: u64, initial_end: bool) -> Bytes {
        self.marked = revision;
        self.encoder.bookmark(revision, initial_end)
    }

    /// A bookmark at the end, if the client does not know it yet: where it goes on without being told anything twice.
    fn last_bookmark(&mut self) -> Option<Bytes> {
        let revision = self.watcher.progress();
        let wanted = self.bookmarks && self.initial.is_none() && revision > self.marked;
        wanted.then(|| self.bookmark(revision, false))
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.ended {
            if self.initial.is_some() {
                match ready!(self.poll_initial(cx)) {
                    Some(bytes) => return Poll::Ready(Some(bytes)),
                    None => continue,
                }
            }
            if self.behind
                && let Poll::Ready(Some(bytes)) = self.poll_quiet(cx)
            {
                return Poll::Ready(Some(bytes));
            }
            if self.ended {
                break;
            }
            if let Poll::Ready(bytes) = self.poll_changes(cx)
                && !bytes.is_empty()
            {
                return Poll::Ready(Some(bytes));
            }
            if self.ended {
                break;
            }
            if let Some(bytes) = ready!(self.poll_quiet(cx)) {
                return Poll::Ready(Some(bytes));
            }
        }
        Poll::Ready(None)
    }
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Bytes that are sent at once: one event's shared ones, or a copy of several.
#[derive(Default)]
struct Chunk {
    first: Bytes,
    joined: BytesMut,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn extend(&mut self, bytes: Option<Bytes>) {
        let Some(bytes) = bytes else { return };
        if self.is_empty() {
            self.first = bytes;
            return;
        }
        let first = std::mem::take(&mut self.first);
        self.joined.extend_from_slice(&first);
        self.joined.extend_from_slice(&bytes);
    }
}

impl From<Chunk> for Bytes {
    fn from(chunk: Chunk) -> Self {
        if chunk.joined.is_empty() { chunk.first } else { chunk.joined.freeze() }
    }
}
