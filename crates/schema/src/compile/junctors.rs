//! `allOf`, `anyOf`, `oneOf` and `not`: rules about a value whose shape the schema around them has said already, so that
//! pruning and defaulting need not look into them. What upstream calls structural is checked here.

use detectviz_api::definition::Schema;
use std::collections::BTreeMap;

use super::{Fault, fault, rules};
use crate::node::{Field, Format, Junctors, Kind, Node};

/// The rules of `schema`, which is that of `shape`; `None` when there are none.
pub(super) fn compile(schema: &Schema, shape: &Node, path: &str) -> Result<Option<Box<Junctors>>, Fault> {
    let list = |rules: &[Schema], name: &str, may_be_typed: bool| {
        let rule = |(index, rule)| nested(rule, shape, may_be_typed, &format!("{path}.{name}[{index}]"));
        rules.iter().enumerate().map(rule).collect::<Result<Vec<Node>, Fault>>()
    };
    let junctors = Junctors {
        all: list(&schema.all_of, "allOf", false)?,
        any: list(&schema.any_of, "anyOf", is_integer_or_string(&schema.any_of))?,
        one: list(&schema.one_of, "oneOf", false)?,
        not: schema
            .not
            .as_deref()
            .map(|rule| nested(rule, shape, false, &format!("{path}.not")))
            .transpose()?,
    };
    let none = [&junctors.all, &junctors.any, &junctors.one].iter().all(|rules| rules.is_empty());
    Ok((!none || junctors.not.is_some()).then(|| Box::new(junctors)))
}

/// Whether the rules are the one pair that may name types, since tools write it beside `x-kubernetes-int-or-string`.
fn is_integer_or_string(rules: &[Schema]) -> bool {
    let typed = |kind: &str| Schema { kind: kind.to_owned(), ..Schema::default() };
    rules == [typed("integer"), typed("string")]
}

fn nested(schema: &Schema, shape: &Node, may_be_typed: bool, path: &str) -> Result<Node, Fault> {
    check_structural(schema, may_be_typed, path)?;
    let kind = if schema.kind.is_empty() { Kind::Any } else { Kind::of(schema).unwrap_or_default() };
    let mut node = Node {
        kind,
        format: Format::of(&schema.format, Kind::Any, false),
        allowed: schema.allowed.clone(),
        required: schema.required.clone(),
        fields: fields(schema, shape, path)?,
        bounds: rules::bounds(schema, path)?,
        open: true,
        ..Node::default()
    };
    if let Some(items) = &schema.items {
        let path = format!("{path}.items");
        node.items = Some(nested(items, within(shape.items.as_deref(), &path)?, false, &path)?.into());
    }
    node.junctors = compile(schema, shape, path)?;
    Ok(node)
}

fn fields(schema: &Schema, shape: &Node, path: &str) -> Result<BTreeMap<String, Field>, Fault> {
    let field = |(name, property): (&String, &Schema)| {
        let path = format!("{path}.properties[{name}]");
        let shape = within(shape.child(name).map(AsRef::as_ref), &path)?;
        Ok((name.clone(), Field::of(&nested(property, shape, false, &path)?.into())))
    };
    schema.properties.iter().map(|(name, property)| (name, &**property)).map(field).collect()
}

fn within<'a>(shape: Option<&'a Node>, path: &str) -> Result<&'a Node, Fault> {
    let missing =
        || (path.to_owned(), "is not in the schema around it, which must say what it is".to_owned());
    shape.ok_or_else(missing)
}

fn check_structural(schema: &Schema, may_be_typed: bool, path: &str) -> Result<(), Fault> {
    for (name, stands) in [
        ("type", !schema.kind.is_empty() && !may_be_typed),
        ("$ref", schema.reference.is_some()),
        ("additionalProperties", schema.additional_properties.is_some()),
        ("default", schema.default.is_some()),
        ("title", !schema.title.is_empty()),
        ("description", !schema.description.is_empty()),
        ("nullable", schema.nullable),
        ("externalDocs", schema.external_docs.is_some()),
        ("x-kubernetes-preserve-unknown-fields", schema.preserve_unknown_fields),
        ("x-kubernetes-embedded-resource", schema.embedded_resource),
        ("x-kubernetes-int-or-string", schema.int_or_string),
        ("x-kubernetes-list-type", !schema.list_type.is_empty()),
        ("x-kubernetes-list-map-keys", !schema.list_map_keys.is_empty()),
        ("x-kubernetes-map-type", !schema.map_type.is_empty()),
        ("properties[metadata]", schema.properties.contains_key("metadata")),
    ] {
        if stands {
            return fault(&format!("{path}.{name}"), "must not stand within allOf, anyOf, oneOf or not");
        }
    }
    Ok(())
}
