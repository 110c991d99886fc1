//! A backend comes, is served, goes, comes back, and is taken away.

use detectviz_api::{GroupVersion, condition};
use detectviz_core::catalog::Owner;
use detectviz_core::{Catalog, Leadership};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

use crate::backend::Backend;
use crate::memory::{API_SERVICES, EXTERNAL_NAMES, Memory};
use crate::world::{
    Ca, FLIGHTS, HANG, NAME, ROOT, World, api_service, elsewhere, external_name, get, registered, request,
};

fn gv() -> GroupVersion {
    GroupVersion::new("example.detectviz.io", "v1")
}

async fn start(backend: &Backend) -> World {
    let memory = registered(backend.port, &backend.serving_ca.pem());
    World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await
}

#[tokio::test]
async fn a_backend_becomes_available_discovered_and_served() {
    let backend = Backend::start().await;
    let world = start(&backend).await;
    assert_eq!(world.until("True", "Passed").await, "all checks passed");
    world.eventually("the post-start hook should be done", World::is_ready).await;

    let version = world.discovery();
    assert_eq!((&version["version"], &version["freshness"]), (&json!("v1"), &json!("Current")));
    let resource = &version["resources"][0];
    assert_eq!((&resource["resource"], &resource["shortNames"]), (&json!("flights"), &json!(["fl"])));
    let snapshot = world.catalog.snapshot();
    let schema: Value = serde_json::from_slice(&snapshot.open_api(&gv()).unwrap().bytes).unwrap();
    assert!(schema["paths"][format!("{ROOT}/namespaces/{{namespace}}/flights")].is_object());

    let (code, list) = world.send(get(FLIGHTS)).await.unwrap();
    assert_eq!((code, list["items"].as_array().unwrap().len()), (StatusCode::OK, 3));
    let (code, list) =
        world.send(get(&format!("{FLIGHTS}?fieldSelector=metadata.name%3Dnone"))).await.unwrap();
    assert_eq!((code, list["items"].as_array().unwrap().len()), (StatusCode::OK, 0));
    let metrics = world.metrics.render();
    let series = format!(r#"detectviz_aggregator_requests_total{{name="{NAME}",code="200"}} 2"#);
    assert!(metrics.contains(&series), "{metrics}");
    assert!(metrics.contains(&format!(r#"aggregator_unavailable_apiservice{{name="{NAME}"}} 0"#)));
}

#[tokio::test]
async fn a_server_that_does_not_lead_serves_and_leaves_the_condition_to_the_one_that_does() {
    let (backend, leadership) = (Backend::start().await, Leadership::elected());
    let memory = registered(backend.port, &backend.serving_ca.pem());
    let (client, catalog) = (backend.front_proxy_client(), Catalog::default());
    let world = World::led(memory, client, elsewhere(), catalog, leadership.clone()).await;
    let available = format!(r#"aggregator_unavailable_apiservice{{name="{NAME}"}} 0"#);
    world.eventually("the check should pass", |world| world.metrics.render().contains(&available)).await;
    let (code, _) = world.send(get(FLIGHTS)).await.unwrap();
    assert_eq!(code, StatusCode::OK);
    assert_eq!(condition::find(&world.memory.get(API_SERVICES, NAME).unwrap(), "Available"), None);
    leadership.lead_until(Instant::now() + HANG);
    assert_eq!(world.until("True", "Passed").await, "all checks passed");
}

#[tokio::test]
async fn writes_go_through_and_a_watch_streams() {
    let backend = Backend::start().await;
    let world = start(&backend).await;
    world.until("True", "Passed").await;
    let (_, list) = world.send(get(FLIGHTS)).await.unwrap();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let path = format!("{FLIGHTS}?watch=true&resourceVersion={version}");
    let mut watch = world.open(get(&path), &[]).await.unwrap().into_body();

    let mut flight = list["items"][0].clone();
    flight["metadata"] = json!({"name": "extra"});
    let (code, _) = world.send(request(Method::POST, FLIGHTS, &flight.to_string())).await.unwrap();
    assert_eq!(code, StatusCode::CREATED);
    let event = watch.frame().await.unwrap().unwrap().into_data().unwrap();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("extra")));

    let mut sized = request(Method::POST, FLIGHTS, "{");
    sized.headers_mut().insert("content-length", "1".parse().unwrap());
    let (code, refusal) = world.send(sized).await.unwrap();
    assert_eq!((code, &refusal["kind"]), (StatusCode::BAD_REQUEST, &json!("Status")));
    world.context.cancel();
    assert!(watch.frame().await.is_none(), "the watch should end cleanly with the aggregator");
}

#[tokio::test]
async fn a_killed_backend_is_unavailable_until_it_is_back() {
    let mut backend = Backend::start().await;
    let world = start(&backend).await;
    world.until("True", "Passed").await;
    backend.kill().await;
    let refusal = world.send(get(FLIGHTS)).await.unwrap_err();
    assert_eq!((refusal.code, refusal.reason.as_str()), (503, "ServiceUnavailable"));
    assert!(refusal.details.unwrap().retry_after_seconds > 0);

    let message = world.until("False", "FailedDiscoveryCheck").await;
    let url = format!("https://127.0.0.1:{}{ROOT}", backend.port);
    assert!(message.starts_with(&format!("failing or missing response from {url}: ")), "{message}");
    let refusal = world.send(get(FLIGHTS)).await.unwrap_err();
    let expected = format!(
        "the server is currently unable to handle the request: APIService {NAME:?} is not available: FailedDiscoveryCheck"
    );
    assert_eq!((refusal.code, refusal.message), (503, expected));
    let version = world.discovery();
    assert_eq!(version["freshness"], "Stale");
    assert_eq!(version["resources"][0]["resource"], "flights", "the last good discovery is kept");

    backend.restart().await;
    world.until("True", "Passed").await;
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::OK);
    assert_eq!(world.discovery()["freshness"], "Current");
}

#[tokio::test]
async fn a_condition_is_written_only_when_it_changes_and_in_spite_of_conflicts() {
    let backend = Backend::start().await;
    let memory = registered(backend.port, &backend.serving_ca.pem());
    memory.conflict(2);
    let world = World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await;
    world.until("True", "Passed").await;
    assert_eq!(world.memory.status_writes(), 1);
    let generation = *world.catalog.changes().borrow();
    // A changed priority is told to the catalog, hence the worker has come by again, more than once.
    for priority in [2000, 3000] {
        let mut object = world.memory.get(API_SERVICES, NAME).unwrap();
        object["spec"]["groupPriorityMinimum"] = priority.into();
        world.memory.put(API_SERVICES, object);
        let before = *world.catalog.changes().borrow();
        world.eventually("the catalog should change", |w| *w.catalog.changes().borrow() > before).await;
    }
    assert_eq!(*world.catalog.changes().borrow(), generation + 2, "only changes are published");
    assert_eq!(world.memory.status_writes(), 1);
}

#[tokio::test]
async fn a_service_is_found_as_soon_as_it_has_a_name_and_forgotten_with_its_api_service() {
    let backend = Backend::start().await;
    let memory = Memory::default();
    memory.put(API_SERVICES, api_service(backend.port, &backend.serving_ca.pem()));
    let world = World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await;
    let message = world.until("False", "ServiceNotFound").await;
    assert!(message.starts_with("service/flights in \"default\" is not present"), "{message}");
    world.eventually("one that is unavailable is handled too", World::is_ready).await;
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap_err().code, 503);

    world.memory.put(EXTERNAL_NAMES, external_name("localhost"));
    world.until("True", "Passed").await;
    world.memory.delete(API_SERVICES, NAME);
    world.eventually("it should be withdrawn", |w| w.catalog.snapshot().owner(&gv()).is_none()).await;
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::IM_A_TEAPOT);
    world.eventually("its series should go", |w| !w.metrics.render().contains(NAME)).await;
}

