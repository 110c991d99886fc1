//! A connection that stops being HTTP (RFC 9110 section 7.8): the listener says that it may, a handler that answers 101
//! says what becomes of it, and the listener hands it over once the client has the answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};

/// In a request's extensions: its connection can be switched to the protocol that its `Upgrade` names.
#[derive(Clone, Copy, Debug)]
pub struct Upgradable;

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Join = Box<dyn FnOnce(Box<dyn Stream>) -> Running + Send>;

/// In the extensions of a 101: what is done with the client's connection. Whoever made it closes the other side when the
/// tunnel is dropped without having been joined.
#[derive(Clone)]
pub struct Tunnel(Arc<Mutex<Option<Join>>>);

impl Tunnel {
    /// A tunnel that is `join`, which is called with the client's connection, bytes that were read too far included. It
    /// ends by itself when the server drains.
    pub fn new<F>(join: impl FnOnce(Box<dyn Stream>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self(Arc::new(Mutex::new(Some(Box::new(move |client| Box::pin(join(client)))))))
    }

    /// Runs the tunnel to its end. Only the first call does anything: a connection is joined once.
    pub async fn join(self, client: Box<dyn Stream>) {
        let join = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(join) = join {
            join(client).await;
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn a_tunnel_is_joined_once() {
        let (mut client, end) = tokio::io::duplex(64);
        let tunnel = Tunnel::new(|mut client| async move { client.write_all(b"x").await.unwrap() });
        tunnel.clone().join(Box::new(end)).await;
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "x");
        let (mut client, end) = tokio::io::duplex(64);
        tunnel.join(Box::new(end)).await;
        assert_eq!(client.read_to_string(&mut text).await.unwrap(), 0);
    }
}
