//! A resource as plain data: what a CustomResourceDefinition's `spec` says, plus named extensions for what it cannot.
//!
//! Built-in resources are files in this form, a user's are stored objects; both compile to the same thing.
//! Field names are those of `apiextensions.k8s.io/v1`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::names;

/// A resource's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// The API group; empty for the core group.
    pub group: String,
    /// What the resource is called.
    pub names: Names,
    /// Where its objects live.
    pub scope: Scope,
    /// The versions, most preferred first.
    pub versions: Vec<Version>,
    /// What a CRD cannot say.
    #[serde(default, rename = "x-detectviz")]
    pub extensions: Extensions,
}

/// What a resource is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Names {
    /// The name in paths.
    pub plural: String,
    /// The name of one, in lower case.
    pub singular: String,
    /// The kind of one, in CamelCase.
    pub kind: String,
    /// The kind of a list; usually the kind and `List`.
    pub list_kind: String,
    /// What people type.
    #[serde(default)]
    pub short_names: Vec<String>,
    /// Groups of resources that people may name at once, such as `all`.
    #[serde(default)]
    pub categories: Vec<String>,
}

/// Where objects live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// One version of a resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// The version, such as `v1`.
    pub name: String,
    /// Whether it is served.
    pub served: bool,
    /// Whether objects are stored in it; exactly one version is.
    pub storage: bool,
    /// The schema of its objects.
    pub schema: VersionSchema,
    /// The subresources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresources: Option<Subresources>,
    /// The columns of its table, besides the name; empty for the default, the age.
    #[serde(default)]
    pub additional_printer_columns: Vec<PrinterColumn>,
    /// The fields that a field selector may name, besides `metadata.name` and `metadata.namespace`.
    #[serde(default)]
    pub selectable_fields: Vec<SelectableField>,
}

/// The holder of a version's schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSchema {
    /// The schema.
    #[serde(rename = "openAPIV3Schema")]
    pub open_api_v3_schema: Schema,
}

/// The subresources of a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subresources {
    /// `/status`: a write of the object keeps the status, a write of the status keeps all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
    /// `/scale`: how many of something the object asks for, as an `autoscaling/v1` `Scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

/// Where an object says what its `Scale` says; paths with a leading dot, such as `.spec.replicas`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// The number that is asked for.
    pub spec_replicas_path: String,
    /// The number that is there.
    pub status_replicas_path: String,
    /// The selector of what is counted, as text or as a `LabelSelector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector_path: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrinterColumn {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A refinement of the type, such as `name`.
    #[serde(default)]
    pub format: String,
    /// What the column says.
    #[serde(default)]
    pub description: String,
    /// Columns of priority 0 are always shown, others only in wide output.
    #[serde(default)]
    pub priority: i32,
    /// A path with a leading dot, such as `.spec.host`; for a computed column its name behind `=`, such as `=data-count`.
    pub json_path: String,
}

/// A field that a selector may name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectableField {
    /// A path with a leading dot, such as `.spec.host`.
    pub json_path: String,
}

/// What a CRD cannot say of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Extensions {
    /// What names must be like.
    pub name_rule: NameRule,
    /// Whether an update of an absent object creates it.
    pub allow_create_on_update: bool,
    /// Whether an update may leave out the version that it assumes.
    pub allow_unconditional_update: bool,
    /// Whether the kind has a protobuf encoding: `x-protobuf-field` numbers stand in the schema.
    pub protobuf: bool,
    /// Whether objects count their generations: any change but of metadata and status is a new one.
    pub generation: bool,
    /// Whether a user made the definition: there is no strategic merge patch of its objects then.
    pub custom: bool,
    /// The form that the objects are stored in, where that is another resource's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<StoredForm>,
    /// How that form becomes this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convert: Option<Conversion>,
    /// Where objects come from.
    pub backing: Backing,
    /// Whether a collection cannot be deleted as a whole.
    pub without_delete_collection: bool,
    /// Whether a delete answers with the object instead of a `Status`.
    pub return_deleted_object: bool,
    /// Whether nothing depends on the kind's objects, so that a delete never waits for what becomes of dependents.
    pub without_dependents: bool,
}

/// The form that objects are stored in: that of a resource, in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoredForm {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource's name in paths.
    pub resource: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
}

impl StoredForm {
    /// The `apiVersion` of what is stored.
    pub fn api_version(&self) -> String {
        crate::GroupVersion::new(self.group.as_str(), self.version.as_str()).to_string()
    }
}

/// How a stored form becomes a served one, and back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conversion {
    /// The top-level fields that are called otherwise: the served name, and the stored one. All else is the same.
    pub renames: BTreeMap<String, String>,
}

/// Where the objects of a resource come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// They are kept in the store.
    #[default]
    Stored,
    /// Each is an answer to a create, and nothing of it is kept: reviews.
    Computed,
}

/// What names must be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameRule {
    /// A DNS subdomain, the default.
    #[default]
    DnsSubdomain,
    /// A DNS label.
    DnsLabel,
    /// A DNS label of RFC 1035, which begins with a letter.
    #[serde(rename = "dns1035-label")]
    Dns1035Label,
    /// Anything that may be a path segment.
    PathSegment,
}

impl NameRule {
    /// Everything that is wrong with `name`; nothing if it keeps the rule.
    pub fn faults(self, name: &str) -> Vec<String> {
        match self {
            Self::DnsSubdomain => names::dns_subdomain_faults(name),
            Self::DnsLabel => names::dns_label_faults(name),
            Self::Dns1035Label => names::dns_1035_label_faults(name),
            Self::PathSegment => names::path_segment_faults(name),
        }
    }

