//! Which objects a list or watch is about.

use detectviz_api::Status;
use detectviz_api::options::ListOptions;
use detectviz_api::selector::{FieldSelector, LabelSelector};
use detectviz_storage::cache::Object;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

use super::Call;
use crate::resource::Resource;

/// The selectors of a request, checked against what the resource lets select.
pub(super) struct Filter {
    resource: Arc<Resource>,
    labels: LabelSelector,
    fields: FieldSelector,
    /// The one object that the path or a selector names.
    name: String,
    /// Whether a term looks into the object, beyond what stands parsed beside it.
    looks_inside: bool,
}

impl Filter {
    /// The filter of `options`.
    ///
    /// # Errors
    /// 400 naming a field that cannot be selected by, or a name that is not the path's.
    pub(super) fn new(call: &Call, options: &ListOptions) -> Result<Self, Status> {
        let resource = &call.resource;
        let selectable = |field: &str| {
            let mut declared = resource.declared.selectable_fields.iter();
            declared.any(|declared| declared.json_path.strip_prefix('.') == Some(field))
        };
        let unknown = |field: &&str| !is_meta(field) && !selectable(field);
        if let Some(field) = options.fields.terms().iter().map(|term| &*term.field).find(unknown) {
            return Err(Status::bad_request(not_selectable(
                field,
                !resource.declared.selectable_fields.is_empty(),
            )));
        }
        let looks_inside = options.fields.terms().iter().any(|term| !is_meta(&term.field));
        // What was authorized may be one name only: then nothing else is shown.
        let name = call.info().name.clone();
        if !name.is_empty()
            && !options.fields.is_empty()
            && options.fields.exact("metadata.name") != Some(name.as_str())
        {
            return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
        }
        let (labels, fields) = (options.labels.clone(), options.fields.clone());
        Ok(Self { resource: Arc::clone(resource), labels, fields, name, looks_inside })
    }

    /// Whether nothing is left out.
    pub(super) fn selects_all(&self) -> bool {
        self.name.is_empty() && self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the object is selected.
    pub(super) fn matches(&self, object: &Object) -> bool {
        (self.name.is_empty() || *self.name == *object.meta.name)
            && self.labels.matches(|key| object.meta.label(key))
            && self.matches_fields(object)
    }

    fn matches_fields(&self, object: &Object) -> bool {
        if self.fields.is_empty() {
            return true;
        }
        let document = if self.looks_inside { self.document(object) } else { Value::Null };
        self.fields.matches(|field| match field {
            "metadata.name" => Cow::Borrowed(&*object.meta.name),
            "metadata.namespace" => Cow::Borrowed(&*object.meta.namespace),
            field => inside(&document, field),
        })
    }

    /// The object as it is served: the fields that may be named are those of that form.
    fn document(&self, object: &Object) -> Value {
        let served = self.resource.served(object).ok();
        served.and_then(|object| serde_json::from_slice(&object.json()).ok()).unwrap_or_default()
    }
}

/// Upstream's words: kinds with fields of their own to select by have others than kinds without.
fn not_selectable(field: &str, has_own: bool) -> String {
    match has_own {
        true => format!("field label not supported: {field}"),
        false => {
            format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
    }
}

fn is_meta(field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace")
}

fn inside<'a>(document: &'a Value, field: &str) -> Cow<'a, str> {
    if field == "source" {
        return event_source(document).into();
    }
    let found = field.split('.').try_fold(document, |value, part| value.get(part));
    match found {
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(Value::Object(_) | Value::Null) | None => Cow::Borrowed(""),
        Some(other) => Cow::Owned(other.to_string()),
    }
}

/// An event's `source` selects by its component, and where that is empty by who reports it, as upstream has it, in either
/// group's words.
fn event_source(event: &Value) -> &str {
    let components = ["source", "deprecatedSource"].map(|field| &event[field]["component"]);
    let reporters = ["reportingComponent", "reportingController"].map(|field| &event[field]);
    let mut texts = components.into_iter().chain(reporters).filter_map(Value::as_str);
    texts.find(|text| !text.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_selected_by_who_tells_of_it() {
        for (event, source) in [
            (json!({"source": {"component": "a"}, "reportingComponent": "b"}), "a"),
            (json!({"source": {"component": ""}, "reportingComponent": "b"}), "b"),
            (json!({"source": {}, "reportingComponent": "b"}), "b"),
            (json!({"source": null, "reportingComponent": "b"}), "b"),
            (json!({"reportingComponent": "b"}), "b"),
            (json!({"deprecatedSource": {"component": "a"}, "reportingController": "b"}), "a"),
            (json!({"deprecatedSource": {}, "reportingController": "b"}), "b"),
            (json!({"source": {}}), ""),
        ] {
            assert_eq!(inside(&event, "source"), source, "{event}");
        }
        assert_eq!(inside(&json!({"a": {"b": 1}}), "a.b"), "1");
    }
}
