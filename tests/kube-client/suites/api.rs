//! The library's calls one by one: what comes back is what its types say, and a refusal is the error that callers look for.

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Secret};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent, WatchParams,
};
use kube::runtime::conditions::{is_created, is_deleted};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event as Finalizing, finalizer};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{config_map, refusal, with_client};

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

fn said(code: u16, reason: &str) -> (u16, String) {
    (code, reason.to_owned())
}

#[test]
fn refusals_are_the_errors_that_callers_look_for() {
    with_client(|client| async move {
        let (api, post) = (maps(&client), PostParams::default());
        assert_eq!(refusal(api.get("none").await), said(404, "NotFound"));
        assert_eq!(api.get_opt("none").await.unwrap(), None);
        assert_eq!(refusal(api.delete("none", &DeleteParams::default()).await), said(404, "NotFound"));
        let first = api.create(&post, &config_map("one", "1")).await.unwrap();
        assert_eq!(refusal(api.create(&post, &config_map("one", "1")).await), said(409, "AlreadyExists"));
        let mut changed = first.clone();
        changed.data = Some([("value".to_owned(), "2".to_owned())].into());
        api.replace("one", &post, &changed).await.unwrap();
        assert_eq!(refusal(api.replace("one", &post, &changed).await), said(409, "Conflict"));
        let wrong = Preconditions { uid: Some("another".to_owned()), resource_version: None };
        let wrong = DeleteParams::default().preconditions(wrong);
        assert_eq!(refusal(api.delete("one", &wrong).await), said(409, "Conflict"));
        assert_eq!(refusal(api.create(&post, &config_map("NO", "1")).await), said(422, "Invalid"));
        let elsewhere: Api<ConfigMap> = Api::namespaced(client.clone(), "nowhere");
        assert_eq!(refusal(elsewhere.create(&post, &config_map("one", "1")).await), said(404, "NotFound"));
    });
}

#[test]
fn bad_options_are_refused_too() {
    with_client(|client| async move {
        let api = maps(&client);
        let list = async |params: ListParams| refusal(api.list(&params).await);
        assert_eq!(list(ListParams::default().continue_token("?")).await, said(400, "BadRequest"));
        assert_eq!(list(ListParams::default().labels("a in (")).await, said(400, "BadRequest"));
        assert_eq!(list(ListParams::default().fields("data.x=1")).await, said(400, "BadRequest"));
    });
}

