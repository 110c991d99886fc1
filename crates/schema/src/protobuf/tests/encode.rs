//! An encoder of its own, led by the same table: what it writes must be read back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::timestamp;
use serde_json::Value;

use crate::node::{Format, Kind, Node, Numbered, Numbers};

/// The liberties that an encoder has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    /// Lists of numbers as one run of bytes.
    pub(super) packed: bool,
    /// Fields from the last to the first.
    pub(super) backwards: bool,
    /// A message in two parts.
    pub(super) split: bool,
    /// Fields that are no pointers even where they are empty, as Go does.
    pub(super) zeros: bool,
}

pub(super) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(super) fn number(field: u32, value: i64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value as u64)].concat()
}

pub(super) fn bytes(field: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [varint(u64::from(field) << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

impl Style {
    /// The message of the object `value`.
    pub(super) fn message(self, node: &Node, value: &Value) -> Vec<u8> {
        self.parts(node, &node.numbers, value).concat()
    }

    /// The fields of a message that have these numbers, in one or two parts.
    fn parts(self, node: &Node, numbers: &Numbers, value: &Value) -> Vec<Vec<u8>> {
        let mut fields: Vec<_> =
            numbers.iter().map(|(number, numbered)| self.numbered(node, *number, numbered, value)).collect();
        if self.backwards {
            fields.reverse();
        }
        match self.split {
            true => fields.chunks(fields.len() / 2 + 1).map(<[_]>::concat).collect(),
            false => vec![fields.concat()],
        }
    }

    fn numbered(self, node: &Node, number: u32, numbered: &Numbered, value: &Value) -> Vec<u8> {
        match numbered {
            Numbered::Embedded(numbers) => {
                self.parts(node, numbers, value).iter().flat_map(|part| bytes(number, part)).collect()
            }
            Numbered::Field(name) => match value.get(name) {
                Some(value) => self.field(&node.fields[name].node, number, value),
                None if self.zeros && !node.fields[name].pointer => empty(&node.fields[name].node, number),
                None => Vec::new(),
            },
        }
    }

    fn field(self, node: &Node, field: u32, value: &Value) -> Vec<u8> {
        if node.kind == Kind::Any || node.open && node.numbers.is_empty() {
            let text = if value.is_null() { Vec::new() } else { bytes(1, value.to_string()) };
            return bytes(field, text);
        }
        match value {
            Value::Array(items) => self.list(node.items.as_deref().unwrap(), field, items),
            Value::Object(map) => match node.values.as_deref() {
                Some(values) => {
                    let entry = |(key, value)| [bytes(1, key), self.element(values, 2, value)].concat();
                    map.iter().flat_map(|one| bytes(field, entry(one))).collect()
                }
                None => {
                    let parts = self.parts(node, &node.numbers, value);
                    parts.iter().flat_map(|part| bytes(field, part)).collect()
                }
            },
            scalar => [varint(u64::from(field) << 3 | wire_type(node)), encode_scalar(node, scalar)].concat(),
        }
    }

    fn list(self, item: &Node, field: u32, items: &[Value]) -> Vec<u8> {
        let numeric = matches!(item.kind, Kind::Integer | Kind::Number | Kind::Boolean);
        if self.packed && numeric {
            return bytes(
                field,
                items.iter().flat_map(|value| encode_scalar(item, value)).collect::<Vec<_>>(),
            );
        }
        items.iter().flat_map(|value| self.element(item, field, value)).collect()
    }

    /// An item of a list or a value of a map; such a message cannot come in two parts.
    fn element(self, node: &Node, field: u32, value: &Value) -> Vec<u8> {
        match value {
            Value::Array(items) => bytes(field, self.list(node.items.as_deref().unwrap(), 1, items)),
            Value::Object(_) if node.values.is_none() && !node.numbers.is_empty() => {
                bytes(field, self.message(node, value))
            }
            other => self.field(node, field, other),
        }
    }
}

fn wire_type(node: &Node) -> u64 {
    match node.kind {
        Kind::Integer | Kind::Boolean => 0,
        Kind::Number => 1,
        _ => 2,
    }
}

/// A scalar without the number of its field.
fn encode_scalar(node: &Node, value: &Value) -> Vec<u8> {
    let run = |content: Vec<u8>| [varint(content.len() as u64), content].concat();
    match value {
        Value::Bool(value) => vec![u8::from(*value)],
        Value::Number(value) if node.kind == Kind::Number => value.as_f64().unwrap().to_le_bytes().to_vec(),
        Value::Number(value) if node.kind == Kind::IntOrString => run(number(2, value.as_i64().unwrap())),
        Value::Number(value) => varint(value.as_i64().unwrap() as u64),
        Value::String(text) => run(encode_text(node, text)),
        other => panic!("{other} is no scalar"),
    }
}

fn encode_text(node: &Node, text: &str) -> Vec<u8> {
    match node.format {
        Format::Quantity => bytes(1, text),
        Format::Byte => STANDARD.decode(text).unwrap(),
        Format::Duration => {
            let seconds: i64 = text.strip_suffix('s').unwrap().parse().unwrap();
            number(1, seconds * 1_000_000_000)
        }
        Format::DateTime | Format::MicroTime => {
            let at = timestamp::parse(text).unwrap();
            [number(1, at.unix_timestamp()), number(2, at.nanosecond().into())].concat()
        }
        _ if node.kind == Kind::IntOrString => [number(1, 1), number(2, 0), bytes(3, text)].concat(),
        _ => text.into(),
    }
}

/// A field that is no pointer and holds nothing.
fn empty(node: &Node, field: u32) -> Vec<u8> {
    match (node.kind, node.format) {
        (Kind::Integer | Kind::Boolean, _) => number(field, 0),
        (Kind::Number, _) => [varint(u64::from(field) << 3 | 1), vec![0; 8]].concat(),
        // An empty quantity or duration is written down in JSON too.
        (_, Format::Quantity | Format::Duration) | (Kind::Array, _) => Vec::new(),
        (Kind::Object, _) if node.values.is_some() => Vec::new(),
        _ => bytes(field, ""),
    }
}
