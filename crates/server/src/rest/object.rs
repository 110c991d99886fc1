//! Objects and their stored form, which has no version: that is the store's to give.

use bytes::Bytes;
use detectviz_api::{Status, meta};
use detectviz_storage::KeyValue;
use detectviz_storage::cache::Object;
use serde_json::Value;

use crate::resource::Resource;

/// The object of `resource` as it is stored: in the stored form, and without its version, which the store gives.
///
/// # Errors
/// 500 when it has no stored form.
pub(super) fn stored(resource: &Resource, object: &Value) -> Result<Bytes, Status> {
    let mut object = object.clone();
    if let Some(metadata) = meta::of_mut(&mut object) {
        metadata.remove("resourceVersion");
    }
    resource.to_stored(object.to_string().into())
}

/// The object with the version `revision`.
pub(super) fn versioned(mut object: Value, revision: u64) -> Value {
    if let Some(metadata) = meta::of_mut(&mut object) {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    }
    object
}

/// A stored object of `resource` in the form that it serves, parsed, with its version.
///
/// # Errors
/// 500 when what is stored is no JSON.
pub(super) fn parsed(resource: &Resource, stored: &KeyValue) -> Result<Value, Status> {
    let served = resource.to_served(&stored.value)?;
    let object = serde_json::from_slice(&served).map_err(Status::internal)?;
    Ok(versioned(object, stored.mod_revision))
}

/// Stored bytes as they are served at `revision`: nothing is encoded a second time.
///
/// # Errors
/// 500 when they are no object.
pub(super) fn served(stored: Bytes, revision: u64) -> Result<Bytes, Status> {
    Object::parse("".into(), stored, revision, revision).map(|object| object.json()).map_err(Status::internal)
}
