//! HTTP in the types that every room agrees on; the engine that reads and writes sockets is in `server`.

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a body ended early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A request with our [`Body`].
pub type Request = http::Request<Body>;
/// A response with our [`Body`].
pub type Response = http::Response<Body>;

/// A body: nothing, bytes that are ready, or a stream of frames.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn Frames + Send>>),
}

impl Body {
    /// No bytes at all.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Bytes that are ready.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Self::empty() } else { Self(Kind::Full(bytes)) }
    }

    /// A stream of frames, such as a watch or a proxied body.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Stream(Box::pin(body)))
    }

    /// The same body, which ends cleanly when `end` does: for one that would else go on for ever.
    #[must_use]
    pub fn until(self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::stream(Until { body: self, end: Box::pin(end) })
    }

    /// How many bytes it has, if all are there already: there is nothing to wait for, and nothing that could fail.
    pub fn ready(&self) -> Option<usize> {
        match &self.0 {
            Kind::Empty => Some(0),
            Kind::Full(bytes) => Some(bytes.len()),
            Kind::Stream(_) => None,
        }
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// When the stream behind the body failed.
    pub async fn frame(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
    }

    /// All bytes, if they are at most `limit`.
    ///
    /// # Errors
    /// [`CollectError::TooLarge`] past the limit, or the stream's own failure.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, CollectError> {
        if let Kind::Full(bytes) = self.0 {
            return if bytes.len() > limit { Err(CollectError::TooLarge { limit }) } else { Ok(bytes) };
        }
        if self.size_hint().lower() > limit as u64 {
            return Err(CollectError::TooLarge { limit });
        }
        let mut all = Vec::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame.map_err(CollectError::Read)?.into_data() else { continue };
            if all.len() + data.len() > limit {
                return Err(CollectError::TooLarge { limit });
            }
            all.extend_from_slice(&data);
        }
        Ok(all.into())
    }
}

/// Why a body could not be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The body is larger than it may be.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
    /// The stream behind the body failed.
    #[error("read the body: {0}")]
    Read(BoxError),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.as_mut().poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(stream) => stream.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size(),
        }
    }
}

/// A body that keeps something until it is dropped, such as a place in a queue or a count of what is under way.
pub struct Held<G> {
    body: Body,
    _kept: G,
}

impl<G> Held<G> {
    /// `body`, which keeps `kept`.
    pub fn new(body: Body, kept: G) -> Self {
        Self { body, _kept: kept }
    }
}

impl<G: Unpin> HttpBody for Held<G> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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
        // The end comes first, so that a body which always has more cannot outrun it.
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Any body, whatever its error is: one place on the heap a body, and one call a frame.
trait Frames {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;
    fn has_ended(&self) -> bool;
    fn size(&self) -> SizeHint;
}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>>> Frames for B {
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_frame(cx).map_err(Into::into)
    }

    fn has_ended(&self) -> bool {
        self.is_end_stream()
    }

    fn size(&self) -> SizeHint {
        self.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_collected_up_to_its_limit() {
        assert_eq!(Body::full("abc").collect(3).await.unwrap(), "abc");
        assert!(matches!(Body::full("abcd").collect(3).await, Err(CollectError::TooLarge { limit: 3 })));
        assert_eq!(Body::stream(Body::full("abc")).collect(3).await.unwrap(), "abc");
        assert!(Body::stream(Body::full("abcd")).collect(3).await.is_err());
        assert_eq!(Body::empty().collect(0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_ends_with_its_end() {
        let whole = Body::full("abc").until(std::future::pending());
        assert_eq!(whole.collect(3).await.unwrap(), "abc");
        assert_eq!(Body::full("abc").until(async {}).collect(3).await.unwrap(), "");
    }
}
