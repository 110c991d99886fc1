//! Discovery and OpenAPI over HTTP: each document in each form, conditional requests, and how long answers may be kept.

mod open_api;

use detectviz_tests::{Answer, Client, variants};
use serde_json::{Value, json};

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
const V2_YAML: &str = "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The documents of legacy discovery, and their kinds.
const LEGACY: [(&str, &str); 5] = [
    ("/api", "APIVersions"),
    ("/apis", "APIGroupList"),
    ("/apis/apiregistration.k8s.io", "APIGroup"),
    ("/api/v1", "APIResourceList"),
    ("/apis/apiregistration.k8s.io/v1", "APIResourceList"),
];

fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = client.request("GET", path);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

fn accept(client: &Client, path: &str, accept: &str) -> Answer {
    get(client, path, &[("Accept", accept)])
}

#[test]
fn the_client_is_answered_in_the_form_that_it_likes_best() {
    variants(|server| {
        let admin = server.admin();
        let client_go = format!("{V2},{V2BETA1},application/json");
        let kubectl_1_26 = format!("{V2BETA1},application/json");
        let worse = format!("application/json;q=0.8,{V2BETA1};q=0.9");
        let worst = format!("{V2};q=0,{V2BETA1};q=0.1,application/json;q=0.2");
        let unknown = "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json";
        for (asked, kind) in [
            (client_go.as_str(), V2),
            (kubectl_1_26.as_str(), V2BETA1),
            (V2, V2),
            (V2_YAML, V2_YAML),
            ("application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io;profile=nopeer", V2),
            (worse.as_str(), V2BETA1),
            (worst.as_str(), "application/json"),
            (unknown, "application/json"),
            ("application/json", "application/json"),
            ("*/*", "application/json"),
            ("application/*", "application/json"),
            ("text/html, application/yaml;q=0.5", "application/yaml"),
            ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
            ("application/json;as=Table;g=meta.k8s.io;v=v1, application/yaml", "application/yaml"),
        ] {
            for path in ["/api", "/apis"] {
                let answer = accept(&admin, path, asked);
                assert_eq!((answer.code, answer.header("content-type")), (200, Some(kind)), "{path} {asked}");
                assert_eq!(answer.header("vary"), Some("Accept"), "{path} {asked}");
            }
        }
        assert_eq!(admin.get("/apis").header("content-type"), Some("application/json"));
        let v3_alone = "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList";
        for asked in [
            PROTOBUF,
            "text/html",
            "application/json;q=0",
            v3_alone,
            "application/json;as=Table;g=meta.k8s.io;v=v1",
        ] {
            for (path, _) in LEGACY {
                accept(&admin, path, asked).refused(406, "NotAcceptable");
            }
        }
        // Only where there is a document of all groups can one be asked for.
        for (path, _) in &LEGACY[2..] {
            accept(&admin, path, V2).refused(406, "NotAcceptable");
            assert_eq!(accept(&admin, path, &client_go).header("content-type"), Some("application/json"));
        }
    });
}

#[test]
fn what_a_client_has_is_not_sent_again() {
    variants(|server| {
        let admin = server.admin();
        let legacy = LEGACY.map(|(path, _)| (path, "application/json"));
        let mut cases = legacy.to_vec();
        cases.extend([
            ("/api", V2),
            ("/apis", V2),
            ("/apis", V2BETA1),
            ("/apis", V2_YAML),
            ("/api/v1", "application/yaml"),
        ]);
        cases.extend(open_api::DOCUMENTS);
        for (path, asked) in cases {
            check_conditional(&admin, path, asked);
        }
        // Another form has another tag: what is kept of one is never taken for the other.
        let forms = ["application/json", "application/yaml", V2, V2BETA1, V2_YAML];
        let mut tags: Vec<_> = forms
            .iter()
            .map(|form| accept(&admin, "/apis", form).header("etag").unwrap().to_owned())
            .collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), forms.len());
    });
}

