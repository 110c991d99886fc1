//! An answer that holds something until it has been read.

use bytes::Bytes;
use detectviz_core::http::{Body, BoxError, Response};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What the answer to an upgrade holds, in its extensions: whoever joins the connections keeps it for as long as they
/// are joined.
#[derive(Clone)]
pub(crate) struct Holding(#[expect(dead_code, reason = "its end is what counts")] Arc<dyn Send + Sync>);

/// The answer, which lets go of `held` when its body has been read, or is dropped.
pub(super) fn until_read(mut answer: Response, held: impl Send + Sync + Unpin + 'static) -> Response {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        answer.extensions_mut().insert(Holding(Arc::new(held)));
        return answer;
    }
    if answer.body().is_end_stream() {
        return answer;
    }
    answer.map(|body| Body::stream(Held { body, held: Some(held) }))
}

struct Held<T> {
    body: Body,
    held: Option<T>,
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // Whoever knows how long a body is does not ask for what comes after its last byte.
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.held = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
