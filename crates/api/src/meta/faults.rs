//! What can be wrong with `metadata`, in upstream's order and texts; at most [`MAX_FAULTS`] faults are told.

mod owners;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::definition::NameRule;
use crate::go::{cut, quote};
use crate::names::{dns_label_faults, label_key_faults, label_value_faults};
use crate::status::Cause;

/// The most faults of one object's metadata that are told.
const MAX_FAULTS: usize = 100;
/// The most bytes of all annotations of an object together; upstream's bound.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;
/// What holds an object until its dependents were let go, and until they are gone.
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// Of what the metadata is.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Whether objects of the kind live in namespaces.
    pub namespaced: bool,
    /// What names must be like.
    pub name_rule: NameRule,
    /// Whether the kind is built in: its finalizers must then be qualified names, or upstream's own.
    pub built_in: bool,
}

/// Every fault of the object's metadata, once its name was generated.
pub fn faults(object: &Value, subject: Subject) -> Vec<Cause> {
    let Some(metadata) = object.get("metadata") else { return vec![nameless("metadata")] };
    let mut faults = Faults { path: "metadata", found: Vec::new() };
    faults.name(metadata, subject.name_rule);
    faults.namespace(metadata, subject.namespaced);
    faults.common(metadata);
    if subject.built_in {
        faults.unqualified_finalizers(metadata);
    }
    faults.found
}

/// Every fault of `metadata` of an object within another one, at `path`. Its name and namespace may be left out.
pub fn embedded_faults(metadata: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Faults { path, found: Vec::new() };
    let rule = NameRule::PathSegment;
    if text(metadata, "name").is_empty() {
        faults.generate_name(metadata, rule);
    } else {
        faults.name(metadata, rule);
    }
    faults.namespace(metadata, !text(metadata, "namespace").is_empty());
    faults.common(metadata);
    faults.found
}

struct Faults<'a> {
    path: &'a str,
    found: Vec<Cause>,
}

impl Faults<'_> {
    fn add(&mut self, reason: &str, field: &str, message: impl FnOnce() -> String) {
        if self.found.len() < MAX_FAULTS {
            let field = format!("{}.{field}", self.path);
            self.found.push(Cause { reason: reason.to_owned(), message: message(), field });
        }
    }

    fn invalid(&mut self, field: &str, value: &str, why: &str) {
        self.add("FieldValueInvalid", field, || format!("Invalid value: {}: {why}", quote(value)));
    }

    fn all_invalid(&mut self, field: &str, value: &str, whys: &[String]) {
        whys.iter().for_each(|why| self.invalid(field, value, why));
    }

    fn generate_name(&mut self, metadata: &Value, rule: NameRule) {
        match text(metadata, "generateName") {
            "" => {}
            prefix => self.all_invalid("generateName", prefix, &rule.prefix_faults(prefix)),
        }
    }

    fn name(&mut self, metadata: &Value, rule: NameRule) {
        self.generate_name(metadata, rule);
        match text(metadata, "name") {
            "" if self.found.len() < MAX_FAULTS => self.found.push(nameless(self.path)),
            name => self.all_invalid("name", name, &rule.faults(name)),
        }
    }

    fn namespace(&mut self, metadata: &Value, namespaced: bool) {
        match (namespaced, text(metadata, "namespace")) {
            (true, "") => self.add("FieldValueRequired", "namespace", || "Required value".to_owned()),
            (true, namespace) => self.all_invalid("namespace", namespace, &dns_label_faults(namespace)),
            (false, "") => {}
            (false, _) => self
                .add("FieldValueForbidden", "namespace", || "Forbidden: not allowed on this type".to_owned()),
        }
    }

    fn common(&mut self, metadata: &Value) {
        if let Some(generation @ ..0) = metadata.get("generation").and_then(Value::as_i64) {
            let message = || format!("Invalid value: {generation}: must be greater than or equal to 0");
            self.add("FieldValueInvalid", "generation", message);
        }
        self.labels(metadata);
        self.annotations(metadata);
        self.owners(metadata);
        self.finalizers(metadata);
    }

    fn labels(&mut self, metadata: &Value) {
        for (key, value) in metadata.get("labels").and_then(Value::as_object).into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            self.all_invalid("labels", key, &label_key_faults(key));
            self.all_invalid("labels", value, &label_value_faults(value));
        }
    }

    fn annotations(&mut self, metadata: &Value) {
        let Some(annotations) = metadata.get("annotations").and_then(Value::as_object) else { return };
        for key in annotations.keys() {
            // The rule is that of labels, but for upper case, which is no matter here.
            self.all_invalid("annotations", key, &label_key_faults(&key.to_lowercase()));
        }
        let bytes: usize =
            annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
        if bytes > MAX_ANNOTATION_BYTES {
            let message = || format!("Too long: may not be more than {MAX_ANNOTATION_BYTES} bytes");
            self.add("FieldValueTooLong", "annotations", message);
        }
    }

    fn finalizers(&mut self, metadata: &Value) {
        let finalizers: Vec<&str> = finalizers(metadata).collect();
        for finalizer in &finalizers {
            self.all_invalid("finalizers", finalizer, &label_key_faults(finalizer));
        }
        if finalizers.contains(&ORPHAN) && finalizers.contains(&FOREGROUND) {
            let shown = serde_json::json!(finalizers).to_string();
            let why = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
            self.add("FieldValueInvalid", "finalizers", || format!("Invalid value: {}: {why}", cut(&shown)));
        }
    }

    fn unqualified_finalizers(&mut self, metadata: &Value) {
        for (index, finalizer) in finalizers(metadata).enumerate() {
            if !finalizer.contains('/') && ![ORPHAN, FOREGROUND, "kubernetes"].contains(&finalizer) {
                let why = "name is neither a standard finalizer name nor is it fully qualified";
                self.invalid(&format!("finalizers[{index}]"), finalizer, why);
            }
        }
    }
}

fn nameless(path: &str) -> Cause {
    Cause {
        reason: "FieldValueRequired".to_owned(),
        message: "Required value: name or generateName is required".to_owned(),
        field: format!("{path}.name"),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn finalizers(metadata: &Value) -> impl Iterator<Item = &str> {
    metadata.get("finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
