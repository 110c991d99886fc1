use serde_json::{Value, json};

use super::{MAX_FAULTS, Subject, embedded_faults, faults};
use crate::definition::NameRule;

const KIND: Subject = Subject { namespaced: true, name_rule: NameRule::DnsSubdomain, built_in: true };

/// Every fault of metadata that is right but for `changes`, as `field: message`.
fn said(subject: Subject, changes: &Value) -> Vec<String> {
    let mut metadata = json!({"name": "a", "namespace": "b"});
    for (field, value) in changes.as_object().unwrap() {
        metadata[field] = value.clone();
    }
    let found = faults(&json!({"metadata": metadata}), subject);
    found.iter().map(|cause| format!("{}: {} ({})", cause.field, cause.message, cause.reason)).collect()
}

fn check(subject: Subject, changes: &Value, texts: &[&str]) {
    let found = said(subject, changes);
    assert_eq!(found.len(), texts.len(), "{changes}: {found:#?}");
    for (found, text) in found.iter().zip(texts) {
        let (head, tail) = text.split_once('~').unwrap_or((text, ""));
        assert!(found.starts_with(head) && found.ends_with(tail), "{found}\n{text}");
    }
}

#[test]
fn names_and_namespaces_are_checked() {
    let cluster = Subject { namespaced: false, ..KIND };
    let free = Subject { name_rule: NameRule::PathSegment, ..KIND };
    for (subject, changes, texts) in [
        (KIND, json!({}), &[][..]),
        (
            KIND,
            json!({"name": ""}),
            &["metadata.name: Required value: name or generateName is required (FieldValueRequired)"][..],
        ),
        (
            KIND,
            json!({"name": "A_"}),
            &[
                "metadata.name: Invalid value: \"A_\": a lowercase RFC 1123 subdomain must~)*') (FieldValueInvalid)",
            ],
        ),
        (
            KIND,
            json!({"generateName": "A", "name": "Abcde"}),
            &["metadata.generateName: Invalid value: \"A\": a", "metadata.name: Invalid value: \"Abcde\": a"],
        ),
        (KIND, json!({"generateName": "a-", "name": "a-bcdef"}), &[]),
        (free, json!({"name": "v1."}), &[]),
        (
            free,
            json!({"name": ".."}),
            &["metadata.name: Invalid value: \"..\": may not be '..' (FieldValueInvalid)"],
        ),
        (KIND, json!({"namespace": ""}), &["metadata.namespace: Required value (FieldValueRequired)"]),
        (
            KIND,
            json!({"namespace": "a.b"}),
            &["metadata.namespace: Invalid value: \"a.b\": must not contain dots"],
        ),
        (
            cluster,
            json!({}),
            &["metadata.namespace: Forbidden: not allowed on this type (FieldValueForbidden)"],
        ),
        (
            KIND,
            json!({"generation": -1}),
            &[
                "metadata.generation: Invalid value: -1: must be greater than or equal to 0 (FieldValueInvalid)",
            ],
        ),
    ] {
        check(subject, &changes, texts);
    }
    let bare = faults(&json!({}), cluster);
    assert_eq!((bare.len(), &*bare[0].field), (1, "metadata.name"));
}

