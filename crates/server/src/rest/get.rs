//! get: the cached bytes, as they are.

use detectviz_api::Status;
use detectviz_api::options::resource_version;
use detectviz_core::http::Response;
use detectviz_storage::cache::{CacheError, Object};
use http::StatusCode;
use std::sync::Arc;

use super::{Call, cache_fault};

pub(super) async fn get(call: Call) -> Result<Response, Status> {
    let output = call.output()?;
    call.reach(resource_version(&call.context.info.query)?).await?;
    let object = call.cached(&call.info().name).ok_or_else(|| call.resource.not_found(&call.info().name))?;
    output.object(&call.resource, StatusCode::OK, &object.json())
}

impl Call {
    /// Waits until the cache has what the caller may expect: everything written by now, or the version it named.
    pub(super) async fn reach(&self, version: Option<u64>) -> Result<(), Status> {
        let cache = &self.resource.backend.cache;
        match version {
            None => cache.fresh().await.map_err(cache_fault),
            Some(version) if version <= cache.applied_revision() => Ok(()),
            Some(version) => {
                cache.fresh().await.map_err(cache_fault)?;
                let current = cache.applied_revision();
                if version <= current {
                    return Ok(());
                }
                Err(cache_fault(CacheError::Future { requested: version, current }))
            }
        }
    }

    /// The object called `name`, from the cache.
    pub(super) fn cached(&self, name: &str) -> Option<Arc<Object>> {
        self.resource.backend.cache.get(&self.key(name))
    }
}
