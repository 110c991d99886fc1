//! Events: one lies where the object lies that it is about, and is news for a while.

use detectviz_api::{Cause, meta};
use detectviz_server::strategy::Strategy;
use serde_json::Value;
use std::time::Duration;

use super::causes::invalid;
use super::text;

pub(super) struct Events {
    /// How long an event is news.
    pub(super) lifetime: Duration,
}

impl Strategy for Events {
    fn lifetime(&self) -> Option<Duration> {
        Some(self.lifetime)
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let involved = text(object, "/involvedObject/namespace");
        let allowed = match (involved, meta::namespace(object)) {
            // What is about a cluster-scoped object lies in default, and if it has an eventTime also in kube-system.
            ("", "" | "default") => true,
            ("", "kube-system") => !text(object, "/eventTime").is_empty(),
            (involved, namespace) => involved == namespace,
        };
        let fault = || invalid("involvedObject.namespace", involved, "does not match event.namespace");
        (!allowed).then(fault).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_lies_where_its_object_lies() {
        for (involved, namespace, time, allowed) in [
            (json!("a"), "a", "", true),
            (json!("a"), "b", "", false),
            (json!(null), "default", "", true),
            (json!(null), "a", "", false),
            (json!(null), "kube-system", "", false),
            (json!(null), "kube-system", "2026-01-01T00:00:00.000000Z", true),
        ] {
            let event = json!({"metadata": {"namespace": namespace}, "involvedObject": {"namespace": involved}, "eventTime": time});
            let events = Events { lifetime: Duration::from_secs(1) };
            assert_eq!(events.validate(&event).is_empty(), allowed, "{event}");
        }
    }
}
