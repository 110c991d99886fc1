//! What such a server answers: discovery, OpenAPI, and things that can be made, read and deleted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// An answer.
pub(super) enum Answer {
    /// Code and body.
    Whole(u16, String),
    /// A watch, on which nothing happens.
    Watch,
}

/// The things, by namespace and name.
#[derive(Default)]
pub(super) struct Objects(Mutex<BTreeMap<(String, String), Value>>);

fn whole(code: u16, value: &Value) -> Answer {
    Answer::Whole(code, value.to_string())
}

/// The answer to a request for `path` of the server of `group`.
pub(super) fn answer(group: &str, objects: &Objects, method: &str, path: &str, body: &[u8]) -> Answer {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let base = format!("/apis/{group}/v1");
    let parts: Vec<&str> = path.strip_prefix(&base).unwrap_or_default().split('/').skip(1).collect();
    match (method, parts.as_slice()) {
        _ if path == base => whole(200, &discovery(group)),
        _ if path == "/openapi/v3" => whole(200, &index(group)),
        _ if path == format!("/openapi/v3{base}") => whole(200, &document(group)),
        ("GET", ["things"] | ["namespaces", _, "things"]) if query.contains("watch=") => Answer::Watch,
        ("GET", ["things"]) => objects.list(group, None),
        ("GET", ["namespaces", namespace, "things"]) => objects.list(group, Some(namespace)),
        ("POST", ["namespaces", namespace, "things"]) => objects.create(namespace, body),
        ("GET", ["namespaces", namespace, "things", name]) => objects.one(namespace, name, false),
        ("DELETE", ["namespaces", namespace, "things", name]) => objects.one(namespace, name, true),
        _ => whole(404, &not_found(path)),
    }
}

fn not_found(name: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": format!("{name:?} not found"), "details": {"name": name},
    })
}

impl Objects {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<(String, String), Value>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn list(&self, group: &str, namespace: Option<&str>) -> Answer {
        let is_in = |key: &(String, String)| namespace.is_none_or(|namespace| key.0 == namespace);
        let items: Vec<Value> = self.with(|objects| {
            objects.iter().filter(|(key, _)| is_in(key)).map(|(_, object)| object.clone()).collect()
        });
        let list = json!({
            "kind": "ThingList", "apiVersion": format!("{group}/v1"), "metadata": {"resourceVersion": "1"}, "items": items,
        });
        whole(200, &list)
    }

    fn create(&self, namespace: &str, body: &[u8]) -> Answer {
        let Ok(mut object) = serde_json::from_slice::<Value>(body) else { return whole(400, &not_found("")) };
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["uid"] = format!("{namespace}-{name}").into();
        object["metadata"]["resourceVersion"] = "1".into();
        self.with(|objects| objects.insert((namespace.to_owned(), name), object.clone()));
        whole(201, &object)
    }

    fn one(&self, namespace: &str, name: &str, delete: bool) -> Answer {
        let key = (namespace.to_owned(), name.to_owned());
        let found = self.with(|objects| match delete {
            true => objects.remove(&key),
            false => objects.get(&key).cloned(),
        });
        found.map_or_else(|| whole(404, &not_found(name)), |object| whole(200, &object))
    }
}

fn discovery(group: &str) -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{group}/v1"),
        "resources": [{
            "name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing",
            "verbs": ["create", "delete", "get", "list", "watch"],
        }],
    })
}

fn index(group: &str) -> Value {
    let path = format!("apis/{group}/v1");
    json!({"paths": {path.clone(): {"serverRelativeURL": format!("/openapi/v3/{path}?hash=1")}}})
}

fn document(group: &str) -> Value {
    let (name, kind) =
        (format!("example.{group}.Thing"), json!({"group": group, "version": "v1", "kind": "Thing"}));
    let reference = json!({"$ref": format!("#/components/schemas/{name}")});
    let path = format!("/apis/{group}/v1/namespaces/{{namespace}}/things");
    let answer = json!({"description": "OK", "content": {"application/json": {"schema": reference}}});
    json!({
        "openapi": "3.0.0", "info": {"title": "many", "version": "1"},
        "paths": {path: {"get": {"responses": {"200": answer}, "x-kubernetes-group-version-kind": kind}}},
        "components": {"schemas": {name: {
            "type": "object", "description": "A thing of many.",
            "properties": {
                "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                "size": {"type": "integer", "description": "How large it is."},
            },
            "x-kubernetes-group-version-kind": [kind],
        }}},
    })
}
