//! Each group-version that this server serves itself is shown as a local APIService, and stays as it should be whoever
//! edits or deletes it.

use detectviz_api::condition::Condition;
use detectviz_api::{GroupVersion, Reason, Status, meta};
use detectviz_core::catalog::Owner;
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Catalog, Loopback, RunContext};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::retry::Pace;
use super::write::{delete, edit};
use crate::definitions::priority;

pub(super) const COLLECTION: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
/// Marks the objects that this controller keeps; upstream's label and value.
const MANAGED: (&str, &str) = ("kube-aggregator.kubernetes.io/automanaged", "onstart");

/// Follows the catalog and the APIServices.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, catalog: &Arc<Catalog>) {
    let mut objects = Informer::start(context, Arc::clone(loopback), COLLECTION);
    let mut served = catalog.changes();
    let (loopback, catalog) = (Arc::clone(loopback), Arc::clone(catalog));
    context.spawn(async move {
        objects.synced().await;
        let mut pace = Pace::new();
        loop {
            served.mark_unchanged();
            let settled = pass(&*loopback, &local(&catalog), &objects.objects()).await;
            let change = async {
                tokio::select! {
                    () = objects.changed() => {}
                    Ok(()) = served.changed() => {}
                }
            };
            pace.next(settled, change).await;
        }
    });
}

fn local(catalog: &Catalog) -> BTreeSet<GroupVersion> {
    let snapshot = catalog.snapshot();
    let local = snapshot.group_versions().filter(|(_, owner)| *owner == Owner::Local);
    local.map(|(gv, _)| gv.clone()).collect()
}

/// Brings the APIServices in line with what is served; returns whether all writes were taken.
async fn pass(loopback: &dyn Loopback, local: &BTreeSet<GroupVersion>, objects: &Objects) -> bool {
    let mut settled = true;
    for gv in local {
        let name = gv.api_service_name();
        if let Err(refusal) = keep(loopback, gv, objects.get(&name).map(|object| &**object)).await {
            tracing::warn!(apiservice = name, error = %refusal, "keep local APIService again");
            settled = false;
        }
    }
    let names: BTreeSet<String> = local.iter().map(GroupVersion::api_service_name).collect();
    for name in objects
        .iter()
        .filter(|(name, object)| !names.contains(*name) && is_managed(object))
        .map(|(name, _)| name)
    {
        if let Err(refusal) = delete(loopback, &format!("{COLLECTION}/{name}")).await {
            tracing::warn!(apiservice = name, error = %refusal, "delete local APIService again");
            settled = false;
        }
    }
    settled
}

/// Whether this controller made the object; one that names a service became somebody's own.
fn is_managed(object: &Value) -> bool {
    let label =
        object.get("metadata").and_then(|meta| meta.get("labels")).and_then(|labels| labels.get(MANAGED.0));
    label.is_some_and(|value| value == MANAGED.1) && !object["spec"]["service"].is_object()
}

async fn keep(loopback: &dyn Loopback, gv: &GroupVersion, seen: Option<&Value>) -> Result<(), Status> {
    let path = format!("{COLLECTION}/{}", gv.api_service_name());
    let created;
    let seen = match seen {
        Some(seen) => seen,
        None => match loopback.create(COLLECTION, &wanted(gv)).await {
            // The view is behind; what is there is looked at when it has caught up.
            Err(refusal) if refusal.is(Reason::AlreadyExists) => return Ok(()),
            answer => {
                created = answer?;
                &created
            }
        },
    };
    if meta::is_deleting(seen) {
        return Ok(());
    }
    let wanted = wanted(gv);
    if restore(&mut seen.clone(), &wanted) {
        return edit(loopback, &path, "", seen, |object| restore(object, &wanted)).await;
    }
    let available = Condition::new("Available", true, "Local", "Local APIServices are always available");
    edit(loopback, &path, "/status", seen, |object| available.apply(object)).await
}

fn wanted(gv: &GroupVersion) -> Value {
    let (group, version) = priority(&gv.group);
    let mut object = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": gv.api_service_name(), "labels": {MANAGED.0: MANAGED.1}},
        "spec": {"version": &*gv.version, "groupPriorityMinimum": group, "versionPriority": version},
    });
    if !gv.group.is_empty() {
        object["spec"]["group"] = (*gv.group).into();
    }
    object
}

/// Gives `object` the label and the spec of `wanted`; returns whether it differed.
fn restore(object: &mut Value, wanted: &Value) -> bool {
    let mut changed = false;
    if said(&object["spec"]) != said(&wanted["spec"]) {
        object["spec"] = wanted["spec"].clone();
        changed = true;
    }
    let Some(meta) = meta::of_mut(object) else { return changed };
    let labels = meta.entry("labels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        *labels = json!({});
    }
    if labels[MANAGED.0] != MANAGED.1 {
        labels[MANAGED.0] = MANAGED.1.into();
        changed = true;
    }
    changed
}

/// The fields of a spec that say something: an empty text, false and null say what absence says.
fn said(spec: &Value) -> Map<String, Value> {
    let mut said = spec.as_object().cloned().unwrap_or_default();
    said.retain(|_, value| !value.is_null() && value != "" && value != false);
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{self, Fake};
    use detectviz_api::condition;
    use detectviz_core::health::Checks;

    const CORE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.";

    fn is_kept(fake: &Fake, path: &str) -> bool {
        fake.object(path).is_some_and(|object| {
            is_managed(&object)
                && condition::find(&object, "Available")
                    == Some(("True", "Local", "Local APIServices are always available"))
        })
    }

    #[tokio::test]
    async fn each_local_group_version_has_one_and_it_is_restored() {
        let fake = Fake::new();
        let catalog = fake::catalog();
        let context = RunContext::new(Arc::new(Checks::default()));
        let loopback = fake.loopback();
        start(&context, &loopback, &catalog);
        for gv in local(&catalog) {
            fake.until(|fake| is_kept(fake, &format!("{COLLECTION}/{}", gv.api_service_name()))).await;
        }
        let core = fake.object(CORE).unwrap();
        assert_eq!(
            core["spec"],
            json!({"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1})
        );

        loopback.delete(CORE).await.unwrap();
        fake.until(|fake| is_kept(fake, CORE)).await;

        let mut edited = fake.object(CORE).unwrap();
        edited["spec"]["versionPriority"] = 7.into();
        edited["metadata"]["labels"] = json!({"mine": "1"});
        loopback.update(CORE, &edited).await.unwrap();
        fake.until(|fake| is_kept(fake, CORE)).await;
        let core = fake.object(CORE).unwrap();
        assert_eq!(
            (&core["spec"]["versionPriority"], &core["metadata"]["labels"]["mine"]),
            (&json!(1), &json!("1"))
        );

        let gone: GroupVersion = "service.grafana.app/v0alpha1".parse().unwrap();
        catalog.withdraw(&gone, Owner::Local);
        fake.until(|fake| fake.object(&format!("{COLLECTION}/{}", gone.api_service_name())).is_none()).await;
        context.cancel();
        context.drained().await;
    }

    #[tokio::test]
    async fn a_pass_over_what_is_in_order_writes_nothing() {
        let fake = Fake::new();
        let gvs = BTreeSet::from([GroupVersion::new("", "v1"), GroupVersion::new("a.b", "v1")]);
        assert!(pass(&*fake.loopback(), &gvs, &Objects::default()).await);
        let objects = fake.view("/apis/apiregistration.k8s.io/v1/apiservices");
        let before = fake.revision();
        assert!(pass(&*fake.loopback(), &gvs, &objects).await);
        assert_eq!((objects.len(), fake.revision()), (2, before));
    }
}
