use serde_json::{Value, json};

use crate::fixture;

/// Lists that merge by a key, as a set, and not at all; a map that merges, and one that is replaced.
fn properties() -> Value {
    let item = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "v": {"type": "integer"}, "w": {"type": "integer"},
        "tags": {"type": "array", "x-kubernetes-patch-strategy": "merge", "items": {"type": "string"}},
    }});
    json!({
        "data": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-patch-strategy": "replace", "additionalProperties": {"type": "string"}},
        "plain": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-patch-strategy": "merge", "items": {"type": "string"}},
        "items": {"type": "array", "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name", "items": item},
        "loose": {"type": "array", "x-kubernetes-patch-strategy": "merge", "items": {"type": "object"}},
    })
}

fn patched(document: &Value, patch: &Value) -> Result<Value, (u16, String)> {
    let mut document = document.clone();
    fixture::version(&properties())
        .strategic_merge_patch(&mut document, patch.to_string().as_bytes())
        .map_err(|status| (status.code, status.message))?;
    Ok(document)
}

fn check(document: &Value, patch: &Value, wanted: &Value) {
    assert_eq!(patched(document, patch).as_ref(), Ok(wanted), "{document} + {patch}");
}

#[test]
fn maps_merge_and_null_deletes() {
    let live =
        json!({"data": {"a": "1", "b": "2"}, "whole": {"a": "1"}, "plain": ["x"], "unknown": {"a": [1]}});
    for (patch, wanted) in [
        (json!({"data": {"a": null, "c": "3"}}), json!({"data": {"b": "2", "c": "3"}})),
        (json!({"data": null}), json!({"data": null})),
        (json!({"whole": {"b": "2"}}), json!({"whole": {"b": "2"}})),
        (json!({"plain": ["y", "z"]}), json!({"plain": ["y", "z"]})),
        (json!({"unknown": {"b": {"c": null}}}), json!({"unknown": {"a": [1], "b": {}}})),
        (json!({"data": "text"}), json!({"data": "text"})),
        (json!({"data": {"$patch": "replace", "z": "1"}}), json!({"data": {"z": "1"}})),
        (json!({"data": {"$patch": "delete"}}), json!({"data": {}})),
        (json!({"data": {"$patch": "merge", "c": "3"}}), json!({"data": {"a": "1", "b": "2", "c": "3"}})),
        (json!({"data": {"$retainKeys": ["a", "c"], "c": "3"}}), json!({"data": {"a": "1", "c": "3"}})),
        (
            json!({"new": {"$patch": "replace", "a": {"$retainKeys": ["b"], "b": 1}}}),
            json!({"new": {"a": {"b": 1}}}),
        ),
    ] {
        let mut whole = live.clone();
        for (name, value) in wanted.as_object().unwrap() {
            whole[name] = value.clone();
        }
        whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        check(&live, &patch, &whole);
    }
    check(&live, &json!({"$patch": "replace", "data": {}}), &json!({"data": {}}));
}

#[test]
fn sets_merge_and_keep_the_order_that_the_patch_asks_for() {
    let live = json!({"set": ["a", "b", "c"]});
    for (patch, wanted) in [
        (json!({"set": ["d", "b"]}), json!(["d", "a", "b", "c"])),
        (json!({"set": ["b"]}), json!(["a", "b", "c"])),
        (json!({"$deleteFromPrimitiveList/set": ["b", "z"]}), json!(["a", "c"])),
        (
            json!({"$deleteFromPrimitiveList/set": ["b"], "$setElementOrder/set": ["d", "a"], "set": ["d"]}),
            json!(["d", "a", "c"]),
        ),
        (json!({"$setElementOrder/set": ["c", "a"]}), json!(["b", "c", "a"])),
    ] {
        check(&live, &patch, &json!({"set": wanted}));
    }
    check(&json!({}), &json!({"set": ["b", "a", "b"]}), &json!({"set": ["b", "a"]}));
    check(
        &json!({}),
        &json!({"$setElementOrder/set": ["a"], "$deleteFromPrimitiveList/set": ["a"]}),
        &json!({}),
    );
}

#[test]
fn lists_of_objects_merge_by_their_key() {
    let live = json!({"items": [{"name": "a", "v": 1, "tags": ["x"]}, {"name": "b", "v": 2}, {"name": "c"}]});
    let (a, b, c) = (&live["items"][0], &live["items"][1], &live["items"][2]);
    for (patch, wanted) in [
        (json!([{"name": "b", "w": 3, "v": null}]), json!([a, {"name": "b", "w": 3}, c])),
        (json!([{"name": "a", "tags": ["y"]}]), json!([{"name": "a", "v": 1, "tags": ["y", "x"]}, b, c])),
        (json!([{"name": "b", "$patch": "delete"}]), json!([a, c])),
        (json!([{"name": "b", "$patch": "delete"}, {"name": "d", "v": null}]), json!([{"name": "d"}, a, c])),
        (json!([{"$patch": "replace"}, {"name": "d"}]), json!([{"name": "d"}])),
        (json!([{"$patch": "replace"}]), json!([])),
    ] {
        let wanted = json!({"items": wanted});
        // An item that is new to the server goes where the patch puts it, here before those that only the server has.
        check(&live, &json!({"items": patch}), &wanted);
    }
    check(
        &live,
        &json!({"$setElementOrder/items": [{"name": "c"}, {"name": "d"}, {"name": "a"}], "items": [{"name": "d"}]}),
        &json!({"items": [b, c, {"name": "d"}, a]}),
    );
}

#[test]
fn what_is_no_patch_is_refused_with_its_code() {
    let live = json!({"items": [{"name": "a"}], "set": ["a"], "loose": [{"a": 1}], "data": {}});
    for (patch, code, text) in [
        (json!([]), 400, "must be a JSON object"),
        (json!({"data": {"$patch": "explode"}}), 422, "at \"data\": unknown $patch; supported values"),
        (json!({"items": [{"name": "a", "$patch": 1}]}), 422, "at \"items\": unknown $patch"),
        (json!({"items": [{"v": 1}]}), 422, "an item lacks the merge key \"name\""),
        (json!({"items": ["a"]}), 422, "an item is no object"),
        (json!({"items": [[]]}), 422, "lists of lists cannot be merged"),
        (json!({"loose": [{"a": 1}]}), 422, "without a merge key"),
        (
            json!({"data": {"$retainKeys": ["a"], "b": "1"}}),
            400,
            "must name every field that the patch gives, not so \"b\"",
        ),
        (json!({"data": {"$retainKeys": "a"}}), 400, "must be a list of field names"),
        (json!({"$deleteFromPrimitiveList/set": "a"}), 400, "must be a list"),
        (json!({"$setElementOrder/set": {}}), 400, "must be a list"),
        (json!({"$setElementOrder/set": ["b", "c"], "set": ["c", "b"]}), 400, "doesn't match"),
        (json!({"$setElementOrder/items": [{"name": "a"}], "items": [{"name": "b"}]}), 400, "doesn't match"),
    ] {
        let (found, message) = patched(&live, &patch).unwrap_err();
        assert!(found == code && message.contains(text), "{patch}: {found} {message}");
    }
    let mut document = json!({});
    let broken = fixture::version(&properties()).strategic_merge_patch(&mut document, b"{\"a\":}");
    assert_eq!(
        broken.unwrap_err().message,
        "error decoding patch: read JSON: expected value at line 1 column 6"
    );
}
