//! An object is its serialized JSON with parsed metadata beside it: what is stored is what is sent, except that the
//! revision is written into it on the way out, at a place that is found once.

use std::{collections::BTreeMap, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::Revision;

/// What stands before the digits of the revision.
const MEMBER: &[u8] = b"\"resourceVersion\":\"";

/// A cached object; immutable.
#[derive(Clone, Debug)]
pub struct Object {
    /// The whole key in the store.
    pub key: Arc<str>,
    /// The revision that it is served with: of the last write, or of the deletion for a deleted object.
    pub revision: Revision,
    /// The revision of its creation.
    pub create_revision: Revision,
    /// Parsed metadata, for selection.
    pub meta: Arc<Meta>,
    /// The JSON as it is stored, shared with the store: these bytes are in memory once.
    stored: Bytes,
    /// Where in `stored` the revision belongs: behind the opening brace of `metadata`.
    at: usize,
    /// Whether other members follow there.
    follows: bool,
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
    /// Parses stored bytes, which are kept as they are.
    ///
    /// # Errors
    /// When the bytes are not an object as it has to be stored.
    pub fn parse(
        key: Arc<str>,
        stored: Bytes,
        revision: Revision,
        create_revision: Revision,
    ) -> Result<Self, ObjectError> {
        let metadata = serde_json::from_slice::<Envelope<'_>>(&stored)?.metadata.get();
        let Some(inside) = metadata.strip_prefix('{') else { return Err(ObjectError::Metadata) };
        let meta = Arc::new(parse_meta(metadata)?);
        // `metadata` borrows from `stored`, so that its address tells where it is.
        let at = inside.as_ptr().addr() - stored.as_ptr().addr();
        let follows = !inside.trim_start().starts_with('}');
        Ok(Self { key, revision, create_revision, meta, stored, at, follows })
    }

    /// The same state under another revision: what a deletion event carries.
    pub fn with_revision(&self, revision: Revision) -> Self {
        Self { revision, ..self.clone() }
    }

    /// The JSON as it is stored.
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// The same state in another form, whose JSON is given as it would be stored.
    ///
    /// # Errors
    /// When the bytes are not an object as it would have to be stored.
    pub fn in_form(&self, bytes: Bytes) -> Result<Self, ObjectError> {
        let other = Self::parse(self.key.clone(), bytes, self.revision, self.create_revision)?;
        Ok(Self { meta: self.meta.clone(), ..other })
    }

    /// Appends the JSON as it is served: as stored, with `metadata.resourceVersion`.
    pub fn write_to(&self, out: &mut impl BufMut) {
        out.put_slice(&self.stored[..self.at]);
        out.put_slice(MEMBER);
        out.put_slice(itoa::Buffer::new().format(self.revision).as_bytes());
        out.put_slice(if self.follows { b"\"," } else { b"\"" });
        out.put_slice(&self.stored[self.at..]);
    }

    /// The JSON as it is served, in a buffer of its own.
    pub fn json(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size());
        self.write_to(&mut out);
        out.freeze()
    }

    /// How many bytes the JSON has as it is served.
    pub fn size(&self) -> usize {
        let digits = self.revision.checked_ilog10().unwrap_or(0) as usize + 1;
        self.stored.len() + MEMBER.len() + digits + 1 + usize::from(self.follows)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stored: &str) -> Result<Object, ObjectError> {
        Object::parse("/k".into(), Bytes::copy_from_slice(stored.as_bytes()), 99, 7)
    }

    fn text(object: &Object) -> String {
        assert_eq!(object.size(), object.json().len());
        String::from_utf8(object.json().into()).unwrap()
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
    fn another_form_has_its_own_bytes_and_the_same_revision() {
        let object = parse(r#"{"kind":"A","metadata":{"name":"a"}}"#).unwrap();
        let other = object.in_form(Bytes::from_static(br#"{"kind":"B","more":1,"metadata":{"name":"a"}}"#));
        let expected = r#"{"kind":"B","more":1,"metadata":{"resourceVersion":"99","name":"a"}}"#;
        assert_eq!(text(&other.unwrap()), expected);
        assert!(object.in_form(Bytes::from_static(b"{}")).is_err());
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
