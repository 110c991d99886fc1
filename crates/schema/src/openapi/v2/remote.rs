//! What another server says of one of its group-versions, as part of the merged document. Only what is about that
//! group-version is taken, whatever else the server describes; names that mean something else here are changed, as
//! kube-openapi's aggregator does; and what would make clients refuse the whole document is left out.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use super::super::references::{is_below, is_of_kind, reachable, rewrite};
use super::{Merge, fields, operation, schema};

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/definitions/";
/// How often names are looked at before every one that is taken is changed.
const PASSES: usize = 8;
/// What a schema may be.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

impl Merge {
    /// Adds what the OpenAPI v3 `document` says of the group-version whose path is `base`, such as `/apis/a.b/v1`.
    pub fn add_remote(&mut self, document: &Value, base: &str) {
        let none = Map::new();
        let schemas = document["components"]["schemas"].as_object().unwrap_or(&none);
        let paths: Vec<_> = fields(&document["paths"]).filter(|(path, _)| is_below(path, base)).collect();
        let kinds = schemas.values().filter(|schema| is_of_kind(schema, base));
        let roots: Vec<&Value> = paths.iter().map(|(_, item)| *item).chain(kinds.clone()).collect();
        let mut names = reachable(roots, schemas, COMPONENTS);
        names.extend(schemas.iter().filter(|(_, schema)| is_of_kind(schema, base)).map(|(name, _)| &**name));
        let definitions =
            names.iter().map(|name| (*name, harmless(schema::converted(&schemas[*name]), &names)));
        let renamed = self.add_definitions(definitions.collect());
        for (path, item) in paths {
            let mut item = harmless(operation::path_item(item), &names);
            rename(&mut item, &renamed);
            self.paths.entry(path).or_insert(item);
        }
    }

    /// Adds definitions, and tells which of them have other names here.
    fn add_definitions(&mut self, definitions: BTreeMap<&str, Value>) -> BTreeMap<String, String> {
        let renamed = self.names_for(&definitions);
        for (name, mut definition) in definitions {
            rename(&mut definition, &renamed);
            let name = renamed.get(name).map_or(name, String::as_str);
            self.definitions.entry(name).or_insert(definition);
        }
        renamed
    }

    /// Which definitions have to have other names. A new name of one changes what refers to it, and that may then be known
    /// here already, so this is looked at until nothing changes.
    fn names_for(&self, definitions: &BTreeMap<&str, Value>) -> BTreeMap<String, String> {
        let mut renamed = BTreeMap::new();
        for _ in 0..PASSES {
            let next = definitions.iter().filter_map(|(name, definition)| {
                let mut definition = definition.clone();
                rename(&mut definition, &renamed);
                let new = self.name_for(name, |have| *have == definition);
                (new != *name).then(|| ((*name).to_owned(), new))
            });
            let next = next.collect();
            if next == renamed {
                return renamed;
            }
            renamed = next;
        }
        let taken = definitions.keys().filter(|name| self.definitions.contains_key(**name));
        taken.map(|name| ((*name).to_owned(), self.name_for(name, |_| false))).collect()
    }

    /// The name itself, if nothing else is called so, or the first `NAME_vN` that is free, or is the `same`.
    fn name_for(&self, name: &str, same: impl Fn(&Value) -> bool) -> String {
        let is_free = |name: &str| self.definitions.get(name).is_none_or(&same);
        if is_free(name) {
            return name.to_owned();
        }
        let mut names = (2..).map(|number: u64| format!("{name}_v{number}"));
        names.find(|name| is_free(name)).unwrap_or_default()
    }
}

fn rename(value: &mut Value, renamed: &BTreeMap<String, String>) {
    if !renamed.is_empty() {
        rewrite(value, &|target| {
            renamed.get(target.strip_prefix(DEFINITIONS)?).map(|new| format!("{DEFINITIONS}{new}"))
        });
    }
}

/// `value` without what a reader of v2 cannot make sense of: kubectl refuses a document as a whole.
fn harmless(mut value: Value, names: &BTreeSet<&str>) -> Value {
    clean(&mut value, names);
    value
}

