//! A client that reads one object again and again, and counts its bytes instead of keeping them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use http_body_util::BodyExt as _;

use crate::load::{Client, Connection};
use crate::peer::Backend;

/// A client with a connection.
pub(super) struct Reader {
    connection: Connection,
    path: String,
    size: usize,
    answers: Arc<AtomicU64>,
}

impl Reader {
    /// A client that reads the object of `size` bytes, and counts whole answers in `answers`.
    pub(super) fn new(connection: Connection, size: usize, answers: &Arc<AtomicU64>) -> Self {
        Self { connection, path: Backend::object(size), size, answers: Arc::clone(answers) }
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
        self.answers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
