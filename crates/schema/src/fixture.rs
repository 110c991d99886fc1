//! Definitions in the few words that tests need, and the built-in ones, which tests read as data.

use detectviz_api::definition::Definition;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// The files of the built-in definitions, and of the fragments that they share.
fn built_in(fragments: bool) -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../controlplane/definitions");
    let mut files = Vec::new();
    for folder in ["", "fragments", "batteries", "batteries/fragments"] {
        let paths = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let is_wanted = |path: &PathBuf| {
            let of_fragments = folder.ends_with("fragments") || path.file_name().unwrap() == "fragments.yaml";
            path.is_file() && of_fragments == fragments
        };
        files.extend(paths.filter(is_wanted));
    }
    files
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    yaml_serde::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// What the built-in definitions share.
pub(crate) fn fragments() -> Fragments {
    built_in(true).iter().flat_map(|path| read::<Fragments>(path)).collect()
}

/// The built-in definitions, by the names of their files.
pub(crate) fn definitions() -> BTreeMap<String, Definition> {
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    built_in(false).iter().map(|path| (name(path), read(path))).collect()
}
