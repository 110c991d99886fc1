//! What holds whoever writes what in which order.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::canonical;
use super::super::codec::{decode, encode};
use super::super::{ApplyError, Writer, list_in};
use super::{API_VERSION, Desk, object};

/// An object of the schema of [`super::version`]: each part of it may be there or not.
fn spec() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["a", "b", "c"]).prop_map(|text| json!(text));
    let name = || prop::sample::select(vec!["x", "y", "z"]).prop_map(str::to_owned);
    let map = move || prop::collection::btree_map(name(), text(), 0..3).prop_map(|map| json!(map));
    let set = prop::collection::btree_set(prop::sample::select(vec!["x", "y", "z"]), 0..3)
        .prop_map(|set| set.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|set| json!(set));
    let children = || keyed(3);
    let pair = move || {
        (prop::option::of(text()), prop::option::of(text())).prop_map(|(a, b)| fields([("a", a), ("b", b)]))
    };
    let ports = prop::collection::btree_map(
        (1..3, prop::sample::select(vec!["TCP", "UDP"])),
        prop::option::of(text()),
        0..3,
    )
    .prop_map(|ports| {
        let port = |((port, protocol), name): ((i32, &str), Option<Value>)| {
            fields([("port", Some(json!(port))), ("protocol", Some(json!(protocol))), ("name", name)])
        };
        ports.into_iter().map(port).collect::<Value>()
    });
    (
        (prop::option::of(text()), prop::option::of(0..3), prop::option::of(map()), prop::option::of(map())),
        (prop::option::of(set), prop::option::of(children()), prop::option::of(ports)),
        (
            prop::option::of(pair()),
            prop::option::of(pair()),
            prop::option::of(prop::collection::vec(text(), 0..3)),
        ),
        prop::option::of((children(), map()).prop_map(|(list, map)| json!({"list": list, "map": map}))),
    )
        .prop_map(
            |((text, number, map, atomic_map), (set, children, ports), (pair, atomic_pair, list), any)| {
                fields([
                    ("text", text),
                    ("number", number.map(|number| json!(number))),
                    ("map", map),
                    ("atomicMap", atomic_map),
                    ("set", set),
                    ("children", children),
                    ("ports", ports),
                    ("pair", pair),
                    ("atomicPair", atomic_pair),
                    ("list", list.map(|list| json!(list))),
                    ("any", any),
                ])
            },
        )
}

/// Items with names and, perhaps, values.
fn keyed(most: usize) -> impl Strategy<Value = Value> {
    let item = prop::collection::btree_map(
        prop::sample::select(vec!["x", "y", "z"]),
        prop::option::of(0..3).prop_map(|value| value.map(|value| json!(value))),
        0..=most,
    );
    item.prop_map(|items| {
        let item = |(name, value)| fields([("name", Some(json!(name))), ("value", value)]);
        items.into_iter().map(item).collect::<Value>()
    })
}

fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

/// Somebody's write.
#[derive(Clone, Debug)]
enum Act {
    Apply(&'static str, Value, bool),
    Update(&'static str, Value),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let manager = || prop::sample::select(vec!["a", "b", "kubectl"]);
    let act = prop_oneof![
        (manager(), spec(), any::<bool>())
            .prop_map(|(manager, spec, force)| Act::Apply(manager, spec, force)),
        (manager(), spec()).prop_map(|(manager, spec)| Act::Update(manager, spec)),
    ];
    prop::collection::vec(act, 0..5)
}

fn play(desk: &mut Desk, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Apply(manager, spec, force) => {
                let result = desk.run(manager, &object(spec), force);
                assert!(matches!(result, Ok(()) | Err(ApplyError::Conflicts(_))), "{result:?}");
            }
            Act::Update(manager, spec) => desk.update(manager, spec),
        }
    }
}

