//! Tells people of references that cannot work: an event at the object that has one.

use detectviz_api::timestamp;
use detectviz_core::{Loopback, RunContext};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

use super::graph::Misplaced;
use super::object::{Identity, Owner, Uid};

/// References that wait to be told of.
const WAITING: usize = 256;

/// Tells of what is sent, one after the other.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>) -> mpsc::Sender<Misplaced> {
    let (reports, mut received) = mpsc::channel::<Misplaced>(WAITING);
    let loopback = Arc::clone(loopback);
    context.spawn(async move {
        while let Some(Misplaced { uid, identity, owner }) = received.recv().await {
            misplaced(&*loopback, uid, &identity, &owner).await;
        }
    });
    reports
}

/// Records that `dependent` refers to an owner in another namespace. Nothing depends on it: an event that is refused is not
/// tried again.
async fn misplaced(loopback: &dyn Loopback, uid: Uid, dependent: &Identity, owner: &Owner) {
    let namespace = if dependent.namespace.is_empty() { "default" } else { &dependent.namespace };
    let (now, owner_uid) = (timestamp::now(), owner.uid.text());
    let message = format!(
        "ownerRef [{}/{}, namespace: {}, name: {}, uid: {owner_uid}] does not exist in namespace {:?}",
        owner.api_version, owner.kind, dependent.namespace, owner.name, dependent.namespace
    );
    // One event an object and owner, however often they are come across.
    let name: String = format!("{}.{}", uid.text(), owner_uid);
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {"apiVersion": dependent.api_version, "kind": dependent.kind,
            "namespace": dependent.namespace, "name": dependent.name, "uid": uid.text()},
        "type": "Warning", "reason": "OwnerRefInvalidNamespace", "message": message, "count": 1,
        "source": {"component": "garbage-collector-controller"},
        "reportingComponent": "garbage-collector-controller", "reportingInstance": "",
        "firstTimestamp": now, "lastTimestamp": now,
    });
    if let Err(refusal) = loopback.create(&format!("/api/v1/namespaces/{namespace}/events"), &event).await {
        tracing::debug!(error = %refusal, "record an event about an owner in another namespace");
    }
}
