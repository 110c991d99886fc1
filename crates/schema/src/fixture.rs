//! Definitions in the few words that tests need, and the built-in ones, which tests read as data.

use detectviz_api::definition::Definition;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

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

/// Compiles [`definition`] of `schema`, as that of a built-in kind.
pub(crate) fn compile(schema: &Value, fragments: &Fragments) -> Result<Compiled, CompileError> {
    Compiled::built_in(definition(schema), fragments)
}

/// The version of a built-in object with `properties`, which must compile.
pub(crate) fn version(properties: &Value) -> CompiledVersion {
    let schema = json!({"type": "object", "properties": properties});
    compile(&schema, &Fragments::new()).unwrap().storage().clone()
}

/// The version of a user's object with `properties`, which must compile.
pub(crate) fn custom(properties: &Value) -> CompiledVersion {
    let schema = json!({"type": "object", "properties": properties});
    Compiled::new(definition(&schema), &Fragments::new()).unwrap().storage().clone()
}

fn built_in() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../controlplane/definitions")
}

/// What the built-in definitions share.
pub(crate) fn fragments() -> Fragments {
    let text = std::fs::read_to_string(built_in().join("fragments.yaml")).unwrap();
    yaml_serde::from_str(&text).unwrap()
}

/// The built-in definitions, by the names of their files.
pub(crate) fn definitions() -> BTreeMap<String, Definition> {
    let files = std::fs::read_dir(built_in()).unwrap().map(|entry| entry.unwrap().path());
    let of_resources = files.filter(|path| path.file_name().unwrap() != "fragments.yaml");
    of_resources
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let definition =
                yaml_serde::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), definition)
        })
        .collect()
}
