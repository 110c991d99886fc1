//! Lists whose items are told apart: sets and list-maps.

use serde_json::{Value, json};

use super::Desk;

#[test]
fn a_set_has_an_owner_for_each_of_its_values() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"set": ["x", "y"], "numbers": [1]}));
    assert_eq!(*desk.owned("a"), json!({"f:set": {"v:\"x\"": {}, "v:\"y\"": {}}, "f:numbers": {"v:1": {}}}));
    desk.apply("b", json!({"set": ["y", "z"], "numbers": [2, 1]}));
    assert_eq!(*desk.spec(), json!({"set": ["x", "y", "z"], "numbers": [2, 1]}));
    desk.apply("a", json!({"set": ["x"]}));
    assert_eq!(*desk.spec(), json!({"set": ["x", "y", "z"], "numbers": [2, 1]}));
    desk.apply("b", Value::Null);
    assert_eq!(*desk.spec(), json!({"set": ["x"]}));
    desk.apply("a", Value::Null);
    assert_eq!(desk.object.as_ref().unwrap().get("spec"), None);
}

#[test]
fn a_list_map_has_owners_for_each_field_of_each_item() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"children": [{"name": "one", "value": 1}]}));
    assert_eq!(
        *desk.owned("a"),
        json!({"f:children": {"k:{\"name\":\"one\"}": {".": {}, "f:name": {}, "f:value": {}}}})
    );
    desk.apply("b", json!({"children": [{"name": "two", "value": 2}, {"name": "one"}]}));
    assert_eq!(*desk.spec(), json!({"children": [{"name": "two", "value": 2}, {"name": "one", "value": 1}]}));
    assert_eq!(
        desk.conflicts("b", json!({"children": [{"name": "one", "value": 5}]})),
        ["a .spec.children[name=\"one\"].value"]
    );
    desk.apply("a", Value::Null);
    assert_eq!(*desk.spec(), json!({"children": [{"name": "two", "value": 2}, {"name": "one"}]}));
    desk.apply("b", json!({"children": [{"name": "two", "value": 2}]}));
    assert_eq!(*desk.spec(), json!({"children": [{"name": "two", "value": 2}]}));
}

#[test]
fn several_keys_tell_items_apart_and_a_default_is_a_key_too() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"ports": [{"port": 53}, {"port": 53, "protocol": "UDP", "name": "dns"}]}));
    assert_eq!(
        *desk.owned("a"),
        json!({"f:ports": {
            "k:{\"port\":53,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
            "k:{\"port\":53,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}},
        }})
    );
    // The server writes the default; the item is the same, and the default is nobody's.
    desk.edit("", |object| object["spec"]["ports"][0]["protocol"] = json!("TCP"));
    desk.apply("b", json!({"ports": [{"port": 53, "name": "tcp"}]}));
    assert_eq!(desk.spec()["ports"][0], json!({"port": 53, "protocol": "TCP", "name": "tcp"}));
    desk.apply("a", json!({"ports": [{"port": 53}]}));
    assert_eq!(*desk.spec(), json!({"ports": [{"port": 53, "protocol": "TCP", "name": "tcp"}]}));
    assert_eq!(
        desk.conflicts("a", json!({"ports": [{"port": 53, "name": "other"}]})),
        ["b .spec.ports[port=53,protocol=\"TCP\"].name"]
    );
}

#[test]
fn lists_within_lists_have_owners_all_the_way_down() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"family": [{"name": "x", "children": [{"name": "c", "value": 1}]}]}));
    desk.apply("b", json!({"family": [{"name": "x", "children": [{"name": "d"}], "pair": {"a": "1"}}]}));
    assert_eq!(
        *desk.spec(),
        json!({"family": [
            {"name": "x", "children": [{"name": "c", "value": 1}, {"name": "d"}], "pair": {"a": "1"}}
        ]})
    );
    desk.apply("a", json!({"family": [{"name": "x"}]}));
    assert_eq!(
        *desk.spec(),
        json!({"family": [{"name": "x", "children": [{"name": "d"}], "pair": {"a": "1"}}]})
    );
    desk.apply("b", Value::Null);
    assert_eq!(*desk.spec(), json!({"family": [{"name": "x"}]}));
    let mut desk = Desk::new();
    desk.apply("a", json!({"ports": [{"port": 1, "tags": ["t", "u"]}]}));
    desk.apply("b", json!({"ports": [{"port": 1, "tags": ["u", "v"]}]}));
    desk.apply("a", json!({"ports": [{"port": 1}]}));
    assert_eq!(*desk.spec(), json!({"ports": [{"port": 1, "tags": ["u", "v"]}]}));
}

#[test]
fn items_stand_in_the_configurations_order() {
    for (live, config, merged) in [
        ("abc", "b", "abc"),
        ("abc", "ca", "bca"),
        ("abc", "xb", "axbc"),
        ("abc", "bx", "abcx"),
        ("abcd", "dxa", "bcdxa"),
        ("", "ba", "ba"),
        ("ab", "", "ab"),
        ("abcde", "edcba", "edcba"),
        ("abc", "cxyb", "acxyb"),
        ("axbycz", "cba", "xyczba"),
    ] {
        let set = |text: &str| text.chars().map(|item| json!(item.to_string())).collect::<Value>();
        let mut desk = Desk::with("a", json!({"set": set(live)}));
        desk.apply("b", json!({"set": set(config)}));
        assert_eq!(desk.spec()["set"], set(merged), "{config} over {live}");
        let items =
            |text: &str| text.chars().map(|name| json!({"name": name.to_string()})).collect::<Value>();
        let mut desk = Desk::with("a", json!({"children": items(live)}));
        desk.apply("b", json!({"children": items(config)}));
        assert_eq!(desk.spec()["children"], items(merged), "{config} over {live}");
    }
}

