//! etcd's words in ours. Values are copied out of the message that brought them, which would otherwise stay in memory as
//! a whole for as long as the smallest of them.

use std::sync::Arc;

use bytes::Bytes;

use super::{keyspace::Keyspace, proto};
use crate::{Event, EventKind, KeyValue, Revision};

/// A revision as etcd writes it.
pub(super) fn to_wire(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// A revision as we write it; etcd has none below 0.
pub(super) fn from_wire(revision: i64) -> Revision {
    Revision::try_from(revision).unwrap_or_default()
}

/// The revision of the answering member, for a quorum read that of the cluster.
pub(super) fn revision(header: Option<proto::ResponseHeader>) -> Revision {
    header.map_or(0, |header| from_wire(header.revision))
}

/// A key with its value; `None` when it is not one of the store.
pub(super) fn key_value(keyspace: &Keyspace, found: &proto::KeyValue) -> Option<KeyValue> {
    Some(KeyValue {
        key: keyspace.key_of(&found.key)?.into(),
        value: Bytes::copy_from_slice(&found.value),
        create_revision: from_wire(found.create_revision),
        mod_revision: from_wire(found.mod_revision),
    })
}

/// An event came without the value before: that was compacted before the event was sent.
#[derive(Debug)]
pub(super) struct PreviousIsGone;

/// The revision of an event, and the event when it is about a key of the store.
pub(super) fn event(
    keyspace: &Keyspace,
    event: &proto::Event,
) -> Result<(Revision, Option<Arc<Event>>), PreviousIsGone> {
    let Some(kv) = &event.kv else { return Ok((0, None)) };
    let revision = from_wire(kv.mod_revision);
    let Some(key) = keyspace.key_of(&kv.key) else { return Ok((revision, None)) };
    let previous = || event.prev_kv.as_ref().ok_or(PreviousIsGone);
    let copy = |kv: &proto::KeyValue| Bytes::copy_from_slice(&kv.value);
    let (create_revision, kind) = if event.r#type == proto::event::EventType::Delete as i32 {
        let previous = previous()?;
        (previous.create_revision, EventKind::Delete { previous: copy(previous) })
    } else {
        let is_new = kv.create_revision == kv.mod_revision;
        let previous = if is_new { None } else { Some(copy(previous()?)) };
        (kv.create_revision, EventKind::Put { value: copy(kv), previous })
    };
    let create_revision = from_wire(create_revision);
    Ok((revision, Some(Arc::new(Event { key: key.into(), revision, create_revision, kind }))))
}
