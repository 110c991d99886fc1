//! Reads: always by quorum, so that what was acknowledged to anybody is seen.

use super::{
    Inner,
    client::{Failure, Repeat, is_too_long},
    convert::{self, from_wire, to_wire},
    keyspace, proto,
};
use crate::{KeyValue, Range, Revision, StoreError};

/// How far [`oldest`] looks back, in revisions: what a cache replays when it starts is bounded by this.
const LONGEST_HISTORY: Revision = 10_000;
/// Keys of the first page of a range, and of the largest one.
const FIRST_PAGE: i64 = 64;
const LARGEST_PAGE: i64 = 10_000;
/// The bytes that a page should have.
const PAGE_BYTES: usize = 4 << 20;

const COMPACTED: &str = "required revision has been compacted";
const FUTURE: &str = "required revision is a future revision";

pub(super) async fn get(
    inner: &Inner,
    key: &str,
    at: Option<Revision>,
) -> Result<Option<KeyValue>, StoreError> {
    let request = proto::RangeRequest { key: inner.keyspace.data(key).into(), ..Default::default() };
    let response = at_revision(inner, request, at).await?;
    Ok(response.kvs.first().and_then(|found| convert::key_value(&inner.keyspace, found)))
}

/// Reads all keys that start with `prefix`.
pub(super) async fn range(inner: &Inner, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
    let start = inner.keyspace.data(prefix);
    let end = keyspace::end(&start);
    read(inner, start, end, usize::MAX, at).await
}

/// Reads the first `most` of the keys above `after` that start with `prefix`.
pub(super) async fn after(
    inner: &Inner,
    prefix: &str,
    after: &str,
    most: usize,
    at: Revision,
) -> Result<Range, StoreError> {
    let end = keyspace::end(&inner.keyspace.data(prefix));
    let mut start = inner.keyspace.data(prefix.max(after));
    if after >= prefix {
        start.push(0);
    }
    // For etcd a range that ends before it begins is empty, and one whose end is empty is a single key.
    read(inner, start, end, most, Some(at)).await
}

/// Reads page by page, all of them at the revision of the first.
async fn read(
    inner: &Inner,
    mut start: Vec<u8>,
    end: Vec<u8>,
    most: usize,
    at: Option<Revision>,
) -> Result<Range, StoreError> {
    let (mut items, mut revision, mut limit) = (Vec::new(), at, FIRST_PAGE);
    loop {
        // Without a limit, etcd sends all that there is.
        limit = limit.min(i64::try_from(most - items.len()).unwrap_or(i64::MAX)).max(1);
        let request = proto::RangeRequest {
            key: start.clone().into(),
            range_end: end.clone().into(),
            limit,
            ..Default::default()
        };
        let Some(response) = page(inner, request, revision).await? else {
            limit = (limit / 4).max(1);
            continue;
        };
        let revision = *revision.get_or_insert(convert::revision(response.header));
        limit = next_limit(&response.kvs);
        items.extend(response.kvs.iter().filter_map(|found| convert::key_value(&inner.keyspace, found)));
        match response.kvs.last() {
            Some(last) if response.more && items.len() < most => start = [&last.key[..], &[0]].concat(),
            _ => return Ok(Range { items, revision }),
        }
    }
}

/// So many keys as make a page of the wanted size, judging by the last one.
fn next_limit(page: &[proto::KeyValue]) -> i64 {
    let bytes: usize = page.iter().map(|found| found.key.len() + found.value.len()).sum();
    let each = bytes / page.len().max(1) + 1;
    i64::try_from(PAGE_BYTES / each).unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE)
}

/// One page; `None` when it is longer than a message may be.
async fn page(
    inner: &Inner,
    request: proto::RangeRequest,
    at: Option<Revision>,
) -> Result<Option<proto::RangeResponse>, StoreError> {
    let can_be_shorter = request.limit > 1;
    match send(inner, request, at).await {
        Err(Failure::Refused(status)) if can_be_shorter && is_too_long(&status) => Ok(None),
        outcome => explain(inner, at, outcome).await.map(Some),
    }
}

