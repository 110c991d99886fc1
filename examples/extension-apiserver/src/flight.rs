//! The object itself: what a body may say, what the server decides, and which rules a flight keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::query::Query;
use crate::route::{GROUP, KIND, VERSION};
use crate::schema::{self, FLIGHT};
use crate::status::{Cause, Status};

/// A flight without its `apiVersion` and `kind`, which are constants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flight {
    /// Standard object metadata.
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    /// The flight as it is planned.
    #[serde(default)]
    pub(crate) spec: FlightSpec,
    /// The flight as it was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<FlightStatus>,
}

/// The plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FlightSpec {
    /// Airport of departure.
    pub(crate) origin: String,
    /// Airport of arrival.
    pub(crate) destination: String,
    /// Gate of departure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gate: Option<String>,
}

/// The observation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FlightStatus {
    /// Where the flight is in its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
}

/// The metadata that this server keeps; `managedFields` and `selfLink` are dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ObjectMeta {
    /// Name within the namespace.
    pub(crate) name: String,
    /// Prefix of a name that the server completes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) generate_name: String,
    /// Namespace.
    pub(crate) namespace: String,
    /// UUID, set at creation.
    pub(crate) uid: String,
    /// The revision of the last write, in decimal.
    pub(crate) resource_version: String,
    /// Number of the spec's changes, from 1.
    pub(crate) generation: i64,
    /// RFC 3339, in UTC and whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) creation_timestamp: Option<String>,
    /// Set while finalizers hold the object back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_timestamp: Option<String>,
    /// Always zero while `deletion_timestamp` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_grace_period_seconds: Option<i64>,
    /// What selectors match.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Kept, not interpreted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// Kept for the garbage collector of whoever has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) owner_references: Vec<Value>,
    /// Who must let go before the object vanishes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) finalizers: Vec<String>,
}

/// What happens to fields that the schema does not know: the `fieldValidation` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and say so in a `Warning` header.
    Warn,
    /// Refuse the request.
    Strict,
}

impl FieldValidation {
    /// Reads the parameter; absent means `Warn`.
    ///
    /// # Errors
    /// 422 for a value that Kubernetes does not know.
    pub(crate) fn parse(query: &Query) -> Result<Self, Status> {
        match query.get("fieldValidation") {
            None | Some("Warn") => Ok(Self::Warn),
            Some("Ignore") => Ok(Self::Ignore),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(Status::unprocessable(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Warn\", \"Strict\""
            ))),
        }
    }
}

/// A decoded flight and what to warn about.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The flight, pruned.
    pub(crate) flight: Flight,
    /// Phrases for `Warning` headers.
    pub(crate) warnings: Vec<String>,
}

impl Flight {
    /// Checks a body against the schema and reads it.
    ///
    /// # Errors
    /// 400 for another kind, for a field of the wrong type, and under `Strict` for an unknown field.
    pub(crate) fn decode(mut body: Value, validation: FieldValidation) -> Result<Decoded, Status> {
        if !body.is_object() {
            return Err(Status::not_a_flight("the body must be a JSON object"));
        }
        check_type(&body)?;
        let found = schema::prune(FLIGHT, &mut body);
        if !found.mistyped.is_empty() {
            return Err(Status::not_a_flight(&found.mistyped.join(", ")));
        }
        let unknown =
            found.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect::<Vec<_>>();
        if validation == FieldValidation::Strict && !unknown.is_empty() {
            return Err(Status::not_a_flight(&format!("strict decoding error: {}", unknown.join(", "))));
        }
        let flight =
            serde_json::from_value(body).map_err(|error| Status::not_a_flight(&error.to_string()))?;
        let warnings = if validation == FieldValidation::Warn { unknown } else { Vec::new() };
        Ok(Decoded { flight, warnings })
    }

