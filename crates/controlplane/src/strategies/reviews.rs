//! Reviews: questions about who somebody is and what they may do. The answers are those of the very authenticator and
//! authorizer that every request passes.

mod access;
mod attributes;
mod identity;
mod rules;

use detectviz_api::Identity;
use detectviz_auth::{Authenticator, Authorizer};
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use access::{AccessReviews, Subject};

/// What answers reviews.
#[derive(Clone)]
pub struct Reviewers {
    /// Knows who a token is.
    pub authenticator: Arc<Authenticator>,
    /// Knows who may do what.
    pub authorizer: Arc<dyn Authorizer>,
}

impl Reviewers {
    /// The rules of `resource` in `group`, if that is a review.
    pub(super) fn of(&self, group: &str, resource: &str) -> Option<Arc<dyn Strategy>> {
        let authorizer = || Arc::clone(&self.authorizer);
        let access = |subject| Arc::new(AccessReviews { subject, authorizer: authorizer() });
        Some(match (group, resource) {
            ("authentication.k8s.io", "tokenreviews") => {
                Arc::new(identity::TokenReviews(Arc::clone(&self.authenticator)))
            }
            ("authentication.k8s.io", "selfsubjectreviews") => Arc::new(identity::SelfSubjectReviews),
            ("authorization.k8s.io", "subjectaccessreviews") => access(Subject::Anyone),
            ("authorization.k8s.io", "localsubjectaccessreviews") => access(Subject::AnyoneHere),
            ("authorization.k8s.io", "selfsubjectaccessreviews") => access(Subject::Caller),
            ("authorization.k8s.io", "selfsubjectrulesreviews") => {
                Arc::new(rules::SelfSubjectRulesReviews(authorizer()))
            }
            _ => return None,
        })
    }
}

/// A caller as reviews show it (`UserInfo`); what is empty is left out.
fn user_info(identity: &Identity) -> Value {
    let mut info = Map::new();
    for (field, text) in [("username", &identity.name), ("uid", &identity.uid)] {
        if !text.is_empty() {
            info.insert(field.to_owned(), text.as_str().into());
        }
    }
    if !identity.groups.is_empty() {
        info.insert("groups".to_owned(), json!(identity.groups));
    }
    if !identity.extra.is_empty() {
        info.insert("extra".to_owned(), json!(identity.extra));
    }
    info.into()
}

/// The texts in the list at `pointer`.
fn texts(object: &Value, pointer: &str) -> Vec<String> {
    let list = object.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
