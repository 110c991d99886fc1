//! Objects as large as a request may be: the work grows with the size and not with its square, and so does the memory.

use serde_json::{Map, Value, json};

use super::{API_VERSION, Desk, object};

/// So many items that to look at each for each would take very long.
const MANY: usize = 20_000;

fn items(range: std::ops::Range<usize>) -> Value {
    range.map(|number| json!({"name": format!("n{number}")})).collect()
}

#[test]
fn a_list_map_of_many_items_is_applied_changed_and_given_up() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"children": items(0..MANY)}));
    // All other items, in another order, and none of the old ones in the end.
    let reversed: Value =
        items(MANY / 2..MANY + MANY / 2).as_array().unwrap().iter().rev().cloned().collect();
    desk.apply("b", json!({"children": reversed}));
    assert_eq!(desk.spec()["children"].as_array().unwrap().len(), MANY + MANY / 2);
    desk.apply("a", Value::Null);
    assert_eq!(desk.spec()["children"], reversed);
    desk.update("c", json!({"children": items(0..10)}));
    assert_eq!(desk.managers(), ["c"]);
}

#[test]
fn a_set_and_a_map_of_many_are_compared_and_contested() {
    let set = |letter: &str| (0..MANY).map(|number| json!(format!("{letter}{number}"))).collect::<Value>();
    let map =
        |value: &str| (0..MANY).map(|number| (format!("k{number}"), json!(value))).collect::<Map<_, _>>();
    let mut desk = Desk::new();
    desk.apply("a", json!({"set": set("a"), "map": map("1")}));
    desk.update("b", json!({"set": set("b"), "map": map("1")}));
    assert_eq!(desk.owned("a")["f:map"].as_object().unwrap().len(), MANY);
    let conflicts = desk.conflicts("c", json!({"map": map("2")}));
    assert!(conflicts.len() > 1_000 && conflicts.len() < MANY, "{} are told", conflicts.len());
}

#[test]
fn items_that_all_have_one_key_are_one_field() {
    let twice: Value = (0..MANY).map(|number| json!({"name": "n", "value": number})).collect();
    let mut desk = Desk::with("a", json!({"children": twice}));
    assert_eq!(desk.owned("a")["f:children"], json!({".": {}, "k:{\"name\":\"n\"}": {}}));
    desk.force("b", json!({"children": [{"name": "n"}]}));
    assert_eq!(*desk.spec(), json!({"children": [{"name": "n"}]}));
    let fault = Desk::new().refusal(json!({"children": twice}));
    assert_eq!(fault.lines().count(), 1 + crate::decode::MAX_REPORTED);
}

/// As deep as a document may be: each level is walked once, however many levels are walked again for it.
#[test]
fn what_is_nested_deeply_is_walked_once() {
    let nested =
        |leaf: &str| (0..110).fold(json!({leaf: 1}), |inner, _| json!({"x": inner, "y": {}, "z": {"w": []}}));
    let mut desk = Desk::new();
    desk.apply("a", json!({"any": nested("one")}));
    desk.apply("b", json!({"any": nested("two")}));
    desk.update("c", json!({"any": nested("three")}));
    desk.apply("a", Value::Null);
    let fields = desk.entries().to_vec();
    let mut config = object(json!({"text": "x"}));
    config["metadata"]["labels"] = json!({"l": "x"});
    desk.run("d", &config, false).unwrap();
    assert!(fields.len() < desk.entries().len());
}

/// What would be told of each field stands in its path; of a long path and many fields the product would.
#[test]
fn a_long_name_is_not_repeated_without_end() {
    let name = "n".repeat(100_000);
    let spec = |value: usize| json!({"any": {&name: (0..MANY).map(|key| (key.to_string(), json!(value))).collect::<Map<_, _>>()}});
    let mut desk = Desk::new();
    desk.apply("a", spec(1));
    let told: usize = desk.conflicts("b", spec(2)).iter().map(String::len).sum();
    assert!(told < 1_000_000, "{told} bytes are told");
    let one = |value: usize| json!({"map": {"ü".repeat(500_000): value.to_string()}});
    let mut single = Desk::new();
    single.apply("a", one(1));
    let told = single.conflicts("b", one(2));
    assert!(told.len() == 1 && told[0].len() < 2_000 && told[0].ends_with("..."), "{:.2000}", told[0]);
    let items: Vec<Value> = (0..MANY).map(|_| json!({"name": "x"})).collect();
    let fault = desk
        .refusal(json!({"structs": {&name: {"c": items}}, "map": {&name: [1]}, "maps": {&name: {"a": 1}}}));
    assert!(fault.len() < 1_000_000, "{} bytes are told", fault.len());
}

/// Entries come from clients, too.
#[test]
fn many_entries_are_read_and_made_few() {
    let entry = |operation: &str, number: usize, version: &str| {
        json!({"manager": format!("m{number}"), "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:map": {format!("f:k{number}"): {}}}}})
    };
    let updates: Value = (0..MANY).map(|number| entry("Update", number, API_VERSION)).collect();
    let versions: Value = (0..MANY).map(|number| entry("Update", number, &format!("v{number}"))).collect();
    let applies: Value = (0..MANY).map(|number| entry("Apply", number, API_VERSION)).collect();
    let map: Map<_, _> = (0..MANY).map(|number| (format!("k{number}"), json!("x"))).collect();
    for (entries, count) in [(updates, 10), (versions, MANY + 1), (applies, MANY + 1)] {
        let mut desk = Desk::with("me", json!({"map": map}));
        desk.edit("me", |object| {
            object["metadata"]["managedFields"] = entries;
            object["spec"]["text"] = json!("x");
        });
        assert_eq!(desk.entries().len(), count);
        desk.apply("a", json!({"map": {"k1": "x", "k2": "x"}, "number": 1}));
        desk.apply("a", json!({"map": {"k1": "x"}}));
        assert_eq!(desk.spec()["map"].as_object().unwrap().len(), MANY);
    }
}
