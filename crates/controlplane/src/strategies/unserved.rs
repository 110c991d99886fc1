//! Kinds that are there to be listed and watched, and of which no object is taken: an extension API server built for
//! Kubernetes refuses every write until it knows that there are no webhooks and no policies, and nothing here would run
//! them.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::causes::forbidden;

/// What is not run here.
#[derive(Clone, Copy)]
pub(super) enum Unserved {
    Webhooks,
    Policies,
}

impl Unserved {
    /// The kind of `resource` of `admissionregistration.k8s.io`.
    pub(super) fn of(resource: &str) -> Self {
        if resource.ends_with("webhookconfigurations") { Self::Webhooks } else { Self::Policies }
    }
}

impl Strategy for Unserved {
    fn validate(&self, _: &Value) -> Vec<Cause> {
        vec![match self {
            Self::Webhooks => forbidden("webhooks", "this server calls no admission webhooks"),
            Self::Policies => forbidden("spec", "this server evaluates no admission policies"),
        }]
    }
}

#[cfg(test)]
mod tests {
    use crate::strategies::{read, strategy};
    use serde_json::json;

    #[test]
    fn whoever_asks_for_webhooks_or_policies_is_told_that_there_are_none() {
        for (resource, expected) in [
            ("mutatingwebhookconfigurations", "webhooks: Forbidden: this server calls no admission webhooks"),
            ("validatingadmissionpolicies", "spec: Forbidden: this server evaluates no admission policies"),
            ("mutatingadmissionpolicybindings", "spec: Forbidden: this server evaluates no admission policies"),
        ] {
            let faults = strategy("admissionregistration.k8s.io", resource).validate(&json!({}));
            assert_eq!(read(&faults), [expected]);
        }
    }
}