async fn at_revision(
    inner: &Inner,
    request: proto::RangeRequest,
    at: Option<Revision>,
) -> Result<proto::RangeResponse, StoreError> {
    let outcome = send(inner, request, at).await;
    explain(inner, at, outcome).await
}

async fn send(
    inner: &Inner,
    request: proto::RangeRequest,
    at: Option<Revision>,
) -> Result<proto::RangeResponse, Failure> {
    if at == Some(0) {
        // For etcd that is the newest one.
        return Err(Failure::Refused(tonic::Status::out_of_range(COMPACTED)));
    }
    let request = proto::RangeRequest { revision: at.map_or(0, to_wire), ..request };
    let call = |channel| {
        let request = proto::request(request.clone());
        async move { proto::kv(channel).range(request).await }
    };
    inner.client.call(Repeat::Always, call).await.map(|answer| answer.message)
}

/// Says which revisions there are when the asked one is not among them.
async fn explain<T>(
    inner: &Inner,
    at: Option<Revision>,
    outcome: Result<T, Failure>,
) -> Result<T, StoreError> {
    let failure = match outcome {
        Ok(answer) => return Ok(answer),
        Err(failure) => failure,
    };
    match (&failure, at) {
        (Failure::Refused(status), Some(requested)) if status.message().contains(COMPACTED) => {
            Err(StoreError::Compacted { requested, oldest: oldest(inner).await? })
        }
        (Failure::Refused(status), Some(requested)) if status.message().contains(FUTURE) => {
            Err(StoreError::FutureRevision { requested, current: current(inner).await? })
        }
        _ => Err(failure.into()),
    }
}

/// Whether the history after `revision` is there: the current revision if so, else why not.
pub(super) async fn check(inner: &Inner, revision: Revision) -> Result<Revision, StoreError> {
    Ok(convert::revision(at_revision(inner, nothing(inner), Some(revision)).await?.header))
}

/// The revision of the cluster, by quorum.
pub(super) async fn current(inner: &Inner) -> Result<Revision, StoreError> {
    Ok(convert::revision(send(inner, nothing(inner), None).await?.header))
}

/// A read that finds nothing worth sending.
fn nothing(inner: &Inner) -> proto::RangeRequest {
    proto::RangeRequest { key: inner.keyspace.meta("none").into(), count_only: true, ..Default::default() }
}

/// The oldest revision that can be read, of the newest [`LONGEST_HISTORY`]. etcd does not tell, so it is searched for.
pub(super) async fn oldest(inner: &Inner) -> Result<Revision, StoreError> {
    let newest = current(inner).await?;
    let first = newest.saturating_sub(LONGEST_HISTORY).max(1);
    if is_kept(inner, first).await? {
        return Ok(first);
    }
    let (mut forgotten, mut kept) = (first, newest);
    while kept - forgotten > 1 {
        let middle = forgotten + (kept - forgotten) / 2;
        if is_kept(inner, middle).await? { kept = middle } else { forgotten = middle }
    }
    Ok(kept)
}

async fn is_kept(inner: &Inner, revision: Revision) -> Result<bool, StoreError> {
    match send(inner, nothing(inner), Some(revision)).await {
        Ok(_) => Ok(true),
        Err(Failure::Refused(status)) if status.message().contains(COMPACTED) => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

/// The value of a key that is none of the store's, with its version: how often it was written.
pub(super) async fn meta(inner: &Inner, name: &str) -> Result<Option<(Vec<u8>, Revision)>, StoreError> {
    let request = proto::RangeRequest { key: inner.keyspace.meta(name).into(), ..Default::default() };
    let response = send(inner, request, None).await?;
    Ok(response.kvs.first().map(|found| (found.value.to_vec(), from_wire(found.version))))
}
