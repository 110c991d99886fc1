//! DataPlaneServices: the name says the group-version that the plugin answers for.

use detectviz_api::Cause;
use detectviz_core::Catalog;
use detectviz_server::strategy::Strategy;
use serde_json::Value;
use std::sync::Arc;

use super::{local, names, reset_status, text};

pub(super) struct DataPlaneServices {
    /// Knows what this server serves itself.
    pub(super) catalog: Arc<Catalog>,
}

impl Strategy for DataPlaneServices {
    fn prepare_create(&self, object: &mut Value) {
        reset_status(object);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        // Where one of the two is missing, the schema says so, and a name cannot be right.
        if text(object, "/spec/group").is_empty() || text(object, "/spec/version").is_empty() {
            return Vec::new();
        }
        let mut faults = names::faults(object);
        faults.extend(local::taken(&self.catalog, object, "spec.group"));
        faults
    }

    /// One that is older than what this server serves itself may be kept and repaired: it has no effect.
    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let same = ["group", "version"].iter().all(|field| object["spec"][field] == old["spec"][field]);
        if same { Vec::new() } else { self.validate(object) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    #[test]
    fn the_name_says_the_group_version() {
        let object =
            |name: &str| json!({"metadata": {"name": name}, "spec": {"group": "a.b", "version": "v1"}});
        let rules = DataPlaneServices { catalog: crate::fake::catalog() };
        assert!(rules.validate(&object("v1.a.b")).is_empty());
        assert_eq!(
            read(&rules.validate(&object("a"))),
            ["metadata.name: Invalid value: \"a\": must be `spec.version+\".\"+spec.group`: \"v1.a.b\""]
        );
    }

    #[test]
    fn what_is_served_here_is_given_to_no_plugin() {
        let rules = DataPlaneServices { catalog: crate::fake::catalog() };
        let object = json!({"metadata": {"name": "v1.events.k8s.io"}, "spec": {"group": "events.k8s.io", "version": "v1"}});
        let faults = read(&rules.validate(&object));
        let why = "spec.group: Forbidden: events.k8s.io/v1 is served by this server itself";
        assert!(faults.len() == 1 && faults[0].starts_with(why), "{faults:?}");
        assert!(rules.validate_update(&object, &object).is_empty());
    }
}
