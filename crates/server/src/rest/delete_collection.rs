//! deletecollection: each selected object is deleted by the rules of a delete, many at once. The answer is the list of
//! what was selected, and nothing of it is collected: both are read from one snapshot.

use detectviz_api::options::{DeleteOptions, ListOptions};
use detectviz_api::{Reason, Status};
use detectviz_core::http::{Body, Response};
use detectviz_storage::KeyValue;
use futures_util::{StreamExt, stream};
use std::sync::Arc;

use super::list::Deleting;
use super::{Call, store_fault};

/// Deletes under way at once: enough to share the store's syncs.
const CONCURRENT: usize = 64;

pub(super) async fn delete_collection(call: Call, body: Body) -> Result<Response, Status> {
    let namespaced = call.resource.definition.is_namespaced();
    let everywhere = namespaced && call.info().namespace().is_none();
    if everywhere || call.resource.definition.extensions.without_delete_collection {
        return Err(Status::method_not_allowed());
    }
    let output = call.list_output()?;
    let selected = ListOptions::parse(&call.context.info.query, false)?;
    let options = call.delete_options(body).await?;
    let selection = call.select(&selected).await?;
    let mut deleting = Deleting::new(&selection);
    while let Some(keys) = deleting.next(&selection) {
        call.end_all(keys, &options).await?;
        // Selectors may leave nothing over of very many: others get their turn.
        tokio::task::yield_now().await;
    }
    let mut response = output.stream(Body::stream(selection.body(&output))).await?;
    call.warn_without_policy(&options, &mut response);
    Ok(response)
}

impl Call {
    /// Deletes the objects at `keys`. One that is gone is deleted already; any other refusal ends it.
    async fn end_all(&self, keys: Vec<Arc<str>>, options: &DeleteOptions) -> Result<(), Status> {
        let end = |key: Arc<str>| async move {
            match self.stored_at(&key).await? {
                Some(current) => self.end_object(current, options).await.map(drop),
                None => Ok(()),
            }
        };
        let mut ends = stream::iter(keys).map(end).buffer_unordered(CONCURRENT);
        while let Some(outcome) = ends.next().await {
            match outcome {
                Err(refusal) if !refusal.is(Reason::NotFound) => return Err(refusal),
                _ => {}
            }
        }
        Ok(())
    }

    async fn stored_at(&self, key: &str) -> Result<Option<KeyValue>, Status> {
        self.resource.backend.store.get(key, None).await.map_err(store_fault)
    }
}
