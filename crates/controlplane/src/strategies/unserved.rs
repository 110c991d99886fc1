//! Kinds that are there to be listed and watched, and of which no object is taken: an extension API server built for
//! Kubernetes refuses every write until it knows that there are no webhooks and no policies, and is not ready until it knows
//! of no flow schemas. Nothing here would do what they say.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::causes::forbidden;

/// What is not run here.
#[derive(Clone, Copy)]
pub(super) enum Unserved {
    Webhooks,
    Policies,
    Flows,
}

impl Unserved {
    /// What objects of `resource` in `group` would ask for.
    pub(super) fn of(group: &str, resource: &str) -> Option<Self> {
        match group {
            "flowcontrol.apiserver.k8s.io" => Some(Self::Flows),
            "admissionregistration.k8s.io" if resource.ends_with("webhookconfigurations") => {
                Some(Self::Webhooks)
            }
            "admissionregistration.k8s.io" => Some(Self::Policies),
            _ => None,
        }
    }
}

impl Strategy for Unserved {
    fn validate(&self, _: &Value) -> Vec<Cause> {
        vec![match self {
            Self::Webhooks => forbidden("webhooks", "this server calls no admission webhooks"),
            Self::Policies => forbidden("spec", "this server evaluates no admission policies"),
            Self::Flows => forbidden("spec", "this server bounds requests by its options alone"),
        }]
    }
}

#[cfg(test)]
mod tests {
    use crate::strategies::{read, strategy};
    use serde_json::json;

    #[test]
    fn whoever_asks_for_webhooks_or_policies_is_told_that_there_are_none() {
        let (admission, flow) = ("admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io");
        for (group, resource, expected) in [
            (
                admission,
                "mutatingwebhookconfigurations",
                "webhooks: Forbidden: this server calls no admission webhooks",
            ),
            (
                admission,
                "validatingadmissionpolicies",
                "spec: Forbidden: this server evaluates no admission policies",
            ),
            (
                admission,
                "mutatingadmissionpolicybindings",
                "spec: Forbidden: this server evaluates no admission policies",
            ),
            (flow, "flowschemas", "spec: Forbidden: this server bounds requests by its options alone"),
        ] {
            let faults = strategy(group, resource).validate(&json!({}));
            assert_eq!(read(&faults), [expected]);
        }
    }
}
