//! Every query has an answer of its own: one that fails does not fail its neighbours.

use std::collections::BTreeMap;

use detectviz_pluginv2::proto::data_server::Data;
use detectviz_pluginv2::proto::{
    QueryChunkedDataRequest, QueryChunkedDataResponse, QueryDataRequest, QueryDataResponse,
};
use futures_util::stream;
use tonic::{Request, Response, Status, async_trait};

use super::Plugin;
use crate::query::{self, Settings};

#[async_trait]
impl Data for Plugin {
    async fn query_data(
        &self,
        request: Request<QueryDataRequest>,
    ) -> Result<Response<QueryDataResponse>, Status> {
        Ok(Response::new(self.query(request.get_ref())))
    }

    type QueryChunkedDataStream = stream::Empty<Result<QueryChunkedDataResponse, Status>>;

    /// An hour of samples fits in one message, so there is nothing to gain from pieces.
    async fn query_chunked_data(
        &self,
        _: Request<QueryChunkedDataRequest>,
    ) -> Result<Response<Self::QueryChunkedDataStream>, Status> {
        Err(Status::unimplemented("queries are answered whole: use QueryData"))
    }
}

impl Plugin {
    fn query(&self, request: &QueryDataRequest) -> QueryDataResponse {
        let context = request.plugin_context.as_ref();
        let settings = Settings::of(context).inspect(|settings| self.sampler.measure(&settings.disks));
        let answer = |query| match &settings {
            Ok(settings) => query::answer(&self.sampler, settings, query::uid(context), query),
            Err(error) => query::refuse(error),
        };
        let responses: BTreeMap<_, _> =
            request.queries.iter().map(|query| (query.ref_id.clone(), answer(query))).collect();
        responses.values().for_each(|response| self.counts.add(response));
        QueryDataResponse { responses }
    }
}
