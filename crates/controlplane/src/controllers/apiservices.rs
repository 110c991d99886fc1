//! Each group-version that this server serves itself is shown as a local APIService, which is made again when it was
//! deleted, and restored when it was edited, as long as it carries the label that says so. Who takes that label away keeps
//! the object as it is, and with it the place of the group-version in discovery.
//!
//! Upstream's rules for `onstart`, but at any time, not at a start alone.

use detectviz_api::{GroupVersion, Reason, Status, meta};
use detectviz_core::catalog::Owner;
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Catalog, Loopback, RunContext};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::retry::Pace;
use super::write::{delete, edit, is_stores, segment};
use crate::definitions::priority;
use crate::strategies::local;

pub(super) const COLLECTION: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
/// Marks the objects that this controller keeps; upstream's label.
const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
/// The label's value on what is built in, and on what custom resources make; upstream's.
const ON_START: &str = "onstart";
const ALWAYS: &str = "true";

/// Keeps the local APIServices: follows the catalog and the objects.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, catalog: &Arc<Catalog>) {
    let mut objects = Informer::start(context, Arc::clone(loopback), COLLECTION);
    let mut served = catalog.changes();
    let (loopback, catalog) = (Arc::clone(loopback), Arc::clone(catalog));
    context.spawn(async move {
        objects.synced().await;
        let mut pace = Pace::new();
        loop {
            served.mark_unchanged();
            let settled = pass(&*loopback, &served_here(&catalog), &objects.objects()).await;
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

/// Puts each group-version that is served here where its APIService says that it stands in discovery. Every server does
/// so for itself, whoever leads.
pub(super) fn follow_priorities(context: &RunContext, loopback: &Arc<dyn Loopback>, catalog: &Arc<Catalog>) {
    let mut objects = Informer::start(context, Arc::clone(loopback), COLLECTION);
    let (mut served, catalog) = (catalog.changes(), Arc::clone(catalog));
    context.spawn(async move {
        objects.synced().await;
        loop {
            served.mark_unchanged();
            prioritize(&catalog, &objects.objects());
            tokio::select! {
                () = objects.changed() => {}
                Ok(()) = served.changed() => {}
            }
        }
    });
}

fn prioritize(catalog: &Catalog, objects: &Objects) {
    for gv in served_here(catalog) {
        let object = objects.get(&gv.api_service_name()).filter(|object| !is_remote(object));
        let number = |field: &str| object?["spec"][field].as_i64();
        let said = number("groupPriorityMinimum").zip(number("versionPriority"));
        catalog.prioritize(&gv, Owner::Local, said.unwrap_or_else(|| priority(&gv)));
    }
}

fn served_here(catalog: &Catalog) -> BTreeSet<GroupVersion> {
    let snapshot = catalog.snapshot();
    let local = snapshot.group_versions().filter(|(_, owner)| *owner == Owner::Local);
    local.map(|(gv, _)| gv.clone()).collect()
}

/// Brings the APIServices in line with what is served; returns whether all writes were taken.
async fn pass(loopback: &dyn Loopback, served: &BTreeSet<GroupVersion>, objects: &Objects) -> bool {
    let wanted: BTreeMap<String, Value> =
        served.iter().map(|gv| (gv.api_service_name(), wanted(gv))).collect();
    let mut settled = true;
    for (name, wanted) in wanted.iter().filter(|(name, _)| !objects.contains_key(*name)) {
        settled &= settle(name, "create", &create(loopback, wanted).await);
    }
    for (name, object) in objects.iter().filter(|(_, object)| !meta::is_deleting(object)) {
        settled &= settle(name, "keep", &keep(loopback, name, object, wanted.get(name)).await);
    }
    settled
}

fn settle(name: &str, what: &str, outcome: &Result<(), Status>) -> bool {
    if let Some(refusal) = outcome.as_ref().err().filter(|refusal| !is_stores(refusal)) {
        tracing::warn!(apiservice = name, error = %refusal, "{what} local APIService again");
    }
    outcome.is_ok()
}

/// Whether this controller keeps the object.
fn is_managed(object: &Value) -> bool {
    let label =
        object.pointer("/metadata/labels").and_then(|labels| labels.get(MANAGED)).and_then(Value::as_str);
    label.is_some_and(|value| value == ON_START || value == ALWAYS)
}

fn is_remote(object: &Value) -> bool {
    object["spec"]["service"].is_object()
}

async fn create(loopback: &dyn Loopback, wanted: &Value) -> Result<(), Status> {
    match loopback.create(COLLECTION, wanted).await {
        // The view is behind; what is there is looked at when it has caught up.
        Err(refusal) if refusal.is(Reason::AlreadyExists) => Ok(()),
        answer => answer.map(drop),
    }
}

async fn keep(
    loopback: &dyn Loopback,
    name: &str,
    object: &Value,
    wanted: Option<&Value>,
) -> Result<(), Status> {
    let path = format!("{COLLECTION}/{}", segment(name));
    match wanted {
        Some(wanted) if is_managed(object) && restore(&mut object.clone(), wanted) => {
            edit(loopback, &path, "", object, |object| is_managed(object) && restore(object, wanted)).await
        }
        // One that names a service became somebody's own.
        None if is_managed(object) && !is_remote(object) => delete(loopback, &path).await,
        _ if is_remote(object) => Ok(()),
        _ => {
            let available = local::available();
            edit(loopback, &path, "/status", object, |object| !is_remote(object) && available.apply(object))
                .await
        }
    }
}

fn wanted(gv: &GroupVersion) -> Value {
    let (group, version) = priority(gv);
    let mut object = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": gv.api_service_name(), "labels": {MANAGED: ON_START}},
        "spec": {"version": &*gv.version, "groupPriorityMinimum": group, "versionPriority": version},
    });
    if !gv.group.is_empty() {
        object["spec"]["group"] = (*gv.group).into();
    }
    object
}

/// Gives `object` the spec of `wanted`; returns whether it differed.
fn restore(object: &mut Value, wanted: &Value) -> bool {
    let differs = said(&object["spec"]) != said(&wanted["spec"]);
    if differs {
        object["spec"] = wanted["spec"].clone();
    }
    differs
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
            let label = &object["metadata"]["labels"][MANAGED];
            label == ON_START
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
        for gv in served_here(&catalog) {
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
        edited["metadata"]["labels"]["mine"] = "1".into();
        edited["status"] = Value::Null;
        loopback.update(CORE, &edited).await.unwrap();
        fake.until(|fake| is_kept(fake, CORE) && fake.object(CORE).unwrap()["spec"]["versionPriority"] == 1)
            .await;
        assert_eq!(fake.object(CORE).unwrap()["metadata"]["labels"]["mine"], "1");

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

    #[tokio::test]
    async fn who_takes_the_label_away_keeps_the_object_and_the_order() {
        let fake = Fake::new();
        let catalog = fake::catalog();
        let context = RunContext::new(Arc::new(Checks::default()));
        let loopback = fake.loopback();
        start(&context, &loopback, &catalog);
        follow_priorities(&context, &loopback, &catalog);
        let first = || {
            let list: Value = serde_json::from_slice(&catalog.snapshot().group_list().bytes).unwrap();
            list["groups"][0]["name"].clone()
        };
        assert_eq!(first(), "apiregistration.k8s.io");
        let path = format!("{COLLECTION}/v1.discovery.k8s.io");
        fake.until(|fake| is_kept(fake, &path)).await;
        let mut own = fake.object(&path).unwrap();
        own["metadata"]["labels"] = json!({});
        own["spec"]["groupPriorityMinimum"] = 20_000.into();
        let lower = format!("{COLLECTION}/v1.apiregistration.k8s.io");
        fake.until(|fake| is_kept(fake, &lower)).await;
        let mut other = fake.object(&lower).unwrap();
        other["metadata"]["labels"][MANAGED] = "false".into();
        other["spec"]["groupPriorityMinimum"] = 1.into();
        loopback.update(&path, &own).await.unwrap();
        loopback.update(&lower, &other).await.unwrap();
        let catalog_says = async |name: &str| {
            while first() != name {
                tokio::task::yield_now().await;
            }
        };
        catalog_says("discovery.k8s.io").await;
        loopback.delete(&path).await.unwrap();
        fake.until(|fake| is_kept(fake, &path)).await;
        catalog_says("events.k8s.io").await;
        assert_eq!(fake.object(&lower).unwrap()["spec"]["groupPriorityMinimum"], 1);
        context.cancel();
        context.drained().await;
    }

    #[tokio::test]
    async fn what_is_local_is_available_and_what_became_somebody_elses_is_left_alone() {
        let fake = Fake::new();
        let loopback = fake.loopback();
        let labels = json!({MANAGED: ALWAYS});
        let service = json!({"namespace": "x", "name": "y"});
        for (name, labels, service) in [
            ("v1.own", json!({}), Value::Null),
            ("v1.gone", labels.clone(), Value::Null),
            ("v1.remote", labels, service),
        ] {
            let spec = json!({"group": &name[3..], "version": "v1", "service": service});
            let mut object = json!({"metadata": {"name": name, "labels": labels}, "spec": spec});
            object = loopback.create(COLLECTION, &object).await.unwrap();
            object["status"] = json!({});
            loopback.update(&format!("{COLLECTION}/{name}"), &object).await.unwrap();
        }
        assert!(pass(&*loopback, &BTreeSet::new(), &fake.view(COLLECTION)).await);
        let found = |name: &str| {
            let object = fake.object(&format!("{COLLECTION}/{name}"))?;
            Some(condition::find(&object, "Available").map(|(_, reason, _)| reason.to_owned()))
        };
        assert_eq!(found("v1.own"), Some(Some("Local".to_owned())));
        assert_eq!((found("v1.gone"), found("v1.remote")), (None, Some(None)));
        let before = fake.revision();
        assert!(pass(&*loopback, &BTreeSet::new(), &fake.view(COLLECTION)).await);
        assert_eq!(fake.revision(), before);
    }
}
