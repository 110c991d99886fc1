//! The admission plugin of the built-in groups: nothing is created in a namespace that is not there, or that is going.

use async_trait::async_trait;
use detectviz_api::request_info::ROOT_CLUSTER;
use detectviz_api::resource::qualified_resource;
use detectviz_api::{GroupVersionResource, Reason, Status, meta};
use detectviz_server::admission::{Admission, Attributes, Operation};
use detectviz_storage::cache::Cache;
use detectviz_storage::keys::{object_key, resource_prefix};
use std::sync::Arc;

use crate::strategies::namespaces::SYSTEM as IMMORTAL;

/// What a namespace's life allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceState {
    /// Objects may be created in it.
    Active,
    /// It is being emptied.
    Terminating,
}

/// Looks a namespace up by name, without waiting; `None` when there is none.
pub type NamespaceLookup = Arc<dyn Fn(&str) -> Option<NamespaceState> + Send + Sync>;

/// Refuses creates in namespaces that are missing or terminating; updates and deletes are let through, so that such
/// a namespace can be emptied. Refuses to delete the namespaces that are always there. Upstream's `NamespaceLifecycle`.
pub struct NamespaceLifecycle {
    lookup: NamespaceLookup,
    /// What the lookup reads, if it has to be waited for.
    cache: Option<Arc<Cache>>,
}

impl NamespaceLifecycle {
    /// The plugin, which asks `lookup`.
    pub fn new(lookup: NamespaceLookup) -> Self {
        Self { lookup, cache: None }
    }

    /// The plugin, which reads namespaces from `cache`, once that has seen every write there is: a client that made a
    /// namespace may use it at once.
    pub fn over(cache: Arc<Cache>) -> Self {
        let prefix = resource_prefix("", "namespaces", ROOT_CLUSTER);
        let read = Arc::clone(&cache);
        let lookup = move |name: &str| {
            let namespace = read.get(&object_key(&prefix, None, name))?;
            let is_going = namespace.meta.deleting;
            Some(if is_going { NamespaceState::Terminating } else { NamespaceState::Active })
        };
        Self { lookup: Arc::new(lookup), cache: Some(cache) }
    }

    async fn state(&self, namespace: &str) -> Result<Option<NamespaceState>, Status> {
        if let Some(cache) = &self.cache {
            let behind =
                |fault| Status::failure(Reason::ServiceUnavailable, format!("read namespaces: {fault}"));
            cache.fresh().await.map_err(behind)?;
        }
        Ok((self.lookup)(namespace))
    }
}

#[async_trait]
impl Admission for NamespaceLifecycle {
    fn mutates(&self) -> bool {
        false
    }

    /// Before anything is validated, as upstream: a missing namespace is reported before a faulty object.
    async fn mutate(&self, attributes: &mut Attributes<'_>) -> Result<(), Status> {
        let Some(resource) = &attributes.info.resource else { return Ok(()) };
        let is_namespace = resource.gvr.group.is_empty() && &*resource.gvr.resource == "namespaces";
        if is_namespace && attributes.operation == Operation::Delete && IMMORTAL.contains(&attributes.name())
        {
            return Err(immortal(attributes.name()));
        }
        let Some(namespace) = namespace_of(attributes) else { return Ok(()) };
        judge(self.state(namespace).await?, attributes, namespace)
    }

    /// A namespace that was deleted while the object was written may have been swept before: nothing would ever delete
    /// the object then. One that is marked later is swept with the object in it.
    async fn created(&self, attributes: &Attributes<'_>, revision: u64) -> Result<(), Status> {
        let Some(namespace) = namespace_of(attributes).filter(|name| !IMMORTAL.contains(name)) else {
            return Ok(());
        };
        if let Some(cache) = &self.cache
            && let Err(fault) = cache.applied(revision).await
        {
            tracing::debug!(namespace, error = %fault, "look again at the namespace of a new object");
            return Ok(());
        }
        judge((self.lookup)(namespace), attributes, namespace)
    }
}

/// The namespace that has to be there for the write.
fn namespace_of<'a>(attributes: &'a Attributes<'_>) -> Option<&'a str> {
    let resource = attributes.info.resource.as_ref()?;
    let is_namespace = resource.gvr.group.is_empty() && &*resource.gvr.resource == "namespaces";
    let needs =
        attributes.operation == Operation::Create && !is_namespace && !is_access_review(&resource.gvr);
    resource.namespace().filter(|_| needs)
}

/// Whether a namespace in this state takes the new object.
fn judge(state: Option<NamespaceState>, attributes: &Attributes<'_>, namespace: &str) -> Result<(), Status> {
    match state {
        Some(NamespaceState::Active) => Ok(()),
        None => Err(Status::not_found("", "namespaces", namespace)),
        Some(NamespaceState::Terminating) => {
            let name = match attributes.name() {
                "" => meta::field(attributes.object, "generateName"),
                name => name,
            };
            let gvr = attributes.info.resource.as_ref().map(|resource| &resource.gvr);
            let (group, resource) = gvr.map_or(("", ""), |gvr| (&*gvr.group, &*gvr.resource));
            Err(terminating(group, resource, name, namespace))
        }
    }
}

