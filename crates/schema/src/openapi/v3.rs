//! OpenAPI v3 from OpenAPI v2: for servers that know v2 alone, as those of before Kubernetes 1.24 do.

use serde_json::{Map, Value, json};

use super::references::{is_below, is_of_kind, reachable, rewrite};

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/definitions/";
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// What a parameter of v3 has beside its schema; all else is the schema.
const OF_PARAMETER: [&str; 4] = ["name", "in", "description", "required"];
const JSON: &str = "application/json";

/// What the OpenAPI v2 `document` says of the group-version whose path is `base`, such as `/apis/a.b/v1`; `None` when it
/// is no such document, or says nothing of it.
pub fn of_v2(document: &Value, base: &str) -> Option<Value> {
    let (none, all) = (Map::new(), document["paths"].as_object()?);
    let definitions = document["definitions"].as_object().unwrap_or(&none);
    let paths: Vec<_> = all.iter().filter(|(path, _)| is_below(path, base)).collect();
    let kinds: Vec<_> = definitions.iter().filter(|(_, schema)| is_of_kind(schema, base)).collect();
    if paths.is_empty() && kinds.is_empty() {
        return None;
    }
    let roots = paths.iter().chain(&kinds).map(|(_, value)| *value);
    let mut names = reachable(roots, definitions, DEFINITIONS);
    names.extend(kinds.iter().map(|(name, _)| name.as_str()));
    let schemas: Map<_, _> =
        names.iter().map(|name| ((*name).to_owned(), definitions[*name].clone())).collect();
    let paths: Map<_, _> = paths.iter().map(|(path, item)| ((*path).clone(), path_item(item))).collect();
    let mut made = json!({
        "openapi": "3.0.0", "info": document["info"], "paths": paths, "components": {"schemas": schemas},
    });
    rewrite(&mut made, &|target| Some(format!("{COMPONENTS}{}", target.strip_prefix(DEFINITIONS)?)));
    Some(made)
}

