//! An OpenAPI v2 document in protobuf, the encoding in which kubectl asks for it: the messages of `openapi.v2` of
//! gnostic (`openapiv2/OpenAPIv2.proto`), as far as our documents use them, written as tables that one encoder walks.

use serde_json::{Map, Value};

/// A message: which field of the JSON object stands where, and how.
pub(super) struct Message {
    pub(super) fields: &'static [(&'static str, u32, Form)],
    /// The number under which all `x-` fields stand, if the message has one.
    pub(super) extensions: Option<u32>,
}

/// How a JSON value stands in a field.
pub(super) enum Form {
    /// A text.
    Text,
    /// A boolean.
    Flag,
    /// A whole number.
    Integer,
    /// A `double`.
    Number,
    /// Any value: an `Any`, whose field 2 is the value in YAML, of which JSON is a part.
    Any,
    /// An object that has a message of its own.
    One(&'static Message),
    /// A list: the field, repeated. A value that is no list counts as a list of one.
    Each(&'static Form),
    /// An object with any keys: the field, repeated, each a message of key (1) and value (2).
    Named(&'static Form),
    /// A message that exists for its one field, this one.
    Within(u32, &'static Form),
    /// The form of the first test that the value passes.
    Either(&'static [Choice]),
}

/// A test of a value, and the form of those that pass.
pub(super) type Choice = (fn(&Value) -> bool, Form);

use Form::{Any, Each, Either, Flag, Integer, Named, Number, One, Text, Within};

/// `Document`
pub(super) static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, One(&INFO)),
        ("paths", 8, Within(2, &Named(&One(&PATH_ITEM)))),
        ("definitions", 9, Within(1, &Named(&One(&SCHEMA)))),
        ("security", 12, Each(&Within(1, &Named(&Within(1, &Each(&Text)))))),
        ("securityDefinitions", 13, Within(1, &Named(&Within(2, &One(&API_KEY))))),
    ],
    extensions: Some(16),
};

static INFO: Message = Message {
    fields: &[("title", 1, Text), ("version", 2, Text), ("description", 3, Text)],
    extensions: Some(7),
};

static API_KEY: Message = Message {
    fields: &[("type", 1, Text), ("name", 2, Text), ("in", 3, Text), ("description", 4, Text)],
    extensions: Some(5),
};

static PATH_ITEM: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("get", 2, One(&OPERATION)),
        ("put", 3, One(&OPERATION)),
        ("post", 4, One(&OPERATION)),
        ("delete", 5, One(&OPERATION)),
        ("options", 6, One(&OPERATION)),
        ("head", 7, One(&OPERATION)),
        ("patch", 8, One(&OPERATION)),
        ("parameters", 9, PARAMETERS),
    ],
    extensions: Some(10),
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Each(&Text)),
        ("summary", 2, Text),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Each(&Text)),
        ("consumes", 7, Each(&Text)),
        ("parameters", 8, PARAMETERS),
        ("responses", 9, Within(1, &Named(&Within(1, &One(&RESPONSE))))),
        ("schemes", 10, Each(&Text)),
        ("deprecated", 11, Flag),
    ],
    extensions: Some(13),
};

/// `ParametersItem { parameter: Parameter { … } }`, whose innermost message depends on where the parameter stands.
const PARAMETERS: Form = Each(&Within(
    1,
    &Either(&[
        (|value| value["in"] == "body", Within(1, &One(&BODY_PARAMETER))),
        (|value| value["in"] == "path", Within(2, &Within(4, &One(&PATH_PARAMETER)))),
        (|_| true, Within(2, &Within(3, &One(&QUERY_PARAMETER)))),
    ]),
));

static BODY_PARAMETER: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, One(&SCHEMA)),
    ],
    extensions: Some(6),
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("format", 7, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: Some(23),
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("format", 6, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: Some(22),
};

static RESPONSE: Message = Message {
    fields: &[("description", 1, Text), ("schema", 2, Within(1, &One(&SCHEMA)))],
    extensions: Some(5),
};

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Any),
        ("multipleOf", 6, Number),
        ("maximum", 7, Number),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Number),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Integer),
        ("minLength", 12, Integer),
        ("pattern", 13, Text),
        ("maxItems", 14, Integer),
        ("minItems", 15, Integer),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Integer),
        ("minProperties", 18, Integer),
        ("required", 19, Each(&Text)),
        ("enum", 20, Each(&Any)),
        (
            "additionalProperties",
            21,
            Either(&[(Value::is_boolean, Within(2, &Flag)), (|_| true, Within(1, &One(&SCHEMA)))]),
        ),
        ("type", 22, Within(1, &Each(&Text))),
        ("items", 23, Within(1, &Each(&One(&SCHEMA)))),
        ("allOf", 24, Each(&One(&SCHEMA))),
        ("properties", 25, Within(1, &Named(&One(&SCHEMA)))),
        ("readOnly", 27, Flag),
        ("example", 30, Any),
    ],
    extensions: Some(31),
};

/// The OpenAPI v2 `document` as gnostic's `Document`. Fields that the tables do not know are left out, as are values of
/// another type than the field's.
pub fn protobuf(document: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.as_object().into_iter().for_each(|object| message(&DOCUMENT, object, &mut bytes));
    bytes
}

fn message(message: &Message, object: &Map<String, Value>, out: &mut Vec<u8>) {
    for (name, number, form) in message.fields {
        object.get(*name).into_iter().for_each(|value| field(*number, form, value, out));
    }
    let Some(number) = message.extensions else { return };
    for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
        named(number, name, &Any, value, out);
    }
}

fn field(number: u32, form: &Form, value: &Value, out: &mut Vec<u8>) {
    match (form, value) {
        (Text, Value::String(text)) => bytes(number, text.as_bytes(), out),
        (Flag, Value::Bool(flag)) => {
            varint(u64::from(number) << 3, out);
            varint(u64::from(*flag), out);
        }
        (Integer, Value::Number(integer)) => {
            varint(u64::from(number) << 3, out);
            // A negative one is written in two's complement.
            varint(integer.as_u64().unwrap_or_else(|| integer.as_i64().unwrap_or_default() as u64), out);
        }
        (Number, Value::Number(double)) => {
            varint(u64::from(number) << 3 | 1, out);
            out.extend(double.as_f64().unwrap_or_default().to_le_bytes());
        }
        (Any, any) => nested(number, out, |out| bytes(2, any.to_string().as_bytes(), out)),
        (One(of), Value::Object(object)) => nested(number, out, |out| message(of, object, out)),
        (Each(form), Value::Array(items)) => items.iter().for_each(|item| field(number, form, item, out)),
        (Each(form), one) => field(number, form, one, out),
        (Named(form), Value::Object(object)) => {
            object.iter().for_each(|(name, value)| named(number, name, form, value, out));
        }
        (Within(inner, form), _) => nested(number, out, |out| field(*inner, form, value, out)),
        (Either(forms), _) => {
            let fitting = forms.iter().find(|(fits, _)| fits(value));
            fitting.into_iter().for_each(|(_, form)| field(number, form, value, out));
        }
        _ => {}
    }
}

fn named(number: u32, name: &str, form: &Form, value: &Value, out: &mut Vec<u8>) {
    nested(number, out, |out| {
        bytes(1, name.as_bytes(), out);
        field(2, form, value, out);
    });
}

fn nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    write(&mut content);
    bytes(number, &content, out);
}

fn bytes(number: u32, content: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | 2, out);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
