//! Writes: each is one transaction of etcd that compares and changes one key, and in the other case reads what is there.

use std::time::Duration;

use tonic::Status;

use super::{
    Inner,
    client::{Answer, Failure, Repeat},
    convert::{self, to_wire},
    proto::{
        self,
        compare::{CompareTarget, TargetUnion},
        request_op::Request,
        response_op::Response,
    },
    range,
};
use crate::{Compare, KeyValue, Op, StoreError, Txn, TxnOutcome};

/// What etcd lets a request have, unless it was told otherwise.
const MAX_REQUEST: usize = 1_572_864;

pub(super) async fn txn(inner: &Inner, txn: Txn) -> Result<TxnOutcome, StoreError> {
    if never_holds(&txn) {
        return Ok(TxnOutcome::Conflict { current: range::get(inner, &txn.key, None).await? });
    }
    let lease = match (&txn.op, txn.lifetime) {
        (Op::Put(_), Some(lifetime)) => grant(inner, lifetime).await?,
        _ => 0,
    };
    let request = request(inner, &txn, lease);
    let outcome = send(inner, repeat(txn.compare), request).await;
    let Answer { message, repeated } = outcome.map_err(|failure| fault(&txn, failure))?;
    match decode(inner, &message) {
        // An earlier attempt may be what it lost against.
        TxnOutcome::Conflict { .. } if repeated => Err(StoreError::Uncertain {
            reason: "etcd was cut off, and the object has changed since".to_owned(),
        }),
        outcome => Ok(outcome),
    }
}

/// Whether the transaction is a conflict whatever is there.
fn never_holds(txn: &Txn) -> bool {
    matches!((txn.compare, &txn.op), (Compare::Absent, Op::Delete) | (Compare::ModRevision(0), _))
}

/// A revision is never handed out twice, so that a comparison with it holds for one attempt at most, in whatever order they
/// arrive. A key can be absent again.
fn repeat(compare: Compare) -> Repeat {
    match compare {
        Compare::ModRevision(_) => Repeat::Once,
        Compare::Absent | Compare::Any => Repeat::Never,
    }
}

/// A lease of its own for each write: the keys of a shared one would end in one revision, and an event has its own.
async fn grant(inner: &Inner, lifetime: Duration) -> Result<i64, StoreError> {
    let seconds = lifetime.as_secs() + u64::from(lifetime.subsec_nanos() > 0);
    let request = proto::LeaseGrantRequest { ttl: to_wire(seconds.max(1)), id: 0 };
    let call = |channel| {
        let request = proto::request(request);
        async move { proto::lease_client::LeaseClient::new(channel).lease_grant(request).await }
    };
    // A lease without keys ends by itself.
    let granted = inner.client.call(Repeat::Always, call).await.map_err(|failure| match failure {
        Failure::Refused(status) if is_full(&status) => {
            StoreError::Full { reason: status.message().to_owned() }
        }
        failure => failure.into(),
    });
    Ok(granted?.message.id)
}

async fn send(
    inner: &Inner,
    repeat: Repeat,
    txn: proto::TxnRequest,
) -> Result<Answer<proto::TxnResponse>, Failure> {
    let call = |channel| {
        let request = proto::request(txn.clone());
        async move { proto::kv(channel).txn(request).await }
    };
    inner.client.call(repeat, call).await
}

fn request(inner: &Inner, txn: &Txn, lease: i64) -> proto::TxnRequest {
    let key = bytes::Bytes::from(inner.keyspace.data(&txn.key));
    let change = match &txn.op {
        Op::Put(value) => Request::RequestPut(proto::PutRequest {
            key: key.clone(),
            value: value.clone(),
            lease,
            prev_kv: true,
        }),
        Op::Delete => {
            Request::RequestDeleteRange(proto::DeleteRangeRequest { key: key.clone(), prev_kv: true })
        }
    };
    let look = Request::RequestRange(proto::RangeRequest { key: key.clone(), ..Default::default() });
    proto::TxnRequest {
        compare: vec![comparison(key, txn.compare)],
        success: vec![op(change)],
        failure: vec![op(look)],
    }
}

