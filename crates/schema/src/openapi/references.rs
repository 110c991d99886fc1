//! References from one part of an OpenAPI document to a definition of it.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Calls `visit` with every `$ref` in `value`.
pub(super) fn visit<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(target) if key == "$ref" => visit(target),
                    value => self::visit(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| self::visit(item, visit)),
        _ => {}
    }
}

/// Makes every `$ref` in `value` what `change` makes of it.
pub(super) fn rewrite(value: &mut Value, change: &impl Fn(&str) -> Option<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(new) = change(target) {
                            *target = new;
                        }
                    }
                    value => rewrite(value, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, change)),
        _ => {}
    }
}

/// The names of those `definitions` that `from` refers to, directly or through others. References begin with `prefix`.
pub(super) fn reachable<'a>(
    from: impl IntoIterator<Item = &'a Value>,
    definitions: &'a Map<String, Value>,
    prefix: &str,
) -> BTreeSet<&'a str> {
    let (mut found, mut due): (BTreeSet<&str>, Vec<&Value>) = (BTreeSet::new(), from.into_iter().collect());
    while let Some(value) = due.pop() {
        visit(value, &mut |target| {
            let name = target.strip_prefix(prefix).and_then(|name| definitions.get_key_value(name));
            if let Some((name, definition)) = name
                && found.insert(name)
            {
                due.push(definition);
            }
        });
    }
    found
}

/// Whether `path` is about the group-version whose path is `base`.
pub(super) fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `definition` says that it is of a kind of the group-version whose path is `base`.
pub(super) fn is_of_kind(definition: &Value, base: &str) -> bool {
    let kinds = definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
    let paths = kinds.filter_map(|kind| {
        let (group, version) = (kind["group"].as_str()?, kind["version"].as_str()?);
        Some(format!("/apis/{group}/{version}"))
    });
    paths.into_iter().any(|path| path == base)
}
