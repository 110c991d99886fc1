//! Where a backend is may be said by a Service and its slices, and may change at any time.

use detectviz_core::Catalog;
use http::StatusCode;
use serde_json::{Value, json};

use crate::backend::Backend;
use crate::memory::{API_SERVICES, ENDPOINTS, EXTERNAL_NAMES, Memory, NAME_IN_SLICE, SERVICES, SLICES};
use crate::world::{FLIGHTS, NAME, World, api_service, elsewhere, external_name, get};

/// An APIService for port 443 of a Service that nobody has made yet.
async fn start(backend: &Backend) -> World {
    let memory = Memory::default();
    memory.put(API_SERVICES, api_service(443, &backend.serving_ca.pem()));
    World::start(memory, backend.front_proxy_client(), elsewhere(), Catalog::default()).await
}

fn service(spec: &Value) -> Value {
    json!({"metadata": {"name": "flights", "namespace": "default"}, "spec": spec})
}

fn headless() -> Value {
    service(&json!({"type": "ClusterIP", "clusterIP": "None", "ports": [{"name": "https", "port": 443}]}))
}

fn slice(name: &str, port: u16, ready: bool) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "default", "labels": {NAME_IN_SLICE: "flights"}},
        "addressType": "IPv4", "ports": [{"name": "https", "port": port}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}],
    })
}

#[tokio::test]
async fn a_slice_that_changes_moves_the_requests_at_once() {
    let (backend, mut other) = (Backend::start().await, Backend::start().await);
    let world = start(&backend).await;
    world.until("False", "ServiceNotFound").await;
    world.memory.put(SERVICES, headless());
    world.until("False", "EndpointsNotFound").await;
    world.memory.put(SLICES, slice("flights-a", backend.port, false));
    let message = world.until("False", "MissingEndpoints").await;
    assert_eq!(
        message,
        r#"endpointslices for service/flights in "default" have no addresses with port name "https""#
    );
    world.memory.put(SLICES, slice("flights-a", backend.port, true));
    world.until("True", "Passed").await;
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::OK);

    // The other has another CA: who is reached can be told by whether it is trusted.
    other.kill().await;
    world.memory.put(SLICES, slice("flights-a", other.port, true));
    let message = world.until("False", "FailedDiscoveryCheck").await;
    assert!(message.contains(&format!("127.0.0.1:{}", other.port)), "{message}");
    world.memory.delete(SLICES, "flights-a");
    world.until("False", "EndpointsNotFound").await;
    world.memory.put(SLICES, slice("flights-b", backend.port, true));
    world.until("True", "Passed").await;
}

#[tokio::test]
async fn a_service_that_changes_its_type_is_resolved_anew() {
    let backend = Backend::start().await;
    let world = start(&backend).await;
    world.until("False", "ServiceNotFound").await;
    world.memory.put(SERVICES, headless());
    world.until("False", "EndpointsNotFound").await;
    world.memory.put(SLICES, slice("flights-a", backend.port, true));
    world.until("True", "Passed").await;

    let mut object = world.memory.get(API_SERVICES, NAME).unwrap();
    object["spec"]["service"]["port"] = backend.port.into();
    world.memory.put(API_SERVICES, object);
    let message = world.until("False", "ServicePortError").await;
    assert!(message.ends_with("its TCP ports are 443"), "{message}");
    world.memory.put(SERVICES, service(&json!({"type": "ExternalName", "externalName": "localhost"})));
    world.until("True", "Passed").await;
    let ports = json!([{"name": "https", "port": backend.port}]);
    let given = json!({"type": "ClusterIP", "clusterIP": "127.0.0.1", "ports": ports});
    world.memory.put(SERVICES, service(&given));
    world.until("True", "Passed").await;
    assert_eq!(world.send(get(FLIGHTS)).await.unwrap().0, StatusCode::OK);
    world.memory.delete(SERVICES, "flights");
    world.until("False", "ServiceNotFound").await;
}

#[tokio::test]
async fn endpoints_count_where_there_is_no_slice_and_an_external_name_before_all() {
    let backend = Backend::start().await;
    let world = start(&backend).await;
    world.memory.put(SERVICES, headless());
    world.memory.put(
        ENDPOINTS,
        json!({
            "metadata": {"name": "flights", "namespace": "default"},
            "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "https", "port": backend.port}]}],
        }),
    );
    world.until("True", "Passed").await;
    world.memory.put(SLICES, slice("flights-a", backend.port, false));
    world.until("False", "MissingEndpoints").await;
    // Nothing listens on port 443 of it; what counts is that it is asked.
    world.memory.put(EXTERNAL_NAMES, external_name("127.0.0.1"));
    let message = world.until("False", "FailedDiscoveryCheck").await;
    assert!(message.contains("https://127.0.0.1:443/"), "{message}");
}

#[tokio::test]
async fn the_annotation_says_it_outright_and_its_mistakes_are_told() {
    let backend = Backend::start().await;
    let world = start(&backend).await;
    world.until("False", "ServiceNotFound").await;
    let annotate = |text: &str| {
        let mut object = world.memory.get(API_SERVICES, NAME).unwrap();
        object["metadata"]["annotations"]["aggregator.detectviz.io/endpoints"] = text.into();
        world.memory.put(API_SERVICES, object);
    };
    annotate(&format!("https://localhost:{}", backend.port));
    world.until("True", "Passed").await;
    annotate("http://localhost, unix:///tmp/x.sock");
    let message = world.until("False", "InvalidEndpoints").await;
    assert!(message.contains("only https and unix are allowed; "), "{message}");
    assert!(message.ends_with("is in no folder of the option aggregator.socket_dirs"), "{message}");
}