fn check_conditional(client: &Client, path: &str, asked: &str) {
    let whole = accept(client, path, asked);
    assert_eq!(whole.code, 200, "{whole}");
    let tag = whole.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        format!("W/\"a,b\" ,W/{tag} , \"c\""),
        "*".to_owned(),
    ] {
        let answer = get(client, path, &[("Accept", asked), ("If-None-Match", &known)]);
        assert_eq!((answer.code, answer.body.len()), (304, 0), "{path} {known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()), "{path} {known}");
        for header in ["vary", "cache-control"] {
            assert_eq!(answer.header(header), whole.header(header), "{path} {header}");
        }
        let head =
            client.request("HEAD", path).header("Accept", asked).header("If-None-Match", &known).send();
        assert_eq!((head.code, head.header("etag")), (304, Some(tag.as_str())), "{path}");
        assert_eq!(head.header("content-length"), None, "{path}");
    }
    for unknown in ["\"other\"", "\"*\"", "other", &tag[1..tag.len() - 1], ""] {
        let answer = get(client, path, &[("Accept", asked), ("If-None-Match", unknown)]);
        assert_eq!((answer.code, answer.body == whole.body), (200, true), "{path} {unknown}");
    }
    let head = client.request("HEAD", path).header("Accept", asked).send();
    let length = head.header("content-length").and_then(|length| length.parse().ok());
    assert_eq!((head.code, length, head.body.len()), (200, Some(whole.body.len()), 0), "{path}");
}

/// What the core group serves.
const CORE: [&str; 18] = [
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "namespaces/finalize",
    "namespaces/status",
    "nodes",
    "nodes/status",
    "pods",
    "pods/status",
    "podtemplates",
    "resourcequotas",
    "resourcequotas/status",
    "secrets",
    "serviceaccounts",
    "services",
    "services/status",
];

