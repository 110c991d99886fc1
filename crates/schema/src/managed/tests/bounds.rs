//! Objects as large as a request may be: the work grows with the size and not with its square, and so does the memory.

use serde_json::{Map, Value, json};

use super::{Desk, object};

/// So many items that to look at each for each would take very long.
const MANY: usize = 40_000;

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
    assert_eq!(desk.conflicts("c", json!({"map": map("2")})).len(), MANY);
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
