//! Objects of a schema at random, none of which has anything empty where empty means absent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::timestamp;
use serde_json::{Map, Value, json};

use crate::node::{Format, Kind, Node};

/// A small source of numbers: one seed gives one object.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn text(&mut self) -> String {
        let letters = ['a', 'Z', '0', '-', ' ', '"', 'é', '漢'];
        (0..=self.below(6)).map(|_| letters[self.below(8) as usize]).collect()
    }

    /// An object of `node`: its required fields, and some of the others.
    pub(super) fn object(&mut self, node: &Node) -> Value {
        // These have no number: they stand in the envelope, or belong to no message.
        let named =
            |name: &str| matches!(name, "apiVersion" | "kind") && node.fields.contains_key("metadata");
        let mut map = Map::new();
        for (name, field) in node.fields.iter().filter(|(name, _)| !named(name)) {
            if !node.required.contains(name) && self.below(3) > 0 {
                continue;
            }
            let value = self.value(&field.node);
            let is_empty = value.as_object().is_some_and(Map::is_empty);
            if !is_empty || field.pointer || node.required.contains(name) {
                map.insert(name.clone(), value);
            }
        }
        Value::Object(map)
    }

    fn value(&mut self, node: &Node) -> Value {
        match (node.kind, node.format) {
            (Kind::Any, _) => json!([{"a": self.text()}, null, 1.5]),
            (Kind::Object, _) if node.open && node.numbers.is_empty() => json!({self.text(): {"b": []}}),
            (Kind::Object, _) => match &node.values {
                Some(values) => (0..=self.below(3)).map(|_| (self.text(), self.value(values))).collect(),
                None => self.object(node),
            },
            (Kind::Array, _) => {
                let item = node.items.as_deref().unwrap();
                (0..=self.below(3)).map(|_| self.value(item)).collect()
            }
            (Kind::Boolean, _) => true.into(),
            (Kind::Integer, Format::Int32) => (i64::from(i32::MIN) + self.below(1 << 31) as i64).into(),
            (Kind::Integer, _) => (i64::MIN + self.below(1 << 31) as i64).into(),
            (Kind::Number, _) => (self.below(1 << 31) as f64 / 7.0 + 0.1).into(),
            (Kind::IntOrString, Format::None) if self.below(2) == 0 => (self.below(9) + 1).into(),
            (Kind::IntOrString | Kind::String, format) => self.formatted(format).into(),
        }
    }

    fn formatted(&mut self, format: Format) -> String {
        let seconds = self.below(1 << 31) as i64 * 100 - 10_000_000_000;
        match format {
            Format::DateTime => timestamp::seconds(timestamp::from_unix(seconds, 0).unwrap()),
            Format::MicroTime => timestamp::micros(timestamp::from_unix(seconds, 123_456_000).unwrap()),
            Format::Duration => format!("{}s", self.below(60)),
            Format::Quantity => format!("{}Mi", self.below(1000)),
            Format::Byte => STANDARD.encode(self.text()),
            _ => self.text(),
        }
    }
}
