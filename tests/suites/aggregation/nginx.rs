//! Two servers that know nothing of each other behind one address: nginx with a tree of files, which knows OpenAPI v2 alone,
//! and the example, which watches and writes.

use detectviz_tests::{Authority, Builder, ExtensionServer, Nginx, Server, enterprise_every_line};
use serde_json::{Value, json};

use super::{SERVICE, aggregated, flight};
use crate::support::{API_SERVICES, await_available, create, names};

const PLANETS: &str = "/apis/static.example.com/v1/planets";

fn planet(name: &str, moons: u32) -> Value {
    json!({
        "apiVersion": "static.example.com/v1", "kind": "Planet",
        "metadata": {"name": name, "uid": name, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"moons": moons},
    })
}

/// What stands in the files, each at its path.
fn documents() -> Vec<(&'static str, Value)> {
    let discovery = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "static.example.com/v1",
        "resources": [{"name": "planets", "singularName": "planet", "namespaced": false, "kind": "Planet",
            "shortNames": ["pl"], "verbs": ["get", "list"]}],
    });
    let list = json!({
        "kind": "PlanetList", "apiVersion": "static.example.com/v1", "metadata": {"resourceVersion": "1"},
        "items": [planet("earth", 1), planet("mars", 2)],
    });
    vec![
        ("/apis/static.example.com/v1", discovery),
        (PLANETS, list),
        ("/apis/static.example.com/v1/planets/earth", planet("earth", 1)),
        ("/openapi/v2", open_api()),
    ]
}

fn open_api() -> Value {
    let kind = json!({"group": "static.example.com", "version": "v1", "kind": "Planet"});
    let answer =
        json!({"200": {"description": "OK", "schema": {"$ref": "#/definitions/com.example.Planet"}}});
    json!({
        "swagger": "2.0", "info": {"title": "files", "version": "1"},
        "paths": {
            "/apis/static.example.com/v1/planets": {
                "get": {"produces": ["application/json"], "responses": answer, "x-kubernetes-action": "list",
                    "x-kubernetes-group-version-kind": kind},
            },
            "/api/v1/secrets": {"get": {"responses": answer}},
        },
        "definitions": {
            "com.example.Planet": {
                "description": "Planet goes around a star.", "type": "object",
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                    "spec": {"$ref": "#/definitions/com.example.PlanetSpec"},
                },
                "x-kubernetes-group-version-kind": [kind],
            },
            "com.example.PlanetSpec": {
                "type": "object", "properties": {"moons": {"description": "How many go around it.", "type": "integer"}},
            },
        },
    })
}

/// A server with both behind it; `None` where there is no nginx.
fn with_both(builder: Builder) -> Option<(Server, ExtensionServer, Nginx)> {
    let (server, example) = aggregated(builder);
    let nginx = Nginx::start(&server, "planets.default.svc", &documents())?;
    let admin = server.admin();
    create(
        &admin,
        "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames",
        &json!({
            "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
            "metadata": {"name": "planets", "namespace": "default"}, "spec": {"host": "127.0.0.1"},
        }),
    );
    create(
        &admin,
        API_SERVICES,
        &json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": "v1.static.example.com"},
            "spec": {
                "group": "static.example.com", "version": "v1", "groupPriorityMinimum": 500, "versionPriority": 15,
                "caBundle": nginx.ca_bundle(),
                "service": {"name": "planets", "namespace": "default", "port": nginx.port()},
            },
        }),
    );
    await_available(&admin, &format!("{API_SERVICES}/v1.static.example.com"), "True", Some("Passed"));
    await_available(&admin, SERVICE, "True", Some("Passed"));
    Some((server, example, nginx))
}

