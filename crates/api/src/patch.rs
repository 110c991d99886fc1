//! JSON patch (RFC 6902) and merge patch (RFC 7396), within bounds: a patch is a program that a client sends.

use json_patch::{AddOperation, Patch, PatchError, PatchOperation};
use serde_json::Value;

use crate::go::cut;
use crate::meta::{self, MAX_DEPTH};
use crate::status::{Reason, Status};

/// The most operations of one JSON patch; upstream's bound.
pub const MAX_OPERATIONS: usize = 10_000;
/// The most bytes that all `copy` operations of one JSON patch may add; upstream's bound (CVE-2019-1002100).
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// The most values that one JSON patch may move or look at beside those that it names: an item that is put before a million
/// others moves them all.
pub const MAX_WORK: usize = 100_000_000;

/// The most values of one patch, as of any body: a short text can stand for much more memory.
pub const MAX_VALUES: usize = 500_000;

/// Applies the JSON patch in `body` to `document`.
///
/// # Errors
/// 400 when the body is no JSON patch, 413 past a bound, 422 when an operation cannot be applied. On an error
/// `document` may be half patched: the caller throws it away.
pub fn json_patch(document: &mut Value, body: &[u8]) -> Result<(), Status> {
    check_values(body)?;
    let patch: Patch = serde_json::from_slice(body)
        .map_err(|fault| Status::bad_request(format!("error decoding patch: {}", cut(&fault.to_string()))))?;
    if patch.0.len() > MAX_OPERATIONS {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            patch.0.len()
        );
        return Err(Status::failure(Reason::RequestEntityTooLarge, message));
    }
    let mut bounds = Bounds::of(document);
    for (index, operation) in patch.0.iter().enumerate() {
        bounds.allow(document, operation).map_err(|why| {
            Status::failure(Reason::RequestEntityTooLarge, format!("operation {index}: {why}"))
        })?;
        apply(document, operation).map_err(|fault| {
            let what = "the server rejected our request due to an error in our request";
            // The fault repeats the pointer, which is as long as who sent it likes.
            let why = format!("operation {index}: {}", cut(&fault.to_string()));
            let message = format!("{what}: patch: {why}");
            Status::failure(Reason::Invalid, message).because("FieldValueInvalid", why, "patch")
        })?;
    }
    Ok(())
}

/// Counts the values of a JSON text before it is read: each but the first has a comma, a brace or a bracket before it. An object
/// counts as four, as in any body: a small one takes the memory of many scalars.
fn check_values(body: &[u8]) -> Result<(), Status> {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' if !in_text => values += 1,
            b'{' if !in_text => values += 4,
            _ => {}
        }
    }
    if values <= MAX_VALUES {
        return Ok(());
    }
    let why = format!("too many values, at most {MAX_VALUES} are allowed");
    Err(Status::bad_request(format!("error decoding patch: {why}")))
}

/// What a patch used up so far.
struct Bounds {
    copied: usize,
    work: usize,
    depth: DepthBound,
}

impl Bounds {
    fn of(document: &Value) -> Self {
        Self { copied: 0, work: 0, depth: DepthBound(meta::depth(document)) }
    }

    fn allow(&mut self, document: &Value, operation: &PatchOperation) -> Result<(), String> {
        self.work += moved_items(document, operation);
        let measured = self.depth.allow(document, operation);
        self.work += measured
            .map_err(|()| format!("the document would be nested more than {MAX_DEPTH} levels deep"))?;
        if self.work > MAX_WORK {
            return Err(format!("the operations of a JSON patch may move at most {MAX_WORK} values"));
        }
        // What is copied is looked at before, so that no size is measured in vain.
        self.copied += copied_bytes(document, operation, MAX_COPIED_BYTES - self.copied);
        if self.copied > MAX_COPIED_BYTES {
            return Err(format!(
                "the copy operations of a JSON patch may add at most {MAX_COPIED_BYTES} bytes"
            ));
        }
        Ok(())
    }
}

/// How many items make room, or close the gap, when an item is put into lists or taken out of them.
fn moved_items(document: &Value, operation: &PatchOperation) -> usize {
    let behind = |pointer: &str| {
        let (parent, index) = pointer.rsplit_once('/')?;
        let list = document.pointer(parent)?.as_array()?;
        // `-` is the end.
        Some(list.len().saturating_sub(index.parse().unwrap_or(list.len())))
    };
    let to = match operation {
        PatchOperation::Test(_) | PatchOperation::Replace(_) => None,
        _ => behind(operation.path().as_str()),
    };
    let from = match operation {
        PatchOperation::Move(moved) => behind(moved.from.as_str()),
        _ => None,
    };
    to.unwrap_or(0) + from.unwrap_or(0)
}