#[test]
fn legacy_discovery_says_what_kubernetes_says() {
    variants(|server| {
        let admin = server.admin();
        for (path, kind) in LEGACY {
            assert_eq!(admin.get(path).expect(200)["kind"], kind, "{path}");
            assert_eq!(admin.get(format!("{path}/")).expect(200)["kind"], kind, "{path}/");
        }
        let address = server.url().strip_prefix("https://").unwrap();
        assert_eq!(
            admin.get("/api").expect(200),
            json!({
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
            })
        );
        let version = json!({"groupVersion": "service.grafana.app/v0alpha1", "version": "v0alpha1"});
        assert_eq!(
            admin.get("/apis/service.grafana.app").expect(200),
            json!({
                "kind": "APIGroup", "apiVersion": "v1", "name": "service.grafana.app",
                "versions": [version], "preferredVersion": version,
            })
        );
        let groups = admin.get("/apis").expect(200);
        let names: Vec<_> =
            groups["groups"].as_array().unwrap().iter().map(|group| group["name"].clone()).collect();
        assert_eq!(names[0], "apiregistration.k8s.io", "greater priority comes first");
        assert_eq!(names.len(), 11);
        let core = admin.get("/api/v1").expect(200);
        let names: Vec<_> =
            core["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, CORE);
        // The hash is the one that every Kubernetes cluster shows.
        assert_eq!(
            core["resources"][0],
            json!({
                "name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap",
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                "shortNames": ["cm"], "storageVersionHash": "qFsyl6wFWjQ=",
            })
        );
        assert_eq!(
            core["resources"][6],
            json!({
                "name": "namespaces/status", "singularName": "", "namespaced": false, "kind": "Namespace",
                "verbs": ["get", "patch", "update"],
            })
        );
        let of_namespaces = json!(["create", "delete", "get", "list", "patch", "update", "watch"]);
        let namespaces = core["resources"].as_array().unwrap().iter().find(|one| one["name"] == "namespaces");
        assert_eq!(namespaces.unwrap()["verbs"], of_namespaces, "namespaces go one by one");
        let services = admin.get("/apis/apiregistration.k8s.io/v1").expect(200);
        assert_eq!(services["resources"][0]["categories"], json!(["api-extensions"]));
    });
}

#[test]
fn aggregated_discovery_says_the_same_in_one_document() {
    variants(|server| {
        let admin = server.admin();
        for path in ["/api", "/apis"] {
            let list = accept(&admin, path, V2).expect(200);
            assert_eq!(
                (&list["kind"], &list["apiVersion"]),
                (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2"))
            );
            let beta = accept(&admin, path, V2BETA1).expect(200);
            assert_eq!(beta["apiVersion"], "apidiscovery.k8s.io/v2beta1");
            assert_eq!(beta["items"], list["items"]);
            for group in list["items"].as_array().unwrap() {
                check_group(&admin, group);
            }
        }
    });
}

fn check_group(client: &Client, group: &Value) {
    let name = group["metadata"]["name"].as_str().unwrap();
    for version in group["versions"].as_array().unwrap() {
        assert_eq!(version["freshness"], "Current");
        let version_name = version["version"].as_str().unwrap();
        let path = if name.is_empty() {
            format!("/api/{version_name}")
        } else {
            format!("/apis/{name}/{version_name}")
        };
        let legacy = client.get(path).expect(200);
        let mut legacy = legacy["resources"].as_array().unwrap().iter();
        for resource in version["resources"].as_array().unwrap() {
            let kind =
                json!({"group": name, "version": version_name, "kind": resource["responseKind"]["kind"]});
            assert_eq!(resource["responseKind"], kind);
            let same = legacy.next().unwrap();
            for (aggregated, listed) in [
                ("resource", "name"),
                ("singularResource", "singularName"),
                ("verbs", "verbs"),
                ("shortNames", "shortNames"),
                ("categories", "categories"),
            ] {
                assert_eq!(resource.get(aggregated), same.get(listed), "{aggregated}");
            }
            assert_eq!(resource["scope"] == "Namespaced", same["namespaced"] == true);
            // What is only asked for is stored in no version.
            let stored = resource["verbs"].as_array().unwrap().contains(&json!("get"));
            assert!(resource.get("storageVersionHash").is_none());
            assert_eq!(same["storageVersionHash"].is_string(), stored, "{same}");
            for sub in resource["subresources"].as_array().into_iter().flatten() {
                let listed = legacy.next().unwrap();
                let name = format!(
                    "{}/{}",
                    resource["resource"].as_str().unwrap(),
                    sub["subresource"].as_str().unwrap()
                );
                assert_eq!((&listed["name"], &listed["verbs"]), (&json!(name), &sub["verbs"]));
            }
        }
        assert!(legacy.next().is_none());
    }
}

#[test]
fn what_discovery_lists_is_what_is_served() {
    variants(|server| {
        let admin = server.admin();
        let list = accept(&admin, "/api", V2).expect(200);
        let yaml = accept(&admin, "/api", V2_YAML).text();
        assert!(
            yaml.contains("kind: APIGroupDiscoveryList") && yaml.contains("- resource: configmaps")
                || yaml.contains("resource: configmaps"),
            "{yaml}"
        );
        for resource in list["items"][0]["versions"][0]["resources"].as_array().unwrap() {
            let plural = resource["resource"].as_str().unwrap();
            admin.get(format!("/api/v1/{plural}")).expect(200);
        }
        let paths = admin.get("/").expect(200);
        for path in paths["paths"].as_array().unwrap() {
            assert_eq!(admin.get(path.as_str().unwrap()).code, 200, "{path}");
        }
        for path in [
            "/api/v2",
            "/apis/nobody.example",
            "/apis/nobody.example/v1",
            "/apis/apiregistration.k8s.io/v9",
            "/nothing",
            "/openapi",
            "/openapi/v4",
            "/openapi/v3/api",
            "/openapi/v3/api/v9",
            "/openapi/v3/apis/a/b/c",
        ] {
            for asked in [V2, "application/json", "text/html"] {
                accept(&admin, path, asked).refused(404, "NotFound");
            }
        }
        for path in ["/api", "/apis", "/apis/service.grafana.app", "/openapi/v2", "/openapi/v3"] {
            admin.create(path, &json!({})).refused(405, "MethodNotAllowed");
            server.anonymous().get(path).refused(403, "Forbidden");
        }
    });
}
