//! gzip on the way out: chunk in, whatever the compressor gives out. It holds its own window and nothing of the body.

use bytes::Bytes;
use detectviz_core::http::{Body, BoxError};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Body as HttpBody, Frame};
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The fewest bytes of a body that is worth compressing; upstream's threshold.
pub(crate) const MIN_GZIP: usize = 128 * 1024;
/// About how many compressed bytes are sent at once.
const CHUNK: usize = 16 * 1024;
/// The most chunks that are compressed before others get a turn and the client what there is.
const MAX_CHUNKS: usize = 4;

/// A body, compressed as fast as possible.
pub(crate) struct Gzip {
    body: Body,
    /// `None` once the end is written.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    /// The compressed form of `body`.
    pub(crate) fn new(body: Body) -> Self {
        Self { body, encoder: Some(GzEncoder::new(Vec::with_capacity(CHUNK), Compression::fast())) }
    }
}

impl HttpBody for Gzip {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        for _ in 0..MAX_CHUNKS {
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
            match ready!(Pin::new(&mut this.body).poll_frame(cx)).transpose()? {
                Some(frame) => encoder.write_all(&frame.into_data().unwrap_or_default())?,
                None => {
                    let rest = this.encoder.take().map(GzEncoder::finish).transpose()?.unwrap_or_default();
                    return Poll::Ready(Some(Ok(Frame::data(rest.into()))));
                }
            }
            if encoder.get_ref().len() >= CHUNK {
                break;
            }
        }
        let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
        if encoder.get_ref().is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let ready = std::mem::replace(encoder.get_mut(), Vec::with_capacity(CHUNK));
        Poll::Ready(Some(Ok(Frame::data(ready.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::StreamBody;
    use std::io::Read as _;

    #[tokio::test]
    async fn what_is_compressed_is_read_back() {
        let chunk = |number: u32| Bytes::from(format!("{{\"number\":{number}}}").repeat(2000));
        let chunks: Vec<_> = (0..100).map(chunk).collect();
        let whole = chunks.concat();
        let frames = chunks.into_iter().map(|chunk| Ok::<_, BoxError>(Frame::data(chunk)));
        let body = Body::stream(StreamBody::new(stream::iter(frames)));
        let gzip = Body::stream(Gzip::new(body)).collect(usize::MAX).await.unwrap();
        assert!(gzip.len() < whole.len() / 10, "{} of {}", gzip.len(), whole.len());
        let mut read = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, whole);
    }

    #[tokio::test]
    async fn a_body_that_fails_fails() {
        let frames = [Ok(Frame::data(Bytes::from_static(b"a"))), Err(BoxError::from("cut"))];
        let body = Body::stream(StreamBody::new(stream::iter(frames)));
        assert!(Body::stream(Gzip::new(body)).collect(usize::MAX).await.is_err());
    }
}
