//! What must hold for a list: how many items, and that no two are the same where the schema tells them apart.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

use super::{Admitted, fault};
use crate::node::{ListType, Node};
use crate::path::Path;

impl Admitted {
    pub(super) fn list(&mut self, node: &Node, items: &mut [Value], path: &Path<'_>) {
        if let Some(item) = &node.items {
            for (index, value) in items.iter_mut().enumerate() {
                self.visit(item, value, &path.index(index));
            }
        }
        self.count(node, items.len(), path);
        self.duplicates(node, items, path);
    }

    fn count(&mut self, node: &Node, count: usize, path: &Path<'_>) {
        let (least, most) = node.bounds.items;
        if let Some(least) = least.filter(|least| (count as u64) < *least) {
            let rule = format!("should have at least {least} items");
            self.fault(fault::invalid(path, &count.into(), &rule));
        }
        if let Some(most) = most.filter(|most| count as u64 > *most) {
            self.fault(fault::too_many(path, count, most));
        }
    }

    fn duplicates(&mut self, node: &Node, items: &[Value], path: &Path<'_>) {
        // Of messages upstream's own rules say which may stand twice, and so do the strategies here.
        if node.items.as_deref().is_some_and(|item| !item.numbers.is_empty()) {
            return;
        }
        let key: &dyn Fn(&Value) -> Value = match &node.list {
            ListType::Atomic => return,
            ListType::Set => &Value::clone,
            ListType::Map(names) => &|item| keys(item, names),
        };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let key = key(item);
            if !seen.insert(key.to_string()) {
                self.fault(fault::duplicate(&path.index(index), &key));
            }
        }
    }
}

fn keys(item: &Value, names: &[String]) -> Value {
    let pair = |name: &String| item.get(name).map(|value| (name.clone(), value.clone()));
    Value::Object(names.iter().filter_map(pair).collect::<Map<_, _>>())
}
