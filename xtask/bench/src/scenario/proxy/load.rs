//! A client that reads one object again and again, and counts its bytes instead of keeping them.

use http::Method;
use http_body_util::BodyExt as _;

use crate::load::{Client, Connection};
use crate::peer::Backend;

/// A client with a connection.
pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) path: String,
    /// The bytes that there are to read.
    pub(super) size: usize,
}

impl Reader {
    /// Clients that read the object of `size` bytes.
    pub(super) fn clients(connections: Vec<Connection>, size: usize) -> Vec<Self> {
        let client = |connection| Self { connection, path: Backend::object(size), size };
        connections.into_iter().map(client).collect()
    }
}

impl Client for Reader {
    async fn call(&mut self) -> anyhow::Result<()> {
        let mut body = self.connection.ask(Method::GET, &self.path, None).await?.into_body();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame?.data_ref().map_or(0, bytes::Bytes::len);
        }
        anyhow::ensure!(read == self.size, "{} has {read} bytes", self.path);
        Ok(())
    }
}
