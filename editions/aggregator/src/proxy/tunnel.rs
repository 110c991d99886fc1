//! Two connections that are one: bytes are handed over as they come, an end on one side is an end on the other, and
//! neither outlives the other for long.

use detectviz_core::RunContext;
use detectviz_core::tunnel::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional_with_sizes};

use crate::backend::Hold;
use crate::metrics::{Numbers, Open, Opened};

/// The bytes that are kept for each direction while the other side does not take them.
const BUFFER: usize = 16 * 1024;
/// How long either side may take to hear that it is over.
const GOODBYE: Duration = Duration::from_secs(2);

/// A backend's connection that waits for its client's.
pub(super) struct Tunnel {
    backend: Counted,
    _open: Opened,
    /// Its place at the backend.
    _hold: Option<Hold>,
    context: RunContext,
    grace: Duration,
}

impl Tunnel {
    /// A tunnel to what is behind `backend`. Once `context` drains it has `grace` left: nobody here knows the words by
    /// which its protocol would end it cleanly.
    pub(super) fn new(
        backend: Box<dyn Stream>,
        numbers: &Arc<Numbers>,
        hold: Option<Hold>,
        (context, grace): (RunContext, Duration),
    ) -> Self {
        let backend = Counted { stream: backend, numbers: Arc::clone(numbers) };
        Self { backend, _open: numbers.open(Open::Tunnel), _hold: hold, context, grace }
    }

    /// Hands bytes over until both sides have ended, one of them failed, or the time is over. There is no limit on
    /// silence: a connection whose peer is gone is ended by the kernel.
    pub(super) async fn run(mut self, mut client: Box<dyn Stream>) {
        let over = async {
            self.context.draining().await;
            tokio::time::sleep(self.grace).await;
        };
        let copied = tokio::select! {
            copied = copy_bidirectional_with_sizes(&mut client, &mut self.backend, BUFFER, BUFFER) => copied.map(drop),
            () = over => Ok(()),
        };
        if let Err(fault) = copied {
            tracing::debug!(error = %fault, "tunnel ended");
        }
        let goodbye = async { tokio::join!(client.shutdown(), self.backend.shutdown()) };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}

/// A backend's connection whose bytes are counted.
struct Counted {
    stream: Box<dyn Stream>,
    numbers: Arc<Numbers>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.numbers.received.add((buffer.filled().len() - before) as u64);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.numbers.sent.add(count as u64);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    /// The far ends of the client and the backend, and the tunnel between them.
    fn tunnel(numbers: &Arc<Numbers>, context: &RunContext) -> (DuplexStream, DuplexStream, impl Future) {
        let ((client, near), (backend, far)) = (duplex(64), duplex(64));
        let tunnel = Tunnel::new(Box::new(far), numbers, None, (context.clone(), Duration::ZERO));
        (client, backend, tunnel.run(Box::new(near)))
    }

    #[tokio::test]
    async fn an_end_on_one_side_leaves_the_other_open() {
        let (numbers, context) = (Arc::<Numbers>::default(), RunContext::new(Arc::default()));
        let (mut client, mut backend, run) = tunnel(&numbers, &context);
        let talk = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut text = String::new();
            backend.read_to_string(&mut text).await.unwrap();
            assert_eq!((text.as_str(), numbers.opened(Open::Tunnel)), ("question", 1));
            backend.write_all(b"an answer").await.unwrap();
            drop(backend);
            text.clear();
            client.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "an answer");
        };
        tokio::join!(run, talk);
        assert_eq!((numbers.sent.get(), numbers.received.get(), numbers.opened(Open::Tunnel)), (8, 9, 0));
    }

    #[tokio::test]
    async fn it_ends_with_its_context() {
        let (numbers, context) = (Arc::<Numbers>::default(), RunContext::new(Arc::default()));
        let (mut client, _backend, run) = tunnel(&numbers, &context);
        let end = async {
            context.drain();
            assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        };
        tokio::join!(run, end);
        assert_eq!(numbers.opened(Open::Tunnel), 0);
    }
}
