//! An upgrade takes a connection of its own, made by the same dialer, TLS and policy as every other, and never gives it
//! back: what comes after the answer is no longer HTTP, or ends with it (CVE-2018-1002105).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use detectviz_core::http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pool::Place;
use crate::stream::Stream;

/// What a backend says to an upgrade.
pub enum Upgraded {
    /// 101: the head of the answer, and the connection that from now on speaks what its `Upgrade` header names.
    Switched(Response, Tunnel),
    /// Any other answer. Its connection is closed with its body.
    Refused(Response),
}

/// A connection after its upgrade: bytes both ways, whatever they mean. It counts among the transport's connections until
/// it is dropped, which closes it.
pub struct Tunnel {
    stream: Stream,
    /// What came with the answer's head.
    early: Bytes,
    _place: Place,
}

impl Tunnel {
    pub(super) fn new(stream: Stream, early: Bytes, place: Place) -> Self {
        Self { stream, early, _place: place }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let fits = self.early.len().min(buf.remaining());
        buf.put_slice(&self.early.split_to(fits));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
