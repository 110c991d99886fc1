//! Another API server behind this one's address: one login, one discovery, and nobody gets through as somebody else.

mod delegation;
mod egress;
mod identity;
mod local;
mod many;
mod nginx;
mod remote_services;
mod rolling;
mod services;
mod smuggling;
mod streams;
mod upgrades;

use detectviz_tests::{
    Authority, Backend, Builder, Certificate, Client, ExtensionServer, Server, enterprise,
    enterprise_every_line, wait_for,
};
use serde_json::{Value, json};

use crate::auth::{FORGERIES, forging};
use crate::support::{API_SERVICES, CONFIG_MAPS, await_available, config_map, create, names};

const SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.detectviz.io";
const FLIGHTS: &str = "/apis/example.detectviz.io/v1/namespaces/default/flights";
const WHOAMI: &str = "/apis/example.detectviz.io/v1/whoami";
/// What the server says when a backend goes away, as some tests make it do.
const GONE: &str = "APIService is no longer available";

/// A server with the example behind it.
fn aggregated(builder: Builder) -> (Server, ExtensionServer) {
    let server = builder.config("[aggregator]\navailability_interval_seconds = 1\n").start();
    let example = ExtensionServer::start(&server);
    register(&server.admin(), &example);
    await_available(&server.admin(), SERVICE, "True", Some("Passed"));
    (server, example)
}

fn register(admin: &Client, example: &ExtensionServer) {
    let [name, service] = example.manifests();
    create(admin, "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames", &name);
    create(admin, API_SERVICES, &service);
}

/// Registers `backend`, and waits until it is available.
fn behind(admin: &Client, backend: &Backend) {
    let [name, service] = backend.manifests();
    create(admin, "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames", &name);
    create(admin, API_SERVICES, &service);
    await_available(admin, &backend.api_service(), "True", Some("Passed"));
}

fn flight(name: &str, gate: &str) -> String {
    format!(
        "apiVersion: example.detectviz.io/v1\nkind: Flight\nmetadata: {{name: {name}}}\n\
         spec: {{origin: TPE, destination: VIE, gate: {gate}}}\n"
    )
}

#[test]
fn kubectl_works_through_the_proxy_as_if_there_were_none() {
    enterprise_every_line(|builder| {
        let (server, _example) = aggregated(builder);
        let kubectl = |arguments: &str| server.kubectl(arguments);
        let resources = kubectl("api-resources --no-headers").ok();
        assert!(resources.contains("example.detectviz.io/v1") && resources.contains("Flight"), "{resources}");
        let before = kubectl("get flights").ok();
        assert!(before.starts_with("NAME") && before.contains("ORIGIN"), "{before}");
        assert_eq!(before.lines().count(), 4, "{before}");
        let mut watch = kubectl("get flights -w -o name").start();
        for _ in 0..3 {
            assert!(watch.next_line().unwrap().starts_with("flight.example.detectviz.io/"));
        }
        let created = kubectl("create -f -").stdin(flight("dv1", "A1")).ok();
        assert_eq!(created, "flight.example.detectviz.io/dv1 created");
        assert_eq!(watch.next_line().unwrap(), "flight.example.detectviz.io/dv1");
        let applied = kubectl("apply -f -").stdin(flight("dv2", "B1")).ok();
        assert_eq!(applied, "flight.example.detectviz.io/dv2 created");
        let changed = kubectl("apply -f -").stdin(flight("dv2", "B2")).ok();
        assert_eq!(changed, "flight.example.detectviz.io/dv2 configured");
        assert_eq!(kubectl("get fl dv2 -o jsonpath={.spec.gate}").ok(), "B2");
        kubectl("delete flight dv1 dv2").ok();
        assert_eq!(kubectl("get flights -o name").ok().lines().count(), 3);
    });
}

