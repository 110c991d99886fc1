//! Bodies on their way through: frame by frame, with harmless trailers, and an end when the aggregator ends.

use bytes::Bytes;
use detectviz_auth::headers::sanitize_trailers;
use detectviz_core::RunContext;
use detectviz_core::http::{Body, BoxError};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body, with trailers that say nothing about identity or framing.
pub(super) fn without_forged_trailers(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::stream(body.map_frame(|frame| match frame.into_trailers() {
        Ok(mut trailers) => {
            sanitize_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }))
}

/// The body of a watch: ends cleanly when `context` does, since a backend would go on for ever.
pub(super) fn until(context: RunContext, body: Body) -> Body {
    Body::stream(Until { body, end: Box::pin(async move { context.cancelled().await }) })
}

struct Until {
    body: Body,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.end.as_mut().poll(cx).map(|()| None),
            ready => ready,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Sends one frame, then nothing for ever.
    struct Watch(Option<Frame<Bytes>>);

    impl HttpBody for Watch {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0.take().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
        }
    }

    #[tokio::test]
    async fn a_watch_ends_cleanly_with_its_context() {
        let context = RunContext::new(Arc::default());
        let mut body =
            until(context.clone(), Body::stream(Watch(Some(Frame::data(Bytes::from_static(b"event"))))));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "event");
        context.cancel();
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn forged_trailers_are_dropped() {
        let mut trailers = http::HeaderMap::new();
        for name in ["x-remote-user", "x_remote_group", "authorization", "checksum"] {
            trailers.insert(name, "x".parse().unwrap());
        }
        let mut body = without_forged_trailers(Body::stream(Watch(Some(Frame::trailers(trailers)))));
        let left = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(left.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["checksum"]);
    }
}