    /// Everything that is wrong with `prefix` as the beginning of a generated name.
    pub fn prefix_faults(self, prefix: &str) -> Vec<String> {
        match self {
            Self::PathSegment => names::path_segment_prefix_faults(prefix),
            // What is generated ends otherwise, so that a dash at the end is none.
            _ => match prefix.strip_suffix('-') {
                Some(rest) if !rest.is_empty() && !rest.ends_with('-') => self.faults(&format!("{rest}a")),
                _ => self.faults(prefix),
            },
        }
    }
}

/// A structural schema: the subset of OpenAPI 3.0 that `apiextensions.k8s.io/v1` allows, and its `x-kubernetes-*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Schema {
    /// The name of a shared fragment that stands in for this schema; only in built-in definitions.
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What identifies the schema; kept, and without effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The dialect of JSON schema; kept, and without effect.
    #[serde(rename = "$schema", skip_serializing_if = "String::is_empty")]
    pub dialect: String,
    /// A heading; kept, and without effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What the value means.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where more is said; kept, and without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_docs: Option<Value>,
    /// A value that could stand there; kept, and without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    /// `object`, `array`, `string`, `integer`, `number` or `boolean`; empty for any.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// A refinement of the type: `int32`, `int64`, `byte`, `date-time`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// Whether null is a value.
    #[serde(skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// What an absent value is taken for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The values that are allowed; empty for all.
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Value>,
    /// The fields of an object. Each has a place of its own: the map sets aside room for eleven, and most have fewer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Box<Schema>>,
    /// The fields that must be there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The schema of a map's values, or whether other fields are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_properties: Option<Additional>,
    /// The schema of a list's items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<Schema>>,
    /// The fewest fields of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_properties: Option<u64>,
    /// The most fields of an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_properties: Option<u64>,
    /// The least length of a text, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// The greatest length of a text, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// A regular expression that a text must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// Whether the least number itself is too little.
    #[serde(skip_serializing_if = "is_false")]
    pub exclusive_minimum: bool,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// Whether the greatest number itself is too much.
    #[serde(skip_serializing_if = "is_false")]
    pub exclusive_maximum: bool,
    /// What a number must be divisible by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple_of: Option<f64>,
    /// The fewest items of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// The most items of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// Whether the items must differ; only `false` is allowed, a list of type `set` says the other.
    #[serde(skip_serializing_if = "is_false")]
    pub unique_items: bool,
    /// Rules that all must hold; like those of the next three, they say nothing of types, defaults and unknown fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<Schema>,
    /// Rules of which at least one must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Schema>,
    /// Rules of which exactly one must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Schema>,
    /// A rule that must not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Schema>>,
    /// Whether fields that the schema does not name are kept.
    #[serde(rename = "x-kubernetes-preserve-unknown-fields", skip_serializing_if = "is_false")]
    pub preserve_unknown_fields: bool,
    /// Whether the value is an integer or a text.
    #[serde(rename = "x-kubernetes-int-or-string", skip_serializing_if = "is_false")]
    pub int_or_string: bool,
    /// Whether the value is an object with `apiVersion`, `kind` and `metadata`.
    #[serde(rename = "x-kubernetes-embedded-resource", skip_serializing_if = "is_false")]
    pub embedded_resource: bool,
    /// How a list merges: `atomic`, `set` or `map`.
    #[serde(rename = "x-kubernetes-list-type", skip_serializing_if = "String::is_empty")]
    pub list_type: String,
    /// The keys that tell the items of a list of type `map` apart.
    #[serde(rename = "x-kubernetes-list-map-keys", skip_serializing_if = "Vec::is_empty")]
    pub list_map_keys: Vec<String>,
    /// How a map merges: `granular` or `atomic`.
    #[serde(rename = "x-kubernetes-map-type", skip_serializing_if = "String::is_empty")]
    pub map_type: String,
    /// How a strategic merge patch treats the field: `merge`, `replace`, `retainKeys`, joined by commas.
    #[serde(rename = "x-kubernetes-patch-strategy", skip_serializing_if = "String::is_empty")]
    pub patch_strategy: String,
    /// The key by which a strategic merge patch tells the items of a list apart.
    #[serde(rename = "x-kubernetes-patch-merge-key", skip_serializing_if = "String::is_empty")]
    pub patch_merge_key: String,
    /// The number of the field in the kind's protobuf message; only in built-in definitions, never published.
    #[serde(rename = "x-protobuf-field", skip_serializing_if = "Option::is_none")]
    pub protobuf_field: Option<ProtobufField>,
}

/// Where a field stands in a protobuf message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ProtobufField {
    /// Under this number in the message itself.
    Own(u32),
    /// In a message within it whose fields JSON shows as if they were the outer one's, as Go embeds structs: the numbers
    /// from the outside in, such as `[2, 7]` for field 7 of the message in field 2.
    Embedded(Vec<u32>),
}

impl ProtobufField {
    /// The numbers from the outside in.
    pub fn numbers(&self) -> &[u32] {
        match self {
            Self::Own(number) => std::slice::from_ref(number),
            Self::Embedded(numbers) => numbers,
        }
    }
}

/// What a map's values are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Additional {
    /// Whether any other fields are allowed.
    Allowed(bool),
    /// What they must be like.
    Schema(Box<Schema>),
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Definition {
    /// The version in which objects are stored.
    pub fn storage_version(&self) -> Option<&Version> {
        self.versions.iter().find(|version| version.storage)
    }

    /// The form in which objects are stored; `None` without a version for it, which no compiled definition is.
    pub fn stored_form(&self) -> Option<StoredForm> {
        self.extensions.storage.clone().or_else(|| {
            Some(StoredForm {
                group: self.group.clone(),
                resource: self.names.plural.clone(),
                version: self.storage_version()?.name.clone(),
                kind: self.names.kind.clone(),
            })
        })
    }

    /// Whether objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}
