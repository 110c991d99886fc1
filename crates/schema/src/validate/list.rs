//! What must hold for a list: how many items, and that no two are the same where the schema tells them apart.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::{Walk, fault};
use crate::node::{ListType, Node};
use crate::path::Path;

impl Walk<'_> {
    pub(super) fn list(&mut self, node: &Node, items: &mut [Value], path: &Path<'_>) {
        if let Some(item) = &node.items {
            for (index, value) in items.iter_mut().enumerate() {
                self.visit(item, value, &path.index(index));
            }
        }
    }

    /// Judges how many items a list has, and whether they differ.
    pub(super) fn items(&mut self, node: &Node, items: &[Value], path: &Path<'_>) {
        let (least, most) = node.bounds.items;
        if let Some(least) = least.filter(|least| (items.len() as u64) < *least) {
            let rule = || format!("should have at least {least} items");
            self.fault(|| fault::invalid(path, &items.len().into(), &rule()));
        }
        if let Some(most) = most.filter(|most| items.len() as u64 > *most) {
            self.fault(|| fault::too_many(path, items.len(), most));
        }
        match &node.list {
            // In metadata upstream takes what stands twice, and so do the clients that write it.
            _ if self.in_metadata || items.len() < 2 => {}
            // Of messages upstream's own rules say which may stand twice, and so do the strategies here.
            _ if node.items.as_deref().is_some_and(|item| !item.numbers.is_empty()) => {}
            ListType::Atomic => {}
            ListType::Set => self.duplicates(items, &Value::clone, path),
            ListType::Map(names) => self.duplicates(items, &|item| keys(item, names), path),
        }
    }

    /// Names each item that stands in the list already, once however often it does.
    fn duplicates(&mut self, items: &[Value], key: &dyn Fn(&Value) -> Value, path: &Path<'_>) {
        let mut seen = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let key = key(item);
            let times = seen.entry(key.to_string()).or_insert(0_usize);
            *times += 1;
            if *times == 2 {
                self.fault(|| fault::duplicate(&path.index(index), &key));
            }
        }
    }
}

fn keys(item: &Value, names: &[String]) -> Value {
    let pair = |name: &String| item.get(name).map(|value| (name.clone(), value.clone()));
    Value::Object(names.iter().filter_map(pair).collect::<Map<_, _>>())
}