/// 403 for the deletion of a namespace that is always there.
fn immortal(name: &str) -> Status {
    let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
    Status::failure(Reason::Forbidden, message).about("", "namespaces", name)
}

/// Whether the resource is a question about a namespace, which can be asked of one that is not there yet.
fn is_access_review(gvr: &GroupVersionResource) -> bool {
    &*gvr.group == "authorization.k8s.io" && &*gvr.resource == "localsubjectaccessreviews"
}

/// 403 for a create in a namespace that is going; clients match the cause's reason.
fn terminating(group: &str, resource: &str, name: &str, namespace: &str) -> Status {
    let what = qualified_resource(group, resource);
    let message = format!(
        "{what} {name:?} is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
    );
    Status::failure(Reason::Forbidden, message).about(group, resource, name).because(
        "NamespaceTerminating",
        format!("namespace {namespace} is being terminated"),
        "metadata.namespace",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::options::WriteOptions;
    use detectviz_api::{Identity, RequestInfo};
    use detectviz_server::admission::Options;
    use serde_json::json;

    async fn admit(path: &str, operation: Operation) -> Result<(), Status> {
        let lookup: NamespaceLookup = Arc::new(|name| match name {
            "here" => Some(NamespaceState::Active),
            "going" => Some(NamespaceState::Terminating),
            _ => None,
        });
        let info = RequestInfo::parse(&http::Method::POST, path, None).unwrap();
        let identity = Identity::loopback();
        let mut object = json!({"metadata": {"generateName": "a-"}});
        let write = WriteOptions::default();
        let (object, old, options) = (&mut object, None, Options::Write(&write));
        let mut attributes = Attributes { info: &info, identity: &identity, operation, object, old, options };
        NamespaceLifecycle::new(lookup).mutate(&mut attributes).await
    }

    #[tokio::test]
    async fn objects_are_created_in_living_namespaces_only() {
        assert_eq!(admit("/api/v1/namespaces/here/configmaps", Operation::Create).await, Ok(()));
        let missing = admit("/api/v1/namespaces/x/configmaps", Operation::Create).await.unwrap_err();
        assert_eq!((missing.code, missing.message.as_str()), (404, "namespaces \"x\" not found"));
        let going = admit("/apis/e.org/v1/namespaces/going/widgets", Operation::Create).await.unwrap_err();
        assert_eq!(going.code, 403);
        assert_eq!(
            going.message,
            "widgets.e.org \"a-\" is forbidden: unable to create new content in namespace going because it is being terminated"
        );
        assert_eq!(going.details.unwrap().causes[0].reason, "NamespaceTerminating");
    }

    #[tokio::test]
    async fn what_was_created_while_its_namespace_went_is_refused_after_all() {
        let namespaces = ["here", "gone", "default"];
        let mut outcomes = Vec::new();
        for namespace in namespaces {
            let lookup: NamespaceLookup = Arc::new(|name| (name == "here").then_some(NamespaceState::Active));
            let path = format!("/api/v1/namespaces/{namespace}/configmaps");
            let info = RequestInfo::parse(&http::Method::POST, &path, None).unwrap();
            let (identity, write) = (Identity::loopback(), WriteOptions::default());
            let (operation, old, options) = (Operation::Create, None, Options::Write(&write));
            let object = &mut json!({"metadata": {"name": "a"}});
            let attributes = Attributes { info: &info, identity: &identity, operation, object, old, options };
            let outcome = NamespaceLifecycle::new(lookup).created(&attributes, 7).await;
            outcomes.push(outcome.map_err(|refusal| refusal.code));
        }
        assert_eq!(outcomes, [Ok(()), Err(404), Ok(())]);
    }

    #[tokio::test]
    async fn system_namespaces_stay() {
        for name in IMMORTAL {
            let refusal = admit(&format!("/api/v1/namespaces/{name}"), Operation::Delete).await.unwrap_err();
            let message = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
            assert_eq!((refusal.code, refusal.message), (403, message));
        }
        assert_eq!(admit("/api/v1/namespaces/other", Operation::Delete).await, Ok(()));
        assert_eq!(admit("/api/v1/namespaces/default/configmaps/default", Operation::Delete).await, Ok(()));
    }

    #[tokio::test]
    async fn all_else_is_let_through() {
        for (path, operation) in [
            ("/api/v1/namespaces/going/configmaps/a", Operation::Update),
            ("/api/v1/namespaces/x/configmaps/a", Operation::Delete),
            ("/api/v1/namespaces", Operation::Create),
            ("/api/v1/namespaces/x", Operation::Create),
            ("/apis/authorization.k8s.io/v1/namespaces/x/localsubjectaccessreviews", Operation::Create),
            ("/apis/e.org/v1/things", Operation::Create),
        ] {
            assert_eq!(admit(path, operation).await, Ok(()), "{path}");
        }
    }
}