#[test]
fn kubectl_reads_watches_and_applies_through_one_address() {
    enterprise_every_line(|builder| {
        let Some((server, _example, _nginx)) = with_both(builder) else { return };
        let kubectl = |arguments: &str| server.kubectl(arguments);
        assert_eq!(
            kubectl("get pl -o name").ok(),
            "planet.static.example.com/earth\nplanet.static.example.com/mars"
        );
        let table = kubectl("get planets").ok();
        assert!(table.starts_with("NAME") && table.contains("mars"), "{table}");
        assert_eq!(kubectl("get planet earth -o jsonpath={.spec.moons}").ok(), "1");
        assert!(kubectl("get planet pluto").fails().contains("NotFound"));
        let resources = kubectl("api-resources --no-headers").ok();
        for expected in ["planets", "flights", "configmaps"] {
            assert!(resources.lines().any(|line| line.starts_with(expected)), "{expected}: {resources}");
        }
        let mut watch = kubectl("get flights -w -o name").start();
        for _ in 0..3 {
            assert!(watch.next_line().unwrap().starts_with("flight.example.detectviz.io/"));
        }
        assert_eq!(
            kubectl("apply -f -").stdin(flight("dv9", "C1")).ok(),
            "flight.example.detectviz.io/dv9 created"
        );
        assert_eq!(watch.next_line().unwrap(), "flight.example.detectviz.io/dv9");
    });
}

#[test]
fn both_are_in_discovery_and_in_either_openapi() {
    enterprise_every_line(|builder| {
        let Some((server, _example, _nginx)) = with_both(builder) else { return };
        let admin = server.admin();
        let groups = admin.get("/apis").expect(200).to_string();
        assert!(groups.contains("static.example.com") && groups.contains("example.detectviz.io"), "{groups}");
        let index = admin.get("/openapi/v3").expect(200);
        let url = index["paths"]["apis/static.example.com/v1"]["serverRelativeURL"].as_str().unwrap();
        let document = admin.get(url).expect(200);
        assert!(document["components"]["schemas"]["com.example.Planet"].is_object(), "{document}");
        let merged = admin.get("/openapi/v2").expect(200);
        for path in
            [PLANETS, "/apis/example.detectviz.io/v1/namespaces/{namespace}/flights", "/api/v1/namespaces"]
        {
            assert!(merged["paths"][path].is_object(), "{path}");
        }
        assert_eq!(
            merged["paths"]["/api/v1/namespaces/{namespace}/secrets"]["get"]["x-kubernetes-action"], "list",
            "what is served here is described by this server"
        );
        assert!(
            merged["paths"]["/api/v1/secrets"]["get"]["responses"]["200"]["schema"]["$ref"]
                != "#/definitions/com.example.Planet"
        );
        let tag = admin.get("/openapi/v2").header("etag").unwrap().to_owned();
        assert_eq!(admin.with("If-None-Match", &tag).get("/openapi/v2").code, 304);
        // What kubectl makes of it: 1.20 of v2, a current one of v3.
        let explained = server.kubectl("explain planet").ok();
        assert!(explained.contains("goes around a star"), "{explained}");
        let explained = server.kubectl("explain planets.spec.moons").ok();
        assert!(explained.contains("How many go around it"), "{explained}");
        assert!(server.kubectl("explain flight.spec").ok().contains("destination"));
        assert!(server.kubectl("explain configmap.data").ok().contains("data"));
    });
}

/// The files are nobody's but the front proxy's: nginx asks for its certificate, and would answer nobody without.
#[test]
fn the_backend_answers_the_front_proxy_alone() {
    enterprise_every_line(|builder| {
        let Some((server, example, nginx)) = with_both(builder) else { return };
        assert_eq!(names(&server.admin().get(PLANETS).expect(200)), ["earth", "mars"]);
        let stranger = Authority::new("strangers").client("front-proxy-client", None);
        drop(example);
        for certificate in [None, Some(&stranger)] {
            let answer = nginx.client(certificate).request("GET", PLANETS).try_send();
            assert!(
                answer.is_ok_and(|answer| answer.code == 400),
                "nginx refuses who is not the front proxy"
            );
        }
    });
}
