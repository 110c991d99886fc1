//! The loopback: this server as its own client, without a socket. Requests walk the same chain.

use async_trait::async_trait;
use detectviz_api::Identity;
use detectviz_core::Loopback;
use detectviz_core::http::{Request, Response};
use std::sync::{Arc, OnceLock};

use super::Chain;

/// Answers through a chain that may be wired up after the handle was given away.
#[derive(Default)]
pub struct InProcess(OnceLock<Arc<Chain>>);

impl InProcess {
    /// Connects the loopback to its chain; only the first call counts.
    pub fn connect(&self, chain: Arc<Chain>) {
        let _ = self.0.set(chain);
    }
}

#[async_trait]
impl Loopback for InProcess {
    async fn send(&self, request: Request) -> Response {
        match self.0.get() {
            Some(chain) => chain.answer_as(Identity::loopback(), request).await,
            None => super::status_response(
                &detectviz_api::Status::failure(
                    detectviz_api::Reason::ServiceUnavailable,
                    "the server is still starting",
                )
                .retry_after(1),
            ),
        }
    }
}
