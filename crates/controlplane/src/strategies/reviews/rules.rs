//! What may I do here: all of it, as a list.

use detectviz_api::{Identity, Status};
use detectviz_auth::Authorizer;
use detectviz_auth::rules::{PathRule, ResourceRule};
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::strategies::text;

/// `SelfSubjectRulesReview`. Nothing of what was sent comes back.
pub(super) struct SelfSubjectRulesReviews(pub(super) Arc<dyn Authorizer>);

impl Strategy for SelfSubjectRulesReviews {
    fn answer(&self, caller: &Identity, object: &mut Value) -> Result<(), Status> {
        let namespace = text(object, "/spec/namespace");
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let rules = self.0.rules(caller, namespace);
        let resources: Vec<_> = rules.resources.iter().map(resource_rule).collect();
        let paths: Vec<_> = rules.paths.iter().map(path_rule).collect();
        object["metadata"] = json!({});
        object["spec"] = json!({});
        object["status"] =
            json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false});
        Ok(())
    }
}

fn resource_rule(rule: &ResourceRule) -> Value {
    let mut shown = json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
    if !rule.names.is_empty() {
        shown["resourceNames"] = json!(rule.names);
    }
    shown
}

fn path_rule(rule: &PathRule) -> Value {
    json!({"verbs": rule.verbs, "nonResourceURLs": rule.paths})
}
