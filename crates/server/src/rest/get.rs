//! get: the cached bytes, as they are if they are stored as they are served.

use detectviz_api::Status;
use detectviz_api::options::resource_version;
use detectviz_core::http::Response;
use detectviz_storage::cache::{CacheError, Object};
use http::StatusCode;
use std::sync::Arc;

use super::{Call, cache_fault};

pub(super) async fn get(call: Call) -> Result<Response, Status> {
    let output = call.output()?;
    let object = call.fresh_object().await?;
    output.object(&call.resource, StatusCode::OK, &call.resource.served(&object)?.json())
}

impl Call {
    /// The object that the path names, as new as the query asks.
    pub(super) async fn fresh_object(&self) -> Result<Arc<Object>, Status> {
        self.reach(resource_version(&self.context.info.query)?).await?;
        self.cached(&self.info().name).ok_or_else(|| self.resource.not_found(&self.info().name))
    }

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
