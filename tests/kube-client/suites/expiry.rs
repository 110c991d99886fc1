//! History that is gone: said as 410 where the library looks for it, and recovered from by itself.

use detectviz_tests::{Client, Server, editions, wait_for};
use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::runtime::{WatchStreamExt as _, reflector};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::support::{client, config_map, config_map_json, runtime};

const PATH: &str = "/api/v1/namespaces/default/configmaps";
/// Large, so that few changes fill the history.
const VALUE_BYTES: usize = 128 * 1024;

/// Changes an object until what came `after` is history no longer.
fn forget(admin: &Client, after: &str) {
    admin.create(PATH, &config_map_json("large", "")).expect(201);
    let value = "x".repeat(VALUE_BYTES);
    wait_for("history is forgotten", || {
        let change = json!({"data": {"value": value}, "metadata": {"labels": {"n": null}}}).to_string();
        for number in 0..10 {
            let change = change.replacen("null", &format!("\"{number}\""), 1);
            let request = admin.request("PATCH", format!("{PATH}/large"));
            request.body("application/merge-patch+json", change).send().expect(200);
        }
        let watch = format!("{PATH}?watch=true&resourceVersion={after}&timeoutSeconds=1&labelSelector=none");
        admin.get(watch).text().contains("too old resource version").then_some(())
    });
}

#[test]
fn a_watch_from_forgotten_history_is_told_so_by_an_event() {
    detectviz_tests::variants(|server| {
        let (runtime, admin) = (runtime(), server.admin());
        runtime.block_on(async {
            let api: Api<ConfigMap> = Api::default_namespaced(client(&server).await);
            for name in ["one", "two"] {
                api.create(&Default::default(), &config_map(name, "x")).await.unwrap();
            }
            let list = api.list(&ListParams::default()).await.unwrap();
            let version = list.metadata.resource_version.unwrap();
            tokio::task::block_in_place(|| forget(&admin, &version));
            // A watch says it as an event: a code on the answer itself would have the library ask for ever.
            let mut events = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
            match events.try_next().await.unwrap() {
                Some(WatchEvent::Error(status)) => {
                    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
                }
                other => panic!("no error event: {other:?}"),
            }
            assert!(events.try_next().await.unwrap().is_none(), "and then the watch ends");
        });
    });
}

#[test]
fn a_watcher_that_slept_while_history_was_forgotten_lists_again() {
    for config in [Config::default(), Config::default().streaming_lists()] {
        let server = Server::builder(editions()[0]).start();
        runtime().block_on(async {
            let api: Api<ConfigMap> = Api::default_namespaced(client(&server).await);
            for name in ["stays", "goes"] {
                api.create(&Default::default(), &config_map(name, "x")).await.unwrap();
            }
            let (reader, writer) = reflector::store();
            let mut events = watcher(api, config).default_backoff().reflect(writer).boxed();
            while !matches!(events.next().await, Some(Ok(Event::InitDone))) {}
            // While nobody polls it, the watch stands still: what is forgotten meanwhile it cannot be sent.
            let admin = server.admin();
            let version = reader.state().iter().filter_map(|object| object.resource_version()).max();
            let last = tokio::task::block_in_place(|| {
                admin.delete(format!("{PATH}/goes")).expect(200);
                forget(&admin, &version.unwrap());
                forget_more(&admin);
                admin.create(PATH, &config_map_json("last", "x")).expect(201)
            });
            let (mut lists, mut expired) = (0, 0);
            while reader.get(&reflector::ObjectRef::new("last").within("default")).is_none() {
                match events.next().await.expect("a watcher never ends") {
                    Ok(Event::Init) => lists += 1,
                    Err(watcher::Error::WatchError(status)) if status.code == 410 => expired += 1,
                    Ok(_) => {}
                    Err(fault) => panic!("{fault}"),
                }
            }
            let mut names: Vec<_> = reader.state().iter().map(|object| object.name_any()).collect();
            names.sort_unstable();
            assert_eq!((names, lists, expired), (["large", "last", "stays"].map(str::to_owned).into(), 1, 1));
            let held = reader.get(&reflector::ObjectRef::new("last").within("default")).unwrap();
            assert_eq!(held.resource_version().as_deref(), last["metadata"]["resourceVersion"].as_str());
        });
    }
}

/// More than what fits into the buffers between server and client, which would let a sleeping watch go on.
fn forget_more(admin: &Client) {
    let value = "y".repeat(VALUE_BYTES);
    for number in 0..200 {
        let change = json!({"data": {"value": value}, "metadata": {"labels": {"n": number.to_string()}}});
        let request = admin.request("PATCH", format!("{PATH}/large"));
        request.body("application/merge-patch+json", change.to_string()).send().expect(200);
    }
}
