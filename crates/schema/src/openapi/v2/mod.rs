//! OpenAPI v2 from OpenAPI v3: one document of all group-versions, for clients that do not know v3. kubectl before 1.27
//! validates and explains by it.

mod gnostic;
mod operation;
mod remote;
mod schema;
#[cfg(test)]
mod tests;

pub use gnostic::protobuf;

use serde_json::{Map, Value, json};

/// The OpenAPI v2 document of what the OpenAPI v3 `documents` of this server describe.
pub fn merged<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Value {
    let mut merge = Merge::default();
    documents.into_iter().for_each(|document| merge.add(document));
    merge.document()
}

/// An OpenAPI v2 document that is being put together.
#[derive(Default)]
pub struct Merge {
    paths: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl Merge {
    /// Adds all that the OpenAPI v3 `document` describes. A schema that is there already stays as it is: this server's own
    /// documents mean the same by a name.
    pub fn add(&mut self, document: &Value) {
        for (path, item) in fields(&document["paths"]) {
            self.paths.entry(path).or_insert_with(|| operation::path_item(item));
        }
        for (name, schema) in fields(&document["components"]["schemas"]) {
            self.definitions.entry(name).or_insert_with(|| schema::converted(schema));
        }
    }

    /// The document.
    pub fn document(self) -> Value {
        let mut document = json!({
            "swagger": "2.0",
            "info": {"title": "Detectviz", "version": env!("CARGO_PKG_VERSION")},
            "securityDefinitions": {"BearerToken": {
                "description": "A bearer token.", "type": "apiKey", "name": "authorization", "in": "header",
            }},
            "security": [{"BearerToken": []}],
        });
        document["paths"] = self.paths.into();
        document["definitions"] = self.definitions.into();
        document
    }
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
