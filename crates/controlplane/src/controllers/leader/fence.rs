//! The last check before a write: a controller that was stopped in the middle, and goes on after its term, changes nothing.

use async_trait::async_trait;
use detectviz_api::{Reason, Status};
use detectviz_core::http::{Request, Response};
use detectviz_core::{Leadership, Loopback};
use detectviz_server::chain::status_response;
use http::Method;
use std::sync::Arc;

/// A loopback that writes only while this server leads.
pub(super) struct Fence {
    loopback: Arc<dyn Loopback>,
    leadership: Leadership,
}

impl Fence {
    /// Fences `loopback`.
    pub(super) fn over(loopback: &Arc<dyn Loopback>, leadership: &Leadership) -> Arc<dyn Loopback> {
        Arc::new(Self { loopback: Arc::clone(loopback), leadership: leadership.clone() })
    }
}

#[async_trait]
impl Loopback for Fence {
    async fn send(&self, request: Request) -> Response {
        if matches!(*request.method(), Method::GET | Method::HEAD) || self.leadership.is_leading() {
            return self.loopback.send(request).await;
        }
        let refusal = Status::failure(Reason::ServiceUnavailable, "another server leads the controllers");
        status_response(&refusal)
    }
}