/// Every leaf of a value with the way to it, lists by place.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(name, value)| leaves(value, &format!("{path}.{name}"), found));
        }
        leaf => found.push((path.to_owned(), leaf.clone())),
    }
}

/// JSON of any kind, with names that mean something among others.
fn anything() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        "[a-z.:{}\"]{0,4}".prop_map(|value| json!(value)),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "spec",
            "status",
            "metadata",
            "managedFields",
            "map",
            "set",
            "children",
            "ports",
            "any",
            "name",
            "port",
            "list",
            "text",
            "manager",
            "operation",
            "fieldsV1",
            "f:spec",
            "f:set",
            "v:\"x\"",
            "k:{\"name\":\"x\"}",
            ".",
            "i:0",
            "annotations",
            "kubectl.kubernetes.io/last-applied-configuration",
        ])
        .prop_map(str::to_owned),
        "[fkvi]?:?[a-z{}\"]{0,3}",
    ];
    scalar.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(name.clone(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    /// Whoever applies something, that is: see `who_applies_nothing_but_empty_lists_owns_nothing`.
    #[test]
    fn to_apply_twice_is_to_apply_once(before in acts(), mut spec in spec()) {
        spec["float"] = json!(1.5);
        let mut desk = Desk::new();
        play(&mut desk, before);
        desk.force("a", spec.clone());
        let once = desk.object.clone();
        desk.apply("a", spec);
        prop_assert_eq!(desk.object, once);
    }

    /// Appliers that have nothing in common may come in any order. Only what has an order shows who came first: its items.
    #[test]
    fn the_order_of_independent_appliers_does_not_matter(before in acts(), one in spec(), two in spec()) {
        let mine = json!({"text": one.get("text"), "map": one.get("map"), "pair": one.get("pair"), "any": one.get("any"),
            "structs": {"mine": one.get("atomicPair")}});
        let yours = json!({"number": two.get("number"), "children": two.get("children"), "list": two.get("list"),
            "ports": two.get("ports"), "structs": {"yours": two.get("atomicPair")}});
        let result = |first: (&str, &Value), second: (&str, &Value)| {
            let mut desk = Desk::new();
            play(&mut desk, before.clone());
            desk.force(first.0, first.1.clone());
            desk.force(second.0, second.1.clone());
            let mut object = desk.object.unwrap();
            let entries = object["metadata"]["managedFields"].as_array_mut().unwrap();
            entries.iter_mut().for_each(|entry| { entry.as_object_mut().unwrap().remove("time"); });
            entries.sort_by_key(ToString::to_string);
            object
        };
        prop_assert_eq!(result(("m", &mine), ("y", &yours)), result(("y", &yours), ("m", &mine)));
    }

    /// What the applier did not have, others have or nobody has: it is there afterwards, unless it stood in something that
    /// the applier had and took away. Here nothing the applier has holds anything but leaves of its own.
    #[test]
    fn no_field_without_an_owner_disappears(others in spec(), first in spec(), second in spec()) {
        let only = |spec: &Value, names: &[&str]| -> Value {
            let kept = spec.as_object().unwrap().iter().filter(|(name, _)| names.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let (mine, theirs) = (["text", "map", "pair", "set", "children", "any"], ["number", "atomicMap", "atomicPair", "list", "ports"]);
        let mut desk = Desk::new();
        desk.apply("a", only(&first, &mine));
        // Defaults: nobody's.
        let spec = &mut desk.object.as_mut().unwrap()["spec"];
        let unowned = only(&others, &theirs);
        spec.as_object_mut().unwrap().extend(unowned.as_object().unwrap().clone());
        // The struct itself is held by somebody else, so that it does not go with the last of the applier's fields.
        desk.apply("keeper", json!({"float": 1.5}));
        desk.apply("a", only(&second, &mine));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        leaves(&unowned, "", &mut before);
        leaves(desk.spec(), "", &mut after);
        for leaf in before.iter().filter(|(path, _)| !path.is_empty()) {
            prop_assert!(after.contains(leaf), "{:?} is gone", leaf);
        }
        let mut wanted = Vec::new();
        leaves(&only(&second, &mine), "", &mut wanted);
        for (path, _) in wanted.iter().filter(|(path, _)| !path.is_empty()) {
            prop_assert!(after.iter().any(|(found, _)| found.starts_with(path.as_str())), "{} is missing", path);
        }
    }

    /// Whatever is owned is there, and what an applier last said is so while it owns it.
    #[test]
    fn every_entry_is_of_fields_that_are_there(acts in acts()) {
        let mut desk = Desk::new();
        play(&mut desk, acts);
        let Some(live) = &desk.object else { return Ok(()) };
        let root = super::super::types::Type::of(&desk.version.root);
        let all = super::super::fields::fields(root, live, super::super::fields::Count::Every).unwrap();
        for entry in list_in(live) {
            let (mut owned, canonical) = decode(&entry["fieldsV1"]).unwrap();
            prop_assert!(canonical && !owned.is_empty());
            owned.remove(&all);
            prop_assert_eq!(owned.paths(&mut 1_000_000), Vec::<String>::new(), "{:?}", entry);
        }
    }

    /// To say what is written in an entry is to say it again.
    #[test]
    fn sets_are_read_as_they_are_written(fields in anything()) {
        if let Ok((set, canonical)) = decode(&fields) {
            let written = encode(&set);
            let (again, is_canonical) = decode(&written).unwrap();
            prop_assert!(is_canonical);
            prop_assert_eq!(&again, &set);
            if canonical {
                prop_assert_eq!(written, fields);
            }
        }
    }

    /// What is taken for canonical without reading it is what reading and writing it makes of it.
    #[test]
    fn a_text_that_is_plainly_canonical_is(
        keys in r#"[{]("[ab! \\u]{0,2}":("[a\\/"ü]{0,2}"|-?[01]{1,3}|9{17,20}|1[.e]?0?|true|null|[{][}]),?){1,3}[}]"#,
    ) {
        if let Ok(canonical) = canonical::of_keys(&keys) {
            let value: Value = serde_json::from_str(&keys).unwrap();
            prop_assert_eq!(&*canonical, canonical::text(&value));
        }
        let value = &keys[1..keys.len() - 1];
        if let Ok(canonical) = canonical::of_value(value) {
            prop_assert_eq!(&*canonical, canonical::text(&serde_json::from_str(value).unwrap()));
        }
    }

    /// Any JSON is applied, written or refused.
    #[test]
    fn nothing_that_is_sent_or_stored_brings_it_down(live in anything(), config in anything(), manager in "[a-z]{0,2}|kubectl") {
        let version = super::version();
        let writer = Writer { manager: &manager, subresource: "", api_version: API_VERSION, now: "2026-01-01T00:00:00Z" };
        for live in [&live, &with_spec(&live), &with_entries(&live)] {
            for config in [&config, &with_spec(&config)] {
                if let Ok(applied) = version.apply(Some(live), config, &writer, true, &[&["status"]]) {
                    let again = version.apply(Some(&applied), config, &writer, false, &[&["status"]]);
                    prop_assert_eq!(&again.unwrap()["spec"], &applied["spec"]);
                }
                let mut new = config.clone();
                version.manage_update(Some(live), &mut new, &writer, &[&["status"]]);
                version.manage_update(None, &mut new, &writer, &[]);
            }
        }
    }
}

fn with_spec(value: &Value) -> Value {
    object(value.clone())
}

fn with_entries(fields: &Value) -> Value {
    let mut object = object(json!({"set": ["x"], "any": fields}));
    object["metadata"]["managedFields"] = json!([{
        "manager": "a", "operation": "Apply", "apiVersion": API_VERSION, "fieldsType": "FieldsV1", "fieldsV1": fields,
    }]);
    object
}