/// Applies one operation. A member that its object lacks counts as null to `test`, and can be replaced: the library that
/// upstream uses has it so, and clients that add the first finalizer build on it.
fn apply(document: &mut Value, operation: &PatchOperation) -> Result<(), PatchError> {
    match operation {
        PatchOperation::Test(test) if test.value.is_null() && lacks(document, test.path.as_str()) => Ok(()),
        PatchOperation::Replace(replace) if lacks(document, replace.path.as_str()) => {
            let add = AddOperation { path: replace.path.clone(), value: replace.value.clone() };
            json_patch::patch_unsafe(document, &[PatchOperation::Add(add)])
        }
        _ => json_patch::patch_unsafe(document, std::slice::from_ref(operation)),
    }
}

/// Whether there is the object that `pointer` leads into, without the member that it names.
fn lacks(document: &Value, pointer: &str) -> bool {
    let object = pointer.rsplit_once('/').and_then(|(parent, _)| document.pointer(parent));
    object.is_some_and(Value::is_object) && document.pointer(pointer).is_none()
}

/// An upper bound of the document's depth. Measuring costs as much as what is measured, so it is done only when the
/// bound would pass the limit; without a limit, copies of a document into itself nest it until the stack ends.
struct DepthBound(usize);

impl DepthBound {
    /// Whether the operation may be done, and how many values were looked at to know.
    fn allow(&mut self, document: &Value, operation: &PatchOperation) -> Result<usize, ()> {
        let tokens = |pointer: &str| pointer.matches('/').count();
        let (path, from) = (tokens(operation.path().as_str()), source(operation));
        let deepest = match (operation, from) {
            (PatchOperation::Add(add), _) => path + meta::depth(&add.value),
            (PatchOperation::Replace(replace), _) => path + meta::depth(&replace.value),
            (_, Some(from)) => path + self.0.saturating_sub(tokens(from)),
            _ => return Ok(0),
        };
        self.0 = self.0.max(deepest);
        if self.0 <= MAX_DEPTH {
            return Ok(0);
        }
        let moved = from.and_then(|from| document.pointer(from)).map_or(0, meta::depth);
        let exact = if from.is_some() { path + moved } else { deepest };
        self.0 = exact.max(meta::depth(document));
        if self.0 <= MAX_DEPTH { Ok(2 * values(document)) } else { Err(()) }
    }
}

/// Where a copy or move takes its value from.
fn source(operation: &PatchOperation) -> Option<&str> {
    match operation {
        PatchOperation::Copy(copy) => Some(copy.from.as_str()),
        PatchOperation::Move(moved) => Some(moved.from.as_str()),
        _ => None,
    }
}

/// How many values there are in `value`, itself among them.
fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(values).sum::<usize>(),
        _ => 1,
    }
}

/// How many bytes the operation copies, or one more than `most`.
fn copied_bytes(document: &Value, operation: &PatchOperation, most: usize) -> usize {
    let PatchOperation::Copy(copy) = operation else { return 0 };
    let mut counted = Counted { left: most, bytes: 0 };
    match document.pointer(copy.from.as_str()).map(|value| serde_json::to_writer(&mut counted, value)) {
        Some(Err(_)) => most + 1,
        _ => counted.bytes,
    }
}