#[test]
fn the_examples_documents_are_merged() {
    enterprise(|builder| {
        let (server, _example) = aggregated(builder);
        let admin = server.admin();
        let groups = admin.get("/apis").expect(200);
        let found = groups["groups"].as_array().unwrap().iter().any(|g| g["name"] == "example.detectviz.io");
        assert!(found, "{groups}");
        let list = admin.get("/apis/example.detectviz.io/v1").expect(200);
        assert_eq!(list["resources"][0]["kind"], "Flight", "{list}");
        let index = admin.get("/openapi/v3").expect(200);
        let url = index["paths"]["apis/example.detectviz.io/v1"]["serverRelativeURL"].as_str().unwrap();
        assert!(
            admin.get(url).expect(200)["paths"]
                [format!("{FLIGHTS}/{{name}}").replace("default", "{namespace}")]
            .is_object()
        );
        assert!(server.kubectl("explain flight.spec").ok().contains("destination"));
    });
}

/// What the example server saw, and that nothing in it is about who asks but what it was meant to see.
fn seen(client: &Client, user: &str, groups: &[&str]) {
    let seen = client.get(WHOAMI).expect(200);
    assert_eq!((&seen["user"], &seen["groups"]), (&json!(user), &json!(groups)), "{seen}");
    assert_eq!((&seen["uid"], &seen["extra"]), (&json!(""), &json!({})), "{seen}");
    let headers = seen["headers"].as_object().unwrap();
    let about_identity = |name: &&String| {
        let name = name.replace('_', "-");
        name.starts_with("x-remote-") || name.starts_with("impersonate-") || name == "authorization"
    };
    let mut named: Vec<_> = headers.keys().filter(about_identity).collect();
    named.sort_unstable();
    assert_eq!(named, ["x-remote-group", "x-remote-user"], "{seen}");
    assert_eq!((&headers["x-remote-user"], &headers["x-remote-group"]), (&json!([user]), &json!(groups)));
}

#[test]
fn the_example_sees_who_asks_and_no_forgery() {
    enterprise(|builder| {
        let tokens = builder.folder().join("tokens.csv");
        std::fs::write(&tokens, "geheim,jane,,\"system:masters\"\n").unwrap();
        let server = builder
            .config(&format!(
                "[aggregator]\navailability_interval_seconds = 1\n[auth]\ntoken_file = {tokens:?}\n"
            ))
            .start();
        let example = ExtensionServer::start(&server);
        register(&server.admin(), &example);
        await_available(&server.admin(), SERVICE, "True", None);
        let groups = ["system:masters", "system:authenticated"];
        let admin = server.admin();
        seen(&admin, "admin", &groups);
        seen(&forging(&admin), "admin", &groups);
        for (name, value) in FORGERIES {
            seen(&admin.with(name, value), "admin", &groups);
            // Hop-by-hop removal must not take what the proxy itself has set.
            seen(&admin.with("Connection", name), "admin", &groups);
        }
        seen(&admin.with("Connection", "close, X-Remote-User, X-Remote-Group"), "admin", &groups);
        // Nor does a credential reach the backend.
        seen(&server.anonymous().token("geheim"), "jane", &groups);
    });
}

#[test]
fn who_may_nothing_here_reaches_nothing_there() {
    enterprise(|builder| {
        let (server, _example) = aggregated(builder);
        let jane = server.user("jane", None);
        for client in [jane.clone(), forging(&jane), server.anonymous(), forging(&server.anonymous())] {
            client.get(FLIGHTS).refused(403, "Forbidden");
            client.get(WHOAMI).refused(403, "Forbidden");
        }
        server.admin().get(format!("{FLIGHTS}/%2e%2e")).refused(400, "BadRequest");
        server.admin().get("/apis/example.detectviz.io/v1//flights").refused(400, "BadRequest");
    });
}

#[test]
fn a_users_certificate_is_no_front_proxys() {
    enterprise(|builder| {
        let (server, example) = aggregated(builder);
        let users = Authority::load(&server.pki("client-ca"));
        let admin = Certificate::load(&server.pki("admin"));
        let posing = users.client("front-proxy-client", Some("system:masters"));
        for certificate in [&admin, &posing] {
            let client = example.client(Some(certificate)).with("X-Remote-User", "root");
            let refused = client.request("GET", WHOAMI).try_send();
            assert!(refused.is_err(), "the handshake should fail: {:?}", refused.map(|answer| answer.code));
        }
        let nobody =
            example.client(None).with("X-Remote-User", "root").with("X-Remote-Group", "system:masters");
        nobody.get(FLIGHTS).refused(401, "Unauthorized");
        // The way of asking is right: with the proxy's certificate it works.
        let proxy = example.client(Some(&Certificate::load(&server.pki("front-proxy-client"))));
        let seen = proxy.with("X-Remote-User", "jane").get(WHOAMI).expect(200);
        assert_eq!(seen["user"], "jane");
    });
}

