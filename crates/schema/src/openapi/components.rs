//! `components.schemas`: each kind and its list, and every shared schema that they reach.

use serde_json::{Map, Value, json};

use super::operations::{Resource, SCALE_COMPONENT};
use crate::{Fragments, meta};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Schemas of `meta/v1` that no definition names but every document uses, under their names in [`META`].
const SHARED: &str = include_str!("shared.json");

/// The schemas of a document, gathered while its resources are added.
pub(super) struct Components<'a> {
    fragments: &'a Fragments,
    schemas: Map<String, Value>,
}

impl<'a> Components<'a> {
    pub(super) fn new(fragments: &'a Fragments) -> Self {
        let shared: Map<String, Value> =
            serde_json::from_str(SHARED).expect("the file is part of the source, and a test reads it");
        let schemas = shared.into_iter().map(|(name, schema)| (format!("{META}.{name}"), schema));
        Self { fragments, schemas: schemas.collect() }
    }

    /// Adds the resource's kind, and its list if there is one.
    pub(super) fn add_kind(&mut self, resource: &Resource<'_>) {
        let mut kind = self.kind(resource);
        if resource.is_built_in() {
            forget_null(&mut kind);
        }
        self.schemas.insert(resource.component(&resource.names().kind), kind);
        if resource.has_scale() {
            let mut scale = self.publish(json!(meta::scale()));
            forget_null(&mut scale);
            let kind = json!([{"group": "autoscaling", "version": "v1", "kind": "Scale"}]);
            self.complete(&mut scale, kind);
            self.schemas.insert(SCALE_COMPONENT.to_owned(), scale);
        }
        if resource.is_stored() {
            self.schemas.insert(resource.component(&resource.names().list_kind), list(resource));
        }
    }

    pub(super) fn into_schemas(self) -> Map<String, Value> {
        self.schemas
    }

    /// The schema of the kind, with the fields that every object has.
    fn kind(&mut self, resource: &Resource<'_>) -> Value {
        let mut schema = self.publish(json!(resource.schema()));
        self.complete(&mut schema, json!([resource.kind(&resource.names().kind)]));
        schema
    }

    /// Adds what every object has.
    fn complete(&mut self, schema: &mut Value, kinds: Value) {
        let metadata = self.refer("ObjectMeta");
        let properties = &mut schema["properties"];
        if !properties.is_object() {
            *properties = json!({});
        }
        add_type(properties);
        // What a CRD may say of metadata narrows the name only; clients are told of all of it.
        properties["metadata"] = json!({"description": "The object's metadata.", "allOf": [metadata]});
        schema["x-kubernetes-group-version-kind"] = kinds;
    }

    /// The published form of a schema: references lead to components, and what only this server reads is gone.
    fn publish(&mut self, schema: Value) -> Value {
        // `additionalProperties` may be a boolean.
        let Value::Object(mut schema) = schema else { return schema };
        schema.remove("x-protobuf-field");
        match schema.get("format").and_then(Value::as_str) {
            Some("micro-time") => drop(schema.insert("format".to_owned(), "date-time".into())),
            Some("quantity") => drop(schema.remove("format")),
            _ => {}
        }
        for key in ["items", "additionalProperties"] {
            if let Some(child) = schema.get_mut(key) {
                *child = self.publish(child.take());
            }
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.values_mut().for_each(|child| *child = self.publish(child.take()));
        }
        match schema.remove("$ref") {
            Some(Value::String(name)) => self.refer_from(&name, schema),
            _ => Value::Object(schema),
        }
    }

    /// OpenAPI 3.0 ignores whatever stands beside a `$ref`, so a described reference is an `allOf` of one.
    fn refer_from(&mut self, name: &str, mut beside: Map<String, Value>) -> Value {
        let reference = self.refer(name);
        if beside.is_empty() {
            return reference;
        }
        beside.insert("allOf".to_owned(), json!([reference]));
        Value::Object(beside)
    }

    /// A reference to a fragment, which is added to the document.
    fn refer(&mut self, fragment: &str) -> Value {
        let component = fragment_component(fragment);
        if !self.schemas.contains_key(&component) {
            // Stands there first, so that a fragment that names itself ends.
            self.schemas.insert(component.clone(), json!({"type": "object"}));
            if let Some(schema) = self.fragments.get(fragment) {
                let mut published = self.publish(json!(schema));
                // Only built-in kinds have fragments.
                forget_null(&mut published);
                self.schemas.insert(component.clone(), published);
            }
        }
        reference(&component)
    }
}

/// In a built-in kind null is an absence, which is no value to tell clients of.
fn forget_null(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    fields.remove("nullable");
    for key in ["items", "additionalProperties"] {
        fields.get_mut(key).into_iter().for_each(forget_null);
    }
    let properties = fields.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(Map::values_mut).for_each(forget_null);
}

/// `$ref` to a component.
pub(super) fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

/// `$ref` to a schema of `meta/v1`.
pub(super) fn shared(name: &str) -> Value {
    reference(&format!("{META}.{name}"))
}

/// The component name of a fragment, which is that of upstream's type of the same name: one with a dot says its group and
/// version, the others are of the core group unless they stand here.
fn fragment_component(name: &str) -> String {
    match name {
        "ObjectMeta"
        | "OwnerReference"
        | "ManagedFieldsEntry"
        | "Condition"
        | "LabelSelector"
        | "LabelSelectorRequirement" => format!("{META}.{name}"),
        "APIServiceCondition" => format!("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.{name}"),
        "UserInfo" => format!("io.k8s.api.authentication.v1.{name}"),
        "SubjectAccessReviewSpec"
        | "SubjectAccessReviewStatus"
        | "ResourceAttributes"
        | "NonResourceAttributes"
        | "FieldSelectorAttributes"
        | "LabelSelectorAttributes" => format!("io.k8s.api.authorization.v1.{name}"),
        _ if name.contains('.') => format!("io.k8s.api.{name}"),
        _ => format!("io.k8s.api.core.v1.{name}"),
    }
}

fn add_type(properties: &mut Value) {
    properties["apiVersion"] =
        json!({"description": "The group and version of this form of the object.", "type": "string"});
    properties["kind"] = json!({"description": "The object's kind.", "type": "string"});
}

fn list(resource: &Resource<'_>) -> Value {
    let names = resource.names();
    let mut properties = json!({
        "metadata": {"description": "The list's metadata.", "allOf": [shared("ListMeta")]},
        "items": {
            "description": "The objects.",
            "type": "array",
            "items": reference(&resource.component(&names.kind)),
        },
    });
    add_type(&mut properties);
    json!({
        "description": format!("A list of {} objects.", names.kind),
        "type": "object",
        "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": [resource.kind(&names.list_kind)],
    })
}
