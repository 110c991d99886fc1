//! May they do this: the three access reviews, with upstream's rules and texts.

use detectviz_api::{Cause, Identity, Status, meta};
use detectviz_auth::{Authorizer, Decision};
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::attributes::{question, selector_faults, unreadable_selectors};
use super::texts;
use crate::strategies::causes::invalid;
use crate::strategies::text;

/// About whom a review asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// About anyone, as the spec says.
    Anyone,
    /// About anyone, in the namespace of the request.
    AnyoneHere,
    /// About the caller.
    Caller,
}

/// `SubjectAccessReview` and its kin.
pub(super) struct AccessReviews {
    pub(super) subject: Subject,
    pub(super) authorizer: Arc<dyn Authorizer>,
}

impl Strategy for AccessReviews {
    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = subject_faults(object, self.subject);
        faults.extend(metadata_fault(object, self.subject));
        if self.subject == Subject::AnyoneHere {
            faults.extend(place_faults(object));
        }
        faults
    }

    fn answer(&self, caller: &Identity, object: &mut Value) -> Result<(), Status> {
        let identity = if self.subject == Subject::Caller { caller.clone() } else { subject(object) };
        let decision = self.authorizer.authorize(&identity, &question(&object["spec"]));
        let mut status = Map::from_iter([("allowed".to_owned(), decision.is_allowed().into())]);
        if let Decision::Deny(_) = decision {
            status.insert("denied".to_owned(), true.into());
        }
        if let Decision::Deny(reason) | Decision::NoOpinion(reason) = decision {
            status.insert("reason".to_owned(), reason.into());
        }
        let unreadable = unreadable_selectors(&object["spec"]);
        if !unreadable.is_empty() {
            status.insert("evaluationError".to_owned(), unreadable.join("; ").into());
        }
        object["status"] = status.into();
        Ok(())
    }
}

/// Whom the spec names.
fn subject(object: &Value) -> Identity {
    let extra = object.pointer("/spec/extra").and_then(Value::as_object);
    let extra: BTreeMap<_, _> =
        extra.into_iter().flatten().map(|(key, values)| (key.clone(), texts(values, ""))).collect();
    Identity {
        name: text(object, "/spec/user").to_owned(),
        uid: text(object, "/spec/uid").to_owned(),
        groups: texts(object, "/spec/groups"),
        extra,
    }
}

fn subject_faults(object: &Value, subject: Subject) -> Vec<Cause> {
    let attributes = |kind: &str| object["spec"].get(kind).filter(|value| !value.is_null());
    let mut faults = Vec::new();
    match (attributes("resourceAttributes"), attributes("nonResourceAttributes")) {
        (Some(_), Some(other)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            faults.push(invalid("spec.nonResourceAttributes", format_args!("{other}"), why));
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            faults.push(invalid("spec.resourceAttributes", "null", why));
        }
        _ => {}
    }
    if subject != Subject::Caller
        && text(object, "/spec/user").is_empty()
        && texts(object, "/spec/groups").is_empty()
    {
        faults.push(invalid("spec.user", "", "at least one of user or group must be specified"));
    }
    faults.extend(attributes("resourceAttributes").map(selector_faults).into_iter().flatten());
    faults
}

/// A review is no object that has a name or labels.
fn metadata_fault(object: &Value, subject: Subject) -> Option<Cause> {
    let (allowed, why) = match subject {
        Subject::AnyoneHere => (&["managedFields", "namespace"][..], "must be empty except for namespace"),
        Subject::Anyone | Subject::Caller => (&["managedFields"][..], "must be empty"),
    };
    let metadata = object["metadata"].as_object()?;
    let is_empty = |value: &Value| *value == json!("") || *value == json!({}) || *value == json!([]);
    let other = metadata.iter().any(|(field, value)| !allowed.contains(&&**field) && !is_empty(value));
    other.then(|| invalid("metadata", format_args!("{}", object["metadata"]), why))
}

/// A local review asks of its own namespace alone.
fn place_faults(object: &Value) -> Vec<Cause> {
    let mut faults = Vec::new();
    if let Some(attributes) = object.pointer("/spec/resourceAttributes") {
        let namespace = text(attributes, "/namespace");
        if namespace != meta::namespace(object) {
            let field = "spec.resourceAttributes.namespace";
            faults.push(invalid(field, namespace, "must match metadata.namespace"));
        }
    }
    if let Some(attributes) = object.pointer("/spec/nonResourceAttributes") {
        let why = "disallowed on this kind of request";
        faults.push(invalid("spec.nonResourceAttributes", format_args!("{attributes}"), why));
    }
    faults
}
