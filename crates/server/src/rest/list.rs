//! list: a snapshot, sent item by item as the client reads; nothing is collected first. A client that stalls holds the
//! snapshot and one chunk.

use bytes::{Bytes, BytesMut};
use detectviz_api::Status;
use detectviz_api::options::ListOptions;
use detectviz_core::http::{Body, BoxError, Response};
use detectviz_storage::cache::Object;
use http_body::{Body as HttpBody, Frame};
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Call;
use super::filter::Filter;
use super::output::Output;
use super::page::{Page, next_page};
use super::present::View;
use super::source::Source;
use crate::encode::Encoder;
use crate::resource::Resource;

/// About how many bytes are sent at once, and how far an item usually goes beyond.
const CHUNK: usize = 32 * 1024;
const BEYOND: usize = 2 * 1024;
/// The most objects that are looked at before others get a turn.
const MAX_SCANNED: usize = 512;

pub(super) async fn list(call: Call) -> Result<Response, Status> {
    let output = call.list_output()?;
    let options = ListOptions::parse(&call.context.info.query, false)?;
    let selection = call.select(&options).await?;
    output.stream(Body::stream(selection.body(&output))).await
}

/// What a list, or the deletion of a collection, is about: objects of one snapshot.
pub(super) struct Selection {
    resource: Arc<Resource>,
    filter: Filter,
    source: Source,
    /// The keys of the path, which tokens are relative to.
    base: String,
    /// How many objects can be selected at all.
    max_scanned: usize,
    limit: usize,
    /// The key behind which it begins.
    after: Arc<str>,
    /// How many objects there were from this page on, if the page before told.
    left: Option<usize>,
}

impl Selection {
    /// The list of what is selected.
    pub(super) fn body(self, output: &Output) -> impl HttpBody<Data = Bytes, Error = BoxError> + use<> {
        let next = Next::Head(Arc::clone(&self.after));
        ListBody { selection: self, view: output.view, encoder: output.encoder(), sent: 0, next }
    }
}

/// Goes through the keys of a [`Selection`], some at a time.
pub(super) struct Deleting {
    after: Arc<str>,
    scanned: usize,
    left: usize,
}

impl Deleting {
    pub(super) fn new(selection: &Selection) -> Self {
        Self { after: Arc::clone(&selection.after), scanned: 0, left: selection.limit }
    }

    /// The next keys that are selected, of as many objects as are looked at in a turn; `None` at the end.
    pub(super) fn next(&mut self, selection: &Selection) -> Option<Vec<Arc<str>>> {
        let (mut keys, mut seen) = (Vec::new(), 0);
        let start = Arc::clone(&self.after);
        for object in selection.source.after(&start) {
            if self.scanned == selection.max_scanned || self.left == 0 || seen == MAX_SCANNED {
                break;
            }
            (self.scanned, seen) = (self.scanned + 1, seen + 1);
            self.after = Arc::clone(&object.key);
            if selection.filter.matches(&object) {
                self.left -= 1;
                keys.push(Arc::clone(&object.key));
            }
        }
        (seen > 0).then_some(keys)
    }
}

/// What a list is about.
pub(super) struct Scope {
    /// The keys of the path.
    pub(super) base: String,
    /// Those of them that the selectors leave over: a part of `base`.
    pub(super) within: String,
    /// Whether at most the first key of `within` is selected, as when it is a whole key.
    pub(super) one: bool,
}

impl Call {
    /// The keys that the path is about.
    pub(super) fn within(&self) -> String {
        match self.info().namespace().filter(|_| self.resource.definition.is_namespaced()) {
            Some(namespace) => detectviz_storage::keys::namespace_prefix(&self.resource.prefix, namespace),
            None => self.resource.prefix.clone(),
        }
    }

