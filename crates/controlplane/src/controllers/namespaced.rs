//! What every active namespace has: the ServiceAccount `default`, and the ConfigMap `kube-root-ca.crt` with the CA of this
//! server's certificate. Each is made again when it was deleted, and what it must say is restored when it was edited.

use detectviz_api::{Reason, Status, meta};
use detectviz_core::informer::{Informer, Objects, key};
use detectviz_core::{Loopback, RunContext};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

use super::extension_authentication::ExtensionTrust;
use super::retry::Pace;
use super::write::edit;

/// Namespaces that are worked on at once: enough to share the store's syncs.
const CONCURRENT: usize = 16;
/// Says what the ConfigMap is for; upstream's key.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Holds the CA that signs this API server's certificate. Other certificates are signed by other CAs, so use it to check \
     connections to this server and for nothing else.",
);

/// What controllers keep for those who use this server.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Whether each namespace has a ServiceAccount `default`.
    pub service_account: bool,
    /// The CA of the serving certificate, in PEM, where each namespace has it published.
    pub root_ca: Option<String>,
    /// What extension API servers must know to believe this one, where it is published; a new value is published at once.
    pub trust: Option<watch::Receiver<ExtensionTrust>>,
}

impl Upkeep {
    /// Each kept object on its own.
    pub(super) fn kept(&self) -> Vec<Arc<Kept>> {
        let account = self.service_account.then(|| Kept {
            resource: "serviceaccounts",
            object: json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}),
        });
        let root_ca = self.root_ca.as_ref().map(|pem| Kept {
            resource: "configmaps",
            object: json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": pem},
                "metadata": {"name": "kube-root-ca.crt", "annotations": {DESCRIPTION.0: DESCRIPTION.1}}}),
        });
        account.into_iter().chain(root_ca).map(Arc::new).collect()
    }
}

/// An object that every active namespace has one of.
#[derive(Debug)]
pub(super) struct Kept {
    /// The core group's name for its kind.
    resource: &'static str,
    /// The object without a namespace.
    object: Value,
}

/// Follows the namespaces and the objects of that name in them.
pub(super) fn start(
    context: &RunContext,
    loopback: &Arc<dyn Loopback>,
    kept: &Arc<Kept>,
    namespaces: &Informer,
) {
    let mut namespaces = namespaces.clone();
    let mut objects = Informer::start(context, Arc::clone(loopback), &kept.selection());
    let (loopback, kept) = (Arc::clone(loopback), Arc::clone(kept));
    context.spawn(async move {
        namespaces.synced().await;
        objects.synced().await;
        let mut pace = Pace::new();
        loop {
            let settled = kept.pass(&*loopback, &namespaces.objects(), &objects.objects()).await;
            let change = async {
                tokio::select! {
                    () = namespaces.changed() => {}
                    () = objects.changed() => {}
                }
            };
            pace.next(settled, change).await;
        }
    });
}

impl Kept {
    fn name(&self) -> &str {
        meta::name(&self.object)
    }

    /// All objects of that name, and no others: there may be very many of the kind.
    fn selection(&self) -> String {
        format!("/api/v1/{}?fieldSelector=metadata.name%3D{}", self.resource, self.name())
    }

    fn collection(&self, namespace: &str) -> String {
        format!("/api/v1/namespaces/{namespace}/{}", self.resource)
    }

    /// Brings each active namespace in order; returns whether all writes were taken.
    async fn pass(&self, loopback: &dyn Loopback, namespaces: &Objects, objects: &Objects) -> bool {
        let active = namespaces.keys().zip(namespaces.values()).filter(|(_, namespace)| is_active(namespace));
        let odd = active.filter_map(|(namespace, _)| {
            let seen = objects.get(&key(namespace, self.name()));
            (!seen.is_some_and(|seen| self.is_kept(seen))).then_some((namespace, seen))
        });
        let keep = |(namespace, seen): (&String, Option<&Arc<Value>>)| {
            let (namespace, seen) = (namespace.clone(), seen.cloned());
            async move {
                let outcome = match seen {
                    Some(seen) => self.restore(loopback, &namespace, &seen).await,
                    None => self.create(loopback, &namespace).await,
                };
                outcome.inspect_err(|refusal| {
                    tracing::warn!(namespace, object = self.name(), error = %refusal, "keep object again");
                })
            }
        };
        let outcomes = stream::iter(odd.collect::<Vec<_>>()).map(keep).buffer_unordered(CONCURRENT);
        outcomes.collect::<Vec<_>>().await.iter().all(Result::is_ok)
    }

