//! What the server says at this moment, and what it is asked to do. Nothing goes by what the graph believes.

use detectviz_api::{GroupVersion, Reason, Status};
use detectviz_core::http::Body;
use detectviz_core::{Catalog, Loopback};
use http::{Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::object::{Identity, Meta, Uid};
use crate::controllers::metadata::{OBJECT, answer, document, in_time, request};
use crate::controllers::served::{Resources, Served};
use crate::controllers::write::segment;

/// Requests under way for one group of another server: one that hangs does not hold up the rest.
const PER_REMOTE_GROUP: usize = 8;

/// Why something could not be looked at or done.
#[derive(Debug)]
pub(super) enum Fault {
    /// Nobody serves the kind, as far as is known now.
    UnknownKind(Identity),
    /// So much is asked of that server already.
    Busy,
    /// What was answered is not about the object that was asked for.
    Unclear,
    /// A cluster-scoped object refers to an owner in a namespace, which cannot be looked up.
    NoNamespace,
    /// The server refused.
    Refused(Status),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(identity) => {
                write!(f, "no {} of {} is served", identity.kind, identity.api_version)
            }
            Self::Busy => f.write_str("the server has enough to answer"),
            Self::Unclear => f.write_str("the answer has no uid, or another name"),
            Self::NoNamespace => f.write_str("a cluster-scoped object cannot have an owner in a namespace"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl Fault {
    /// Whether the object was changed meanwhile.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is(Reason::Conflict))
    }
}

impl From<Status> for Fault {
    fn from(refusal: Status) -> Self {
        Self::Refused(refusal)
    }
}

/// The server, asked for single objects.
pub(super) struct Live {
    loopback: Arc<dyn Loopback>,
    resources: RwLock<Resources>,
    lanes: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Meta,
}

/// A served object: where it is, and whose turn it is to be asked.
struct Place {
    path: String,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Live {
    pub(super) fn new(loopback: Arc<dyn Loopback>) -> Self {
        Self { loopback, resources: RwLock::default(), lanes: Mutex::default() }
    }

    /// Takes down what is served now, and says what of it is to be followed.
    pub(super) fn refresh(&self, catalog: &Catalog) -> Vec<Served> {
        let mut resources = self.resources.write().unwrap_or_else(PoisonError::into_inner);
        resources.refresh(catalog);
        resources.with(&["delete", "list", "watch"])
    }

    pub(super) fn loopback(&self) -> &Arc<dyn Loopback> {
        &self.loopback
    }

    /// Whether another server serves the group-version.
    pub(super) fn is_remote(&self, gv: &GroupVersion) -> bool {
        self.resources.read().unwrap_or_else(PoisonError::into_inner).is_remote(gv)
    }

    /// Whether objects of the kind of `identity` live in namespaces; and if their deletion is told of.
    pub(super) fn kind(&self, identity: &Identity) -> Result<(bool, bool), Fault> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        let served = resources.of_kind(&identity.api_version, &identity.kind);
        let served = served.ok_or_else(|| Fault::UnknownKind(identity.clone()))?;
        Ok((served.namespaced, served.can(&["delete", "list", "watch"])))
    }

    /// The object with this uid at `identity`, as it is now; `None` when there is none, or another.
    pub(super) async fn get(&self, uid: Uid, identity: &Identity) -> Result<Option<Meta>, Fault> {
        let place = self.place(identity)?;
        match in_time(document::<Item>(&*self.loopback, &place.path, OBJECT)).await {
            // What is no object says nothing of one.
            Ok(item) if item.metadata.uid.is_empty() || *item.metadata.name != *identity.name => {
                Err(Fault::Unclear)
            }
            Ok(item) if Uid::of(&item.metadata.uid) == uid => Ok(Some(item.metadata)),
            Ok(_) => Ok(None),
            Err(refusal) if is_absent(&refusal, identity) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Deletes the object, if it is still as `seen`.
    pub(super) async fn delete(&self, identity: &Identity, seen: &Meta, policy: &str) -> Result<(), Fault> {
        let place = self.place(identity)?;
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
            "preconditions": {"uid": seen.uid, "resourceVersion": seen.resource_version},
        });
        self.write(Method::DELETE, &place, "application/json", &options, identity).await
    }

    /// Changes metadata of the object, if it is still as `seen`.
    pub(super) async fn patch(
        &self,
        identity: &Identity,
        seen: &Meta,
        mut metadata: Value,
    ) -> Result<(), Fault> {
        let place = self.place(identity)?;
        metadata["uid"] = seen.uid.as_str().into();
        metadata["resourceVersion"] = seen.resource_version.as_str().into();
        let patch = json!({"metadata": metadata});
        self.write(Method::PATCH, &place, "application/merge-patch+json", &patch, identity).await
    }

    /// Sends a write. Of what is gone already nothing more is wanted.
    async fn write(
        &self,
        method: Method,
        place: &Place,
        media_type: &str,
        body: &Value,
        identity: &Identity,
    ) -> Result<(), Fault> {
        let mut request = request(&place.path, OBJECT)?;
        *request.method_mut() = method;
        let media_type = header::HeaderValue::from_str(media_type).map_err(Status::internal)?;
        request.headers_mut().insert(header::CONTENT_TYPE, media_type);
        *request.body_mut() = Body::full(body.to_string());
        let sent = async { answer(self.loopback.send(request).await).await.map(drop) };
        match in_time(sent).await {
            Err(refusal) if !is_absent(&refusal, identity) => Err(refusal.into()),
            _ => Ok(()),
        }
    }

    /// The path of the object, with leave to use it.
    fn place(&self, identity: &Identity) -> Result<Place, Fault> {
        let resources = self.resources.read().unwrap_or_else(PoisonError::into_inner);
        let served = resources.of_kind(&identity.api_version, &identity.kind);
        let served = served.ok_or_else(|| Fault::UnknownKind(identity.clone()))?;
        if served.namespaced && identity.namespace.is_empty() {
            return Err(Fault::NoNamespace);
        }
        let path = format!("{}/{}", served.collection(Some(&identity.namespace)), segment(&identity.name));
        let remote = resources.is_remote(&served.group_version);
        let _permit = if remote { Some(self.permit(&served.group_version.group)?) } else { None };
        Ok(Place { path, _permit })
    }

    fn permit(&self, group: &Arc<str>) -> Result<OwnedSemaphorePermit, Fault> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane =
            lanes.entry(Arc::clone(group)).or_insert_with(|| Arc::new(Semaphore::new(PER_REMOTE_GROUP)));
        Arc::clone(lane).try_acquire_owned().map_err(|_| Fault::Busy)
    }
}

/// Whether the refusal is about the object: a path that is not served says nothing of it.
fn is_absent(refusal: &Status, identity: &Identity) -> bool {
    let name = refusal.details.as_ref().map(|details| details.name.as_str());
    refusal.is(Reason::NotFound) && name == Some(&*identity.name)
}