fn op(request: Request) -> proto::RequestOp {
    proto::RequestOp { request: Some(request) }
}

fn comparison(key: bytes::Bytes, compare: Compare) -> proto::Compare {
    use proto::compare::CompareResult::{Equal, Greater};
    let (result, target, value) = match compare {
        Compare::Absent => (Equal, CompareTarget::Create, TargetUnion::CreateRevision(0)),
        Compare::Any => (Greater, CompareTarget::Create, TargetUnion::CreateRevision(0)),
        Compare::ModRevision(at) => (Equal, CompareTarget::Mod, TargetUnion::ModRevision(to_wire(at))),
    };
    proto::Compare { result: result as i32, target: target as i32, key, target_union: Some(value) }
}

fn decode(inner: &Inner, response: &proto::TxnResponse) -> TxnOutcome {
    let revision = convert::revision(response.header);
    let found = |kv: &proto::KeyValue| convert::key_value(&inner.keyspace, kv);
    let found: Option<KeyValue> = match response.responses.first().and_then(|one| one.response.as_ref()) {
        Some(Response::ResponsePut(put)) => put.prev_kv.as_ref().and_then(found),
        Some(Response::ResponseDeleteRange(deleted)) => deleted.prev_kvs.first().and_then(found),
        Some(Response::ResponseRange(range)) => range.kvs.first().and_then(found),
        None => None,
    };
    match response.succeeded {
        true => TxnOutcome::Committed { revision, previous: found },
        false => TxnOutcome::Conflict { current: found },
    }
}

/// What a failed write means: whether it may have happened is the difference that matters.
fn fault(txn: &Txn, failure: Failure) -> StoreError {
    match failure {
        Failure::NotSent(reason) => StoreError::Unavailable { reason },
        Failure::Unknown(reason) => StoreError::Uncertain { reason },
        Failure::Refused(status) => refusal(txn, &status),
    }
}

fn refusal(txn: &Txn, status: &Status) -> StoreError {
    let (reason, key) = (status.message().to_owned(), txn.key.to_string());
    let value = if let Op::Put(value) = &txn.op { value.len() } else { 0 };
    if reason.contains("request is too large") || reason.contains("message larger than max") {
        let bytes = key.len() + value;
        return StoreError::TooLarge { key, bytes, max: MAX_REQUEST };
    }
    match reason.starts_with("etcdserver: ") {
        true if is_full(status) => StoreError::Full { reason },
        true => StoreError::Unavailable { reason },
        // An answer that could not be read.
        false => StoreError::Uncertain { reason },
    }
}

fn is_full(status: &Status) -> bool {
    status.message().contains("database space exceeded")
}

/// Writes a key of the servers themselves, if it was written `version` times so far; the answer says whether it was, and
/// the current revision.
pub(super) async fn write_meta(
    inner: &Inner,
    name: &str,
    version: u64,
    value: &str,
) -> Result<(bool, crate::Revision), Failure> {
    let key = bytes::Bytes::from(inner.keyspace.meta(name));
    let compare = proto::Compare {
        result: proto::compare::CompareResult::Equal as i32,
        target: CompareTarget::Version as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::Version(to_wire(version))),
    };
    let put = proto::PutRequest { key, value: value.to_owned().into(), ..Default::default() };
    let (compare, success) = (vec![compare], vec![op(Request::RequestPut(put))]);
    let txn = proto::TxnRequest { compare, success, failure: Vec::new() };
    let answer = send(inner, Repeat::Never, txn).await?.message;
    Ok((answer.succeeded, convert::revision(answer.header)))
}

/// Writes a key whose value means nothing, so that a new revision comes along with the watch.
pub(super) async fn touch(inner: &Inner) -> Result<crate::Revision, Failure> {
    let key = inner.keyspace.meta("progress").into();
    let put = proto::PutRequest { key, ..Default::default() };
    let txn = proto::TxnRequest { success: vec![op(Request::RequestPut(put))], ..Default::default() };
    Ok(convert::revision(send(inner, Repeat::Never, txn).await?.message.header))
}
