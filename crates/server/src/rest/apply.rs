//! Server-side apply: the fields that one manager wants, and what becomes of those that it no longer names.

use detectviz_api::Status;
use detectviz_api::options::FieldValidation;
use detectviz_schema::{Limits, decode_json, decode_yaml};
use serde_json::Value;

use super::body::{duplicate_fields, other_kind};
use super::write::{Draft, Form, Write};

/// What a manager applies.
pub(super) struct Config {
    object: Value,
    /// What is said of its fields that stood twice.
    duplicates: Vec<String>,
}

impl Config {
    /// Reads a configuration, in YAML or in JSON, which is YAML too.
    pub(super) fn read(body: &[u8], form: Form<'_>) -> Result<Self, Status> {
        let is_json = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let json = is_json.then(|| decode_json(body, Limits::default()));
        let decoded = match json {
            // What is too much as JSON is no less as YAML, and takes far longer to read.
            Some(Err(fault)) if fault.is_too_much() => Err(fault),
            Some(Ok(decoded)) => Ok(decoded),
            Some(Err(_)) | None => decode_yaml(body, Limits::default()),
        };
        let decoded =
            decoded.map_err(|fault| Status::bad_request(format!("error decoding YAML: {fault}")))?;
        if !decoded.value.is_object() {
            return Err(Status::bad_request("error decoding YAML: the configuration must be an object"));
        }
        check_type(form, &decoded.value)?;
        Ok(Self { object: decoded.value, duplicates: duplicate_fields(&decoded.duplicates) })
    }

    /// What `old` becomes, with its books, pruned, defaulted and held against its schema.
    pub(super) fn draft(&self, write: &Write<'_>, old: Option<&Value>) -> Result<Draft, Status> {
        let applied = write.with_reset(|reset| {
            write.form.version.apply(old, &self.object, &write.writer(), write.options.force, reset)
        });
        let applied = applied.map_err(Status::from)?;
        if write.options.field_validation == FieldValidation::Strict && !self.duplicates.is_empty() {
            let faults = self.duplicates.join(", ");
            return Err(Status::bad_request(format!("error strict decoding YAML: {faults}")));
        }
        write.draft(applied, &self.duplicates, |fault, _| Status::bad_request(fault))
    }
}

fn check_type(form: Form<'_>, config: &Value) -> Result<(), Status> {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    match (text("apiVersion"), text("kind")) {
        (version, _) if version != form.api_version => Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            form.api_version
        ))),
        (_, kind) if kind != form.kind => Err(Status::bad_request(other_kind(form, kind))),
        _ => Ok(()),
    }
}
