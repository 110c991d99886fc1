//! Server-side apply: any object and any configuration, with any entries.

use detectviz_schema::managed::Writer;
use detectviz_schema::{Compiled, CompiledVersion, Fragments, Limits, decode_json};
use serde_json::{Value, json};
use std::sync::LazyLock;

static VERSION: LazyLock<CompiledVersion> = LazyLock::new(|| {
    let text = json!({"type": "string"});
    let items =
        json!({"type": "object", "properties": {"name": text, "value": {"type": "string", "default": "v"}}});
    let keys = json!(["name", "value"]);
    let properties = json!({
        "text": text, "list": {"type": "array", "items": text}, "map": {"type": "object", "additionalProperties": text},
        "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "items": {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys},
        "atom": {"type": "object", "properties": {"a": text}, "x-kubernetes-map-type": "atomic"},
        "any": {"x-kubernetes-preserve-unknown-fields": true},
    });
    let schema =
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}});
    let definition = json!({
        "group": "example.org", "scope": "Cluster",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
    });
    let definition = serde_json::from_value(definition).expect("it is a definition");
    Compiled::built_in(definition, &Fragments::new()).expect("it compiles").storage().clone()
});

/// `data` is a list: the object's `spec`, the configuration's, and the object's entries.
pub(crate) fn managed_fields(data: &[u8]) {
    let Ok(decoded) = decode_json(data, Limits::default()) else { return };
    let part = |place: usize| decoded.value.get(place).cloned().unwrap_or(Value::Null);
    let object = |spec: Value| json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec});
    let (mut live, config) = (object(part(0)), object(part(1)));
    live["metadata"]["managedFields"] = part(2);
    let writer =
        Writer { manager: "a", subresource: "", api_version: "example.org/v1", now: "2026-01-01T00:00:00Z" };

    if let Ok(applied) = VERSION.apply(Some(&live), &config, &writer, true, &[]) {
        let again = VERSION.apply(Some(&applied), &config, &writer, false, &[]);
        assert_eq!(
            again.map(|again| again["spec"].clone()).as_ref(),
            Ok(&applied["spec"]),
            "applied twice is applied once"
        );
    }
    let mut new = config;
    VERSION.manage_update(Some(&live), &mut new, &writer, &[]);
    let kept = new["metadata"]["managedFields"].clone();
    let same = new.clone();
    VERSION.manage_update(Some(&same), &mut new, &writer, &[]);
    assert_eq!(new["metadata"]["managedFields"], kept, "what changes nothing leaves the entries alone");
}
