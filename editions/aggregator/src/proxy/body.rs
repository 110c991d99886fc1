//! Bodies on their way through: frame by frame, with harmless trailers, and an end: when the aggregator ends, or the
//! backend falls silent.

use bytes::Bytes;
use detectviz_auth::headers::sanitize_trailers;
use detectviz_core::RunContext;
use detectviz_core::http::{Body, BoxError};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

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

/// The body of a watch: ends cleanly when the server begins to stop, since a backend would go on for ever.
pub(super) fn until(context: RunContext, body: Body) -> Body {
    Body::stream(Until { body, end: Box::pin(async move { context.draining().await }) })
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
        // The end comes first, so that a backend which always has more to say cannot outrun it.
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The body; fails once nothing has come for `limit` while more was asked for.
pub(super) fn unless_idle(limit: Duration, body: Body) -> Body {
    if body.is_end_stream() { body } else { Body::stream(UnlessIdle { body, limit, silence: None }) }
}

struct UnlessIdle {
    body: Body,
    limit: Duration,
    /// Runs only while the backend is waited for: a client that reads slowly is not the backend's silence.
    silence: Option<Pin<Box<Sleep>>>,
}

/// The backend stopped in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("read the answer: the backend sent nothing for {} s", .0.as_secs())]
struct Silent(Duration);

impl HttpBody for UnlessIdle {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let limit = self.limit;
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.silence = None;
            return Poll::Ready(frame);
        }
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        silence.as_mut().poll(cx).map(|()| Some(Err(Silent(limit).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;

    /// Sends one frame, then nothing for ever.
    pub(in crate::proxy) struct Endless(pub(in crate::proxy) Option<Frame<Bytes>>);

    impl HttpBody for Endless {
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
        for end in [RunContext::drain, RunContext::cancel] {
            let context = RunContext::new(Arc::default());
            let event = Frame::data(Bytes::from_static(b"event"));
            let mut body = until(context.clone(), Body::stream(Endless(Some(event))));
            assert_eq!(next(&mut body).await.unwrap().unwrap().into_data().unwrap(), "event");
            end(&context);
            assert!(next(&mut body).await.is_none());
        }
    }

    /// The next frame; a hang is a failure.
    pub(in crate::proxy) async fn next(body: &mut Body) -> Option<Result<Frame<Bytes>, BoxError>> {
        tokio::time::timeout(Duration::from_secs(60), body.frame()).await.expect("a frame, or the end")
    }

    /// Always has another frame.
    struct Chatter;

    impl HttpBody for Chatter {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"event")))))
        }
    }

    #[tokio::test]
    async fn a_watch_that_never_pauses_ends_with_its_context_too() {
        let context = RunContext::new(Arc::default());
        let mut body = until(context.clone(), Body::stream(Chatter));
        assert!(next(&mut body).await.is_some());
        context.cancel();
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn silence_is_an_error_and_all_before_it_arrives() {
        let frame = Frame::data(Bytes::from_static(b"half"));
        let mut body = unless_idle(Duration::from_millis(1), Body::stream(Endless(Some(frame))));
        assert_eq!(next(&mut body).await.unwrap().unwrap().into_data().unwrap(), "half");
        let why = next(&mut body).await.unwrap().err().unwrap().to_string();
        assert!(why.starts_with("read the answer: the backend sent nothing for"), "{why}");
        let whole = unless_idle(Duration::ZERO, Body::full("whole"));
        assert_eq!((whole.size_hint().exact(), whole.collect(9).await.unwrap()), (Some(5), "whole".into()));
    }

    #[tokio::test]
    async fn forged_trailers_are_dropped() {
        let mut trailers = http::HeaderMap::new();
        for name in ["x-remote-user", "x_remote_group", "authorization", "checksum"] {
            trailers.insert(name, "x".parse().unwrap());
        }
        let mut body = without_forged_trailers(Body::stream(Endless(Some(Frame::trailers(trailers)))));
        let left = next(&mut body).await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(left.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["checksum"]);
    }
}
