//! A client that reads one object again and again, and counts its bytes instead of keeping them.

use http::Method;
use http_body_util::BodyExt as _;

use crate::load::{Client, Connection, Protocol, Target};
use crate::peer::Backend;

/// A client on a connection of its own.
pub(super) struct Reader {
    connection: Connection,
    path: String,
    size: usize,
}

impl Reader {
    /// Clients that read the object of `size` bytes.
    ///
    /// # Errors
    /// When a connection is not accepted.
    pub(super) async fn clients(
        target: &Target,
        protocol: Protocol,
        size: usize,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        let connections = target.connections(protocol, count).await?;
        let client = |connection| Self { connection, path: Backend::object(size), size };
        Ok(connections.into_iter().map(client).collect())
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