#[test]
fn metadata_alone_is_read_listed_patched_and_watched() {
    with_client(|client| async move {
        let api = maps(&client);
        let created = api.create(&PostParams::default(), &config_map("one", "1")).await.unwrap();
        let one = api.get_metadata("one").await.unwrap();
        assert_eq!(one.metadata, created.metadata);
        assert_eq!(one.types.unwrap().kind, "PartialObjectMetadata");
        let list = api.list_metadata(&ListParams::default().labels("!color")).await.unwrap();
        assert_eq!(list.items.iter().map(|item| item.name_any()).collect::<Vec<_>>(), ["one"]);
        let version = list.metadata.resource_version.unwrap();
        let mut events = api.watch_metadata(&WatchParams::default(), &version).await.unwrap().boxed();
        let patch = Patch::Merge(json!({"metadata": {"labels": {"color": "red"}}}));
        let patched = api.patch_metadata("one", &PatchParams::default(), &patch).await.unwrap();
        match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Modified(seen) => assert_eq!(seen.metadata, patched.metadata),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn each_kind_of_patch_is_applied_or_refused_by_name() {
    with_client(|client| async move {
        let (api, params) = (maps(&client), PatchParams::default());
        api.create(&PostParams::default(), &config_map("one", "1")).await.unwrap();
        let strategic = Patch::Strategic(json!({"metadata": {"labels": {"a": "1"}}}));
        api.patch("one", &params, &strategic).await.unwrap();
        let merge = Patch::Merge(json!({"data": {"more": "2"}}));
        let now = api.patch("one", &params, &merge).await.unwrap();
        assert_eq!((now.labels()["a"].as_str(), now.data.as_ref().unwrap()["more"].as_str()), ("1", "2"));
        let dry = PatchParams { dry_run: true, ..params.clone() };
        let dried = api.patch("one", &dry, &Patch::Merge(json!({"data": {"more": "3"}}))).await.unwrap();
        assert_eq!(dried.data.unwrap()["more"], "3");
        assert_eq!(api.get("one").await.unwrap().data.unwrap()["more"], "2");
    });
}

#[test]
fn the_built_in_kinds_are_what_their_types_say() {
    with_client(|client| async move {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let default = namespaces.get("default").await.unwrap();
        assert_eq!(default.status.unwrap().phase.as_deref(), Some("Active"));
        let services: Api<APIService> = Api::all(client.clone());
        // A controller makes it, after the server is ready.
        let core = await_condition(services, "v1.", is_created()).await.unwrap().unwrap();
        assert_eq!(core.spec.unwrap().group_priority_minimum, 18_000);
        let secrets: Api<Secret> = Api::default_namespaced(client.clone());
        let secret = json!({"metadata": {"name": "s"}, "stringData": {"key": "value"}});
        let secret = secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await;
        assert_eq!(secret.unwrap().data.unwrap()["key"].0, b"value");
        let events: Api<Event> = Api::default_namespaced(client);
        assert!(events.list(&ListParams::default()).await.unwrap().items.is_empty());
    });
}

#[test]
fn an_entry_is_made_once_and_changed_in_place() {
    with_client(|client| async move {
        let api = maps(&client);
        for value in ["1", "2"] {
            let entry = api.entry("one").await.unwrap();
            let mut entry = entry.or_insert(|| config_map("one", "0"));
            entry.get_mut().data = Some([("value".to_owned(), value.to_owned())].into());
            entry.commit(&PostParams::default()).await.unwrap();
            assert_eq!(api.get("one").await.unwrap().data.unwrap()["value"], value);
        }
    });
}

#[test]
fn conditions_are_awaited_as_they_come_true() {
    with_client(|client| async move {
        let api = maps(&client);
        let is_done = |object: Option<&ConfigMap>| {
            object.and_then(|object| object.data.as_ref()).is_some_and(|data| data["value"] == "done")
        };
        let waiting = tokio::spawn(await_condition(api.clone(), "one", is_done));
        let created = api.create(&PostParams::default(), &config_map("one", "new")).await.unwrap();
        let patch = Patch::Merge(json!({"data": {"value": "done"}}));
        let patched = api.patch("one", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().unwrap(), patched);
        let uid = created.uid().unwrap();
        let (watched, known) = (api.clone(), uid.clone());
        let waiting =
            tokio::spawn(async move { await_condition(watched, "one", is_deleted(&known)).await.map(drop) });
        api.delete("one", &DeleteParams::default()).await.unwrap();
        waiting.await.unwrap().unwrap();
        await_condition(api, "one", is_deleted(&uid)).await.unwrap();
    });
}

#[test]
fn a_finalizer_holds_an_object_until_it_is_cleaned_up() {
    with_client(|client| async move {
        let api = maps(&client);
        let reconcile = |object: ConfigMap| {
            let api = api.clone();
            async move {
                finalizer(&api, "kube.test/held", Arc::new(object), |event| async move {
                    match event {
                        Finalizing::Apply(_) => Ok::<_, kube::Error>(Action::await_change()),
                        Finalizing::Cleanup(_) => Ok(Action::requeue(Duration::from_secs(1))),
                    }
                })
                .await
                .unwrap()
            }
        };
        let created = api.create(&PostParams::default(), &config_map("one", "1")).await.unwrap();
        reconcile(created).await;
        let held = api.get("one").await.unwrap();
        assert_eq!(held.finalizers(), ["kube.test/held"]);
        let deleting = api.delete("one", &DeleteParams::default()).await.unwrap();
        assert!(deleting.left().is_some_and(|object| object.metadata.deletion_timestamp.is_some()));
        reconcile(api.get("one").await.unwrap()).await;
        assert_eq!(api.get_opt("one").await.unwrap(), None);
    });
}
