//! JSON patch (RFC 6902) and merge patch (RFC 7396), within bounds: a patch is a program that a client sends.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use crate::status::{Reason, Status};

/// The most operations of one JSON patch; upstream's bound.
pub const MAX_OPERATIONS: usize = 10_000;
/// The most bytes that all `copy` operations of one JSON patch may add; upstream's bound (CVE-2019-1002100).
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// Applies the JSON patch in `body` to `document`.
///
/// # Errors
/// 400 when the body is no JSON patch, 413 past a bound, 422 when an operation cannot be applied. On an error
/// `document` may be half patched: the caller throws it away.
pub fn json_patch(document: &mut Value, body: &[u8]) -> Result<(), Status> {
    let patch: Patch = serde_json::from_slice(body)
        .map_err(|fault| Status::bad_request(format!("error decoding patch: {fault}")))?;
    if patch.0.len() > MAX_OPERATIONS {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            patch.0.len()
        );
        return Err(Status::failure(Reason::RequestEntityTooLarge, message));
    }
    let mut copied = 0;
    for (index, operation) in patch.0.iter().enumerate() {
        copied += copied_bytes(document, operation);
        if copied > MAX_COPIED_BYTES {
            let message = format!(
                "operation {index}: the copy operations of a JSON patch may add at most {MAX_COPIED_BYTES} bytes"
            );
            return Err(Status::failure(Reason::RequestEntityTooLarge, message));
        }
        json_patch::patch_unsafe(document, std::slice::from_ref(operation)).map_err(|fault| {
            let message = format!(
                "the server rejected our request due to an error in our request: operation {index}: {fault}"
            );
            Status::failure(Reason::Invalid, message)
        })?;
    }
    Ok(())
}

fn copied_bytes(document: &Value, operation: &PatchOperation) -> usize {
    let PatchOperation::Copy(copy) = operation else { return 0 };
    document.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len())
}

/// Applies the merge patch in `body` to `document`.
///
/// # Errors
/// 400 when the body is not a JSON object.
pub fn merge_patch(document: &mut Value, body: &[u8]) -> Result<(), Status> {
    let patch: Value = serde_json::from_slice(body)
        .map_err(|fault| Status::bad_request(format!("error decoding patch: {fault}")))?;
    if !patch.is_object() {
        return Err(Status::bad_request("error decoding patch: a merge patch must be a JSON object"));
    }
    json_patch::merge(document, &patch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patches_apply() {
        let mut document = json!({"a": {"b": 1, "c": [1, 2]}});
        json_patch(
            &mut document,
            br#"[{"op":"replace","path":"/a/b","value":2},{"op":"remove","path":"/a/c/0"}]"#,
        )
        .unwrap();
        merge_patch(&mut document, br#"{"a":{"b":null,"d":{"e":1}}}"#).unwrap();
        assert_eq!(document, json!({"a": {"c": [2], "d": {"e": 1}}}));
    }

    #[test]
    fn bad_patches_have_their_codes() {
        let code = |body: &[u8]| json_patch(&mut json!({}), body).unwrap_err().code;
        assert_eq!(code(b"{}"), 400);
        assert_eq!(code(br#"[{"op":"remove","path":"/x"}]"#), 422);
        assert_eq!(merge_patch(&mut json!({}), b"[]").unwrap_err().code, 400);
        let many =
            format!("[{}]", vec![r#"{"op":"add","path":"/x","value":1}"#; MAX_OPERATIONS + 1].join(","));
        assert_eq!(code(many.as_bytes()), 413);
    }

    #[test]
    fn a_copy_bomb_is_stopped() {
        let double = r#"{"op":"copy","from":"/a","path":"/a/-"}"#;
        let body = format!(
            r#"[{{"op":"add","path":"/a","value":["{}"]}},{}]"#,
            "x".repeat(1000),
            vec![double; 200].join(",")
        );
        assert_eq!(json_patch(&mut json!({}), body.as_bytes()).unwrap_err().code, 413);
    }
}
