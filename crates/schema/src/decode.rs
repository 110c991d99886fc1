//! JSON text to a value in one pass that also notices what a plain parse loses: a key that stands twice, a text that is too deep or too big.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

use crate::path::Path;

/// The most paths that are reported of one request's duplicate or unknown fields; upstream's bound for strict errors is the same.
pub const MAX_REPORTED: usize = 100;

/// How many values an object counts as: a small one takes the memory of many scalars.
pub(crate) const OBJECT: usize = 4;

/// What a request's document may be at most. Its depth is bounded too, at 127 levels.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most values, counting lists and objects and what they hold. An object counts as [`OBJECT`] of them.
    pub max_values: usize,
}

impl Default for Limits {
    /// Half a million values: far above what fits an object of the usual size, far below what exhausts memory.
    fn default() -> Self {
        Self { max_values: 500_000 }
    }
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The document; of a key that stands twice the last value, as upstream when not strict.
    pub value: Value,
    /// The paths of keys that stand twice, in the order of the text, at most [`MAX_REPORTED`].
    pub duplicates: Vec<String>,
}

/// Why a document cannot be read; the message names line and column.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is no JSON, or not within the limits.
    #[error("read JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is no YAML, or not within the limits.
    #[error("read YAML: {0}")]
    Yaml(String),
}

impl DecodeError {
    /// Whether the text is well-formed and only means too much.
    pub fn is_too_much(&self) -> bool {
        matches!(self, Self::Json(fault) if fault.is_data())
    }
}

/// Reads one JSON document, the whole of `bytes`.
///
/// # Errors
/// When it is no JSON, has something behind its end, is deeper than 127 levels, or larger than `limits`.
pub fn decode_json(bytes: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
    decode_counted(bytes, limits).map(|(decoded, _)| decoded)
}

/// Like [`decode_json`], and says how many values more there might have been.
pub(crate) fn decode_counted(bytes: &[u8], limits: Limits) -> Result<(Decoded, usize), DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut reader = Reader { left: limits.max_values, limits, duplicates: Vec::new() };
    let value = Place { path: &Path::Root, reader: &mut reader }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((Decoded { value, duplicates: reader.duplicates }, reader.left))
}

struct Reader {
    left: usize,
    limits: Limits,
    duplicates: Vec<String>,
}

impl Reader {
    fn count<E: serde::de::Error>(&mut self, values: usize) -> Result<(), E> {
        let Some(left) = self.left.checked_sub(values) else {
            return Err(E::custom(format_args!(
                "too many values, at most {} are allowed",
                self.limits.max_values
            )));
        };
        self.left = left;
        Ok(())
    }
}

/// A value that is about to be read, and where it stands.
struct Place<'p, 'r> {
    path: &'p Path<'p>,
    reader: &'r mut Reader,
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.reader.count(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = self.path.index(items.len());
            match access.next_element_seed(Place { path: &path, reader: self.reader })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.reader.count(OBJECT - 1)?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let path = self.path.field(&key);
            let value = access.next_value_seed(Place { path: &path, reader: self.reader })?;
            if map.contains_key(&key) && self.reader.duplicates.len() < MAX_REPORTED {
                self.reader.duplicates.push(path.spelled());
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn decode(text: &str) -> Result<Decoded, DecodeError> {
        decode_json(text.as_bytes(), Limits { max_values: 20 })
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_value_is_taken() {
        let decoded = decode(r#"{"data": {"a": 1, "b": [{"c": 1, "c": 2}], "a": 3}, "x": -1}"#).unwrap();
        assert_eq!(decoded.value, json!({"data": {"a": 3, "b": [{"c": 2}]}, "x": -1}));
        assert_eq!(decoded.duplicates, ["data.b[0].c", "data.a"]);
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_place() {
        for (text, message) in [
            ("", "read JSON: EOF while parsing a value at line 1 column 0"),
            ("{\n  \"a\": }", "read JSON: expected value at line 2 column 8"),
            ("{} {}", "read JSON: trailing characters at line 1 column 4"),
            (
                "[1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0]",
                "read JSON: too many values, at most 20 are allowed at line 1 column 39",
            ),
            ("[{},{},{},{},{}]", "read JSON: too many values, at most 20 are allowed at line 1 column 15"),
            ("[{\"a\"]}", "read JSON: expected `:` at line 1 column 6"),
            (
                "\"\u{1}\"",
                "read JSON: control character (\\u0000-\\u001F) found while parsing a string at line 1 column 2",
            ),
        ] {
            assert_eq!(decode(text).unwrap_err().to_string(), message, "{text}");
        }
        assert!(decode_json(b"\"\xff\"", Limits::default()).is_err());
        assert!(decode("[{},{},{},{},{}]").unwrap_err().is_too_much());
        assert!(!decode("[{},").unwrap_err().is_too_much());
        let deep = decode_json("[".repeat(200).as_bytes(), Limits::default()).unwrap_err();
        assert_eq!(deep.to_string(), "read JSON: recursion limit exceeded at line 1 column 128");
    }

    #[test]
    fn reports_are_bounded() {
        let body = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(1000));
        assert_eq!(decode_json(body.as_bytes(), Limits::default()).unwrap().duplicates.len(), MAX_REPORTED);
    }

    /// Mostly what JSON is made of, so that some texts are documents.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![20 => proptest::sample::select(&b"[]{}\",:01-.eE a\\"[..]), 1 => any::<u8>()]
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_as_serde_json_does(bytes in proptest::collection::vec(byte(), 0..24)) {
            let plain = serde_json::from_slice::<Value>(&bytes).ok();
            prop_assert_eq!(decode_json(&bytes, Limits::default()).ok().map(|decoded| decoded.value), plain);
        }
    }
}
