//! What a watch shows, by how it is asked: each row over each transport and each store, against what kube-apiserver says.

use detectviz_tests::{Client, Transport, Watch, variants};
use serde_json::{Value, json};

use crate::support::{config_map, create, version};

/// The versions of a namespace's history, which every row is about:
/// `one` with the label `shown`; `two`; `one` without the label; `two` deleted; `three`.
struct History {
    collection: String,
    versions: [u64; 6],
}

impl History {
    fn make(admin: &Client, namespace: &str) -> Self {
        let meta = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        create(admin, "/api/v1/namespaces", &meta);
        let collection = format!("/api/v1/namespaces/{namespace}/configmaps");
        let before = version(&admin.get(&collection).expect(200));
        let mut one = config_map("one", "1");
        one["metadata"]["labels"] = json!({"shown": "yes"});
        let mut one = create(admin, &collection, &one);
        let two = create(admin, &collection, &config_map("two", "1"));
        one["metadata"]["labels"] = json!({});
        let hidden = admin.update(format!("{collection}/one"), &one).expect(200);
        admin.delete(format!("{collection}/two")).expect(200);
        let deleted = version(&admin.get(&collection).expect(200));
        let three = create(admin, &collection, &config_map("three", "1"));
        let versions = [before, version(&one), version(&two), version(&hidden), deleted, version(&three)];
        Self { collection, versions }
    }

    /// Opens the watch; `{N}` in the query is the N-th version.
    fn watch(&self, admin: &Client, transport: Transport, query: &str) -> Watch {
        let mut query = query.to_owned();
        for (index, version) in self.versions.iter().enumerate() {
            query = query.replace(&format!("{{{index}}}"), &version.to_string());
        }
        admin.watch_over(transport, format!("{}?watch=true&timeoutSeconds=2&{query}", self.collection))
    }
}

const ALL: &str = "ADDED one, ADDED two, MODIFIED one, DELETED two, ADDED three";
const STATE: &str = "ADDED one, ADDED three";
const INITIAL: &str = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
const NO_INITIAL: &str = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan";

/// Queries, and the events that they show until their time is over.
fn rows() -> Vec<(String, &'static str)> {
    let with = |first: &str, rest: &str| format!("{first}&{rest}");
    vec![
        ("resourceVersion={0}".into(), ALL),
        ("resourceVersion={2}".into(), "MODIFIED one, DELETED two, ADDED three"),
        ("resourceVersion={4}".into(), "ADDED three"),
        ("resourceVersion={5}".into(), ""),
        (String::new(), STATE),
        ("resourceVersion=0".into(), STATE),
        (INITIAL.into(), STATE),
        (with(INITIAL, "resourceVersion=0"), STATE),
        (with(INITIAL, "resourceVersion={2}"), STATE),
        (with(INITIAL, "resourceVersion={5}&allowWatchBookmarks=true"), "ADDED one, ADDED three, END"),
        (with(INITIAL, "labelSelector=none&allowWatchBookmarks=true"), "END"),
        // Asked for by default: upstream's `SetListOptionsDefaults`.
        ("allowWatchBookmarks=true".into(), "ADDED one, ADDED three, END"),
        ("resourceVersion=0&allowWatchBookmarks=true".into(), "ADDED one, ADDED three, END"),
        (NO_INITIAL.into(), ""),
        (with(NO_INITIAL, "resourceVersion=0"), ""),
        (with(NO_INITIAL, "resourceVersion={4}"), "ADDED three"),
        ("resourceVersion={0}&labelSelector=shown".into(), "ADDED one, DELETED one"),
        ("resourceVersion={0}&labelSelector=shown+in+(yes)".into(), "ADDED one, DELETED one"),
        ("resourceVersion={0}&labelSelector=!shown".into(), "ADDED two, ADDED one, DELETED two, ADDED three"),
        ("resourceVersion={0}&fieldSelector=metadata.name%3Dtwo".into(), "ADDED two, DELETED two"),
        (
            "resourceVersion={0}&fieldSelector=metadata.name!%3Dtwo".into(),
            "ADDED one, MODIFIED one, ADDED three",
        ),
        ("resourceVersion={0}&limit=1".into(), ALL),
        ("resourceVersion=1000000000".into(), "ERROR Timeout"),
        (with(INITIAL, "resourceVersion=1000000000"), "ERROR Timeout"),
    ]
}

