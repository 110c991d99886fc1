//! list: a snapshot, sent item by item as the client reads; nothing is collected first.

use bytes::{Bytes, BytesMut};
use detectviz_api::negotiate::presentation;
use detectviz_api::options::{ListOptions, VersionMatch};
use detectviz_api::{Reason, Status};
use detectviz_core::http::{Body, BoxError, Response};
use detectviz_storage::cache::Listing;
use http::{HeaderValue, header};
use http_body::{Body as HttpBody, Frame};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Call;
use super::filter::Filter;
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
    call.reach(options.resource_version).await?;
    let listing = call.listing();
    check_exact(&options, listing.revision)?;
    let body = ListBody {
        resource: Arc::clone(&call.resource),
        view,
        filter,
        listing,
        next: Next::Head,
        empty: true,
    };
    let mut response = Response::new(Body::stream(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// History is not kept for lists yet: only the present revision can be asked for exactly.
fn check_exact(options: &ListOptions, current: u64) -> Result<(), Status> {
    match (options.version_match, options.resource_version) {
        (Some(VersionMatch::Exact), Some(version)) if version != current => Err(Status::failure(
            Reason::Expired,
            format!(
                "The provided resource version {version} is no longer available for an exact list; current: {current}"
            ),
        )),
        _ => Ok(()),
    }
}

impl Call {
    /// A snapshot of the objects that the path is about.
    pub(super) fn listing(&self) -> Listing {
        self.resource.backend.cache.list(&self.resource.prefix, &self.within())
    }

    /// The keys that the path is about.
    pub(super) fn within(&self) -> String {
        match self.info().namespace().filter(|_| self.resource.definition.is_namespaced()) {
            Some(namespace) => detectviz_storage::keys::namespace_prefix(&self.resource.prefix, namespace),
            None => self.resource.prefix.clone(),
        }
    }
}

enum Next {
    Head,
    /// What stands behind this key.
    After(Arc<str>),
    End,
}

struct ListBody {
    resource: Arc<Resource>,
    view: View,
    filter: Filter,
    listing: Listing,
    next: Next,
    /// Whether no item was sent yet.
    empty: bool,
}

impl ListBody {
    fn chunk(&mut self) -> Result<Option<Bytes>, Status> {
        let mut chunk = BytesMut::new();
        let start = match &self.next {
            Next::End => return Ok(None),
            Next::After(key) => Arc::clone(key),
            Next::Head => {
                chunk.extend_from_slice(self.view.list_head(&self.resource).as_bytes());
                Arc::from("")
            }
        };
        for (scanned, object) in self.listing.iter_after(&start).enumerate() {
            if chunk.len() >= CHUNK || scanned >= MAX_SCANNED {
                return Ok(Some(chunk.freeze()));
            }
            if self.filter.matches(object) {
                if !self.empty {
                    chunk.extend_from_slice(b",");
                }
                chunk.extend_from_slice(&self.view.item(&self.resource, &object.bytes)?);
                self.empty = false;
            }
            self.next = Next::After(Arc::clone(&object.key));
        }
        chunk.extend_from_slice(View::list_tail(self.listing.revision).as_bytes());
        self.next = Next::End;
        Ok(Some(chunk.freeze()))
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
