//! The process as go-plugin sees it: is it alive, let it end, and what does it print?

use detectviz_pluginv2::goplugin::grpc_controller_server::GrpcController;
use detectviz_pluginv2::goplugin::grpc_stdio_server::GrpcStdio;
use detectviz_pluginv2::goplugin::{Empty, StdioData};
use detectviz_pluginv2::handshake::HEALTH_SERVICE;
use detectviz_pluginv2::health::health_check_response::ServingStatus;
use detectviz_pluginv2::health::health_server::Health;
use detectviz_pluginv2::health::{HealthCheckRequest, HealthCheckResponse};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};

use crate::log;

/// Ends the plugin when the host says so.
#[derive(Debug, Clone)]
pub(super) struct Process {
    stop: CancellationToken,
}

impl Process {
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { stop }
    }
}

#[async_trait]
impl Health for Process {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            "" | HEALTH_SERVICE => {
                Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
            }
            other => Err(Status::not_found(format!("service {other:?}: only {HEALTH_SERVICE:?} is known"))),
        }
    }
}

#[async_trait]
impl GrpcController for Process {
    /// Answers first: the server finishes the calls under way, this one among them, before it ends.
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        log::info("plugin stops", &json!({"reason": "the host asked for it"}));
        self.stop.cancel();
        Ok(Response::new(Empty {}))
    }
}

#[async_trait]
impl GrpcStdio for Process {
    type StreamStdioStream = BoxStream<'static, Result<StdioData, Status>>;

    /// Never has anything to carry, since stdout stays empty and stderr is the host's pipe; it ends with the
    /// plugin, so that an open stream does not hold up the end.
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let stopped = self.stop.clone().cancelled_owned();
        Ok(Response::new(stream::pending().take_until(stopped).boxed()))
    }
}