/// An event as the rows write it.
fn short(event: &Value) -> String {
    let (object, kind) = (&event["object"], event["type"].as_str().unwrap());
    match kind {
        "ERROR" => format!("ERROR {}", object["reason"].as_str().unwrap()),
        "BOOKMARK" if object["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true" => {
            "END".into()
        }
        kind => format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default()),
    }
}

#[test]
fn a_watch_shows_what_it_is_asked_for() {
    variants(|server| {
        let admin = server.admin();
        let history = History::make(&admin, "rows");
        for transport in Transport::ALL {
            let rows = rows();
            // All at once, since each lasts until its time is over.
            let watches: Vec<_> =
                rows.iter().map(|(query, _)| history.watch(&admin, transport, query)).collect();
            for ((query, expected), watch) in rows.iter().zip(watches) {
                let mut shown: Vec<String> = watch.map(|event| short(&event)).collect();
                // Controllers write meanwhile: the watch has come further when it ends.
                if shown.last().is_some_and(|last| last == "BOOKMARK ") {
                    shown.pop();
                }
                assert_eq!(shown.join(", "), *expected, "{transport:?} {query}");
            }
        }
    });
}

#[test]
fn a_watch_that_cannot_be_is_refused_before_it_begins() {
    variants(|server| {
        let admin = server.admin();
        let base = "/api/v1/namespaces/default/configmaps?watch=true";
        let rows = [
            (
                "&resourceVersion=abc",
                400,
                "BadRequest",
                "invalid resource version: resourceVersion: Invalid value: \"abc\"",
            ),
            ("&timeoutSeconds=soon", 400, "BadRequest", "strconv.ParseInt: parsing \"soon\""),
            ("&labelSelector=a+in+b", 400, "BadRequest", "unable to parse selector"),
            ("&fieldSelector=data.x%3Dy", 400, "BadRequest", "is not a known field selector"),
            (
                "&sendInitialEvents=true",
                422,
                "Invalid",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (
                "&sendInitialEvents=true&resourceVersionMatch=Exact",
                422,
                "Invalid",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (
                "&resourceVersionMatch=NotOlderThan&resourceVersion=1",
                422,
                "Invalid",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
        ];
        for (query, code, reason, message) in rows {
            for websocket in [false, true] {
                let request = admin.request("GET", format!("{base}{query}"));
                let request = if websocket { request.websocket() } else { request };
                let status = request.send().refused(code, reason);
                assert!(status["message"].as_str().unwrap().contains(message), "{query}: {status}");
            }
        }
        let path = "/api/v1/watch/namespaces/default/configmaps/one?fieldSelector=metadata.name%3Dtwo";
        let status = admin.get(path).refused(400, "BadRequest");
        assert_eq!(status["message"], "fieldSelector metadata.name doesn't match requested name");
        admin.request("GET", base).header("Accept", "text/html").send().refused(406, "NotAcceptable");
    });
}

#[test]
fn the_watch_prefix_is_a_watch_of_what_stands_behind_it() {
    variants(|server| {
        let admin = server.admin();
        let history = History::make(&admin, "prefixed");
        let from = history.versions[0];
        for transport in Transport::ALL {
            for (path, expected) in [
                ("configmaps", ALL),
                ("namespaces/prefixed/configmaps", ALL),
                ("namespaces/prefixed/configmaps/one", "ADDED one, MODIFIED one"),
                ("namespaces/prefixed/configmaps/o", ""),
                ("namespaces/prefixed", ""),
            ] {
                let path = format!("/api/v1/watch/{path}?resourceVersion={from}&timeoutSeconds=1");
                let shown: Vec<String> =
                    admin.watch_over(transport, &path).map(|event| short(&event)).collect();
                assert_eq!(shown.join(", "), expected, "{transport:?} {path}");
            }
        }
    });
}

#[test]
fn a_watch_lasts_as_long_as_it_is_asked_to() {
    variants(|server| {
        let admin = server.admin();
        let collection = History::make(&admin, "lasting").collection;
        for transport in Transport::ALL {
            let watch = |query: &str| admin.watch_over(transport, format!("{collection}?watch=true&{query}"));
            assert_eq!(watch("timeoutSeconds=-1").next(), None, "{transport:?}: it was over before it began");
            assert_eq!(watch("timeoutSeconds=1").count(), 2);
            let mut endless = [watch("timeoutSeconds=0"), watch("timeoutSeconds=9223372036854775807")];
            for watch in &mut endless {
                watch.expect("ADDED");
                watch.expect("ADDED");
            }
            let name = format!("later-{transport:?}").to_lowercase();
            create(&admin, &collection, &config_map(&name, "1"));
            for watch in &mut endless {
                assert_eq!(watch.expect("ADDED")["metadata"]["name"], *name);
            }
            admin.delete(format!("{collection}/{name}")).expect(200);
        }
    });
}

#[test]
fn a_bookmark_comes_before_the_end_and_is_where_the_next_watch_begins() {
    variants(|server| {
        let admin = server.admin();
        let history = History::make(&admin, "marked");
        let query = format!("{}?watch=true&allowWatchBookmarks=true", history.collection);
        for transport in Transport::ALL {
            let path = format!("{query}&resourceVersion={}&timeoutSeconds=3", history.versions[5]);
            let mut watch = admin.watch_over(transport, path);
            // Nobody's business here, but later than what is known.
            let other = create(&admin, "/api/v1/namespaces/default/configmaps", &config_map("other", "1"));
            let bookmark = watch.expect("BOOKMARK");
            assert!(version(&bookmark) >= version(&other), "{transport:?} {bookmark}");
            assert_eq!((&bookmark["kind"], &bookmark["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
            assert!(watch.all(|event| event["type"] == "BOOKMARK"));
            admin.delete("/api/v1/namespaces/default/configmaps/other").expect(200);
        }
    });
}

#[test]
fn a_watch_shows_tables_and_metadata() {
    variants(|server| {
        let admin = server.admin();
        let history = History::make(&admin, "shown");
        let path = format!("{}?watch=true&resourceVersion={}", history.collection, history.versions[0]);
        for transport in Transport::ALL {
            let accept =
                |kind: &str| format!("application/json;as={kind};v=v1;g=meta.k8s.io,application/json");
            let tables = admin.with("Accept", &accept("Table"));
            let mut first = tables.watch_over(transport, &path);
            let mut second = tables.watch_over(transport, format!("{path}&includeObject=None"));
            let table = first.expect("ADDED");
            assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("one")));
            assert_eq!(table["columnDefinitions"][0]["name"], "Name");
            assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
            let table = first.expect("ADDED");
            assert_eq!(table["columnDefinitions"], Value::Null, "columns are told once");
            let table = second.expect("ADDED");
            assert_eq!(
                (&table["columnDefinitions"][0]["name"], &table["rows"][0]["object"]),
                (&json!("Name"), &Value::Null)
            );
            let name = format!("later-{transport:?}").to_lowercase();
            let query = format!("watch=true&allowWatchBookmarks=true&fieldSelector=metadata.name%3D{name}");
            let mut marked = tables.watch_over(transport, format!("{}?{query}", history.collection));
            assert_eq!(marked.expect("BOOKMARK")["columnDefinitions"][0]["name"], "Name");
            create(&admin, &history.collection, &config_map(&name, "1"));
            assert_eq!(marked.expect("ADDED")["columnDefinitions"], Value::Null, "a bookmark told them");
            let metadata = admin.with("Accept", &accept("PartialObjectMetadata"));
            let object = metadata.watch_over(transport, &path).expect("ADDED");
            assert_eq!((&object["kind"], object.get("data")), (&json!("PartialObjectMetadata"), None));
            assert_eq!(object["metadata"]["name"], "one");
        }
    });
}

#[test]
fn all_watchers_see_one_order() {
    const WRITERS: usize = 4;
    const EACH: usize = 50;
    variants(|server| {
        let admin = server.admin();
        let collection = History::make(&admin, "ordered").collection;
        let from = version(&admin.get(&collection).expect(200));
        let path = format!("{collection}?watch=true&resourceVersion={from}");
        let watches: Vec<_> = Transport::ALL
            .iter()
            .cycle()
            .take(9)
            .map(|transport| admin.watch_over(*transport, &path))
            .collect();
        let seen: Vec<Vec<String>> = std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (admin, collection) = (&admin, &collection);
                scope.spawn(move || {
                    for number in 0..EACH {
                        create(admin, collection, &config_map(&format!("w{writer}-{number}"), "x"));
                    }
                });
            }
            let readers: Vec<_> = watches
                .into_iter()
                .map(|watch| {
                    scope.spawn(move || watch.take(WRITERS * EACH).map(|event| short(&event)).collect())
                })
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(seen[0].len(), WRITERS * EACH);
        assert!(seen.iter().all(|order| *order == seen[0]));
    });
}
