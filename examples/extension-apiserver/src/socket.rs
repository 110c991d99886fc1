//! Plain HTTP over a unix socket, beside TLS: whoever may open the file is believed, so its folder must be closed to
//! everybody else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::handler::App;
use crate::identity::VerifiedPeer;
use crate::server::{DRAIN_TIMEOUT, MAX_CONNECTIONS, serve_http};

/// A socket that goes with the value.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`, in the place of a socket that an earlier process left there.
    ///
    /// # Errors
    /// When nobody can listen there.
    pub(crate) fn bind(path: &Path) -> anyhow::Result<Self> {
        // Whatever else is in the way is told by what follows.
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).with_context(|| format!("listen on {}", path.display()))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves until the server stops, and finishes what is under way.
    pub(crate) async fn serve(self, app: Arc<App>) {
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                () = app.shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                Ok((stream, _)) = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => stream,
            };
            connections.spawn(serve_http(stream, Some(VerifiedPeer::Socket), Arc::clone(&app)));
        }
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            connections.shutdown().await;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next process makes room for itself.
        let _ = std::fs::remove_file(&self.path);
    }
}
