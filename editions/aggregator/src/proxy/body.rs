//! Bodies on their way through: frame by frame, with harmless trailers, counted, and with an end: when the aggregator
//! ends, or the backend falls silent. One layer does it all, since each costs every frame of every answer.

use bytes::Bytes;
use detectviz_auth::headers::sanitize_trailers;
use detectviz_core::RunContext;
use detectviz_core::http::{Body, BoxError};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

use crate::metrics::{Numbers, Open, Opened, Sum};

/// The body of a request, on its way to the backend.
pub(super) fn sent(body: Body, numbers: &Arc<Numbers>) -> Body {
    passing(body, numbers, |numbers| &numbers.sent, End::Own)
}

/// The body of an answer that ends by itself, or fails once nothing has come for `limit` while more was asked for.
pub(super) fn answered(body: Body, numbers: &Arc<Numbers>, limit: Duration) -> Body {
    passing(body, numbers, |numbers| &numbers.received, End::Silence { limit, since: None, clock: None })
}

/// The body of a watch: ends cleanly when the server begins to stop, since a backend would go on for ever.
pub(super) fn streamed(body: Body, numbers: &Arc<Numbers>, context: RunContext) -> Body {
    let end = Box::pin(async move { context.draining().await });
    passing(body, numbers, |numbers| &numbers.received, End::With { end, _open: numbers.open(Open::Stream) })
}

fn passing(body: Body, numbers: &Arc<Numbers>, count: fn(&Numbers) -> &Sum, end: End) -> Body {
    if let Some(bytes) = body.ready() {
        count(numbers).add(bytes as u64);
        return body;
    }
    Body::stream(Passing { body, numbers: Arc::clone(numbers), count, end })
}

struct Passing {
    body: Body,
    numbers: Arc<Numbers>,
    count: fn(&Numbers) -> &Sum,
    end: End,
}

/// What ends a body.
enum End {
    /// Itself alone.
    Own,
    /// Itself, or so long a silence. The clock counts only while the backend is waited for: a client that reads slowly is
    /// not the backend's silence.
    Silence { limit: Duration, since: Option<Instant>, clock: Option<Pin<Box<Sleep>>> },
    /// Itself, or the end of something else.
    With { end: Pin<Box<dyn Future<Output = ()> + Send>>, _open: Opened },
}

/// The backend stopped in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("read the answer: the backend sent nothing for {} s", .0.as_secs())]
struct Silent(Duration);

impl End {
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Silent> {
        let Self::Silence { limit, since, clock } = self else { return Poll::Pending };
        let end = *since.get_or_insert_with(Instant::now) + *limit;
        // One clock for all waits, set anew only when it rings: setting one costs more than most frames.
        let clock = clock.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        loop {
            ready!(clock.as_mut().poll(cx));
            if clock.deadline() >= end {
                return Poll::Ready(Silent(*limit));
            }
            clock.as_mut().reset(end);
        }
    }
}

impl Passing {
    /// Counts what is data, and takes from trailers what says anything about identity or framing.
    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let End::Silence { since, .. } = &mut self.end {
            *since = None;
        }
        match frame.into_trailers() {
            Ok(mut trailers) => {
                sanitize_trailers(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                (self.count)(&self.numbers).add(bytes as u64);
                frame
            }
        }
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // The end comes first, so that a backend which always has more to say cannot outrun it.
        if let End::With { end, .. } = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map(|frame| self.pass(frame)))),
            Poll::Pending => self.end.poll_silence(cx).map(|silent| Some(Err(silent.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            // It may end before.
            End::With { .. } => SizeHint::default(),
            End::Own | End::Silence { .. } => self.body.size_hint(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
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
            let mut body = streamed(Body::stream(Endless(Some(event))), &Arc::default(), context.clone());
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
        let mut body = streamed(Body::stream(Chatter), &Arc::default(), context.clone());
        assert!(next(&mut body).await.is_some());
        context.cancel();
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn silence_is_an_error_and_all_before_it_arrives() {
        let frame = Frame::data(Bytes::from_static(b"half"));
        let numbers = Arc::<Numbers>::default();
        let mut body = answered(Body::stream(Endless(Some(frame))), &numbers, Duration::from_millis(1));
        assert_eq!(next(&mut body).await.unwrap().unwrap().into_data().unwrap(), "half");
        let why = next(&mut body).await.unwrap().err().unwrap().to_string();
        assert!(why.starts_with("read the answer: the backend sent nothing for"), "{why}");
        let whole = answered(Body::full("whole"), &numbers, Duration::ZERO);
        assert_eq!((whole.size_hint().exact(), whole.collect(9).await.unwrap()), (Some(5), "whole".into()));
        assert_eq!(numbers.received.get(), 9);
    }

    #[tokio::test]
    async fn forged_trailers_are_dropped() {
        let mut trailers = http::HeaderMap::new();
        for name in ["x-remote-user", "x_remote_group", "authorization", "checksum"] {
            trailers.insert(name, "x".parse().unwrap());
        }
        let mut body = sent(Body::stream(Endless(Some(Frame::trailers(trailers)))), &Arc::default());
        let left = next(&mut body).await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(left.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["checksum"]);
    }
}
