//! A schema of OpenAPI v3 as one of v2, which knows no null, no alternatives, and no text beside a reference but ours.

use serde_json::{Map, Value};

const COMPONENTS: &str = "#/components/schemas/";

/// What v2 has no word for.
const UNKNOWN: [&str; 4] = ["nullable", "oneOf", "anyOf", "not"];

/// `schema` in the words of v2. kubectl takes what is left without a type for any value, so where v2 cannot say what
/// is meant, less is said: a client then refuses nothing that the server takes. The rules are upstream's for CRDs.
pub(super) fn converted(schema: &Value) -> Value {
    // `additionalProperties` may be a boolean.
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut fields = fields.clone();
    let nullable = fields.get("nullable") == Some(&Value::Bool(true));
    if nullable {
        fields.remove("type");
    }
    if nullable || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        fields.remove("items");
        fields.remove("properties");
    }
    if fields.get("type").is_some_and(|kind| kind == "array") && !fields.contains_key("items") {
        fields.remove("type");
    }
    fields.retain(|word, _| !UNKNOWN.contains(&word.as_str()));
    unwrap_reference(&mut fields);
    drop_nullable_requirements(&mut fields);
    convert_children(&mut fields);
    Value::Object(fields)
}

/// `allOf` of one reference is how v3 describes a reference; v2 readers take the reference with text beside it.
fn unwrap_reference(fields: &mut Map<String, Value>) {
    if let Some(all) = fields.remove("allOf")
        && let Some([one]) = all.as_array().map(Vec::as_slice)
        && let Some(target) = one.get("$ref")
    {
        fields.insert("$ref".to_owned(), target.clone());
    }
    if let Some(Value::String(target)) = fields.get_mut("$ref")
        && let Some(name) = target.strip_prefix(COMPONENTS)
    {
        *target = format!("#/definitions/{name}");
        // kubectl refuses a whole document for a reference that has a type.
        fields.remove("type");
        fields.remove("properties");
    }
}

/// A field that may be null cannot be required in a schema without null.
fn drop_nullable_requirements(fields: &mut Map<String, Value>) {
    let Some(Value::Array(required)) = fields.get("required") else { return };
    let may_be_null = |name: &Value| {
        let property = name.as_str().and_then(|name| fields.get("properties")?.get(name));
        property.is_some_and(|property| property["nullable"] == true)
    };
    let required: Vec<Value> = required.iter().filter(|name| !may_be_null(name)).cloned().collect();
    if required.is_empty() {
        fields.remove("required");
    } else {
        fields.insert("required".to_owned(), required.into());
    }
}

fn convert_children(fields: &mut Map<String, Value>) {
    for key in ["items", "additionalProperties"] {
        if let Some(child) = fields.get_mut(key) {
            *child = converted(child);
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|child| *child = converted(child));
    }
}
