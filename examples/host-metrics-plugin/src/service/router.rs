//! The service is the first part of a gRPC path; six names do not need a routing library.

use std::convert::Infallible;
use std::task::{Context, Poll};

use detectviz_pluginv2::goplugin::grpc_controller_server::{self, GrpcControllerServer};
use detectviz_pluginv2::goplugin::grpc_stdio_server::{self, GrpcStdioServer};
use detectviz_pluginv2::health::health_server::{self, HealthServer};
use detectviz_pluginv2::proto::data_server::{self, DataServer};
use detectviz_pluginv2::proto::diagnostics_server::{self, DiagnosticsServer};
use detectviz_pluginv2::proto::resource_server::{self, ResourceServer};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};

use super::Plugin;
use super::process::Process;

/// What plugins accept: settings and queries may be large, but not without end.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// All services of the plugin.
#[derive(Debug, Clone)]
pub(super) struct Router {
    data: DataServer<Plugin>,
    diagnostics: DiagnosticsServer<Plugin>,
    resource: ResourceServer<Plugin>,
    health: HealthServer<Process>,
    controller: GrpcControllerServer<Process>,
    stdio: GrpcStdioServer<Process>,
}

impl Router {
    pub(super) fn new(plugin: &Plugin, stop: &CancellationToken) -> Self {
        let process = Process::new(stop.clone());
        Self {
            data: DataServer::new(plugin.clone()).max_decoding_message_size(MAX_REQUEST_BYTES),
            diagnostics: DiagnosticsServer::new(plugin.clone()).max_decoding_message_size(MAX_REQUEST_BYTES),
            resource: ResourceServer::new(plugin.clone()).max_decoding_message_size(MAX_REQUEST_BYTES),
            health: HealthServer::new(process.clone()),
            controller: GrpcControllerServer::new(process.clone()),
            stdio: GrpcStdioServer::new(process),
        }
    }
}

impl Service<Request<Body>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // as all the generated services are
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path().split('/').nth(1).unwrap_or_default() {
            data_server::SERVICE_NAME => self.data.call(request),
            diagnostics_server::SERVICE_NAME => self.diagnostics.call(request),
            resource_server::SERVICE_NAME => self.resource.call(request),
            health_server::SERVICE_NAME => self.health.call(request),
            grpc_controller_server::SERVICE_NAME => self.controller.call(request),
            grpc_stdio_server::SERVICE_NAME => self.stdio.call(request),
            other => {
                let status = Status::unimplemented(format!("service {other} is not part of this plugin"));
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}