    /// What `options` select of the path.
    ///
    /// # Errors
    /// 400 for what cannot be selected by, and whatever keeps a page from being read.
    pub(super) async fn select(&self, options: &ListOptions) -> Result<Selection, Status> {
        let filter = Filter::new(self, options)?;
        let scope = self.scope(options);
        // With selectors, nobody knows how many objects have to be looked at for a page.
        let most = options.limit.filter(|_| filter.selects_all());
        let Page { source, after, left } = self.page(options, &scope, most).await?;
        Ok(Selection {
            resource: Arc::clone(&self.resource),
            filter,
            source,
            base: scope.base,
            max_scanned: if scope.one { 1 } else { usize::MAX },
            limit: options.limit.unwrap_or(usize::MAX),
            after: after.into(),
            left,
        })
    }

    /// The keys that a list has to look at: a name is looked up, a namespace is gone through alone.
    fn scope(&self, options: &ListOptions) -> Scope {
        let (prefix, namespaced) = (&self.resource.prefix, self.resource.definition.is_namespaced());
        let namespace = self.info().namespace().or(options.fields.exact("metadata.namespace"));
        let namespace = namespace.filter(|_| namespaced);
        let name = Some(self.info().name.as_str()).filter(|name| !name.is_empty());
        let (within, one) = match (namespace, name) {
            (Some(_), Some(name)) => (detectviz_storage::keys::object_key(prefix, namespace, name), true),
            (None, Some(name)) if !namespaced => {
                (detectviz_storage::keys::object_key(prefix, None, name), true)
            }
            (Some(namespace), None) => (detectviz_storage::keys::namespace_prefix(prefix, namespace), false),
            (None, _) => (prefix.clone(), false),
        };
        Scope { base: self.within(), within, one }
    }
}

enum Next {
    /// The head, then what stands behind this key.
    Head(Arc<str>),
    /// What stands behind this key.
    After(Arc<str>),
    End,
}

struct ListBody {
    selection: Selection,
    view: View,
    encoder: Encoder,
    sent: usize,
    next: Next,
}

impl ListBody {
    /// The next piece of the list, in JSON; empty if many objects were looked at and none selected.
    fn chunk(&mut self) -> Result<Bytes, Status> {
        let mut chunk = BytesMut::with_capacity(CHUNK + BEYOND);
        let start = match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return Ok(Bytes::new()),
            Next::After(key) => key,
            Next::Head(key) => {
                chunk.extend_from_slice(self.view.list_head(&self.selection.resource).as_bytes());
                key
            }
        };
        let (mut last, mut more) = (None::<Cow<'_, Object>>, false);
        for (scanned, object) in
            self.selection.source.after(&start).take(self.selection.max_scanned).enumerate()
        {
            if chunk.len() >= CHUNK || scanned >= MAX_SCANNED {
                self.next = Next::After(last.map_or(start, |last| Arc::clone(&last.key)));
                return Ok(chunk.freeze());
            }
            if self.selection.filter.matches(&object) {
                // There is one more: the page ends behind the last that was looked at.
                more = self.sent == self.selection.limit;
                if more {
                    break;
                }
                if self.sent > 0 {
                    chunk.extend_from_slice(b",");
                }
                self.view.item(&self.selection.resource, &object, &mut chunk)?;
                self.sent += 1;
            }
            last = Some(object);
        }
        let last = last.map_or(start, |last| Arc::clone(&last.key));
        let rest = more.then(|| self.rest(&last));
        chunk.extend_from_slice(View::list_tail(self.selection.source.revision(), rest).as_bytes());
        Ok(chunk.freeze())
    }

    /// The token of the next page, and how much there is from it on. With selectors that cannot be told without looking.
    fn rest(&self, last: &str) -> (String, Option<usize>) {
        let known = self.selection.left.map(|left| left.saturating_sub(self.sent));
        let left = self
            .selection
            .filter
            .selects_all()
            .then(|| known.or_else(|| self.selection.source.count_after(last)))
            .flatten();
        (next_page(&self.selection.base, last, self.selection.source.revision(), left), left)
    }
}

impl HttpBody for ListBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if matches!(self.next, Next::End) {
            return Poll::Ready(None);
        }
        match self.chunk() {
            Ok(chunk) if chunk.is_empty() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(chunk) => Poll::Ready(Some(Ok(Frame::data(self.encoder.encode(chunk))))),
            Err(fault) => Poll::Ready(Some(Err(fault.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::End)
    }
}
