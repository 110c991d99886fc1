//! An object is its serialized JSON with parsed metadata beside it: what is stored is what is sent, except that the
//! revision is written into it once, when the cache takes it in.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::Revision;

/// A cached object; immutable.
#[derive(Clone, Debug)]
pub struct Object {
    /// The whole key in the store.
    pub key: Arc<str>,
    /// The JSON as it is served, with `metadata.resourceVersion`.
    pub bytes: Bytes,
    /// The revision in it: of the last write, or of the deletion for a deleted object.
    pub revision: Revision,
    /// The revision of its creation.
    pub create_revision: Revision,
    /// Parsed metadata, for selection.
    pub meta: Meta,
    /// Where the digits of the revision are in `bytes`.
    digits: Range<usize>,
}

/// The parts of an object's metadata that reads select by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.namespace`; empty when cluster-scoped.
    pub namespace: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.labels`, sorted by key.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
}

impl Meta {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.binary_search_by(|(label, _)| (**label).cmp(key)).ok()?;
        Some(&self.labels[found].1)
    }
}

/// Why stored bytes are not an object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Not JSON, or a part of the metadata has the wrong type.
    #[error("parse object: {0}")]
    Json(#[from] serde_json::Error),
    /// `metadata` is not a JSON object.
    #[error("parse object: metadata is not an object")]
    Metadata,
    /// The writer left the revision in; it would be served twice.
    #[error("parse object: stored metadata must not carry resourceVersion")]
    ResourceVersion,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawMeta {
    name: Box<str>,
    namespace: Box<str>,
    uid: Box<str>,
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
    deletion_timestamp: Option<IgnoredAny>,
    resource_version: Option<IgnoredAny>,
}

impl Object {
    /// Parses stored bytes and writes the revision into a copy of them.
    ///
    /// # Errors
    /// When the bytes are not an object as it has to be stored.
    pub fn parse(
        key: Arc<str>,
        stored: &[u8],
        revision: Revision,
        create_revision: Revision,
    ) -> Result<Self, ObjectError> {
        let metadata = serde_json::from_slice::<Envelope<'_>>(stored)?.metadata.get();
        let Some(inside) = metadata.strip_prefix('{') else { return Err(ObjectError::Metadata) };
        let meta = parse_meta(metadata)?;
        // `metadata` borrows from `stored`, so that its address tells where it is.
        let at = inside.as_ptr().addr() - stored.as_ptr().addr();
        let comma = if inside.trim_start().starts_with('}') { "" } else { "," };
        let (bytes, digits) = splice(stored, at, revision, comma);
        Ok(Self { key, bytes, revision, create_revision, meta, digits })
    }

    /// The same state under another revision: what a deletion event carries.
    pub fn with_revision(&self, revision: Revision) -> Self {
        let digits = revision.to_string();
        let (before, after) = (&self.bytes[..self.digits.start], &self.bytes[self.digits.end..]);
        let bytes = Bytes::from([before, digits.as_bytes(), after].concat());
        let digits = self.digits.start..self.digits.start + digits.len();
        Self { bytes, revision, digits, ..self.clone() }
    }
}

fn parse_meta(metadata: &str) -> Result<Meta, ObjectError> {
    let raw: RawMeta = serde_json::from_str(metadata)?;
    if raw.resource_version.is_some() {
        return Err(ObjectError::ResourceVersion);
    }
    let RawMeta { name, namespace, uid, labels, deletion_timestamp, .. } = raw;
    let labels = labels.unwrap_or_default().into_iter().collect();
    Ok(Meta { name, namespace, uid, labels, deleting: deletion_timestamp.is_some() })
}

fn splice(stored: &[u8], at: usize, revision: Revision, comma: &str) -> (Bytes, Range<usize>) {
    let member = format!("\"resourceVersion\":\"{revision}\"{comma}");
    let start = at + "\"resourceVersion\":\"".len();
    let end = at + member.len() - comma.len() - 1;
    let bytes = [&stored[..at], member.as_bytes(), &stored[at..]].concat();
    (Bytes::from(bytes), start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stored: &str) -> Result<Object, ObjectError> {
        Object::parse("/k".into(), stored.as_bytes(), 99, 7)
    }

    fn text(object: &Object) -> &str {
        std::str::from_utf8(&object.bytes).unwrap()
    }

    #[test]
    fn the_revision_is_spliced_into_metadata_wherever_it_is() {
        let stored =
            r#"{"apiVersion":"v1","data":{"metadata":"{"},"kind":"ConfigMap","metadata":{"name":"a"}}"#;
        let object = parse(stored).unwrap();
        let expected = r#"{"apiVersion":"v1","data":{"metadata":"{"},"kind":"ConfigMap","metadata":{"resourceVersion":"99","name":"a"}}"#;
        assert_eq!(text(&object), expected);
        assert_eq!(text(&object.with_revision(100)), expected.replace("99", "100"));
        assert_eq!(text(&object.with_revision(100).with_revision(99)), expected);
    }

    #[test]
    fn empty_metadata_gets_no_comma() {
        assert_eq!(
            text(&parse(r#"{"metadata": { }}"#).unwrap()),
            r#"{"metadata": {"resourceVersion":"99" }}"#
        );
    }

    #[test]
    fn metadata_is_parsed_for_selection() {
        let stored = r#"{"metadata":{"name":"a","namespace":"n","uid":"u","labels":{"b":"2","a":"\u0031"},
            "deletionTimestamp":"2026-01-01T00:00:00Z","annotations":{"x":"y"}}}"#;
        let meta = parse(stored).unwrap().meta;
        assert_eq!((&*meta.name, &*meta.namespace, &*meta.uid, meta.deleting), ("a", "n", "u", true));
        assert_eq!((meta.label("a"), meta.label("b"), meta.label("c")), (Some("1"), Some("2"), None));
        assert!(!parse(r#"{"metadata":{"labels":null,"deletionTimestamp":null}}"#).unwrap().meta.deleting);
    }

    #[test]
    fn what_is_not_a_stored_object_is_refused() {
        assert!(matches!(parse("{"), Err(ObjectError::Json(_))));
        assert!(matches!(parse(r#"{"kind":"A"}"#), Err(ObjectError::Json(_))));
        assert!(matches!(parse(r#"{"metadata":["a"]}"#), Err(ObjectError::Metadata)));
        assert!(matches!(
            parse(r#"{"metadata":{"resourceVersion":"1"}}"#),
            Err(ObjectError::ResourceVersion)
        ));
    }
}
