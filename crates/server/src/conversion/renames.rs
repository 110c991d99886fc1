//! Forms that differ in the names of top-level fields alone. Values are copied as they stand in the text, so that a
//! conversion costs a walk over the bytes, whatever is in them.

use bytes::{BufMut, Bytes, BytesMut};
use detectviz_api::definition::StoredForm;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::{ConversionError, Converter};

/// How much longer the other form usually is at most.
const LONGER: usize = 256;

/// Two forms, and what top-level fields are called in them.
pub(super) struct Renames {
    to_served: Direction,
    to_stored: Direction,
}

/// One way.
struct Direction {
    /// The values of `apiVersion` and `kind`, as JSON.
    types: [(&'static str, String); 2],
    /// The new name of each old one.
    names: BTreeMap<String, String>,
}

impl Renames {
    /// The forms `served` and `stored`; `names` says what stored name each served one has.
    pub(super) fn new(served: &StoredForm, stored: &StoredForm, names: &BTreeMap<String, String>) -> Self {
        let back = names.iter().map(|(served, stored)| (stored.clone(), served.clone()));
        Self {
            to_served: Direction::new(served, back.collect()),
            to_stored: Direction::new(stored, names.clone()),
        }
    }
}

impl Converter for Renames {
    fn to_served(&self, stored: &[u8]) -> Result<Bytes, ConversionError> {
        self.to_served.convert(stored)
    }

    fn to_stored(&self, served: &[u8]) -> Result<Bytes, ConversionError> {
        self.to_stored.convert(served)
    }
}

impl Direction {
    fn new(into: &StoredForm, names: BTreeMap<String, String>) -> Self {
        let types =
            [("apiVersion", json!(into.api_version()).to_string()), ("kind", json!(into.kind).to_string())];
        Self { types, names }
    }

    /// Fields come in the order of their names, as everywhere in what is stored.
    fn convert(&self, bytes: &[u8]) -> Result<Bytes, ConversionError> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes)?;
        let mut renamed: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &fields {
            renamed.insert(self.names.get(name).unwrap_or(name), value.get());
        }
        renamed.extend(self.types.iter().map(|(name, value)| (*name, value.as_str())));
        let mut out = BytesMut::with_capacity(bytes.len() + LONGER);
        for (name, value) in renamed {
            out.put_u8(if out.is_empty() { b'{' } else { b',' });
            out.put_slice(json!(name).to_string().as_bytes());
            out.put_u8(b':');
            out.put_slice(value.as_bytes());
        }
        out.put_u8(b'}');
        Ok(out.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn form(group: &str, version: &str, kind: &str) -> StoredForm {
        StoredForm { group: group.into(), resource: "x".into(), version: version.into(), kind: kind.into() }
    }

    fn renames() -> Renames {
        let names = [("note", "message"), ("about", "\u{e4} \"quoted\"")];
        let names = names.map(|(served, stored)| (served.to_owned(), stored.to_owned()));
        Renames::new(&form("new.example.org", "v2", "New"), &form("", "v1", "Old"), &names.into())
    }

    #[test]
    fn fields_are_renamed_at_the_top_and_nothing_else_is_touched() {
        let stored = json!({
            "apiVersion": "v1", "kind": "Old", "message": {"message": "\u{e4}\n", "kind": "x"}, "\u{e4} \"quoted\"": [1.5, null],
            "metadata": {"name": "a", "managedFields": [{"apiVersion": "v1"}]}, "z": "note",
        });
        let served = renames().to_served(stored.to_string().as_bytes()).unwrap();
        let expected = json!({
            "apiVersion": "new.example.org/v2", "kind": "New", "note": {"message": "\u{e4}\n", "kind": "x"},
            "about": [1.5, null], "metadata": stored["metadata"], "z": "note",
        });
        assert_eq!(serde_json::from_slice::<Value>(&served).unwrap(), expected);
        // Byte for byte what would be written of it: a write that changes nothing is seen to.
        assert_eq!(served, expected.to_string());
        assert_eq!(renames().to_stored(&served).unwrap(), stored.to_string());
    }

    #[test]
    fn what_is_no_object_has_no_other_form() {
        for bytes in ["", "[]", "{", "1", "{\"a\":}"] {
            assert!(renames().to_served(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
