//! From a message to an object, field by field. It goes as deep as the schema does, and makes at most so many values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::special;
use super::wire::{Payload, Reader};
use super::{ProtobufError, ProtobufFault};
use crate::decode::Limits;
use crate::node::{Format, Kind, Node, Numbered, Numbers};
use crate::path::Path;

/// Reads `message` as an object of `node`.
pub(super) fn decode(node: &Node, message: &[u8]) -> Result<Value, ProtobufError> {
    let mut object = Map::new();
    Transcoder { left: Limits::default().max_values }.merge(node, &mut object, message, &Path::Root)?;
    Ok(Value::Object(object))
}

struct Transcoder {
    /// How many values more may be made.
    left: usize,
}

type Fields = Map<String, Value>;

impl Transcoder {
    /// Reads `message` into `object`: a message that comes in several parts is one.
    fn merge(
        &mut self,
        node: &Node,
        object: &mut Fields,
        message: &[u8],
        path: &Path<'_>,
    ) -> Result<(), ProtobufError> {
        self.fields((node, &node.numbers), object, message, path)?;
        object.retain(|name, value| !value.is_null() && (keeps_zero(node, name) || !is_zero(value)));
        Ok(())
    }

    /// Reads the fields that have these numbers in `message`, which is the object's or one embedded in it.
    fn fields(
        &mut self,
        (node, numbers): (&Node, &Numbers),
        object: &mut Fields,
        message: &[u8],
        path: &Path<'_>,
    ) -> Result<(), ProtobufError> {
        for field in Reader::new(message) {
            let (number, payload) = field.map_err(|fault| fault.at(path))?;
            match numbers.get(&number) {
                None => {}
                Some(Numbered::Embedded(numbers)) => {
                    let message = payload.bytes().map_err(|fault| fault.at(path))?;
                    self.fields((node, numbers), object, message, path)?;
                }
                Some(Numbered::Field(name)) => {
                    let slot = object.entry(name.as_str()).or_insert(Value::Null);
                    self.field(&node.fields[name].node, slot, payload, &path.field(name))?;
                }
            }
        }
        Ok(())
    }

    fn field(
        &mut self,
        node: &Node,
        slot: &mut Value,
        payload: Payload<'_>,
        path: &Path<'_>,
    ) -> Result<(), ProtobufError> {
        if let (Kind::Array, Some(item)) = (node.kind, node.items.as_deref()) {
            return self.items(item, list(slot), payload, path);
        }
        if node.kind == Kind::Object && !is_raw(node) {
            let message = payload.bytes().map_err(|fault| fault.at(path))?;
            if slot.is_null() {
                self.count().map_err(|fault| fault.at(path))?;
            }
            let object = object(slot);
            return match &node.values {
                Some(values) => self.entry(values, object, message, path),
                None => self.merge(node, object, message, path),
            };
        }
        *slot = self.scalar(node, payload).map_err(|fault| fault.at(path))?;
        Ok(())
    }

    fn items(
        &mut self,
        item: &Node,
        items: &mut Vec<Value>,
        payload: Payload<'_>,
        path: &Path<'_>,
    ) -> Result<(), ProtobufError> {
        if let (Kind::Integer | Kind::Number | Kind::Boolean, Payload::Bytes(packed)) = (item.kind, payload) {
            let mut reader = Reader::new(packed);
            while !reader.is_empty() {
                let next = if item.kind == Kind::Number {
                    reader.fixed64().map(Payload::Fixed64)
                } else {
                    reader.varint().map(Payload::Varint)
                };
                items.push(next.and_then(|next| self.scalar(item, next)).map_err(|fault| fault.at(path))?);
            }
            return Ok(());
        }
        let value = self.element(item, payload, &path.index(items.len()))?;
        items.push(value);
        Ok(())
    }

    /// An item of a list or a value of a map. Where that is a list, which repeats nothing there, it is a message whose
    /// first field repeats: Go's `ExtraValue` and its like.
    fn element(
        &mut self,
        node: &Node,
        payload: Payload<'_>,
        path: &Path<'_>,
    ) -> Result<Value, ProtobufError> {
        let mut value = Value::Null;
        let (Kind::Array, Some(item)) = (node.kind, node.items.as_deref()) else {
            self.field(node, &mut value, payload, path)?;
            return Ok(value);
        };
        self.count().map_err(|fault| fault.at(path))?;
        let items = list(&mut value);
        for field in Reader::new(payload.bytes().map_err(|fault| fault.at(path))?) {
            if let (1, payload) = field.map_err(|fault| fault.at(path))? {
                self.items(item, items, payload, path)?;
            }
        }
        Ok(value)
    }

