//! What must hold for an object within another one (`x-kubernetes-embedded-resource`): it has a type, and metadata like any.

use detectviz_api::{meta, names};
use serde_json::{Map, Value};

use super::{Walk, fault};
use crate::path::Path;

impl Walk<'_> {
    pub(super) fn embedded(&mut self, object: &Map<String, Value>, path: &Path<'_>) {
        self.type_field(object, "apiVersion", path, |text| {
            let slashes = text.matches('/').count();
            (slashes > 1).then(|| format!("unexpected GroupVersion string: {text}"))
        });
        self.type_field(object, "kind", path, |text| {
            let faults = names::dns_1035_label_faults(&text.to_lowercase());
            let why = || format!("may have mixed case, but should otherwise match: {}", faults.join(","));
            (!faults.is_empty()).then(why)
        });
        if let Some(metadata) = object.get("metadata") {
            for cause in meta::embedded_faults(metadata, &path.field("metadata").bracketed()) {
                self.fault(|| cause);
            }
        }
    }

    fn type_field(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
        path: &Path<'_>,
        wrong: impl FnOnce(&str) -> Option<String>,
    ) {
        let path = path.field(name);
        match object.get(name) {
            None => self.fault(|| fault::required(&path)),
            Some(Value::String(text)) if text.is_empty() => self.fault(|| fault::required(&path)),
            Some(value @ Value::String(text)) => {
                if let Some(why) = wrong(text) {
                    self.fault(|| fault::wrong(&path, value, &why));
                }
            }
            // Its type was found wrong before.
            Some(_) => {}
        }
    }
}
