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

/// Lists of objects within lists of objects, as those of a pod are.
fn pod() -> crate::CompiledVersion {
    let list = |key: &str, strategy: &str, item: Value| {
        json!({"type": "array", "x-kubernetes-patch-strategy": strategy, "x-kubernetes-patch-merge-key": key,
            "items": {"type": "object", "properties": item}})
    };
    let text = json!({"type": "string"});
    let container = json!({
        "name": text, "image": text, "args": {"type": "array", "items": text},
        "env": list("name", "merge", json!({"name": text, "value": text})),
        "ports": list("containerPort", "merge", json!({"containerPort": {"type": "integer"}, "protocol": text})),
    });
    let volume = json!({"name": text, "emptyDir": {"type": "object"}, "hostPath": {"type": "object"}});
    let strategy = json!({"type": "object", "x-kubernetes-patch-strategy": "retainKeys", "properties": {
        "type": text, "rollingUpdate": {"type": "object", "properties": {"maxSurge": {"type": "integer"}}},
    }});
    fixture::version(&json!({"spec": {"type": "object", "properties": {
        "containers": list("name", "merge", container),
        "volumes": list("name", "merge,retainKeys", volume),
        "strategy": strategy,
    }}}))
}

#[test]
fn lists_within_lists_merge_each_by_its_own_key() {
    let live = json!({"spec": {
        "containers": [
            {"name": "a", "image": "1", "args": ["x", "y"], "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}]},
            {"name": "b", "image": "1", "ports": [{"containerPort": 80}, {"containerPort": 443, "protocol": "TCP"}]},
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
    }});
    let (a, b) = (&live["spec"]["containers"][0], &live["spec"]["containers"][1]);
    for (patch, place, wanted) in [
        (
            json!({"containers": [{"name": "a", "env": [{"name": "F", "value": "3"}, {"name": "G", "value": "4"}]}]}),
            "/spec/containers/0/env",
            json!([{"name": "E", "value": "1"}, {"name": "F", "value": "3"}, {"name": "G", "value": "4"}]),
        ),
        (
            json!({"containers": [{"name": "a", "env": [{"name": "E", "$patch": "delete"}], "args": ["z"]}]}),
            "/spec/containers/0",
            json!({"name": "a", "image": "1", "args": ["z"], "env": [{"name": "F", "value": "2"}]}),
        ),
        (
            json!({"containers": [{"name": "b", "ports": [{"containerPort": 80, "protocol": "UDP"}, {"$patch": "replace"}]}]}),
            "/spec/containers/1/ports",
            json!([{"containerPort": 80, "protocol": "UDP"}]),
        ),
        (
            json!({"containers": [{"name": "b", "$setElementOrder/ports": [{"containerPort": 443}, {"containerPort": 80}]}]}),
            "/spec/containers/1/ports",
            json!([{"containerPort": 443, "protocol": "TCP"}, {"containerPort": 80}]),
        ),
        (
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}], "containers": [{"name": "c"}]}),
            "/spec/containers",
            json!([b, {"name": "c"}, a]),
        ),
        (json!({"containers": [{"name": "a", "$patch": "delete"}]}), "/spec/containers", json!([b])),
        (json!({"containers": null}), "/spec/containers", Value::Null),
        (
            json!({"volumes": [{"$retainKeys": ["name", "hostPath"], "name": "v", "hostPath": {}}]}),
            "/spec/volumes",
            json!([{"name": "v", "hostPath": {}}]),
        ),
        (
            json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
            "/spec/strategy",
            json!({"type": "Recreate"}),
        ),
        (
            json!({"strategy": {"$patch": "replace", "type": "Recreate"}}),
            "/spec/strategy",
            json!({"type": "Recreate"}),
        ),
    ] {
        let mut document = live.clone();
        let patch = json!({"spec": patch});
        pod().strategic_merge_patch(&mut document, patch.to_string().as_bytes()).unwrap();
        assert_eq!(document.pointer(place).cloned().unwrap_or_default(), wanted, "{patch}");
    }
}

#[test]
fn directives_that_cannot_be_read_are_told_in_upstreams_words() {
    for (patch, text) in [
        (
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}),
            "invalid patch format of retainKeys: $retainKeys at \"spec.strategy\": must name every field that the patch \
             gives, not so \"rollingUpdate\"",
        ),
        (
            json!({"spec": {"$setElementOrder/containers": {}}}),
            "invalid patch format of setElementOrder list: $setElementOrder/containers at \"spec\": must be a list",
        ),
        (
            json!({"spec": {"$deleteFromPrimitiveList/containers": 1}}),
            "invalid patch format of primitive list: $deleteFromPrimitiveList/containers at \"spec\": must be a list",
        ),
    ] {
        let refused = pod().strategic_merge_patch(&mut json!({}), patch.to_string().as_bytes()).unwrap_err();
        assert_eq!((refused.code, &*refused.message), (400, text));
    }
}
