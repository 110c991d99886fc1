//! Definitions in the few words that tests need.

use detectviz_api::definition::Definition;
use serde_json::{Value, json};

use crate::{CompileError, Compiled, CompiledVersion, Fragments};

/// A definition of `widgets.example.org` with one version, `v1`, of `schema`.
pub(crate) fn definition(schema: &Value) -> Definition {
    serde_json::from_value(json!({
        "group": "example.org",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
    }))
    .unwrap()
}

/// Compiles [`definition`] of `schema`.
pub(crate) fn compile(schema: &Value, fragments: &Fragments) -> Result<Compiled, CompileError> {
    Compiled::new(definition(schema), fragments)
}

/// The version of an object with `properties`, which must compile.
pub(crate) fn version(properties: &Value) -> CompiledVersion {
    let schema = json!({"type": "object", "properties": properties});
    compile(&schema, &Fragments::new()).unwrap().storage().clone()
}
