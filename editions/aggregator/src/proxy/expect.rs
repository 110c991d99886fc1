//! `Expect: 100-continue`: a client that wants to hear whether its body is welcome hears the backend's word. The body is not
//! asked for until the backend says 100, which is what makes the listener say 100 to the client.

use bytes::Bytes;
use detectviz_core::http::{Body, BoxError, Request};
use http::header::{self, HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Sleep;

/// How long a backend may take to say 100: one that never does is sent the body all the same (RFC 9110 section 10.1.1).
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether a client waits for 100.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Lets the body of `request` wait for the backend's 100.
pub(super) fn ask(request: &mut Request) {
    if request.body().is_end_stream() {
        return;
    }
    request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    let (welcome, welcomed) = oneshot::channel();
    let welcome = Mutex::new(Some(welcome));
    hyper::ext::on_informational(request, move |answer| {
        if answer.status() == http::StatusCode::CONTINUE
            && let Ok(mut welcome) = welcome.lock()
        {
            let _ = welcome.take().map(|welcome| welcome.send(()));
        }
    });
    let body = std::mem::take(request.body_mut());
    *request.body_mut() = Body::stream(Waiting { body, welcomed: Some(welcomed), patience: None });
}

struct Waiting {
    body: Body,
    /// Nothing once the body is under way.
    welcomed: Option<oneshot::Receiver<()>>,
    patience: Option<Pin<Box<Sleep>>>,
}

/// The backend has answered without it.
#[derive(Debug, thiserror::Error)]
#[error("send the body: the backend did not want it")]
struct Unwanted;

impl Waiting {
    fn poll_welcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        let Some(welcomed) = &mut self.welcomed else { return Poll::Ready(Ok(())) };
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        let outcome = match Pin::new(welcomed).poll(cx) {
            Poll::Ready(word) => word.map_err(|_| Unwanted),
            Poll::Pending if patience.as_mut().poll(cx).is_ready() => Ok(()),
            Poll::Pending => return Poll::Pending,
        };
        (self.welcomed, self.patience) = (None, None);
        Poll::Ready(outcome)
    }
}

impl HttpBody for Waiting {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.poll_welcome(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.body).poll_frame(cx),
            Poll::Ready(Err(unwanted)) => Poll::Ready(Some(Err(unwanted.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