#[test]
fn an_order_is_nobodys() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"set": ["x", "y"], "children": [{"name": "a"}, {"name": "b"}]}));
    let before = desk.owned("a").clone();
    desk.update("b", json!({"set": ["y", "x"], "children": [{"name": "b"}, {"name": "a"}]}));
    assert_eq!((desk.owned("a"), desk.owned("b")), (&before, &Value::Null));
}

#[test]
fn what_stands_twice_in_the_object_is_kept_until_somebody_applies_it() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"text": "x", "children": [{"name": "a", "value": 1}]}));
    let twice = json!([{"name": "d", "value": 1}, {"name": "a", "value": 1}, {"name": "d", "value": 2}]);
    desk.edit("b", |object| object["spec"]["children"] = twice.clone());
    assert_eq!(*desk.owned("b"), json!({"f:children": {"k:{\"name\":\"d\"}": {}}}));
    desk.apply("a", json!({"text": "y", "children": [{"name": "a", "value": 1}]}));
    assert_eq!(desk.spec()["children"], twice);
    assert_eq!(
        desk.conflicts("c", json!({"children": [{"name": "d", "value": 3}]})),
        ["b .spec.children[name=\"d\"]"]
    );
    desk.force("c", json!({"children": [{"name": "d", "value": 3}]}));
    assert_eq!(desk.spec()["children"], json!([{"name": "d", "value": 3}, {"name": "a", "value": 1}]));
    assert_eq!(desk.owned("b"), &Value::Null);
}

#[test]
fn what_stands_twice_in_a_set_is_one_field() {
    let mut desk = Desk::with("b", json!({"set": ["x", "y", "x"]}));
    assert_eq!(*desk.owned("b"), json!({".": {}, "f:set": {".": {}, "v:\"x\"": {}, "v:\"y\"": {}}}));
    desk.apply("a", json!({"set": ["z"]}));
    assert_eq!(desk.spec()["set"], json!(["x", "y", "x", "z"]));
    desk.update("c", json!({"set": ["x", "y", "z"]}));
    assert_eq!(*desk.owned("c"), json!({"f:set": {"v:\"x\"": {}}}));
    desk.update("d", json!({"set": ["x", "x", "y", "z"]}));
    assert_eq!((desk.owned("c"), desk.owned("d")), (&Value::Null, &json!({"f:set": {"v:\"x\"": {}}})));
}

#[test]
fn what_stands_twice_belongs_to_who_made_or_changed_it() {
    let item = |name: &str, value: i64| json!({"name": name, "value": value});
    let children = |items: &[Value]| json!({"children": items});
    let twice = [item("a", 1), item("a", 2), item("b", 3)];
    let (a, b) = ("k:{\"name\":\"a\"}", "k:{\"name\":\"b\"}");
    let whole = json!({".": {}, "f:name": {}, "f:value": {}});
    for (before, after, owned_before, owned_after) in [
        // One of two is changed: both are.
        (&twice[..], &[item("a", 1), item("a", 3), item("b", 3)][..], json!({b: whole}), json!({a: {}})),
        // One becomes two: its fields are nobody's any more.
        (&[item("a", 1), item("b", 3)], &twice, json!({b: whole}), json!({a: {}})),
        // Two become one: it is new.
        (&twice, &[item("a", 1), item("b", 3)], json!({b: whole}), json!({a: whole})),
        // Something beside two changes.
        (&twice, &[item("a", 1), item("a", 2)], json!({a: {}}), Value::Null),
    ] {
        let mut desk = Desk::with("first", children(before));
        desk.update("second", children(after));
        let mut owned = desk.owned("first")["f:children"].clone();
        owned.as_object_mut().unwrap().remove(".");
        assert_eq!((&owned, &desk.owned("second")["f:children"]), (&owned_before, &owned_after));
    }

    let mut desk = Desk::with("updater", children(&twice));
    let conflict = ["updater .spec.children[name=\"a\"]"];
    assert_eq!(desk.conflicts("applier", children(&[item("a", 2)])), conflict);
    desk.force("applier", children(&[item("b", 4)]));
    assert_eq!(*desk.spec(), children(&[item("a", 1), item("a", 2), item("b", 4)]));

    let mut desk = Desk::new();
    desk.apply("applier", children(&[item("a", 1), item("b", 3)]));
    desk.update("updater", children(&twice));
    desk.apply("applier", children(&[item("b", 3)]));
    assert_eq!(*desk.spec(), children(&twice));
}

#[test]
fn an_empty_list_is_nobodys() {
    let mut desk = Desk::new();
    desk.apply("a", json!({"set": [], "children": [], "list": []}));
    assert_eq!(*desk.owned("a"), json!({"f:list": {}}));
    assert_eq!(*desk.spec(), json!({"set": [], "children": [], "list": []}));
}