    /// The whole object on the wire.
    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!(self);
        object["apiVersion"] = json!(format!("{GROUP}/{VERSION}"));
        object["kind"] = json!(KIND);
        object
    }

    /// The object reduced to its metadata.
    pub(crate) fn to_partial_metadata(&self) -> Value {
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": self.metadata})
    }

    /// Checks the rules that a type cannot express.
    ///
    /// # Errors
    /// 422 with every broken rule.
    pub(crate) fn validate(&self) -> Result<(), Status> {
        let mut causes = Vec::new();
        check_name("metadata.name", &self.metadata.name, 253, &mut causes);
        check_name("metadata.namespace", &self.metadata.namespace, 63, &mut causes);
        for (field, value) in
            [("spec.origin", &self.spec.origin), ("spec.destination", &self.spec.destination)]
        {
            if value.is_empty() {
                let message = "Required value".to_owned();
                causes.push(Cause { field: field.to_owned(), reason: "FieldValueRequired", message });
            }
        }
        if causes.is_empty() { Ok(()) } else { Err(Status::invalid(&self.metadata.name, &causes)) }
    }
}

fn check_type(body: &Value) -> Result<(), Status> {
    for (field, expected) in [("apiVersion", format!("{GROUP}/{VERSION}")), ("kind", KIND.to_owned())] {
        if body.get(field).is_some_and(|found| *found != json!(expected) && *found != json!("")) {
            return Err(Status::bad_request(format!(
                "the {field} in the data ({}) does not match the expected {field} ({expected})",
                body[field]
            )));
        }
    }
    Ok(())
}

/// RFC 1123: labels of lower-case letters, digits and dashes; dots only where more than a label fits.
fn check_name(field: &str, name: &str, limit: usize, causes: &mut Vec<Cause>) {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|&byte| edge(byte))
            && bytes.last().is_some_and(|&byte| edge(byte))
            && bytes.iter().all(|&byte| edge(byte) || byte == b'-')
    };
    let subdomain = limit > 63;
    if name.len() > limit || !name.split('.').all(label) || (!subdomain && name.contains('.')) {
        let form = if subdomain { "RFC 1123 subdomain" } else { "RFC 1123 label" };
        let message =
            format!("Invalid value: \"{name}\": must be a lowercase {form} of at most {limit} characters");
        causes.push(Cause { field: field.to_owned(), reason: "FieldValueInvalid", message });
    }
}

/// The present moment in the form of `creationTimestamp`.
pub(crate) fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).expect("zero is a valid nanosecond");
    now.format(&Rfc3339).expect("a present date is within RFC 3339")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(extra: &str) -> Value {
        json!({"metadata": {"name": "a"}, "spec": {"origin": "TPE", "destination": "NRT", extra: 1}})
    }

    #[test]
    fn strict_refuses_what_it_does_not_know() {
        let error = Flight::decode(body("foo"), FieldValidation::Strict).unwrap_err();
        assert!(error.to_string().contains("strict decoding error: unknown field \"spec.foo\""), "{error}");
    }

    #[test]
    fn warn_says_what_it_dropped_and_ignore_does_not() {
        assert_eq!(
            Flight::decode(body("foo"), FieldValidation::Warn).unwrap().warnings,
            ["unknown field \"spec.foo\""]
        );
        assert!(Flight::decode(body("foo"), FieldValidation::Ignore).unwrap().warnings.is_empty());
    }

    #[test]
    fn another_kind_is_refused() {
        assert!(Flight::decode(json!({"kind": "Pod"}), FieldValidation::Ignore).is_err());
    }

    #[test]
    fn all_broken_rules_are_named_at_once() {
        let mut flight = Flight::default();
        "Bad_Name".clone_into(&mut flight.metadata.name);
        "a.b".clone_into(&mut flight.metadata.namespace);
        let error = flight.validate().unwrap_err().to_string();
        for field in ["metadata.name", "metadata.namespace", "spec.origin", "spec.destination"] {
            assert!(error.contains(field), "{error}");
        }
    }
}
