//! Quantities as kube-apiserver keeps them: a number is a text, and what maps of resources hold has one way to be written.

use detectviz_api::quantity::Quantity;
use serde_json::{Map, Value};

use crate::node::{Format, Kind, Node};

/// Whether the values of `node` are quantities.
pub(super) fn is_quantity(node: &Node) -> bool {
    node.kind == Kind::String && node.format == Format::Quantity
}

/// Makes a text of a number, and takes away the space around a text.
pub(super) fn as_text(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.to_string().into(),
        Value::String(text) if text.trim().len() != text.len() => *text = text.trim().to_owned(),
        _ => {}
    }
}

/// Writes what a map of resources holds in whole thousandths, in the one way that each amount has. What is no quantity stays as
/// it is, for the walk to refuse.
pub(super) fn normalise(map: &mut Map<String, Value>) {
    for value in map.values_mut() {
        if let Some(quantity) = value.as_str().and_then(|text| text.parse::<Quantity>().ok()) {
            *value = quantity.rounded_to_milli().to_string().into();
        }
    }
}
