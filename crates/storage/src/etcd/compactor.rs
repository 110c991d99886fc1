//! Forgetting history: what is older than one interval at least, by whichever server is first in that interval. All count
//! the intervals by the version of one key, so that only who raises it compacts, up to the revision of its last look.

use std::{sync::Arc, time::Duration};

use super::{
    Inner,
    client::{Failure, Repeat},
    convert::to_wire,
    proto, range, txn,
};
use crate::{Revision, StoreError};

/// The key that is raised.
const KEY: &str = "compaction";

/// Compacts until the store closes.
pub(super) async fn run(inner: Arc<Inner>, interval: Duration) {
    let mut round = Round { version: 0, revision: 0 };
    loop {
        tokio::time::sleep(interval).await;
        match round.take(&inner).await {
            Ok(next) => round = next,
            Err(error) => tracing::warn!(%error, "etcd was not compacted, trying again in the next interval"),
        }
    }
}

/// What was seen at the last look.
struct Round {
    version: u64,
    revision: Revision,
}

impl Round {
    /// Looks again, and compacts up to the look before if this is the first server to do so.
    async fn take(&self, inner: &Inner) -> Result<Self, StoreError> {
        let (raised, revision) =
            txn::write_meta(inner, KEY, self.version, &self.revision.to_string()).await?;
        if !raised {
            let version = range::meta(inner, KEY).await?.map_or(0, |(_, version)| version);
            return Ok(Self { version, revision });
        }
        if self.revision > 0 {
            compact(inner, self.revision).await?;
            tracing::debug!(revision = self.revision, "etcd is compacted");
        }
        Ok(Self { version: self.version + 1, revision })
    }
}

pub(super) async fn compact(inner: &Inner, revision: Revision) -> Result<(), StoreError> {
    let request = proto::CompactionRequest { revision: to_wire(revision), physical: false };
    let call = |channel| {
        let request = proto::request(request);
        async move { proto::kv(channel).compact(request).await }
    };
    match inner.client.call(Repeat::Always, call).await {
        Ok(_) => Ok(()),
        Err(Failure::Refused(status)) if status.message().contains("has been compacted") => Ok(()),
        Err(Failure::Refused(status)) if status.message().contains("is a future revision") => {
            Err(StoreError::FutureRevision { requested: revision, current: range::current(inner).await? })
        }
        Err(failure) => Err(failure.into()),
    }
}
