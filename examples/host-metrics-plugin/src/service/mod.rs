//! One connection carries six gRPC services: three of the plugin protocol and three of go-plugin.

mod data;
mod diagnostics;
mod process;
mod resource;
mod router;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use detectviz_pluginv2::proto::DataResponse;
use futures_util::stream;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::log;
use crate::sampler::Sampler;
use crate::socket::Socket;

/// How long calls under way may take once the plugin stops; hosts kill after two seconds.
const DRAIN: Duration = Duration::from_secs(1);

/// Before accepting again when that failed, which is for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers the plugin protocol's calls.
#[derive(Debug, Clone)]
struct Plugin {
    sampler: Arc<Sampler>,
    counts: Arc<Counts>,
}

/// How many queries there were.
#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn add(&self, response: &DataResponse) {
        let count = if response.error.is_empty() { &self.answered } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves until `stop`, then finishes what is under way.
pub(crate) async fn serve(
    socket: &Socket,
    sampler: Arc<Sampler>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let plugin = Plugin { sampler, counts: Arc::default() };
    let router = router::Router::new(&plugin, &stop);
    let incoming = stream::unfold(socket, async |socket| Some((accept(socket).await, socket)));
    let server = Server::builder().serve_with_incoming_shutdown(router, incoming, stop.cancelled());
    let drained = async {
        stop.cancelled().await;
        sleep(DRAIN).await;
    };
    tokio::select! {
        result = server => result.context("serve gRPC"),
        () = drained => Ok(()),
    }
}

/// Takes the next connection, however long it takes.
async fn accept(socket: &Socket) -> std::io::Result<UnixStream> {
    loop {
        match socket.listener().accept().await {
            Ok((stream, _)) => return Ok(stream),
            Err(error) => {
                log::warn("accepting failed", &json!({"error": error.to_string()}));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
