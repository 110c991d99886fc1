//! Discovery as the library does it, in both forms, and objects of kinds that it learned there.

use std::collections::BTreeSet;

use detectviz_tests::Server;
use kube::Api;
use kube::api::{DynamicObject, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope, pinned_kind, verbs};
use serde_json::json;

use crate::support::{client, runtime, with_client};

/// Every kind with its plural, scope and verbs.
fn kinds(discovery: &Discovery) -> BTreeSet<String> {
    let groups = discovery.groups();
    let kinds = groups.flat_map(|group| {
        group.versions().flat_map(|version| group.versioned_resources(version)).collect::<Vec<_>>()
    });
    kinds
        .map(|(resource, capabilities)| {
            let mut verbs = capabilities.operations.clone();
            verbs.sort_unstable();
            let scope = capabilities.scope;
            format!("{}/{} {} {scope:?} {verbs:?}", resource.api_version, resource.kind, resource.plural)
        })
        .collect()
}

#[test]
fn both_forms_of_discovery_say_the_same() {
    with_client(|client| async move {
        let legacy = Discovery::new(client.clone()).run().await.unwrap();
        let aggregated = Discovery::new(client.clone()).run_aggregated().await.unwrap();
        assert_eq!(kinds(&legacy), kinds(&aggregated));
        for group in ["", "apiregistration.k8s.io", "coordination.k8s.io", "service.grafana.app"] {
            assert!(aggregated.has_group(group), "{group:?}");
        }
        let version = client.apiserver_version().await.unwrap();
        assert_eq!(version.major, "1");
    });
}

#[test]
fn a_kind_that_is_looked_up_can_be_written_and_read() {
    with_client(|client| async move {
        let kind = GroupVersionKind::gvk("service.grafana.app", "v0alpha1", "ExternalName");
        let (resource, capabilities) = pinned_kind(&client, &kind).await.unwrap();
        assert_eq!((resource.plural.as_str(), &capabilities.scope), ("externalnames", &Scope::Namespaced));
        assert!(capabilities.supports_operation(verbs::WATCH));
        let api: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
        let object = DynamicObject::new("backend", &resource).data(json!({"spec": {"host": "a.example"}}));
        let created = api.create(&Default::default(), &object).await.unwrap();
        let patch = kube::api::Patch::Merge(json!({"spec": {"host": "b.example"}}));
        let patched = api.patch("backend", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(patched.data["spec"]["host"], "b.example");
        assert_eq!(patched.metadata.uid, created.metadata.uid);
        let discovery = Discovery::new(client).run_aggregated().await.unwrap();
        assert_eq!(discovery.resolve_object(&patched).unwrap().0, resource);
    });
}

#[test]
fn every_kind_that_is_discovered_can_be_listed_and_watched() {
    detectviz_tests::variants(|server: Server| {
        runtime().block_on(async {
            let client = client(&server).await;
            let discovery = Discovery::new(client.clone()).run_aggregated().await.unwrap();
            for (resource, capabilities) in discovery.groups().flat_map(|group| group.recommended_resources())
            {
                // Reviews are asked, and kept by nobody.
                if ["authentication.k8s.io", "authorization.k8s.io"].contains(&&*resource.group) {
                    assert!(capabilities.supports_operation(verbs::CREATE), "{}", resource.plural);
                    continue;
                }
                assert!(capabilities.supports_operation(verbs::LIST), "{}", resource.plural);
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                let list = api.list(&Default::default()).await.unwrap();
                let version = list.metadata.resource_version.unwrap();
                let events = api.watch(&Default::default(), &version).await;
                assert!(events.is_ok(), "{}", resource.plural);
            }
        });
    });
}
