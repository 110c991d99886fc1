//! `FieldsV1`: a set of fields as JSON. An object is a level, a key a step, `.` the mark of a member that leads to others.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::{Branch, Set};

/// Reads a set, and says whether the text is as [`encode`] would write it.
///
/// Recursion is bounded by the depth of the document that the set stands in.
///
/// # Errors
/// In upstream's words, why it is none.
pub(super) fn decode(fields: &Value) -> Result<(Set<'_>, bool), String> {
    let mut canonical = true;
    let level = level(fields, &mut canonical)?;
    // The whole object is no field: a mark that it were one is not written again.
    let marked = fields.get(".").is_some();
    Ok((level.below, canonical && !marked))
}

/// What an object says of the step that leads to it.
struct Level<'a> {
    member: bool,
    below: Set<'a>,
}

fn level<'a>(fields: &'a Value, canonical: &mut bool) -> Result<Level<'a>, String> {
    let fields = match fields {
        Value::Object(fields) => fields,
        Value::Null => {
            *canonical = false;
            return Ok(Level { member: true, below: Set::default() });
        }
        other => return Err(format!("expect {{ or n, but found {other}")),
    };
    let mut branches = Vec::with_capacity(fields.len());
    let mut member = false;
    for (text, value) in fields {
        if text == "." {
            member = true;
            *canonical &= value.as_object().is_some_and(Map::is_empty);
            continue;
        }
        let Some(element) = Element::parse(text)? else {
            *canonical = false;
            continue;
        };
        *canonical &= element.is_written(text);
        let Level { member, below } = level(value, canonical)?;
        branches.push(Branch { element, member, below });
    }
    let below = Set::of(branches);
    *canonical &= !(member && below.is_empty());
    Ok(Level { member: member || below.is_empty(), below })
}

/// Writes a set.
pub(super) fn encode(set: &Set<'_>) -> Value {
    Value::Object(object(set, false))
}

fn object(set: &Set<'_>, member: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    if member && !set.is_empty() {
        fields.insert(".".to_owned(), Value::Object(Map::new()));
    }
    for branch in set.branches() {
        let below = object(&branch.below, branch.member);
        fields.insert(branch.element.text(), Value::Object(below));
    }
    fields
}