fn clean(value: &mut Value, names: &BTreeSet<&str>) {
    match value {
        Value::Object(fields) => {
            clean_fields(fields, names);
            fields.values_mut().for_each(|value| clean(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, names)),
        _ => {}
    }
}

fn clean_fields(fields: &mut Map<String, Value>, names: &BTreeSet<&str>) {
    // A property may have one of these names; then it is a schema.
    let unless_schema = |value: &Value| !value.is_object();
    let knows = |target: &Value| {
        target
            .as_str()
            .and_then(|target| target.strip_prefix(DEFINITIONS))
            .is_some_and(|name| names.contains(name))
    };
    if fields.get("$ref").is_some_and(|target| unless_schema(target) && !knows(target)) {
        fields.remove("$ref");
    }
    let is_type = |kind: &Value| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
    if fields.get("type").is_some_and(|kind| unless_schema(kind) && !is_type(kind)) {
        fields.remove("type");
    }
    if fields.get("items").is_some_and(unless_schema) {
        fields.remove("items");
    }
    if fields.get("properties").is_some_and(unless_schema) {
        fields.remove("properties");
    }
    if fields.get("type").is_some_and(|kind| kind == "array") && !fields.contains_key("items") {
        fields.remove("type");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(schemas: &Value, root: &str) -> Value {
        let answer = json!({"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": root}}}}});
        json!({
            "paths": {
                "/apis/a.b/v1/things": {"get": {"responses": answer}},
                "/apis/a.b/v10/things": {"get": {}},
                "/api/v1/secrets": {"get": {}},
            },
            "components": {"schemas": schemas},
        })
    }

    fn merged(local: &Value, remote: &[&Value]) -> Value {
        let mut merge = Merge::default();
        merge.add(local);
        remote.iter().for_each(|remote| merge.add_remote(remote, "/apis/a.b/v1"));
        merge.document()
    }

    fn keys(object: &Value) -> Vec<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn only_what_is_about_the_group_version_is_taken() {
        let remote = document(
            &json!({
                "Thing": {"type": "object", "properties": {"part": {"$ref": "#/components/schemas/Part"}}},
                "Part": {"type": "object"},
                "Other": {"type": "object"},
                "Options": {"type": "object",
                    "x-kubernetes-group-version-kind": [{"group": "a.b", "version": "v1", "kind": "Options"}]},
            }),
            "#/components/schemas/Thing",
        );
        let merged = merged(&json!({}), &[&remote]);
        assert_eq!(keys(&merged["paths"]), ["/apis/a.b/v1/things"]);
        assert_eq!(keys(&merged["definitions"]), ["Options", "Part", "Thing"]);
    }

    #[test]
    fn a_name_that_means_something_else_here_is_changed() {
        let local =
            json!({"components": {"schemas": {"Meta": {"type": "object"}, "Same": {"type": "string"}}}});
        let remote = document(
            &json!({
                "Thing": {"type": "object", "properties": {
                    "meta": {"$ref": "#/components/schemas/Meta"}, "same": {"$ref": "#/components/schemas/Same"},
                }},
                "Meta": {"type": "integer"},
                "Same": {"type": "string"},
            }),
            "#/components/schemas/Thing",
        );
        let merged = merged(&local, &[&remote, &remote]);
        assert_eq!(keys(&merged["definitions"]), ["Meta", "Meta_v2", "Same", "Thing"]);
        assert_eq!(merged["definitions"]["Meta"], json!({"type": "object"}));
        assert_eq!(merged["definitions"]["Meta_v2"], json!({"type": "integer"}));
        assert_eq!(
            merged["definitions"]["Thing"]["properties"],
            json!({"meta": {"$ref": "#/definitions/Meta_v2"}, "same": {"$ref": "#/definitions/Same"}})
        );
    }

    #[test]
    fn what_clients_would_refuse_the_whole_document_for_is_left_out() {
        let remote = document(
            &json!({
                "Thing": {"type": "object", "properties": {
                    "nowhere": {"$ref": "#/components/schemas/Nowhere"},
                    "list": {"type": "array", "items": 5},
                    "odd": {"type": "wrong"},
                    "odder": {"type": ["string"], "properties": 7},
                    "type": {"type": "string"},
                    "items": {"type": "boolean"},
                }},
            }),
            "#/components/schemas/Thing",
        );
        let merged = merged(&json!({}), &[&remote]);
        assert_eq!(
            merged["definitions"]["Thing"]["properties"],
            json!({
                "nowhere": {}, "list": {}, "odd": {}, "odder": {}, "type": {"type": "string"}, "items": {"type": "boolean"},
            })
        );
    }

    #[test]
    fn no_document_brings_it_down() {
        for junk in [
            json!(null),
            json!([]),
            json!({"paths": [], "components": {"schemas": 5}}),
            json!({"paths": {"/apis/a.b/v1/x": 5}, "components": []}),
            json!({"paths": {"/apis/a.b/v1/x": {"get": 5, "parameters": {}, "put": {"parameters": [5, {}], "responses": 7}}}}),
            json!({"paths": {"/apis/a.b/v1": {"post": {"requestBody": 5, "responses": {"200": []}}}}}),
        ] {
            let merged = merged(&json!({}), &[&junk]);
            assert!(merged["paths"].is_object() && merged["definitions"].is_object(), "{merged}");
            super::super::protobuf(&merged);
        }
    }
}