#[test]
fn a_backend_that_goes_away_takes_nothing_with_it_and_may_come_back() {
    enterprise(|builder| {
        let (server, mut example) = aggregated(builder.allow_log(GONE));
        let admin = server.admin();
        let mut flights = admin.watch(format!("{FLIGHTS}?watch=true&timeoutSeconds=600"));
        flights.expect("ADDED");
        let mut config_maps = admin.watch(format!("{CONFIG_MAPS}?watch=true"));
        example.kill();
        admin.get(FLIGHTS).refused(503, "ServiceUnavailable");
        await_available(&admin, SERVICE, "False", Some("FailedDiscoveryCheck"));
        let refused = admin.get(FLIGHTS);
        refused.refused(503, "ServiceUnavailable");
        assert!(refused.header("retry-after").is_some(), "{refused}");
        // All else goes on.
        create(&admin, CONFIG_MAPS, &config_map("one", "x"));
        assert_eq!(config_maps.expect("ADDED")["metadata"]["name"], "one");
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["one"]);
        assert_eq!(admin.get("/readyz").text(), "ok");
        let resources = server.kubectl("api-resources").run();
        assert!(resources.stdout.contains("configmaps"), "{resources}");
        assert!(resources.code == 0 || resources.stderr.contains("example.detectviz.io/v1"), "{resources}");
        assert_eq!(server.kubectl("get cm -o name").ok(), "configmap/one");
        example.restart();
        await_available(&admin, SERVICE, "True", Some("Passed"));
        assert_eq!(names(&admin.get(FLIGHTS).expect(200)).len(), 3);
    });
}

#[test]
fn what_is_wrong_with_a_registration_is_on_the_object() {
    enterprise(|builder| {
        let (server, example) = aggregated(builder.allow_log(GONE));
        let admin = server.admin();
        let [_, mut service] = example.manifests();
        let mut check = |name: &str, reason: &str, change: &dyn Fn(&mut Value)| {
            service["metadata"]["name"] = format!("v1.{name}.example.com").into();
            service["spec"]["group"] = format!("{name}.example.com").into();
            let mut changed = service.clone();
            change(&mut changed["spec"]);
            create(&admin, API_SERVICES, &changed);
            let path = format!("{API_SERVICES}/v1.{name}.example.com");
            await_available(&admin, &path, "False", Some(reason));
            admin.get(format!("/apis/{name}.example.com/v1/flights")).refused(503, "ServiceUnavailable");
        };
        check("no-name", "ServiceNotFound", &|spec| spec["service"]["name"] = "nobody".into());
        check("no-group", "FailedDiscoveryCheck", &|_| {});
        check("no-ca", "FailedDiscoveryCheck", &|spec| {
            spec["caBundle"] = Value::Null;
        });
        // The one that works is not touched.
        assert_eq!(names(&admin.get(FLIGHTS).expect(200)).len(), 3);
    });
}

#[test]
fn an_api_service_that_is_deleted_is_gone_from_the_address() {
    enterprise(|builder| {
        let (server, _example) = aggregated(builder);
        let admin = server.admin();
        let mut watch = admin.watch(format!("{FLIGHTS}?watch=true"));
        watch.expect("ADDED");
        admin.delete(SERVICE).expect(200);
        wait_for("the flights are gone", || (admin.get(FLIGHTS).code == 404).then_some(()));
        let groups = admin.get("/apis").expect(200);
        assert!(!groups.to_string().contains("example.detectviz.io"), "{groups}");
    });
}

#[test]
fn sigterm_ends_a_proxied_watch_cleanly() {
    enterprise(|builder| {
        let (mut server, _example) = aggregated(builder);
        let mut watch = server.admin().watch(format!("{FLIGHTS}?watch=true"));
        for _ in 0..3 {
            watch.expect("ADDED");
        }
        server.terminate();
        assert_eq!(watch.next(), None);
        assert_eq!(server.stop().code(), Some(0));
    });
}
