//! Namespaces: one is held by its finalizers in `spec` until a controller has emptied it.

use detectviz_api::meta;
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};

/// The namespaces that are always there.
pub(crate) const SYSTEM: [&str; 3] = ["default", "kube-system", "kube-public"];
/// The entry of `spec.finalizers` that stands for this server's own controller.
pub(crate) const FINALIZER: &str = "kubernetes";
/// The label by which selectors find a namespace by its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) struct Namespaces;

impl Strategy for Namespaces {
    fn normalize(&self, object: &mut Value) {
        label(object);
    }

    /// Of a generated name the label is known only now.
    fn prepare_create(&self, object: &mut Value) {
        label(object);
        set_phase(object, "Active");
        let Some(spec) = spec_of(object) else { return };
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if finalizers.is_null() {
            *finalizers = json!([]);
        }
        if let Some(list) = finalizers.as_array_mut()
            && !list.iter().any(|have| have == FINALIZER)
        {
            list.push(FINALIZER.into());
        }
    }

    /// `spec.finalizers` changes through the subresource `finalize` only.
    fn prepare_update(&self, object: &mut Value, old: &Value) {
        label(object);
        let finalizers = old.pointer("/spec/finalizers").cloned();
        let Some(spec) = spec_of(object) else { return };
        match finalizers {
            Some(finalizers) => spec.insert("finalizers".to_owned(), finalizers),
            None => spec.remove("finalizers"),
        };
    }

    /// Nobody counts the seconds of a namespace.
    fn prepare_delete(&self, object: &mut Value) {
        set_phase(object, "Terminating");
        if let Some(metadata) = meta::of_mut(object) {
            metadata.remove("deletionGracePeriodSeconds");
        }
    }

    fn is_held(&self, object: &Value) -> bool {
        let own = object.pointer("/spec/finalizers").and_then(Value::as_array);
        meta::has_finalizers(object) || own.is_some_and(|list| !list.is_empty())
    }

    fn writable_subresource(&self, subresource: &str) -> Option<&'static [&'static str]> {
        (subresource == "finalize").then_some(&["spec"])
    }

    /// Upstream keeps the spec alone out of a write of the status.
    fn takes_metadata(&self, subresource: &str) -> bool {
        subresource == "status"
    }
}

fn label(object: &mut Value) {
    let name = meta::name(object).to_owned();
    let Some(meta) = meta::of_mut(object).filter(|_| !name.is_empty()) else { return };
    let labels = meta.entry("labels").or_insert_with(|| json!({}));
    if labels.is_null() {
        *labels = json!({});
    }
    if let Some(labels) = labels.as_object_mut() {
        labels.insert(NAME_LABEL.to_owned(), name.into());
    }
}

fn set_phase(object: &mut Value, phase: &str) {
    let Some(object) = object.as_object_mut() else { return };
    let status = object.entry("status").or_insert_with(|| json!({}));
    match status.as_object_mut() {
        Some(status) => drop(status.insert("phase".to_owned(), phase.into())),
        None => *status = json!({"phase": phase}),
    }
}

/// `spec` as a map, made when there is none; `None` when it is something else, for the schema to refuse.
fn spec_of(object: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    let spec = object.as_object_mut()?.entry("spec").or_insert_with(|| json!({}));
    if spec.is_null() {
        *spec = json!({});
    }
    spec.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_namespace_is_active_labelled_and_held() {
        let mut object =
            json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"finalizers": ["own"]}});
        Namespaces.prepare_create(&mut object);
        assert_eq!(
            object,
            json!({"metadata": {"name": "a", "labels": {"x": "y", "kubernetes.io/metadata.name": "a"}},
                "spec": {"finalizers": ["own", "kubernetes"]}, "status": {"phase": "Active"}})
        );
        Namespaces.prepare_create(&mut object);
        assert_eq!(object["spec"]["finalizers"], json!(["own", "kubernetes"]));
    }

    #[test]
    fn only_the_finalize_subresource_changes_finalizers() {
        let old = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}});
        let mut object = json!({"metadata": {"name": "a"}, "spec": {}});
        Namespaces.prepare_update(&mut object, &old);
        assert_eq!(object["spec"], old["spec"]);
        assert_eq!(object["metadata"]["labels"]["kubernetes.io/metadata.name"], "a");
        Namespaces.prepare_update(&mut object, &json!({}));
        assert_eq!(object["spec"], json!({}));
        assert_eq!(Namespaces.writable_subresource("finalize"), Some(["spec"].as_slice()));
        assert_eq!(Namespaces.writable_subresource("status"), None);
    }

    #[test]
    fn either_kind_of_finalizer_holds_it() {
        for (object, held) in [
            (json!({"spec": {"finalizers": ["kubernetes"]}}), true),
            (json!({"metadata": {"finalizers": ["own"]}, "spec": {"finalizers": []}}), true),
            (json!({"spec": {"finalizers": []}}), false),
            (json!({}), false),
        ] {
            assert_eq!(Namespaces.is_held(&object), held, "{object}");
        }
    }

    #[test]
    fn one_that_is_deleted_is_terminating() {
        let mut object = json!({"metadata": {"name": "a"}, "status": {"phase": "Active"}});
        Namespaces.prepare_delete(&mut object);
        assert_eq!(object["status"]["phase"], "Terminating");
    }
}
