//! A schema as ownership sees it: what is one field, what is a map of fields, and which lists have items that are told apart.

use serde_json::{Map, Value};

use super::element::Element;
use crate::node::{Kind, ListType, Node};

/// What is known of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type<'s> {
    /// What its schema says.
    Known(&'s Node),
    /// Nothing, on purpose: objects are maps of fields, all else is one field.
    Untyped,
    /// Nothing, since the schema has no such field. Walks treat it like [`Type::Untyped`]; a configuration may not have it.
    Undeclared,
}

/// How a value is owned.
pub(super) enum Shape<'s, 'v> {
    /// As one.
    Leaf,
    /// By field or item, if it were not null.
    Nothing,
    /// By field.
    Map(&'v Map<String, Value>),
    /// By item.
    List(List<'s>, &'v [Value]),
}

/// A list whose items are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'s> {
    /// The fields of an item that do so; `None` if an item does itself.
    pub(super) keys: Option<&'s [String]>,
    items: Option<&'s Node>,
}

impl<'s> Type<'s> {
    /// What `node` says.
    pub(super) fn of(node: &'s Node) -> Self {
        if node.kind == Kind::Any && node.is_bare() { Self::Untyped } else { Self::Known(node) }
    }

    /// The type of the field `name`.
    pub(super) fn field(self, name: &str) -> Self {
        let Self::Known(node) = self else { return Self::Untyped };
        match node.child(name) {
            Some(child) => Self::of(child),
            None if node.open || node.is_bare() || node.kind == Kind::Any => Self::Untyped,
            None => Self::Undeclared,
        }
    }

    /// Whether the schema itself names the field: such a field has no owner of its own, only what is in it has.
    pub(super) fn names(self, name: &str) -> bool {
        matches!(self, Self::Known(node) if node.fields.contains_key(name))
    }

    /// The type of what `element` leads to.
    pub(super) fn below(self, element: &Element<'_>) -> Self {
        match (element, self) {
            (Element::Field(name), _) => self.field(name),
            (_, Self::Known(Node { items: Some(items), .. })) => Self::of(items),
            _ => Self::Untyped,
        }
    }

    /// Whether an object or a list of this type is owned as one by its schema's wish.
    pub(super) fn is_atomic(self) -> bool {
        match self {
            Self::Known(node) if node.kind == Kind::Array => node.list == ListType::Atomic,
            Self::Known(node) => node.kind == Kind::Object && node.atomic,
            _ => false,
        }
    }

    /// How `value` is owned. A value that is not of its type is owned as one.
    pub(super) fn shape<'v>(self, value: &'v Value) -> Shape<'s, 'v> {
        match self {
            Self::Known(node) if node.kind == Kind::Array => match (list_of(node), value) {
                (Some(list), Value::Array(items)) => Shape::List(list, items),
                (Some(_), Value::Null) => Shape::Nothing,
                _ => Shape::Leaf,
            },
            Self::Known(node) if node.atomic || !matches!(node.kind, Kind::Object | Kind::Any) => Shape::Leaf,
            _ => match value {
                Value::Object(fields) => Shape::Map(fields),
                Value::Null => Shape::Nothing,
                _ => Shape::Leaf,
            },
        }
    }
}

impl<'s> List<'s> {
    /// The type of the items.
    pub(super) fn items(self) -> Type<'s> {
        self.items.map_or(Type::Untyped, Type::of)
    }

    /// What an item that does not say its `key` has.
    pub(super) fn default_of(self, key: &str) -> Option<&'s Value> {
        self.items?.fields.get(key)?.node.default.as_ref()
    }

    /// The items by what tells them apart, sorted; equal ones beside each other, in their order.
    ///
    /// # Errors
    /// Which item cannot be told apart, and why.
    pub(super) fn index<'v>(self, items: &'v [Value]) -> Result<Vec<(Element<'v>, &'v Value)>, String> {
        let mut index = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let element = Element::of_item(self, item).map_err(|why| format!("element {place}: {why}"))?;
            index.push((element, item));
        }
        index.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(index)
    }
}

fn list_of(node: &Node) -> Option<List<'_>> {
    let items = node.items.as_deref();
    match &node.list {
        ListType::Atomic => None,
        ListType::Set => Some(List { keys: None, items }),
        ListType::Map(keys) => Some(List { keys: Some(keys), items }),
    }
}