#[test]
fn labels_annotations_and_finalizers_are_checked() {
    let custom = Subject { built_in: false, ..KIND };
    let unqualified =
        "name is neither a standard finalizer name nor is it fully qualified (FieldValueInvalid)";
    let unqualified = &*format!("metadata.finalizers[1]: Invalid value: \"b\": {unqualified}");
    let large = "x".repeat(256 * 1024);
    for (subject, changes, texts) in [
        (
            KIND,
            json!({"labels": {"-": "ok", "k": "not ok", "K": ""}}),
            &[
                "metadata.labels: Invalid value: \"-\": name part must consist of",
                "metadata.labels: Invalid value: \"not ok\": a valid label must be an empty string or",
            ][..],
        ),
        (
            KIND,
            json!({"annotations": {"EXAMPLE.com/a": "\n", "a b": ""}}),
            &["metadata.annotations: Invalid value: \"a b\": name part must consist of"],
        ),
        (
            KIND,
            json!({"annotations": {"a": large}}),
            &["metadata.annotations: Too long: may not be more than 262144 bytes (FieldValueTooLong)"],
        ),
        (KIND, json!({"annotations": {"a": large[1..]}}), &[]),
        (KIND, json!({"finalizers": ["a.io/x", "b"]}), &[unqualified]),
        (custom, json!({"finalizers": ["a.io/x", "b", "a.io/x"]}), &[]),
        (KIND, json!({"finalizers": ["orphan", "kubernetes"]}), &[]),
        (
            custom,
            json!({"finalizers": ["orphan", "foregroundDeletion"]}),
            &[
                "metadata.finalizers: Invalid value: [\"orphan\",\"foregroundDeletion\"]: finalizer orphan and \
               foregroundDeletion cannot be both set (FieldValueInvalid)",
            ],
        ),
        (
            custom,
            json!({"finalizers": ["a/b/c"]}),
            &["metadata.finalizers: Invalid value: \"a/b/c\": a valid label key must consist of"],
        ),
    ] {
        check(subject, &changes, texts);
    }
}

#[test]
fn owners_are_checked() {
    let owner = |changes: Value| {
        let mut owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"});
        for (field, value) in changes.as_object().unwrap() {
            owner[field] = value.clone();
        }
        owner
    };
    for (owners, texts) in [
        (json!([owner(json!({"controller": true})), owner(json!({"controller": false}))]), &[][..]),
        (
            json!([{}]),
            &[
                "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty (FieldValueInvalid)",
                "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty (FieldValueInvalid)",
                "metadata.ownerReferences.name: Invalid value: \"\": must not be empty (FieldValueInvalid)",
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty (FieldValueInvalid)",
            ],
        ),
        (
            json!([owner(json!({"apiVersion": "a/b/c"})), owner(json!({"apiVersion": "apps/"}))]),
            &[
                "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty",
                "metadata.ownerReferences.apiVersion: Invalid value: \"apps/\": version must not be empty",
            ],
        ),
        (
            json!([owner(json!({"controller": true})), owner(json!({"controller": true, "name": "p"}))]),
            &[
                "metadata.ownerReferences: Invalid value: [{~Only one reference can have Controller set to true. Found \
               \"true\" in references for ConfigMap/o and ConfigMap/p (FieldValueInvalid)",
            ],
        ),
        (
            json!([owner(json!({"kind": "Event"}))]),
            &[
                "metadata.ownerReferences: Invalid value: {~/v1, Kind=Event is disallowed from being an owner \
               (FieldValueInvalid)",
            ],
        ),
    ] {
        check(KIND, &json!({"ownerReferences": owners}), texts);
    }
}

#[test]
fn an_embedded_object_needs_no_name() {
    let said = |metadata: Value| {
        let found = embedded_faults(&metadata, "spec.x.metadata");
        found.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    };
    assert_eq!(said(json!({"name": "A", "namespace": "b"})), [""; 0]);
    assert_eq!(
        said(json!({"generateName": "a/"})),
        ["spec.x.metadata.generateName: Invalid value: \"a/\": may not contain '/'"]
    );
    assert_eq!(
        said(json!({"namespace": "a.b"})),
        ["spec.x.metadata.namespace: Invalid value: \"a.b\": must not contain dots"]
    );
}

#[test]
fn faults_are_few_and_short() {
    let labels: serde_json::Map<_, _> =
        (0..1000).map(|n| (format!("-{n}"), json!("y ".repeat(100_000 / (n + 1))))).collect();
    let found = faults(&json!({"metadata": {"name": "a", "namespace": "b", "labels": labels}}), KIND);
    assert_eq!(found.len(), MAX_FAULTS);
    assert!(found.iter().all(|cause| cause.message.len() < 2000));
}