fn path_item(item: &Value) -> Value {
    let converted = fields(item).map(|(key, value)| {
        let value = match key.as_str() {
            method if METHODS.contains(&method) => operation(value),
            "parameters" => parameters(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(converted.collect())
}

fn operation(v2: &Value) -> Value {
    const REWRITTEN: [&str; 5] = ["parameters", "consumes", "produces", "responses", "schemes"];
    let same = fields(v2).filter(|(key, _)| !REWRITTEN.contains(&key.as_str()));
    let mut operation: Map<_, _> = same.map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Some(body) = items(&v2["parameters"]).find(|parameter| parameter["in"] == "body") {
        let mut request = json!({"content": content(&v2["consumes"], &body["schema"])});
        if body["required"] == true {
            request["required"] = true.into();
        }
        operation.insert("requestBody".to_owned(), request);
    }
    operation.insert("parameters".to_owned(), parameters(&v2["parameters"]));
    let responses = fields(&v2["responses"]).map(|(code, response)| {
        let mut converted = json!({"description": response["description"]});
        if response["schema"].is_object() {
            converted["content"] = content(&v2["produces"], &response["schema"]);
        }
        (code.clone(), converted)
    });
    operation.insert("responses".to_owned(), Value::Object(responses.collect()));
    Value::Object(operation)
}

/// All parameters but the body, which is none in v3.
fn parameters(v2: &Value) -> Value {
    let parameters = items(v2).filter(|parameter| parameter["in"] != "body");
    parameters.map(parameter).collect()
}

fn parameter(v2: &Value) -> Value {
    let (mut parameter, mut schema) = (Map::new(), Map::new());
    for (key, value) in fields(v2) {
        let into = if OF_PARAMETER.contains(&key.as_str()) { &mut parameter } else { &mut schema };
        into.insert(key.clone(), value.clone());
    }
    if let Some(target) = schema.remove("$ref") {
        return json!({"$ref": target});
    }
    parameter.insert("schema".to_owned(), schema.into());
    Value::Object(parameter)
}

/// `schema` for each of `media_types`.
fn content(media_types: &Value, schema: &Value) -> Value {
    // `*/*` is how v2 says that it does not matter.
    let mut named: Vec<&str> =
        items(media_types).filter_map(Value::as_str).filter(|name| *name != "*/*").collect();
    if named.is_empty() {
        named.push(JSON);
    }
    let content = named.into_iter().map(|name| (name.to_owned(), json!({"schema": schema})));
    Value::Object(content.collect())
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::v2;

    const BASE: &str = "/apis/a.b/v1";

    fn old() -> Value {
        json!({
            "swagger": "2.0",
            "info": {"title": "Old", "version": "1"},
            "paths": {
                "/apis/a.b/v1/things/{name}": {
                    "parameters": [{"name": "name", "in": "path", "required": true, "type": "string", "uniqueItems": true}],
                    "put": {
                        "consumes": ["*/*"], "produces": ["application/json", "application/yaml"], "schemes": ["https"],
                        "parameters": [
                            {"name": "body", "in": "body", "required": true, "schema": {"$ref": "#/definitions/Thing"}},
                            {"name": "dryRun", "in": "query", "type": "string", "description": "no writing"},
                        ],
                        "responses": {"200": {"description": "OK", "schema": {"$ref": "#/definitions/Thing"}}, "401": {"description": "no"}},
                        "x-kubernetes-action": "put",
                    },
                },
                "/apis/c.d/v1/others": {},
            },
            "definitions": {
                "Thing": {"type": "object", "properties": {"part": {"$ref": "#/definitions/Part"}}},
                "Part": {"type": "string"},
                "Alone": {"type": "object"},
            },
        })
    }

    #[test]
    fn what_v2_says_is_said_in_v3() {
        let new = of_v2(&old(), BASE).unwrap();
        let reference = json!({"schema": {"$ref": "#/components/schemas/Thing"}});
        assert_eq!(
            new["components"]["schemas"],
            json!({
                "Thing": {"type": "object", "properties": {"part": {"$ref": "#/components/schemas/Part"}}},
                "Part": {"type": "string"},
            })
        );
        let item = &new["paths"]["/apis/a.b/v1/things/{name}"];
        assert_eq!(
            item["parameters"],
            json!([{"name": "name", "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}])
        );
        assert_eq!(
            item["put"],
            json!({
                "x-kubernetes-action": "put",
                "parameters": [{"name": "dryRun", "in": "query", "description": "no writing", "schema": {"type": "string"}}],
                "requestBody": {"required": true, "content": {"application/json": reference}},
                "responses": {
                    "200": {"description": "OK", "content": {"application/json": reference, "application/yaml": reference}},
                    "401": {"description": "no"},
                },
            })
        );
        assert_eq!(new["paths"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let mut merge = v2::Merge::default();
        merge.add_remote(&of_v2(&old(), BASE).unwrap(), BASE);
        let again = merge.document();
        let (old, path) = (old(), "/apis/a.b/v1/things/{name}");
        for name in ["Thing", "Part"] {
            assert_eq!(again["definitions"][name], old["definitions"][name]);
        }
        assert_eq!(again["paths"][path]["put"]["responses"], old["paths"][path]["put"]["responses"]);
        assert_eq!(again["paths"][path]["parameters"], old["paths"][path]["parameters"]);
    }

    #[test]
    fn what_says_nothing_of_the_group_version_is_none() {
        for junk in [
            json!(null),
            json!({}),
            json!({"paths": {}}),
            json!({"paths": {"/apis/a.b/v10/x": {}}}),
            json!([1]),
        ] {
            assert_eq!(of_v2(&junk, BASE), None, "{junk}");
        }
        let odd = json!({"paths": {"/apis/a.b/v1/x": {"get": {"parameters": 5, "responses": [], "consumes": {}}, "put": 7}}});
        assert!(of_v2(&odd, BASE).unwrap()["paths"]["/apis/a.b/v1/x"]["get"]["responses"].is_object());
    }
}
