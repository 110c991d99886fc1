//! A schema in the form that walks want: references followed, types told apart by an enum, patterns compiled, lookups prepared.

use detectviz_api::definition::{Additional, Schema};
use regex_lite::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::validate::TextFormat;

/// What a value must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) format: Format,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) allowed: Vec<Value>,
    /// The named fields of an object.
    pub(crate) fields: BTreeMap<String, Field>,
    /// The names of the fields that have a default.
    pub(crate) defaulted: Vec<String>,
    /// The fields by their protobuf number.
    pub(crate) numbers: Numbers,
    pub(crate) required: Vec<String>,
    /// What the values of a map are.
    pub(crate) values: Option<Arc<Node>>,
    /// Whether fields that are not named are kept as they are.
    pub(crate) open: bool,
    /// Whether an object has one owner, whole, instead of one for each of its fields.
    pub(crate) atomic: bool,
    /// What the items of a list are.
    pub(crate) items: Option<Arc<Node>>,
    pub(crate) list: ListType,
    pub(crate) bounds: Bounds,
    pub(crate) role: Role,
    /// The rules that hold together, or not.
    pub(crate) junctors: Option<Box<Junctors>>,
}

/// Whether an object is one of the API by itself, with `apiVersion`, `kind` and `metadata`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is a part of one.
    #[default]
    Part,
    /// It is what requests are about.
    Root,
    /// It stands within another one.
    Embedded,
}

/// Rules for the value that a node is about, beside its own. Their nodes say nothing of types, defaults and unknown fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Junctors {
    pub(crate) all: Vec<Node>,
    pub(crate) any: Vec<Node>,
    pub(crate) one: Vec<Node>,
    pub(crate) not: Option<Node>,
}

/// What stands in a protobuf message, by number.
pub(crate) type Numbers = BTreeMap<u32, Numbered>;

/// What stands under one number of a protobuf message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Numbered {
    /// The field of this name.
    Field(String),
    /// A message whose fields JSON shows as if they were those of the message around it.
    Embedded(Numbers),
}

/// A named field of an object: its schema, and what holds for the field rather than for its type.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) node: Arc<Node>,
    pub(crate) strategy: Strategy,
    pub(crate) merge_key: Option<String>,
    /// Whether the field is a pointer in Go: null is then an absence, and a zero in protobuf a value.
    pub(crate) pointer: bool,
}

/// The JSON type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
}

/// The formats that are checked; all others are ignored, as upstream does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    None,
    Int32,
    Int64,
    Float,
    Double,
    /// Of a built-in kind: base64 as Go reads it.
    Byte,
    /// Of a built-in kind: a `metav1.Time`.
    DateTime,
    /// Of a built-in kind: a `metav1.MicroTime`.
    MicroTime,
    /// Of a built-in kind: a `metav1.Duration`.
    Duration,
    /// Of a built-in kind: a `resource.Quantity`.
    Quantity,
    /// A text of this format, checked as go-openapi does.
    Text(TextFormat),
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// How a strategic merge patch treats a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Maps merge, lists are replaced.
    #[default]
    Default,
    /// Lists merge too.
    Merge,
    /// Maps are replaced too.
    Replace,
}

/// The limits of a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) length: (Option<u64>, Option<u64>),
    pub(crate) range: (Option<Bound>, Option<Bound>),
    pub(crate) multiple_of: Option<f64>,
    pub(crate) items: (Option<u64>, Option<u64>),
    pub(crate) properties: (Option<u64>, Option<u64>),
    pub(crate) pattern: Option<Regex>,
}

/// A limit of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) at: f64,
    /// Whether the limit itself is outside.
    pub(crate) exclusive: bool,
}

impl Kind {
    /// The type as messages name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }

    /// The type that `schema` names; `None` for an unknown one, and for none where one is needed.
    pub(crate) fn of(schema: &Schema) -> Option<Self> {
        Some(match schema.kind.as_str() {
            "" if schema.int_or_string => Self::IntOrString,
            "" if schema.preserve_unknown_fields => Self::Any,
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }
}

impl Format {
    /// The format as messages name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
            Self::Double => "double",
            Self::Byte => "byte",
            Self::DateTime => "date-time",
            Self::MicroTime => "micro-time",
            Self::Duration => "duration",
            Self::Quantity => "quantity",
            Self::Text(format) => format.name(),
        }
    }

    /// The format called `name` of a value of type `kind`; that of a built-in kind is read as Go does.
    pub(crate) fn of(name: &str, kind: Kind, built_in: bool) -> Self {
        match (kind, name) {
            (Kind::Integer, "int32") => Self::Int32,
            (Kind::Integer, "int64") => Self::Int64,
            (Kind::Number, "float") => Self::Float,
            (Kind::Number, "double") => Self::Double,
            (Kind::String, "byte") if built_in => Self::Byte,
            (Kind::String, "date-time") if built_in => Self::DateTime,
            (Kind::String, "micro-time") if built_in => Self::MicroTime,
            (Kind::String, "duration") if built_in => Self::Duration,
            (Kind::String | Kind::IntOrString, "quantity") if built_in => Self::Quantity,
            (Kind::String | Kind::Any, name) => TextFormat::of(name).map_or(Self::None, Self::Text),
            _ => Self::None,
        }
    }
}

impl Strategy {
    /// The strategy in `text`, names joined by commas. `retainKeys` needs no mark: the patch itself says it.
    pub(crate) fn of(text: &str) -> Self {
        let has = |name: &str| text.split(',').any(|part| part.trim() == name);
        match () {
            () if has("merge") => Self::Merge,
            () if has("replace") => Self::Replace,
            () => Self::Default,
        }
    }
}

impl Node {
    /// Whether the schema says that other fields than the named ones are kept as they are.
    pub(crate) fn is_open(schema: &Schema) -> bool {
        schema.preserve_unknown_fields
            || matches!(schema.additional_properties, Some(Additional::Allowed(true)))
    }

    /// The schema of the field called `name`, be it named or a map's value.
    pub(crate) fn child(&self, name: &str) -> Option<&Arc<Node>> {
        self.fields.get(name).map(|field| &field.node).or(self.values.as_ref())
    }

    /// Whether the node says nothing of what an object holds.
    pub(crate) fn is_bare(&self) -> bool {
        self.fields.is_empty() && self.values.is_none()
    }
}