    /// Makes the object unless it is there. In a namespace that is going, or gone, nothing has to be made.
    pub(super) async fn create(&self, loopback: &dyn Loopback, namespace: &str) -> Result<(), Status> {
        match loopback.create(&self.collection(namespace), &self.object).await {
            // The view is behind; what is there is looked at when it has caught up.
            Err(refusal) if refusal.is(Reason::AlreadyExists) || is_of_the_past(&refusal) => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn restore(&self, loopback: &dyn Loopback, namespace: &str, seen: &Value) -> Result<(), Status> {
        let path = format!("{}/{}", self.collection(namespace), self.name());
        edit(loopback, &path, "", seen, |object| {
            let changed = !self.is_kept(object);
            if changed {
                object["data"] = self.object["data"].clone();
                self.describe(object);
            }
            changed
        })
        .await
    }

    /// Whether the object says what it must, or is going: it is made again once it is gone.
    fn is_kept(&self, object: &Value) -> bool {
        let Some(data) = self.object.get("data") else { return true };
        let annotation = object.pointer("/metadata/annotations").and_then(|all| all.get(DESCRIPTION.0));
        let is_described = annotation.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        meta::is_deleting(object) || (object.get("data") == Some(data) && is_described)
    }

    fn describe(&self, object: &mut Value) {
        let Some(meta) = meta::of_mut(object) else { return };
        let annotations = meta.entry("annotations").or_insert_with(|| json!({}));
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[DESCRIPTION.0] = self.object["metadata"]["annotations"][DESCRIPTION.0].clone();
    }
}

fn is_active(namespace: &Value) -> bool {
    !meta::is_deleting(namespace) && namespace.pointer("/status/phase").is_none_or(|phase| phase == "Active")
}

/// Whether the namespace is terminating, or gone.
fn is_of_the_past(refusal: &Status) -> bool {
    let causes = refusal.details.iter().flat_map(|details| &details.causes);
    refusal.is(Reason::NotFound) || causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use detectviz_core::health::Checks;

    const ACCOUNT: &str = "/api/v1/namespaces/a/serviceaccounts/default";
    const ROOT_CA: &str = "/api/v1/namespaces/a/configmaps/kube-root-ca.crt";

    fn upkeep() -> Upkeep {
        Upkeep { service_account: true, root_ca: Some("PEM".to_owned()), trust: None }
    }

    async fn namespace(fake: &Fake, name: &str) {
        fake.loopback().create("/api/v1/namespaces", &json!({"metadata": {"name": name}})).await.unwrap();
    }

    fn is_published(fake: &Fake) -> bool {
        fake.object(ROOT_CA).is_some_and(|object| {
            object["data"] == json!({"ca.crt": "PEM"})
                && object["metadata"]["annotations"][DESCRIPTION.0] == DESCRIPTION.1
        })
    }

    #[tokio::test]
    async fn each_namespace_has_them_and_they_are_made_again() {
        let fake = Fake::new();
        let loopback = fake.loopback();
        namespace(&fake, "a").await;
        let context = RunContext::new(Arc::new(Checks::default()));
        fake.fail_next(2);
        let namespaces = Informer::start(&context, Arc::clone(&loopback), "/api/v1/namespaces");
        upkeep().kept().iter().for_each(|kept| start(&context, &loopback, kept, &namespaces));
        fake.until(|fake| fake.object(ACCOUNT).is_some() && is_published(fake)).await;

        namespace(&fake, "b").await;
        fake.until(|fake| fake.paths_in("b").len() == 2).await;

        loopback.delete(ACCOUNT).await.unwrap();
        loopback.delete(ROOT_CA).await.unwrap();
        fake.until(|fake| fake.object(ACCOUNT).is_some() && is_published(fake)).await;

        let mut edited = fake.object(ROOT_CA).unwrap();
        edited["data"] = json!({"ca.crt": "forged", "more": "x"});
        edited["metadata"]["annotations"] = json!({"mine": "1"});
        loopback.update(ROOT_CA, &edited).await.unwrap();
        fake.until(is_published).await;
        assert_eq!(fake.object(ROOT_CA).unwrap()["metadata"]["annotations"]["mine"], "1");
        context.cancel();
        context.drained().await;
    }

    #[tokio::test]
    async fn what_is_in_order_or_going_is_left_alone() {
        let fake = Fake::new();
        for name in ["a", "going"] {
            namespace(&fake, name).await;
        }
        fake.loopback().delete("/api/v1/namespaces/going").await.unwrap();
        let kept = upkeep().kept();
        let pass = async || {
            for kept in &kept {
                let objects = fake.view(&format!("/api/v1/{}", kept.resource));
                assert!(kept.pass(&*fake.loopback(), &fake.view("/api/v1/namespaces"), &objects).await);
            }
        };
        pass().await;
        assert_eq!((fake.paths_in("a").len(), fake.paths_in("going").len()), (2, 0));
        let before = fake.revision();
        // The account's own fields are its owner's, and so is the wording of the annotation.
        let mut account = fake.object(ACCOUNT).unwrap();
        account["automountServiceAccountToken"] = false.into();
        fake.loopback().update(ACCOUNT, &account).await.unwrap();
        let mut published = fake.object(ROOT_CA).unwrap();
        published["metadata"]["annotations"][DESCRIPTION.0] = "ours".into();
        fake.loopback().update(ROOT_CA, &published).await.unwrap();
        pass().await;
        assert_eq!(fake.revision(), before + 2);
    }

    #[test]
    fn a_namespace_that_goes_needs_nothing() {
        let terminating = Status::failure(Reason::Forbidden, "no").because(
            "NamespaceTerminating",
            "",
            "metadata.namespace",
        );
        assert!(is_of_the_past(&terminating) && is_of_the_past(&Status::not_found("", "namespaces", "a")));
        assert!(!is_of_the_past(&Status::failure(Reason::Forbidden, "no")));
    }
}
