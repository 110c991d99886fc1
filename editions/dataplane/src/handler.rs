//! A query, in a straight line: find the data source and its plugin, check the queries, call the plugin, pass on the answer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use detectviz_api::Status;
use detectviz_api::condition::Condition;
use detectviz_core::http::{Body, CollectError, Request, Response};
use detectviz_core::{Context, Handler, Loopback, Options};
use detectviz_pluginv2::proto::{
    DataFrameFormat, DataQuery, PluginContext, QueryDataRequest, QueryDataResponse,
};
use http::{HeaderValue, header};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::context::plugin_context;
use crate::metrics::Metrics;
use crate::plugin::{Connection, Plugin, State};
use crate::query::decode::{Target, decode};
use crate::query::{answer, fault};
use crate::settings::{self, Wanted};

/// What all query handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) loopback: Arc<dyn Loopback>,
    pub(crate) options: Arc<Options>,
    pub(crate) metrics: Metrics,
}

/// Answers the queries of one DataPlaneService.
pub(crate) struct QueryHandler {
    plugin_id: String,
    /// The plugin, or the service's condition, which says why there is none.
    plugin: Result<Arc<Plugin>, Condition>,
    shared: Shared,
}

impl QueryHandler {
    pub(crate) fn new(plugin_id: String, plugin: Result<Arc<Plugin>, Condition>, shared: Shared) -> Self {
        Self { plugin_id, plugin, shared }
    }

    async fn answer(&self, context: &Context, request: Request) -> Result<Response, Status> {
        let resource = context.info.require_resource()?;
        let (loopback, namespace) = (&*self.shared.loopback, resource.namespace.as_str());
        let wanted = Wanted { namespace, uid: &resource.name, plugin_id: &self.plugin_id };
        let body = self.read(request).await?;
        // The path is judged before the queries: whoever erred there is not to look for the fault in them.
        let source = settings::data_source(loopback, &wanted).await?;
        let plugin = self.plugin()?;
        let target = Target { plugin_id: &self.plugin_id, uid: &resource.name };
        let queries = decode(&body, target, OffsetDateTime::now_utc()).map_err(bad_request)?;
        let settings = settings::load(loopback, &source, &wanted).await?;
        let plugin_context = plugin_context(&context.identity, namespace, &plugin.manifest, settings);
        let request = query_data(plugin_context.map_err(bad_request)?, queries);
        let answer = self.call(namespace, request).await?;
        respond(answer::encode(&answer.responses).map_err(Status::internal)?)
    }

    async fn read(&self, request: Request) -> Result<Bytes, Status> {
        let body = request.into_body().collect(self.shared.options.limits.max_body_bytes).await;
        body.map_err(|fault| match fault {
            CollectError::TooLarge { .. } => fault::too_large(format!("read the query request: {fault}")),
            CollectError::Read(_) => bad_request(fault),
        })
    }

    fn plugin(&self) -> Result<&Plugin, Status> {
        self.plugin.as_deref().map_err(fault::no_plugin)
    }

    fn connection(&self) -> Result<Connection, Status> {
        match self.plugin()?.state() {
            State::Running(connection) => Ok(connection),
            State::Starting => Err(fault::not_running(&self.plugin_id, "it is being started")),
            State::Failed(why) => Err(fault::not_running(&self.plugin_id, &why)),
            State::Stopped => Err(fault::not_running(&self.plugin_id, "it was stopped")),
        }
    }

    async fn call(&self, namespace: &str, request: QueryDataRequest) -> Result<QueryDataResponse, Status> {
        let (plugin, limit) = (self.plugin_id.as_str(), self.shared.options.dataplane.query_timeout);
        let connection = self.connection()?;
        match timeout(limit, connection.query_data(namespace, request, limit)).await {
            Ok(answer) => answer.map_err(|status| fault::grpc(plugin, &status, limit)),
            Err(_) => Err(fault::timed_out(plugin, limit)),
        }
    }
}

#[async_trait]
impl Handler for QueryHandler {
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status> {
        let result = self.answer(&context, request).await;
        let code = result.as_ref().map_or_else(|status| status.code, |response| response.status().as_u16());
        // A plugin id that is not installed is a user's text: no series for it.
        if self.plugin.is_ok() {
            self.shared.metrics.count_query(&self.plugin_id, code);
        }
        result
    }
}

/// The plugin call: nothing in it comes from the client but the checked queries and its proven name.
fn query_data(context: PluginContext, queries: Vec<DataQuery>) -> QueryDataRequest {
    QueryDataRequest {
        plugin_context: Some(context),
        queries,
        format: DataFrameFormat::Json.into(),
        ..QueryDataRequest::default()
    }
}

fn bad_request(fault: impl std::fmt::Display) -> Status {
    Status::bad_request(fault.to_string())
}

fn respond(body: Vec<u8>) -> Result<Response, Status> {
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
