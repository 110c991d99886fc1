//! DataPlaneServices: the name says the group-version that the plugin answers for.

use detectviz_api::Cause;
use detectviz_server::strategy::Strategy;
use serde_json::Value;

use super::{names, reset_status, text};

pub(super) struct DataPlaneServices;

impl Strategy for DataPlaneServices {
    fn prepare_create(&self, object: &mut Value) {
        reset_status(object);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        // Where one of the two is missing, the schema says so, and a name cannot be right.
        if text(object, "/spec/group").is_empty() || text(object, "/spec/version").is_empty() {
            return Vec::new();
        }
        names::faults(object)
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
        assert!(DataPlaneServices.validate(&object("v1.a.b")).is_empty());
        assert_eq!(
            read(&DataPlaneServices.validate(&object("a"))),
            ["metadata.name: Invalid value: \"a\": must be `spec.version+\".\"+spec.group`: \"v1.a.b\""]
        );
    }
}
