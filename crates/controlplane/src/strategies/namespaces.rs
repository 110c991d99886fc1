//! Namespaces: one is held by its finalizers in `spec` until a controller has emptied it.

use detectviz_api::names::check_label_key;
use detectviz_api::{Cause, meta};
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};

use super::causes::invalid;
use super::text;

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

    fn validate(&self, object: &Value) -> Vec<Cause> {
        finalizers(object)
            .iter()
            .flat_map(|finalizer| finalizer_faults("spec.finalizers", finalizer))
            .collect()
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        // They change through their own subresource alone; what stands there stays.
        if finalizers(object) != finalizers(old) {
            for (index, finalizer) in finalizers(object).into_iter().enumerate() {
                faults.extend(finalizer_faults(&format!("spec.finalizers[{index}]"), finalizer));
            }
        }
        faults.extend(phase_fault(object));
        faults
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

fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.pointer("/spec/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn finalizer_faults(field: &str, finalizer: &str) -> Vec<Cause> {
    if let Err(why) = check_label_key(finalizer) {
        return vec![invalid(field, finalizer, &why)];
    }
    let is_standard = ["kubernetes", "orphan", "foregroundDeletion"].contains(&finalizer);
    let why = "name is neither a standard finalizer name nor is it fully qualified";
    let fault = || invalid(field, finalizer, why);
    (!is_standard && !finalizer.contains('/')).then(fault).into_iter().collect()
}

/// The phase tells whether the namespace is going, and nobody may tell otherwise; upstream writes the field with a capital.
fn phase_fault(object: &Value) -> Option<Cause> {
    let phase = Some(text(object, "/status/phase")).filter(|phase| !phase.is_empty()).unwrap_or("Active");
    let (only, when) =
        if meta::is_deleting(object) { ("Terminating", "not empty") } else { ("Active", "empty") };
    let why = format!("may only be '{only}' if `deletionTimestamp` is {when}");
    (phase != only).then(|| invalid("status.Phase", phase, &why))
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
    use crate::strategies::read;

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
    fn finalizers_are_qualified_and_the_phase_tells_the_truth() {
        const WHY: &str = "name is neither a standard finalizer name nor is it fully qualified";
        let of = |finalizers: Value, phase: &str, going: bool| {
            let mut object =
                json!({"metadata": {}, "spec": {"finalizers": finalizers}, "status": {"phase": phase}});
            if going {
                object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            }
            object
        };
        let old = of(json!(["kubernetes"]), "Active", false);
        for (finalizers, phase, going, faults) in [
            (json!(["kubernetes", "a.b/c", "orphan"]), "Active", false, vec![]),
            (json!(["kubernetes"]), "", false, vec![]),
            (json!([]), "Terminating", true, vec![]),
            (
                json!(["a.b/c", "own"]),
                "Active",
                false,
                vec![format!("spec.finalizers[1]: Invalid value: \"own\": {WHY}")],
            ),
            (
                json!(["kubernetes"]),
                "Terminating",
                false,
                vec![
                    "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
                        .to_owned(),
                ],
            ),
            (
                json!(["kubernetes"]),
                "Active",
                true,
                vec![
                    "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
                        .to_owned(),
                ],
            ),
        ] {
            let object = of(finalizers, phase, going);
            assert_eq!(read(&Namespaces.validate_update(&object, &old)), faults, "{object}");
        }
        let new = of(json!(["own"]), "Active", false);
        assert_eq!(
            read(&Namespaces.validate(&new)),
            [format!("spec.finalizers: Invalid value: \"own\": {WHY}")]
        );
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
