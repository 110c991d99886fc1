//! A path with its operations in the words of v2: a body is a parameter, and media types stand beside it.

use serde_json::{Map, Value, json};

use super::{fields, schema};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// Left out, so that kubectl validates by this document if it does not know v3. Of a kind that is in neither document it
/// would ask whether that is a custom resource, and give up where those cannot be listed.
const FIELD_VALIDATION: &str = "fieldValidation";

/// What stands in an operation of v3 in another form than in one of v2.
const REWRITTEN: [&str; 3] = ["parameters", "requestBody", "responses"];

pub(super) fn path_item(item: &Value) -> Value {
    let converted = fields(item).map(|(key, value)| {
        let value = match key.as_str() {
            method if METHODS.contains(&method) => operation(value),
            "parameters" => parameters(value).into(),
            _ => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(converted.collect())
}

fn operation(v3: &Value) -> Value {
    let same = fields(v3).filter(|(key, _)| !REWRITTEN.contains(&key.as_str()));
    let mut operation: Map<_, _> = same.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut parameters = parameters(&v3["parameters"]);
    if let Some(body) = v3.get("requestBody") {
        operation.insert("consumes".to_owned(), media_types(&body["content"]));
        parameters.insert(0, body_parameter(body));
    }
    operation.insert("parameters".to_owned(), parameters.into());
    operation.insert("produces".to_owned(), produces(&v3["responses"]));
    operation.insert("responses".to_owned(), responses(&v3["responses"]));
    operation.insert("schemes".to_owned(), json!(["https"]));
    Value::Object(operation)
}

fn parameters(v3: &Value) -> Vec<Value> {
    let parameters = v3.as_array().into_iter().flatten();
    parameters.filter(|parameter| parameter["name"] != FIELD_VALIDATION).map(parameter).collect()
}

fn parameter(v3: &Value) -> Value {
    let mut parameter = v3.clone();
    if let Some(fields) = parameter.as_object_mut() {
        if let Some(Value::Object(schema)) = fields.remove("schema") {
            fields.extend(schema);
        }
        fields.insert("uniqueItems".to_owned(), true.into());
    }
    parameter
}

fn body_parameter(body: &Value) -> Value {
    let mut parameter = json!({"name": "body", "in": "body"});
    if let Some(schema) = first_schema(&body["content"]) {
        parameter["schema"] = schema;
    }
    if body["required"] == true {
        parameter["required"] = true.into();
    }
    parameter
}

fn responses(v3: &Value) -> Value {
    let converted = fields(v3).map(|(code, response)| {
        let mut converted = json!({"description": response["description"]});
        if let Some(schema) = first_schema(&response["content"]) {
            converted["schema"] = schema;
        }
        (code.clone(), converted)
    });
    Value::Object(converted.collect())
}

/// The media types of all answers but failures.
fn produces(responses: &Value) -> Value {
    let successes = fields(responses).filter(|(code, _)| code.starts_with('2'));
    successes.map(|(_, response)| media_types(&response["content"])).next().unwrap_or_else(|| json!([]))
}

fn media_types(content: &Value) -> Value {
    fields(content).map(|(media_type, _)| media_type.as_str()).collect()
}

/// v2 has one schema for all media types, and ours do not differ by them but for watches.
fn first_schema(content: &Value) -> Option<Value> {
    fields(content).next().map(|(_, media)| schema::converted(&media["schema"]))
}
