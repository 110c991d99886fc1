//! What all servers on one etcd have to agree on: the first one writes it down, and it never changes.

use super::{Inner, client::Failure, range, txn};
use crate::StoreError;

/// The layout of keys and values below the prefix.
const FORMAT: &str = "detectviz-etcd 1";

pub(super) async fn check_format(inner: &Inner) -> Result<(), StoreError> {
    let found = agree(inner, "format", FORMAT).await?;
    if found == FORMAT { Ok(()) } else { Err(StoreError::Format { found, supported: FORMAT }) }
}

/// Writes `value` if nothing is there yet; gives what is there.
pub(super) async fn agree(inner: &Inner, name: &str, value: &str) -> Result<String, StoreError> {
    if let Some(found) = read(inner, name).await? {
        return Ok(found);
    }
    match txn::write_meta(inner, name, 0, value).await {
        Ok((true, _)) => return Ok(value.to_owned()),
        // Another one was first, or we were and do not know.
        Ok((false, _)) | Err(Failure::Unknown(_)) => {}
        Err(failure) => return Err(failure.into()),
    }
    let missing = || StoreError::Unavailable { reason: format!("etcd did not keep {name:?}") };
    read(inner, name).await?.ok_or_else(missing)
}

async fn read(inner: &Inner, name: &str) -> Result<Option<String>, StoreError> {
    let found = range::meta(inner, name).await?;
    Ok(found.map(|(value, _)| String::from_utf8_lossy(&value).into_owned()))
}
