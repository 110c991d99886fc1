//! Patches: any bytes are applied to a stored object or refused as a client's fault, and what comes of it can be admitted.

use detectviz_api::{Status, meta, patch};
use serde_json::Value;

use crate::body;
use crate::subjects::SUBJECTS;

/// A JSON patch.
pub(crate) fn json_patch(data: &[u8]) {
    apply(data, |_, document, data| patch::json_patch(document, data));
}

/// A merge patch.
pub(crate) fn merge_patch(data: &[u8]) {
    apply(data, |_, document, data| patch::merge_patch(document, data));
}

/// A strategic merge patch.
pub(crate) fn strategic_patch(data: &[u8]) {
    apply(data, |version, document, data| {
        version.strategic_merge_patch(document, data)?;
        assert!(!has_directive(document), "a directive got into {document}");
        Ok(())
    });
}

fn apply(
    data: &[u8],
    patch: impl Fn(&detectviz_schema::CompiledVersion, &mut Value, &[u8]) -> Result<(), Status>,
) {
    for subject in SUBJECTS.iter() {
        let stored: Value = serde_json::from_str(subject.stored).expect("the object is part of the source");
        let mut document = stored.clone();
        match patch(&subject.version, &mut document, data) {
            Ok(()) => {
                assert!(meta::depth(&document) < 128, "a patch nests without end");
                body::admitted(&subject.version, document);
            }
            Err(status) => {
                assert!(matches!(status.code, 400 | 413 | 422), "{status:?}");
                assert!(status.message.len() < 16 * 1024, "{} bytes are told", status.message.len());
            }
        }
    }
}

/// Whether a key that is a directive stands anywhere.
fn has_directive(value: &Value) -> bool {
    let is_directive = |key: &str| {
        matches!(key, "$patch" | "$retainKeys")
            || key.starts_with("$setElementOrder/")
            || key.starts_with("$deleteFromPrimitiveList/")
    };
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| is_directive(key) || has_directive(value)),
        // A list that does not merge takes its items as they are.
        _ => false,
    }
}
