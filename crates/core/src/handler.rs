//! What answers a request once its meaning and its caller are known.

use async_trait::async_trait;
use detectviz_api::{Identity, RequestInfo, Status};
use std::sync::Arc;

use crate::http::{Request, Response};

/// What the layers in front found out about a request. Handlers decide by this, never by headers.
#[derive(Debug)]
pub struct Context {
    /// What is asked.
    pub info: RequestInfo,
    /// Who asks. All requests of a connection that proved it by a certificate share one.
    pub identity: Arc<Identity>,
}

/// Answers requests. An error becomes a `Status` body in one place, in the chain.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Answers `request`, which means what `context` says.
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status>;
}