#[tokio::test]
async fn a_backend_that_is_silent_from_the_start_is_listed_answered_for_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::new("ca");
    // Connections are made, and nothing is ever said on them: the first check lasts until it is given up.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let memory = registered(silent.local_addr().unwrap().port(), &ca.pem());
    let client = ca.issue(folder.path(), "client", &[]);
    let world = World::start(memory, client, elsewhere(), Catalog::default()).await;
    world.eventually("the post-start hook should not wait for the check", World::is_ready).await;

    let refusal = world.send(get(FLIGHTS)).await.unwrap_err();
    assert_eq!(refusal.code, 503);
    assert!(refusal.message.ends_with("is not available: NotChecked"), "{refusal}");
    assert_eq!(world.discovery(), json!({"version": "v1", "freshness": "Stale", "resources": []}));
    let metrics = world.metrics.render();
    assert!(
        metrics.contains(&format!(r#"detectviz_aggregator_requests_total{{name="{NAME}",code="503"}} 1"#))
    );
}

#[tokio::test]
async fn without_any_api_service_there_is_nothing_to_wait_for() {
    let folder = tempfile::tempdir().unwrap();
    let client = Ca::new("ca").issue(folder.path(), "client", &[]);
    let world = World::start(Memory::default(), client, elsewhere(), Catalog::default()).await;
    world.eventually("the post-start hook should be done", World::is_ready).await;
}

#[tokio::test]
async fn the_end_of_the_context_takes_everything_back() {
    let backend = Backend::start().await;
    let mut world = start(&backend).await;
    world.until("True", "Passed").await;
    world.context.cancel();
    world.context.drained().await;
    assert_eq!(world.stopped.recv().await, Some(("aggregator", Ok(()))));
    assert_eq!(world.catalog.snapshot().owner(&gv()), None::<Owner>);
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::IM_A_TEAPOT);
    let object = world.memory.get(API_SERVICES, NAME).unwrap();
    assert!(detectviz_api::condition::is_true(&object, "Available"), "the condition is the next owner's");
}
