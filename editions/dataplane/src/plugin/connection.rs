//! The way to a running plugin: one gRPC channel over its unix socket, and the few calls that are made on it.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use detectviz_pluginv2::goplugin::Empty;
use detectviz_pluginv2::goplugin::grpc_controller_client::GrpcControllerClient;
use detectviz_pluginv2::handshake::HEALTH_SERVICE;
use detectviz_pluginv2::health::HealthCheckRequest;
use detectviz_pluginv2::health::health_check_response::ServingStatus;
use detectviz_pluginv2::health::health_client::HealthClient;
use detectviz_pluginv2::proto::data_client::DataClient;
use detectviz_pluginv2::proto::{QueryDataRequest, QueryDataResponse};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

/// The plugin keeps instances apart by this metadata key.
const TENANT: &str = "tenantid";

/// How much later than the caller the plugin itself gives up: the caller's own timeout is to be the one that is seen.
const DEADLINE_SLACK: Duration = Duration::from_secs(1);

/// A connection to one process; clones share it. It dies with the process.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    channel: Channel,
    max_response_bytes: usize,
}

impl Connection {
    /// Connects to the socket at `path`; an answer may have `max_response_bytes` at most.
    pub(crate) async fn open(
        path: PathBuf,
        max_response_bytes: usize,
    ) -> Result<Self, tonic::transport::Error> {
        // The address is a formality: the connector knows where to go.
        let endpoint = Endpoint::from_static("http://plugin").http2_adaptive_window(true);
        let channel = endpoint.connect_with_connector(UnixConnector(path.into())).await?;
        Ok(Self { channel, max_response_bytes })
    }

    /// What the plugin says of its health.
    pub(crate) async fn health(&self) -> Result<ServingStatus, tonic::Status> {
        let request = HealthCheckRequest { service: HEALTH_SERVICE.to_owned() };
        HealthClient::new(self.channel.clone())
            .check(request)
            .await
            .map(|response| response.get_ref().status())
    }

    /// Asks for data on behalf of `tenant`, a namespace. The caller waits for `timeout` and then drops the call, which
    /// cancels it in the plugin.
    pub(crate) async fn query_data(
        &self,
        tenant: &str,
        request: QueryDataRequest,
        timeout: Duration,
    ) -> Result<QueryDataResponse, tonic::Status> {
        let tenant = MetadataValue::try_from(tenant)
            .map_err(|_| tonic::Status::invalid_argument("the namespace must be printable ASCII"))?;
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert(TENANT, tenant);
        request.set_timeout(timeout + DEADLINE_SLACK);
        let mut client =
            DataClient::new(self.channel.clone()).max_decoding_message_size(self.max_response_bytes);
        client.query_data(request).await.map(tonic::Response::into_inner)
    }

    /// Tells the plugin to end. It ends so hard that the call usually fails, which is a success.
    pub(crate) async fn shutdown(&self) {
        let _ = GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await;
    }
}

/// Dials one socket, whatever it is asked for.
#[derive(Clone)]
struct UnixConnector(Arc<std::path::Path>);

impl Service<Uri> for UnixConnector {
    type Response = TokioIo<UnixStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<UnixStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = Arc::clone(&self.0);
        Box::pin(async move { UnixStream::connect(path).await.map(TokioIo::new) })
    }
}
