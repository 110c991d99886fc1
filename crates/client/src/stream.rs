//! The bytes of a connection: a socket of either kind, or TLS over one. Names, not boxes: what each request reads and
//! writes is called directly.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A connected socket.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// A socket that can be asked to look twice before it says that there is nothing to read: that the other side hung up
/// may be known to the system and not yet to the runtime.
pub(crate) struct Watched {
    socket: Socket,
    doubt: Arc<AtomicBool>,
}

impl Watched {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, doubt: Arc::default() }
    }

    /// Set it, and the next read asks the system. Whatever is there by then counts as the other side's end: on a
    /// connection in no use nothing may come.
    pub(crate) fn doubt(&self) -> Arc<AtomicBool> {
        self.doubt.clone()
    }

    fn ended(&self) -> bool {
        self.doubt.swap(false, Ordering::Relaxed)
            && match recv(self.socket.as_fd(), &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
                Ok(_) => true,
                Err(why) => why != rustix::io::Errno::AGAIN && why != rustix::io::Errno::INTR,
            }
    }
}

/// A connection that HTTP is spoken on.
pub(crate) enum Stream {
    Plain(Watched),
    Tls(Box<TlsStream<Watched>>),
}

impl Stream {
    /// See [`Watched::doubt`].
    pub(crate) fn doubt(&self) -> Arc<AtomicBool> {
        match self {
            Self::Plain(socket) => socket.doubt(),
            Self::Tls(stream) => stream.get_ref().0.doubt(),
        }
    }
}

macro_rules! delegate {
    ($self:ident, $kind:ident: $first:ident | $second:ident, $inner:ident => $call:expr) => {
        match $self {
            $kind::$first($inner) => $call,
            $kind::$second($inner) => $call,
        }
    };
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ended() {
            return Poll::Ready(Ok(()));
        }
        let socket = &mut this.socket;
        delegate!(socket, Socket: Tcp | Unix, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &mut self.get_mut().socket;
        delegate!(socket, Socket: Tcp | Unix, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.get_mut().socket;
        delegate!(socket, Socket: Tcp | Unix, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.get_mut().socket;
        delegate!(socket, Socket: Tcp | Unix, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = &mut self.get_mut().socket;
        delegate!(socket, Socket: Tcp | Unix, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        delegate!(this, Self: Plain | Tls, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        delegate!(this, Self: Plain | Tls, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        delegate!(this, Self: Plain | Tls, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        delegate!(this, Self: Plain | Tls, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        delegate!(this, Self: Plain | Tls, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
