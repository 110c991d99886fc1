//! `FieldsV1`, read and written.

use serde_json::{Value, json};

use super::super::codec::{decode, encode};

fn round(fields: &Value) -> (Value, bool) {
    let (set, canonical) = decode(fields).unwrap();
    (encode(&set), canonical)
}

#[test]
fn what_is_canonical_stays_as_it_is() {
    for fields in [
        json!({}),
        json!({"f:a": {}}),
        json!({"f:a": {".": {}, "f:b": {}}}),
        json!({"f:a": {"f:b": {}, "f:c": {"f:d": {}}}}),
        json!({"f:list": {".": {}, "k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}}),
        json!({"f:list": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {}, "k:{\"port\":8080,\"protocol\":\"TCP\"}": {}}}),
        json!({"f:set": {"v:\"a\\\"b\\n\"": {}, "v:1": {}, "v:true": {}, "v:1.5": {}}}),
        json!({"f:list": {"i:0": {}, "i:-1": {}, "i:10": {}}}),
        json!({"f:": {}, "f:with:colon": {}, "f:.": {}, "f:ü": {}}),
    ] {
        assert_eq!(round(&fields), (fields, true));
    }
}

#[test]
fn what_is_written_otherwise_is_written_anew() {
    for (fields, canonical) in [
        (
            json!({"f:l": {"k:{ \"b\": 1.0, \"a\": \"x\" }": {}}}),
            json!({"f:l": {"k:{\"a\":\"x\",\"b\":1}": {}}}),
        ),
        (json!({"f:l": {"v:\"\\u0061\"": {}}}), json!({"f:l": {"v:\"a\"": {}}})),
        (json!({"i:+1": {}}), json!({"i:1": {}})),
        (json!({"f:a": null}), json!({"f:a": {}})),
        (json!({"i:0": null}), json!({"i:0": {}})),
        (json!(null), json!({})),
        (json!({".": {}, "f:a": {}}), json!({"f:a": {}})),
        (json!({".": {}}), json!({})),
        (json!({"f:a": {".": {}}}), json!({"f:a": {}})),
        (json!({"f:a": {".": 1, "f:b": {}}}), json!({"f:a": {".": {}, "f:b": {}}})),
        (json!({"x:later": {"f:a": 1}, "f:b": {}}), json!({"f:b": {}})),
        (json!({"f:l": {"v:1": {"f:a": {}}, "v:1.0": {}}}), json!({"f:l": {"v:1": {".": {}, "f:a": {}}}})),
    ] {
        let (written, same) = round(&fields);
        assert_eq!((written, same), (canonical.clone(), false));
        assert_eq!(round(&canonical), (canonical, true));
    }
}

#[test]
fn what_is_no_set_is_refused() {
    for (fields, why) in [
        (json!("f:a"), "expect { or n"),
        (json!({"f:a": []}), "expect { or n"),
        (json!({"f": {}}), "2 characters"),
        (json!({"é": {}}), "missing colon"),
        (json!({"name": {}}), "missing colon: name"),
        (json!({"k:{": {}}), "parsing key"),
        (json!({"k:[]": {}}), "parsing key"),
        (json!({"v:": {}}), "parsing key"),
        (json!({"i:x": {}}), "parsing key"),
    ] {
        let error = decode(&fields).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
