//! Where a backend is may be said by a Service of any type, by what is behind it, or outright; kubectl says it.

use std::path::Path;

use detectviz_tests::{Builder, ExtensionServer, Relay, Server, enterprise, wait_for};
use serde_json::{Value, json};

use super::{FLIGHTS, GONE, SERVICE};
use crate::support::{API_SERVICES, await_available, create, names};

/// A server, the example, and an APIService for `port` of the Service `flights` that nobody has made yet.
fn registered(builder: Builder, port: impl Fn(&ExtensionServer) -> u16) -> (Server, ExtensionServer) {
    let sockets = builder.folder().join("flights");
    let config = format!("[aggregator]\navailability_interval_seconds = 1\nsocket_dirs = {sockets:?}\n");
    let server = builder.allow_log(GONE).config(&config).start();
    let example = ExtensionServer::start(&server);
    let [_, mut service] = example.manifests();
    service["spec"]["service"]["port"] = port(&example).into();
    create(&server.admin(), API_SERVICES, &service);
    await_available(&server.admin(), SERVICE, "False", Some("ServiceNotFound"));
    (server, example)
}

fn apply(server: &Server, object: &Value) {
    server.kubectl("apply -f -").stdin(object.to_string()).ok();
}

fn service(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "flights"}, "spec": spec})
}

/// A Service without an address, whose port 443 is called `https`.
fn headless() -> Value {
    service(&json!({"clusterIP": "None", "ports": [{"name": "https", "port": 443}]}))
}

fn slice(name: &str, relays: &[(&Relay, bool)]) -> Value {
    let endpoint =
        |(relay, ready): &(&Relay, bool)| json!({"addresses": [relay.ip()], "conditions": {"ready": ready}});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "flights"}},
        "ports": [{"name": "https", "port": relays[0].0.port()}],
        "endpoints": relays.iter().map(endpoint).collect::<Value>(),
    })
}

/// Waits until kubectl gets the flights through the server.
fn await_flights(server: &Server) {
    await_available(&server.admin(), SERVICE, "True", Some("Passed"));
    assert_eq!(names(&server.admin().get(FLIGHTS).expect(200)).len(), 3);
    assert_eq!(server.kubectl("get flights -o name").ok().lines().count(), 3);
}

#[test]
fn services_with_an_address_lead_to_the_backend() {
    enterprise(|builder| {
        let (server, example) = registered(builder, ExtensionServer::port);
        let admin = server.admin();
        apply(&server, &service(&json!({"type": "ExternalName", "externalName": "localhost"})));
        await_flights(&server);
        server.kubectl("delete service flights").ok();
        await_available(&admin, SERVICE, "False", Some("ServiceNotFound"));

        let ports = |port: u16| json!([{"name": "https", "port": port}]);
        apply(&server, &service(&json!({"clusterIP": "127.0.0.1", "ports": ports(443)})));
        let message = await_available(&admin, SERVICE, "False", Some("ServicePortError"));
        let port = example.port();
        assert!(
            message.contains(&format!("is not listening on port {port}: its TCP ports are 443")),
            "{message}"
        );
        apply(&server, &service(&json!({"clusterIP": "127.0.0.1", "ports": ports(port)})));
        await_flights(&server);
    });
}

#[test]
fn services_without_an_address_lead_to_the_slices_of_two_endpoints() {
    enterprise(|builder| {
        let (server, example) = registered(builder, |_| 443);
        let admin = server.admin();
        apply(&server, &headless());
        await_available(&admin, SERVICE, "False", Some("EndpointsNotFound"));
        let (one, two) = (Relay::start(example.port()), Relay::start(example.port()));
        apply(&server, &slice("flights-1", &[(&one, false)]));
        await_available(&admin, SERVICE, "False", Some("MissingEndpoints"));
        apply(&server, &slice("flights-1", &[(&one, true)]));
        apply(&server, &slice("flights-2", &[(&two, true)]));
        await_flights(&server);
        // What is no longer ready may go, and the other one goes on.
        apply(&server, &slice("flights-1", &[(&one, false)]));
        one.cut();
        wait_for("the other one answers", || (admin.get(FLIGHTS).code == 200).then_some(()));
        assert!(two.accepted() > 0);
        await_flights(&server);
        server.kubectl("delete endpointslice flights-2").ok();
        await_available(&admin, SERVICE, "False", Some("MissingEndpoints"));

        // Old Endpoints count where there is no slice.
        server.kubectl("delete endpointslice flights-1").ok();
        await_available(&admin, SERVICE, "False", Some("EndpointsNotFound"));
        let (addresses, ports) = (json!([{"ip": two.ip()}]), json!([{"name": "https", "port": two.port()}]));
        let endpoints = json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "flights"},
            "subsets": [{"addresses": addresses, "ports": ports}],
        });
        apply(&server, &endpoints);
        await_flights(&server);
    });
}

fn annotate(server: &Server, endpoints: &str) {
    let arguments = "annotate --overwrite apiservice v1.example.detectviz.io";
    server.kubectl(arguments).arg(format!("aggregator.detectviz.io/endpoints={endpoints}")).ok();
}

#[test]
fn urls_and_unix_sockets_are_said_outright() {
    enterprise(|builder| {
        let (server, example) = registered(builder, |_| 443);
        let admin = server.admin();
        annotate(&server, &format!("https://127.0.0.1:{}", example.port()));
        await_flights(&server);
        annotate(&server, &format!("http://127.0.0.1:{}", example.port()));
        let message = await_available(&admin, SERVICE, "False", Some("InvalidEndpoints"));
        assert!(message.contains("only https and unix are allowed"), "{message}");
        annotate(&server, &unix(&example.socket()));
        await_flights(&server);
        assert_eq!(admin.get("/apis/example.detectviz.io/v1/whoami").expect(200)["user"], "admin");
        let elsewhere = server.folder().join("elsewhere.sock");
        annotate(&server, &unix(&elsewhere));
        let message = await_available(&admin, SERVICE, "False", Some("InvalidEndpoints"));
        assert!(message.ends_with("is in no folder of the option aggregator.socket_dirs"), "{message}");
    });
}

fn unix(path: &Path) -> String {
    format!("unix://{}", path.display())
}
