//! OpenAPI v2 from OpenAPI v3: one document of all group-versions, for clients that do not know v3. kubectl before 1.27
//! validates and explains by it.

mod gnostic;
mod operation;
mod schema;
#[cfg(test)]
mod tests;

pub use gnostic::protobuf;

use serde_json::{Map, Value, json};

/// The OpenAPI v2 document of what the OpenAPI v3 `documents` describe. A schema that several have is taken from the first.
pub fn merged<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for document in documents {
        for (path, item) in fields(&document["paths"]) {
            paths.entry(path).or_insert_with(|| operation::path_item(item));
        }
        for (name, schema) in fields(&document["components"]["schemas"]) {
            definitions.entry(name).or_insert_with(|| schema::converted(schema));
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Detectviz", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": {
            "description": "A bearer token.", "type": "apiKey", "name": "authorization", "in": "header",
        }},
        "security": [{"BearerToken": []}],
    })
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