/// Counts what is written, and takes no more than is left.
struct Counted {
    left: usize,
    bytes: usize,
}

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::FileTooLarge)?;
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Applies the merge patch in `body` to `document`.
///
/// # Errors
/// 400 when the body is not a JSON object.
pub fn merge_patch(document: &mut Value, body: &[u8]) -> Result<(), Status> {
    check_values(body)?;
    let patch: Value = serde_json::from_slice(body)
        .map_err(|fault| Status::bad_request(format!("error decoding patch: {}", cut(&fault.to_string()))))?;
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
    fn a_member_that_is_not_there_is_null_and_can_be_replaced() {
        let mut document = json!({"a": {}, "l": []});
        json_patch(
            &mut document,
            br#"[{"op":"test","path":"/a/b","value":null},{"op":"replace","path":"/a/b","value":1},
                {"op":"test","path":"/a/b","value":1}]"#,
        )
        .unwrap();
        assert_eq!(document, json!({"a": {"b": 1}, "l": []}));
        for refused in [
            r#"[{"op":"test","path":"/x/y","value":null}]"#,
            r#"[{"op":"test","path":"/a/b","value":null}]"#,
            r#"[{"op":"test","path":"/a/c","value":1}]"#,
            r#"[{"op":"replace","path":"/x/y","value":1}]"#,
            r#"[{"op":"replace","path":"/l/0","value":1}]"#,
        ] {
            assert_eq!(json_patch(&mut document, refused.as_bytes()).unwrap_err().code, 422, "{refused}");
        }
    }

    #[test]
    fn bad_patches_have_their_codes() {
        let code = |body: &[u8]| json_patch(&mut json!({}), body).unwrap_err().code;
        assert_eq!(code(b"{}"), 400);
        let refusal =
            json_patch(&mut json!({"a": 1}), br#"[{"op":"test","path":"/a","value":2}]"#).unwrap_err();
        let cause = &refusal.details.as_ref().unwrap().causes[0];
        assert_eq!(
            (refusal.code, cause.field.as_str(), cause.reason.as_str()),
            (422, "patch", "FieldValueInvalid")
        );
        // kubectl shows the causes of a refusal, and its message only if there are none.
        assert_eq!(
            refusal.message,
            format!(
                "the server rejected our request due to an error in our request: patch: {}",
                cause.message
            )
        );
        assert!(cause.message.starts_with("operation 0: "), "{}", cause.message);
        assert_eq!(code(br#"[{"op":"remove","path":"/x"}]"#), 422);
        assert_eq!(merge_patch(&mut json!({}), b"[]").unwrap_err().code, 400);
        let many =
            format!("[{}]", vec![r#"{"op":"add","path":"/x","value":1}"#; MAX_OPERATIONS + 1].join(","));
        assert_eq!(code(many.as_bytes()), 413);
    }

    #[test]
    fn a_document_cannot_be_nested_into_itself_without_end() {
        let mut operations = vec![r#"{"op":"add","path":"/x","value":{}}"#.to_owned()];
        for power in 0..19 {
            let path = "/x".to_owned() + &"/a".repeat(1 << power);
            operations.push(format!(r#"{{"op":"copy","from":"/x","path":"{path}"}}"#));
        }
        let fault = json_patch(&mut json!({}), format!("[{}]", operations.join(",")).as_bytes()).unwrap_err();
        assert!(fault.code == 413 && fault.message.contains("levels deep"), "{fault}");
    }

    #[test]
    fn copies_that_stay_shallow_are_allowed() {
        let copy = r#"{"op":"copy","from":"/a","path":"/b/a"},{"op":"move","from":"/b/a","path":"/c"}"#;
        let mut document = json!({"a": {"x": 1}, "b": {}});
        json_patch(&mut document, format!("[{}]", vec![copy; 200].join(",")).as_bytes()).unwrap();
        assert_eq!(document["c"]["x"], 1);
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

    #[test]
    fn each_bound_is_upstreams_and_has_its_text() {
        let patched = |document: &Value, operations: &[Value]| {
            json_patch(&mut document.clone(), Value::from(operations).to_string().as_bytes())
                .map_err(|status| (status.code, status.message))
        };
        let add = json!({"op": "add", "path": "/x", "value": 1});
        assert_eq!(patched(&json!({}), &vec![add.clone(); MAX_OPERATIONS]), Ok(()));
        assert_eq!(
            patched(&json!({}), &vec![add; MAX_OPERATIONS + 1]),
            Err((413, "The allowed maximum operations in a JSON patch is 10000, got 10001".to_owned()))
        );
        let large = json!({"a": "x".repeat(MAX_COPIED_BYTES / 2 - 2)});
        let copy = |to: &str| json!({"op": "copy", "from": "/a", "path": to});
        assert_eq!(patched(&large, &[copy("/b"), copy("/c")]), Ok(()));
        let most = "operation 2: the copy operations of a JSON patch may add at most 3145728 bytes";
        assert_eq!(patched(&large, &[copy("/b"), copy("/c"), copy("/d")]), Err((413, most.to_owned())));
    }

    #[test]
    fn items_that_make_room_are_counted() {
        let document = json!({"l": vec![0; 200_000], "d": (0..90).fold(json!(0), |inner, _| json!([inner]))});
        let deep = format!("/e{}", "/x".repeat(12));
        for (operations, allowed) in [
            (vec![r#"{"op":"add","path":"/l/0","value":0}"#.to_owned(); 600], false),
            (vec![r#"{"op":"add","path":"/l/-","value":0}"#.to_owned(); 600], true),
            (vec![r#"{"op":"move","from":"/l/0","path":"/l/100000"}"#.to_owned(); 400], false),
            // A copy that might nest too deep, as far as is known without looking at all there is.
            (vec![format!(r#"{{"op":"copy","from":"/l/0","path":"{deep}"}}"#); 1], true),
        ] {
            let mut document = document.clone();
            document["e"] = deep[2..].split('/').skip(1).fold(json!({}), |inner, _| json!({"x": inner}));
            let done = json_patch(&mut document, format!("[{}]", operations.join(",")).as_bytes());
            let code = done.as_ref().map_err(|status| status.code).err();
            assert_eq!(code, (!allowed).then_some(413), "{}: {done:?}", operations[0]);
        }
    }

    #[test]
    fn a_patch_has_so_many_values() {
        let refused = |body: &str, patch: fn(&mut Value, &[u8]) -> Result<(), Status>| {
            patch(&mut json!({}), body.as_bytes()).err().map(|status| status.message)
        };
        let why = Some("error decoding patch: too many values, at most 500000 are allowed".to_owned());
        let many = vec!["0"; MAX_VALUES].join(",");
        assert_eq!(refused(&format!("{{\"a\":[{many}]}}"), merge_patch), why);
        assert_eq!(refused(&format!(r#"[{{"op":"add","path":"/a","value":[{many}]}}]"#), json_patch), why);
        let text = format!("{{\"a\":\"\\\"{}\"}}", ",[{".repeat(MAX_VALUES));
        assert_eq!(refused(&text, merge_patch), None);
    }
}
