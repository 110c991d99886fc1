//! A plugin whose inside can be seen: a script prints the handshake of a gRPC server that runs in this test.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use detectviz_pluginv2::health::health_check_response::ServingStatus;
use detectviz_pluginv2::health::health_server::{Health, HealthServer};
use detectviz_pluginv2::health::{HealthCheckRequest, HealthCheckResponse};
use detectviz_pluginv2::proto::data_server::{self, Data, DataServer};
use detectviz_pluginv2::proto::{
    DataFrameFormat, DataResponse, QueryChunkedDataRequest, QueryChunkedDataResponse, QueryDataRequest,
    QueryDataResponse,
};
use futures_util::stream;
use tokio::net::UnixListener;
use tokio::task::AbortHandle;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Request, Response, Status, async_trait};

use crate::install::Plugins;

type Seen = Arc<Mutex<Option<(MetadataMap, QueryDataRequest)>>>;

pub(crate) struct Fake {
    pub(crate) plugins: Plugins,
    seen: Seen,
    server: AbortHandle,
}

impl Fake {
    /// Listens, and installs the script as plugin `fake`; its process has a child, and watches no parent.
    pub(crate) fn start() -> Self {
        let (plugins, seen) = (Plugins::new(), Seen::default());
        let socket = plugins.path().join("fake.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let script = format!("sleep 1000 & echo '1|2|unix|{}|grpc|'; exec sleep 1000", socket.display());
        plugins.install_script("fake", &script);
        let plugin = Plugin(Arc::clone(&seen));
        let router = Router { data: DataServer::new(plugin.clone()), health: HealthServer::new(plugin) };
        let incoming = stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        let server = Server::builder().serve_with_incoming(router, incoming);
        Self { plugins, seen, server: tokio::spawn(server).abort_handle() }
    }

    /// The last query that the plugin saw.
    pub(crate) fn last(&self) -> (MetadataMap, QueryDataRequest) {
        self.seen.lock().unwrap().clone().expect("a query")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct Plugin(Seen);

#[async_trait]
impl Data for Plugin {
    async fn query_data(
        &self,
        request: Request<QueryDataRequest>,
    ) -> Result<Response<QueryDataResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let kind = request.queries[0].query_type.clone();
        assert_eq!(request.format(), DataFrameFormat::Json);
        *self.0.lock().unwrap() = Some((metadata, request));
        let (frame, format) = match kind.as_str() {
            "slow" => std::future::pending().await,
            "denied" => return Err(Status::unauthenticated("downstream says no")),
            "large" => (format!("\"{}\"", "x".repeat(100_000)), DataFrameFormat::Json),
            "arrow" => ("ARROW1".to_owned(), DataFrameFormat::Arrow),
            _ => ("{}".to_owned(), DataFrameFormat::Json),
        };
        let response =
            DataResponse { frames: vec![frame.into()], format: format.into(), ..DataResponse::default() };
        Ok(Response::new(QueryDataResponse { responses: [("A".to_owned(), response)].into() }))
    }

    type QueryChunkedDataStream = stream::Empty<Result<QueryChunkedDataResponse, Status>>;

    async fn query_chunked_data(
        &self,
        _: Request<QueryChunkedDataRequest>,
    ) -> Result<Response<Self::QueryChunkedDataStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

#[async_trait]
impl Health for Plugin {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }
}

/// Two services, told apart by the first part of the path. There is no controller: a host's Shutdown fails, and the
/// script must be killed.
#[derive(Clone)]
struct Router {
    data: DataServer<Plugin>,
    health: HealthServer<Plugin>,
}

impl Service<http::Request<Body>> for Router {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match request.uri().path().split('/').nth(1).unwrap_or_default() {
            data_server::SERVICE_NAME => self.data.call(request),
            "grpc.health.v1.Health" => self.health.call(request),
            other => {
                let status = Status::unimplemented(other.to_owned());
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}
