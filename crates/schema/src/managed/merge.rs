//! Laying a configuration over an object.

use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

use super::element::Element;
use super::types::{List, Shape, Type};

/// Lays `config` over `live`: nothing goes away, and what both have is as `config` has it.
///
/// # Errors
/// When an item of a list cannot be told apart. `live` is then half merged: the caller throws it away.
pub(super) fn merge(ty: Type<'_>, live: &mut Value, config: &Value) -> Result<(), String> {
    let list = match (ty.shape(live), ty.shape(config)) {
        (Shape::Map(_), Shape::Map(_)) => None,
        (Shape::List(list, _), Shape::List(..)) => Some(list),
        // To say null of what has fields is to say nothing of them.
        (Shape::Map(fields), Shape::Nothing) if !fields.is_empty() => return Ok(()),
        (Shape::List(_, items), Shape::Nothing) if !items.is_empty() => return Ok(()),
        _ => {
            *live = config.clone();
            return Ok(());
        }
    };
    match (live, config) {
        (Value::Object(live), Value::Object(config)) => maps(ty, live, config),
        (Value::Array(live), Value::Array(config)) => match list {
            Some(list) => lists(list, live, config),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn maps(ty: Type<'_>, live: &mut Map<String, Value>, config: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in config {
        match live.get_mut(name) {
            Some(live) => merge(ty.field(name), live, value)?,
            None => {
                live.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

fn lists(list: List<'_>, live: &mut Vec<Value>, config: &[Value]) -> Result<(), String> {
    let order = order(&elements(list, live)?, &elements(list, config)?);
    let mut old: Vec<Value> = std::mem::take(live);
    for step in order {
        live.push(match step {
            Step::Live(place) => old[place].take(),
            Step::Config(place) => config[place].clone(),
            Step::Both(from_live, from_config) => {
                let mut item = old[from_live].take();
                merge(list.items(), &mut item, &config[from_config])?;
                item
            }
        });
    }
    Ok(())
}

fn elements<'a>(list: List<'_>, items: &[Value]) -> Result<Vec<Element<'a>>, String> {
    let element =
        |(place, item)| Element::of_item(list, item).map_err(|why| format!("element {place}: {why}"));
    items.iter().enumerate().map(element).collect()
}

/// Where an item of a merged list comes from.
enum Step {
    Live(usize),
    Config(usize),
    Both(usize, usize),
}

/// Items that both have stand in the configuration's order, new ones beside their neighbours there; items that only the
/// object has keep their places among those. One that stands twice in the object is not merged but replaced.
fn order(live: &[Element<'_>], config: &[Element<'_>]) -> Vec<Step> {
    let mut places: HashMap<&Element<'_>, Option<usize>> = HashMap::with_capacity(live.len());
    for (place, element) in live.iter().enumerate() {
        places.entry(element).and_modify(|place| *place = None).or_insert(Some(place));
    }
    let wanted: HashSet<&Element<'_>> = config.iter().collect();
    let mut shared = config.iter().filter(|element| places.contains_key(element)).peekable();
    let mut done: HashSet<&Element<'_>> = HashSet::with_capacity(config.len());
    let mut steps = Vec::with_capacity(live.len().max(config.len()));
    let (mut from_live, mut from_config) = (0, 0);
    loop {
        let (old, new) = (live.get(from_live), config.get(from_config));
        if let Some(old) = old {
            if !wanted.contains(old) {
                steps.push(Step::Live(from_live));
                from_live += 1;
                continue;
            }
            let is_early = new.is_some() && shared.peek().is_some_and(|next| *next != old);
            if is_early {
                from_live += 1;
                continue;
            }
            from_live += usize::from(new == Some(old) || done.contains(old));
        }
        match (old, new) {
            (None, None) => return steps,
            (Some(_), None) => {}
            (_, Some(new)) => {
                steps.push(match places.get(new).copied().flatten() {
                    Some(place) => Step::Both(place, from_config),
                    None => Step::Config(from_config),
                });
                done.insert(new);
                shared.next_if(|next| *next == new);
                from_config += 1;
            }
        }
    }
}
