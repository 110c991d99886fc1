//! What a stored object may not have in `managedFields`.

use detectviz_api::Cause;
use detectviz_api::go::quote;
use serde_json::Value;

use crate::decode::MAX_REPORTED;

const MAX_MANAGER: usize = 128;
const MAX_SUBRESOURCE: usize = 256;

/// What is wrong with `metadata.managedFields` of an object, in upstream's words.
pub fn managed_faults(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (place, entry) in super::list_in(object).iter().enumerate() {
        if causes.len() >= MAX_REPORTED {
            break;
        }
        let path = |field: &str| format!("metadata.managedFields[{place}].{field}");
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or("");
        if !matches!(text("operation"), "Apply" | "Update") {
            causes.push(invalid(path("operation"), text("operation"), "must be `Apply` or `Update`"));
        }
        if !matches!(text("fieldsType"), "" | "FieldsV1") {
            causes.push(invalid(path("fieldsType"), text("fieldsType"), "must be `FieldsV1`"));
        }
        let manager = text("manager");
        if manager.len() > MAX_MANAGER {
            causes.push(too_long(path("manager"), MAX_MANAGER));
        }
        // One is enough to say: a name of nothing but such characters would make an answer of any size.
        let bad = manager.char_indices().find(|(_, character)| !is_print(*character));
        if let Some((position, character)) = bad {
            let code = u32::from(character);
            let why = format!("invalid character U+{code:04X} (at position {position})");
            causes.push(invalid(path("manager"), manager, &why));
        }
        if text("subresource").len() > MAX_SUBRESOURCE {
            causes.push(too_long(path("subresource"), MAX_SUBRESOURCE));
        }
    }
    causes
}

/// Whether a character shows; of spaces only the plain one does.
fn is_print(character: char) -> bool {
    character == ' ' || !(character.is_control() || character.is_whitespace())
}

fn invalid(field: String, value: &str, why: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: format!("Invalid value: {}: {why}", quote(value)),
        field,
    }
}

fn too_long(field: String, most: usize) -> Cause {
    let message = format!("Too long: may not be more than {most} bytes");
    Cause { reason: "FieldValueTooLong".to_owned(), message, field }
}
