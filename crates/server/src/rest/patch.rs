//! patch: the present state changed by the client's program, then stored like an update.

use bytes::Bytes;
use detectviz_api::go::{cut, quote};
use detectviz_api::options::{FieldValidation, WriteKind};
use detectviz_api::{Cause, Status, patch as patches};
use detectviz_core::http::{Body, Response};
use detectviz_schema::{Limits, decode_json};
use serde_json::Value;

use super::apply::Config;
use super::body::{duplicate_fields, other_kind, unsupported};
use super::change::Intent;
use super::write::{Draft, Form, Write};
use super::{Call, scale};
use crate::resource::Part;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Merge,
    Strategic,
}

/// A program that changes an object.
pub(super) struct Patch {
    kind: Kind,
    body: Bytes,
    /// What is said of its own fields that are unknown or stand twice.
    found: Vec<String>,
}

pub(super) async fn patch(call: Call, body: Body, part: Part) -> Result<Response, Status> {
    let form = call.form(part);
    let kind = match call.media_type().as_str() {
        JSON_PATCH => Some(Kind::Json),
        MERGE_PATCH => Some(Kind::Merge),
        STRATEGIC_MERGE_PATCH if !form.custom => Some(Kind::Strategic),
        APPLY_PATCH => None,
        _ if form.custom => return Err(unsupported(&[JSON_PATCH, MERGE_PATCH, APPLY_PATCH])),
        _ => return Err(unsupported(&[JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH])),
    };
    let output = call.output()?;
    let body = call.body(body).await?;
    let options = if kind.is_some() { WriteKind::Patch } else { WriteKind::Apply };
    let write = Write::new(&call, part, options)?;
    let intent = match kind {
        Some(kind) => Intent::Patch(Patch::read(kind, body, write.options.field_validation)?),
        None => Intent::Apply(Config::read(&body, form)?),
    };
    let written = match part {
        Part::Scale => scale::change(&write, intent).await?,
        Part::Whole | Part::Fields(_) => write.change(intent).await?,
    };
    written.respond(&call, &output)
}

impl Patch {
    fn read(kind: Kind, body: Bytes, validation: FieldValidation) -> Result<Self, Status> {
        let decoded = decode_json(&body, Limits::default())
            .map_err(|fault| Status::bad_request(format!("error decoding patch: {fault}")))?;
        // Of a member that stands twice the last counts, as upstream; its readers do not all take that.
        let body = match decoded.duplicates.is_empty() {
            true => body,
            false => decoded.value.to_string().into(),
        };
        if validation == FieldValidation::Ignore {
            return Ok(Self { kind, body, found: Vec::new() });
        }
        let mut found = duplicate_fields(&decoded.duplicates);
        if kind == Kind::Json {
            found.extend(unknown_members(&decoded.value));
            found.iter_mut().for_each(|fault| fault.insert_str(0, "json patch "));
        }
        Ok(Self { kind, body, found })
    }

    /// What `old` becomes, pruned, defaulted and held against its schema.
    pub(super) fn draft(&self, write: &Write<'_>, old: &Value) -> Result<Draft, Status> {
        let mut document = old.clone();
        match self.kind {
            Kind::Json => patches::json_patch(&mut document, &self.body)?,
            Kind::Merge => patches::merge_patch(&mut document, &self.body)?,
            Kind::Strategic => write.form.version.strategic_merge_patch(&mut document, &self.body)?,
        }
        check_type(write.form, &document)?;
        write.draft(document, &self.found, |fault, object| match self.kind {
            Kind::Json | Kind::Merge => invalid(&object.to_string(), fault),
            Kind::Strategic => {
                let patch = serde_json::from_slice(&self.body).unwrap_or_default();
                invalid(&as_go_shows(&patch), fault)
            }
        })
    }
}

/// A patch must leave an object of the same kind.
fn check_type(form: Form<'_>, document: &Value) -> Result<(), Status> {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    let why = match () {
        () if !document.is_object() => format!("json: cannot unmarshal into an object of kind {}", form.kind),
        () if text("kind").is_empty() => {
            format!("Object 'Kind' is missing in '{}'", cut(&document.to_string()))
        }
        () if text("apiVersion") != form.api_version => format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            text("apiVersion"),
            form.api_version
        ),
        () if text("kind") != form.kind => other_kind(form, text("kind")),
        () if document.get("metadata").is_some_and(|metadata| !metadata.is_object()) => {
            "json: metadata must be an object".to_owned()
        }
        () => return Ok(()),
    };
    Err(invalid(&document.to_string(), &why))
}

/// 422 for a patch, or for what it makes of the object, as upstream says it: of no kind, with one cause.
fn invalid(value: &str, why: &str) -> Status {
    let cause = Cause {
        reason: "FieldValueInvalid".to_owned(),
        message: format!("Invalid value: {}: {why}", quote(value)),
        field: "patch".to_owned(),
    };
    Status::invalid("", "", "", vec![cause])
}

/// The members of operations that no operation has.
fn unknown_members(operations: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (index, operation) in operations.as_array().into_iter().flatten().enumerate() {
        let members = operation.as_object().into_iter().flat_map(serde_json::Map::keys);
        let unknown = members.filter(|name| !matches!(name.as_str(), "op" | "path" | "from" | "value"));
        found.extend(unknown.map(|name| format!("unknown field {}", quote(&format!("[{index}].{name}")))));
        if found.len() >= detectviz_schema::decode::MAX_REPORTED {
            break;
        }
    }
    found
}

/// A value as Go's `%+v` prints it, which upstream's answer has in it.
fn as_go_shows(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(as_go_shows).collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => {
            let members: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}:{}", as_go_shows(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_program_says_too_much_is_found() {
        let read = |kind, body: &str| {
            Patch::read(kind, Bytes::from(body.to_owned()), FieldValidation::Warn).unwrap().found
        };
        assert_eq!(read(Kind::Merge, r#"{"a": {"b": 1, "b": 2}}"#), ["duplicate field \"a.b\""]);
        assert_eq!(
            read(Kind::Json, r#"[{"op": "add", "path": "/a", "value": 1, "valeu": 2, "op": "add"}]"#),
            ["json patch duplicate field \"[0].op\"", "json patch unknown field \"[0].valeu\""]
        );
        let ignored =
            Patch::read(Kind::Merge, Bytes::from_static(br#"{"a": 1, "a": 2}"#), FieldValidation::Ignore)
                .unwrap();
        assert!(ignored.found.is_empty());
    }

    #[test]
    fn a_patch_is_shown_as_go_shows_it() {
        let patch = json!({"data": {"a": "b", "c": [1, "d", null]}, "x": true});
        assert_eq!(as_go_shows(&patch), "map[data:map[a:b c:[1 d <nil>]] x:true]");
    }
}