    /// One entry of a map: its key, and its value, which is the type's zero where it is absent.
    fn entry(
        &mut self,
        values: &Node,
        map: &mut Fields,
        message: &[u8],
        path: &Path<'_>,
    ) -> Result<(), ProtobufError> {
        let (mut key, mut found) = ("", None);
        for field in Reader::new(message) {
            match field.map_err(|fault| fault.at(path))? {
                (1, payload) => key = payload.text().map_err(|fault| fault.at(path))?,
                (2, payload) => found = Some(payload),
                _ => {}
            }
        }
        let path = path.field(key);
        let value = match found {
            Some(payload) => self.element(values, payload, &path)?,
            None => {
                self.count().map_err(|fault| fault.at(&path))?;
                zero(values)
            }
        };
        map.insert(key.to_owned(), value);
        Ok(())
    }

    fn scalar(&mut self, node: &Node, payload: Payload<'_>) -> Result<Value, ProtobufFault> {
        self.count()?;
        Ok(match (node.kind, node.format) {
            (Kind::String | Kind::IntOrString, Format::Quantity) => special::quantity(payload)?.into(),
            (Kind::String, Format::Byte) => STANDARD.encode(payload.bytes()?).into(),
            (Kind::String, Format::DateTime) => special::time(payload)?,
            (Kind::String, Format::MicroTime) => special::micro_time(payload)?,
            (Kind::String, Format::Duration) => special::duration(payload)?.into(),
            (Kind::String, _) => payload.text()?.into(),
            (Kind::Integer, Format::Int32) => (payload.varint()? as i32).into(),
            (Kind::Integer, _) => (payload.varint()? as i64).into(),
            (Kind::Boolean, _) => (payload.varint()? != 0).into(),
            (Kind::Number, _) => Number::from_f64(payload.double()?).ok_or(ProtobufFault::NotFinite)?.into(),
            (Kind::IntOrString, _) => special::int_or_string(payload)?,
            (Kind::Any | Kind::Object | Kind::Array, _) => special::raw_json(payload, &mut self.left)?,
        })
    }

    fn count(&mut self) -> Result<(), ProtobufFault> {
        self.left = self.left.checked_sub(1).ok_or(ProtobufFault::TooMany(Limits::default().max_values))?;
        Ok(())
    }
}

/// Whether the value is JSON text on the wire: it may hold anything, so it has no numbers.
fn is_raw(node: &Node) -> bool {
    node.kind == Kind::Any || node.open && node.numbers.is_empty()
}

/// Whether a zero in the field is a value: it is a pointer, is always written down, or says itself what it holds.
fn keeps_zero(node: &Node, name: &str) -> bool {
    let field = &node.fields[name];
    field.pointer || is_raw(&field.node) || node.required.iter().any(|required| required == name)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(value) => value.is_empty(),
        Value::Object(value) => value.is_empty(),
    }
}

/// What an absent value of a map is.
fn zero(node: &Node) -> Value {
    match (node.kind, node.format) {
        (Kind::String | Kind::IntOrString, Format::Quantity) => special::NO_QUANTITY.into(),
        (Kind::String, Format::Duration) => special::NO_DURATION.into(),
        (Kind::String, Format::DateTime | Format::MicroTime) | (Kind::Any, _) => Value::Null,
        (Kind::Object, _) if is_raw(node) => Value::Null,
        (Kind::String, _) => "".into(),
        (Kind::Integer | Kind::IntOrString, _) => 0.into(),
        (Kind::Number, _) => 0.0.into(),
        (Kind::Boolean, _) => false.into(),
        (Kind::Object, _) => Value::Object(Map::new()),
        (Kind::Array, _) => Value::Array(Vec::new()),
    }
}

/// The list in `slot`, which is null before its first item.
fn list(slot: &mut Value) -> &mut Vec<Value> {
    if slot.is_null() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("the schema gives a field one type, so what is there is a list")
}

/// The object in `slot`, which is null before its first part.
fn object(slot: &mut Value) -> &mut Map<String, Value> {
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("the schema gives a field one type, so what is there is an object")
}
