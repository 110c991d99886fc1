//! One walk over an object beside its schema: prune what is unknown, fill in what is absent, name what is wrong.
//!
//! Order matters and is upstream's: nulls that may not be there are dropped before defaults fill the gap, and a
//! default is walked as if the client had sent it. A value is judged once all below it is pruned and filled in. The walk is
//! as deep as the schema, never as deep as the input.
//!
//! Rules that compare with the stored object (ratcheting, CEL) belong behind [`Walk::judge`]: it sees a value as it will be
//! stored, with its node and path.

mod embedded;
mod fault;
mod format;
mod junctors;
mod list;
mod quantity;
mod scalar;
mod typed;

use detectviz_api::Cause;
use serde_json::{Map, Value};

use crate::CompiledVersion;
use crate::decode::MAX_REPORTED;
use crate::node::{Kind, Node, Role};
use crate::path::Path;

pub(crate) use format::TextFormat;

/// What came to light when an object was admitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The paths of the fields that were dropped since the schema does not know them, at most [`MAX_REPORTED`].
    pub unknown: Vec<String>,
    /// What is wrong, at most [`MAX_REPORTED`] faults; the object is valid if empty.
    pub causes: Vec<Cause>,
    /// Why the document cannot be handled as an object of the kind at all, for 400: a value of a wrong type in a built-in
    /// kind or in metadata, the first one in the order of the walk.
    pub mistyped: Option<String>,
}

impl CompiledVersion {
    /// Prunes, defaults and validates `object` in one walk. `apiVersion`, `kind` and all of `metadata` are always known.
    pub fn admit(&self, object: &mut Value) -> Admitted {
        let mut walk = Walk { version: Some(self), typed: self.built_in, ..Walk::with_room(MAX_REPORTED) };
        walk.visit(&self.root, object, &Path::Root);
        walk.admitted
    }
}

impl Admitted {
    /// Admits a value by itself, such as a default.
    pub(crate) fn of(node: &Node, value: &mut Value) -> Self {
        let mut walk = Walk::with_room(MAX_REPORTED);
        walk.visit(node, value, &Path::Root);
        walk.admitted
    }
}

/// A walk, and what it found so far.
#[derive(Default)]
struct Walk<'a> {
    admitted: Admitted,
    /// The most faults that are spelled out; a walk without any room only counts.
    room: usize,
    faults: usize,
    /// How many values were judged.
    judged: usize,
    version: Option<&'a CompiledVersion>,
    /// Whether types are Go's: in a built-in kind, and in all metadata.
    typed: bool,
    /// Whether it walks in metadata, whose own rules are not those of its schema.
    in_metadata: bool,
}

impl<'a> Walk<'a> {
    fn with_room(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    fn visit(&mut self, node: &Node, value: &mut Value, path: &Path<'_>) {
        if value.is_null() && !node.nullable {
            match &node.default {
                Some(default) => value.clone_from(default),
                None if node.kind == Kind::Any => return,
                None => return self.mistyped(node, value, path),
            }
        }
        if quantity::is_quantity(node) {
            quantity::as_text(value);
        }
        match value {
            Value::Null => {}
            Value::Object(map) if matches!(node.kind, Kind::Object | Kind::Any) => {
                self.object(node, map, path);
            }
            Value::Array(items) if matches!(node.kind, Kind::Array | Kind::Any) => {
                self.list(node, items, path);
            }
            _ if !self.fits(node, value) => self.mistyped(node, value, path),
            _ => scalar::normalise(node, value),
        }
        self.judge(node, value, path);
    }

    fn object(&mut self, node: &Node, map: &mut Map<String, Value>, path: &Path<'_>) {
        map.retain(|name, value| self.keep(node, name, value, path));
        for name in node.defaulted.iter().filter(|name| !map.contains_key(*name)).collect::<Vec<_>>() {
            let child = &node.fields[name].node;
            let mut value = child.default.clone().unwrap_or_default();
            self.visit(child, &mut value, &path.field(name));
            map.insert(name.clone(), value);
        }
        if node.values.as_deref().is_some_and(quantity::is_quantity) {
            quantity::normalise(map);
        }
        if node.role == Role::Embedded {
            self.embedded(map, path);
        }
    }

    /// Whether the field `name` of the object at `path` stays, after what it holds was walked.
    fn keep(&mut self, node: &Node, name: &str, value: &mut Value, path: &Path<'_>) -> bool {
        let (child, path) = match (node.fields.get(name), &node.values) {
            (Some(field), _) => (&field.node, path.field(name)),
            (None, Some(values)) => (values, path.key(name)),
            (None, None) => {
                if !node.open && self.admitted.unknown.len() < MAX_REPORTED {
                    self.admitted.unknown.push(path.field(name).spelled());
                }
                return node.open;
            }
        };
        let is_pointer = node.fields.get(name).is_some_and(|field| field.pointer);
        if value.is_null() && (is_pointer || !child.nullable && child.default.is_none()) {
            return false;
        }
        let before = (self.typed, self.in_metadata);
        if node.role != Role::Part && name == "metadata" {
            (self.typed, self.in_metadata) = (true, true);
        }
        self.visit(child, value, &path);
        (self.typed, self.in_metadata) = before;
        true
    }

    /// Judges a value that is as it will be stored: what its schema says of the value, and not of its shape.
    fn judge(&mut self, node: &Node, value: &Value, path: &Path<'_>) {
        self.judged += 1;
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => self.text(node, text, path),
            Value::Number(number) => self.number(node, number, path),
            Value::Array(items) => self.items(node, items, path),
            Value::Object(map) => self.fields(node, map, path),
        }
        if !node.allowed.is_empty() && !node.allowed.iter().any(|allowed| scalar::same(allowed, value)) {
            self.fault(|| fault::not_supported(path, value, &node.allowed));
        }
        if let Some(junctors) = node.junctors.as_deref().filter(|_| !value.is_null()) {
            self.junctors(junctors, value, path);
        }
    }

    /// Judges what an object has: how many fields, and all that must be there.
    fn fields(&mut self, node: &Node, map: &Map<String, Value>, path: &Path<'_>) {
        let (least, most) = node.bounds.properties;
        if let Some(least) = least.filter(|least| (map.len() as u64) < *least) {
            let rule = || format!("should have at least {least} properties");
            self.fault(|| fault::invalid(path, &map.len().into(), &rule()));
        }
        if let Some(most) = most.filter(|most| map.len() as u64 > *most) {
            self.fault(|| fault::too_many(path, map.len(), most));
        }
        // Metadata is judged by rules of its own.
        let required = if self.in_metadata { &[][..] } else { &node.required };
        for name in required.iter().filter(|name| !map.contains_key(*name)) {
            self.fault(|| fault::required(&path.field(name)));
        }
    }

    fn fault(&mut self, cause: impl FnOnce() -> Cause) {
        self.faults += 1;
        if self.admitted.causes.len() < self.room {
            self.admitted.causes.push(cause());
        }
    }
}

#[cfg(test)]
mod tests;
