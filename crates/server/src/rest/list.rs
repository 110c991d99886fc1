//! list: a snapshot, sent item by item as the client reads; nothing is collected first.

use bytes::{Bytes, BytesMut};
use detectviz_api::Status;
use detectviz_api::negotiate::presentation;
use detectviz_api::options::ListOptions;
use detectviz_core::http::{Body, BoxError, Response};
use detectviz_storage::cache::Listing;
use http::{HeaderValue, header};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Call;
use super::filter::Filter;
use super::page::{Page, next_page};
use super::present::View;
use crate::resource::Resource;

/// About how many bytes are sent at once.
const CHUNK: usize = 32 * 1024;
/// The most objects that are looked at before others get a turn.
const MAX_SCANNED: usize = 512;

pub(super) async fn list(call: Call) -> Result<Response, Status> {
    let query = &call.context.info.query;
    let view = View::new(presentation(call.accept())?, query)?;
    let options = ListOptions::parse(query, false)?;
    let filter = Filter::new(&call, &options)?;
    let Page { listing, after } = call.page(&options).await?;
    let body = ListBody {
        resource: Arc::clone(&call.resource),
        view,
        filter,
        listing,
        within: call.within(),
        limit: options.limit.unwrap_or(usize::MAX),
        sent: 0,
        next: Next::Head(after.into()),
    };
    let mut response = Response::new(Body::stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

impl Call {
    /// The keys that the path is about.
    pub(super) fn within(&self) -> String {
        match self.info().namespace().filter(|_| self.resource.definition.is_namespaced()) {
            Some(namespace) => detectviz_storage::keys::namespace_prefix(&self.resource.prefix, namespace),
            None => self.resource.prefix.clone(),
        }
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
    resource: Arc<Resource>,
    view: View,
    filter: Filter,
    listing: Listing,
    within: String,
    limit: usize,
    sent: usize,
    next: Next,
}

impl ListBody {
    fn chunk(&mut self) -> Result<Option<Bytes>, Status> {
        let mut chunk = BytesMut::new();
        let start = match &self.next {
            Next::End => return Ok(None),
            Next::After(key) => Arc::clone(key),
            Next::Head(key) => {
                chunk.extend_from_slice(self.view.list_head(&self.resource).as_bytes());
                Arc::clone(key)
            }
        };
        for (scanned, object) in self.listing.iter_after(&start).enumerate() {
            if chunk.len() >= CHUNK || scanned >= MAX_SCANNED {
                return Ok(Some(chunk.freeze()));
            }
            if self.filter.matches(object) {
                if self.sent == self.limit {
                    // There is one more: the page ends behind the last that was looked at.
                    let rest = self.rest();
                    chunk.extend_from_slice(View::list_tail(self.listing.revision, Some(rest)).as_bytes());
                    self.next = Next::End;
                    return Ok(Some(chunk.freeze()));
                }
                if self.sent > 0 {
                    chunk.extend_from_slice(b",");
                }
                self.view.item(&self.resource, object, &mut chunk)?;
                self.sent += 1;
            }
            self.next = Next::After(Arc::clone(&object.key));
        }
        chunk.extend_from_slice(View::list_tail(self.listing.revision, None).as_bytes());
        self.next = Next::End;
        Ok(Some(chunk.freeze()))
    }

    /// The token of the next page, and how much there is from it on, if that can be told without looking.
    fn rest(&self) -> (String, Option<usize>) {
        let (Next::Head(key) | Next::After(key)) = &self.next else { return (String::new(), None) };
        let token = next_page(&self.within, key, self.listing.revision);
        (token, self.filter.selects_all().then(|| self.listing.iter_after(key).count()))
    }
}

impl HttpBody for ListBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.chunk() {
            // Many were looked at and none selected.
            Ok(Some(chunk)) if chunk.is_empty() => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            chunk => {
                Poll::Ready(chunk.map_err(BoxError::from).transpose().map(|chunk| chunk.map(Frame::data)))
            }
        }
    }
}
