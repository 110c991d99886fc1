//! One walk over an object beside its schema: prune what is unknown, fill in what is absent, name what is wrong.
//!
//! Order matters and is upstream's: nulls that may not be there are dropped before defaults fill the gap, and a
//! default is walked as if the client had sent it. The walk is as deep as the schema, never as deep as the input.

mod fault;
mod list;
mod quantity;
mod scalar;

use detectviz_api::Cause;
use serde_json::{Map, Value};

use crate::CompiledVersion;
use crate::decode::MAX_REPORTED;
use crate::node::{Kind, Node};
use crate::path::Path;

/// What came to light when an object was admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The paths of the fields that were dropped since the schema does not know them, at most [`MAX_REPORTED`].
    pub unknown: Vec<String>,
    /// What is wrong, at most [`MAX_REPORTED`] faults; the object is valid if empty.
    pub causes: Vec<Cause>,
}

impl CompiledVersion {
    /// Prunes, defaults and validates `object` in one walk. `apiVersion`, `kind` and all of `metadata` are always known.
    pub fn admit(&self, object: &mut Value) -> Admitted {
        Admitted::of(&self.root, object)
    }
}

impl Admitted {
    pub(crate) fn of(node: &Node, value: &mut Value) -> Self {
        let mut admitted = Self::default();
        admitted.visit(node, value, &Path::Root);
        admitted
    }

    fn visit(&mut self, node: &Node, value: &mut Value, path: &Path<'_>) {
        if value.is_null() && !node.nullable {
            match &node.default {
                Some(default) => value.clone_from(default),
                None if node.kind == Kind::Any => return,
                None => return self.fault(fault::mistyped(path, node.kind.name(), "null")),
            }
        }
        match value {
            Value::Null => return,
            Value::Object(map) if matches!(node.kind, Kind::Object | Kind::Any) => {
                self.object(node, map, path)
            }
            Value::Array(items) if matches!(node.kind, Kind::Array | Kind::Any) => {
                self.list(node, items, path)
            }
            _ => self.scalar(node, value, path),
        }
        if !node.allowed.is_empty() && !node.allowed.contains(value) {
            self.fault(fault::not_supported(path, value, &node.allowed));
        }
    }

    fn object(&mut self, node: &Node, map: &mut Map<String, Value>, path: &Path<'_>) {
        map.retain(|name, value| self.keep(node, name, value, &path.field(name)));
        for name in node.defaulted.iter().filter(|name| !map.contains_key(*name)).collect::<Vec<_>>() {
            let child = &node.fields[name].node;
            let mut value = child.default.clone().unwrap_or_default();
            self.visit(child, &mut value, &path.field(name));
            map.insert(name.clone(), value);
        }
        if node.values.as_deref().is_some_and(quantity::is_quantity) {
            quantity::normalise(map);
        }
        for name in node.required.iter().filter(|name| !map.contains_key(*name)) {
            self.fault(fault::required(&path.field(name)));
        }
    }

    /// Whether the field `name` stays in the object, after what it holds was walked.
    fn keep(&mut self, node: &Node, name: &str, value: &mut Value, path: &Path<'_>) -> bool {
        let Some(child) = node.child(name) else {
            if !node.open && self.unknown.len() < MAX_REPORTED {
                self.unknown.push(path.to_string());
            }
            return node.open;
        };
        let is_pointer = node.fields.get(name).is_some_and(|field| field.pointer);
        if value.is_null() && (is_pointer || !child.nullable && child.default.is_none()) {
            return false;
        }
        self.visit(child, value, path);
        true
    }

    fn fault(&mut self, cause: Cause) {
        if self.causes.len() < MAX_REPORTED {
            self.causes.push(cause);
        }
    }
}

#[cfg(test)]
mod tests;
