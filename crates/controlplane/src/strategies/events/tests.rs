use super::*;
use crate::strategies::read;

fn events(strict: bool) -> Events {
    Events { lifetime: Duration::from_secs(1), strict }
}

/// A whole event of the new kind, with `changes` laid over it.
fn new_event(changes: &Value) -> Value {
    let mut event = json!({
        "metadata": {"name": "a.1", "namespace": "default"}, "regarding": {"kind": "ConfigMap", "namespace": "default", "name": "m"},
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/c", "reportingInstance": "i",
        "action": "Testing", "reason": "Tested", "type": "Normal", "note": "said",
    });
    for (field, value) in changes.as_object().unwrap() {
        event[field] = value.clone();
    }
    event
}

#[test]
fn an_event_lies_where_its_object_lies() {
    for (involved, namespace, is_new, allowed) in [
        (json!("a"), "a", false, true),
        (json!("a"), "b", false, false),
        (json!("a"), "b", true, true),
        (json!(null), "default", false, true),
        (json!(null), "a", false, false),
        (json!(null), "a", true, false),
        (json!(null), "kube-system", false, false),
        (json!(null), "kube-system", true, true),
    ] {
        let mut event =
            json!({"metadata": {"namespace": namespace}, "involvedObject": {"namespace": involved}});
        if is_new {
            let whole = json!({"eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "c",
                "reportingInstance": "i", "action": "a", "reason": "r"});
            event.as_object_mut().unwrap().extend(whole.as_object().unwrap().clone());
        }
        assert_eq!(events(false).validate(&event).is_empty(), allowed, "{event}");
        assert_eq!(events(false).validate_update(&event, &event).is_empty(), allowed, "{event}");
    }
}

#[test]
fn a_new_event_is_whole() {
    let long = "x".repeat(1025);
    for (changes, faults) in [
        (json!({}), vec![]),
        (json!({"eventTime": null}), vec!["eventTime: Required value"]),
        (
            json!({"reportingInstance": "", "action": null}),
            vec!["reportingInstance: Required value", "action: Required value"],
        ),
        (json!({"reason": ""}), vec!["reason: Required value"]),
        (json!({"reason": "x".repeat(128)}), vec![]),
        (
            json!({"reason": "x".repeat(129)}),
            vec!["reason: Invalid value: \"\": can have at most 128 characters"],
        ),
        (json!({"note": long}), vec!["message: Invalid value: \"\": can have at most 1024 characters"]),
        (json!({"type": "Grave"}), vec!["type: Invalid value: \"\": has invalid value: Grave"]),
        (json!({"type": null}), vec!["type: Invalid value: \"\": has invalid value: "]),
        (json!({"deprecatedCount": 0, "deprecatedSource": {}}), vec![]),
        (
            json!({"deprecatedCount": 1, "deprecatedSource": {"host": "h"}}),
            vec![
                "count: Invalid value: \"\": needs to be unset",
                "source: Invalid value: \"\": needs to be unset",
            ],
        ),
        (
            json!({"deprecatedFirstTimestamp": "2026-01-01T00:00:00Z", "deprecatedLastTimestamp": "2026-01-01T00:00:00Z"}),
            vec![
                "firstTimestamp: Invalid value: \"\": needs to be unset",
                "lastTimestamp: Invalid value: \"\": needs to be unset",
            ],
        ),
        (
            json!({"series": {"count": 1}}),
            vec![
                "series.count: Invalid value: \"\": should be at least 2",
                "series.lastObservedTime: Required value",
            ],
        ),
        (json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}), vec![]),
    ] {
        assert_eq!(read(&events(true).validate(&new_event(&changes))), faults, "{changes}");
    }
    let controller = read(&events(true).validate(&new_event(&json!({"reportingController": "-"}))));
    assert!(
        controller.len() == 1 && controller[0].starts_with("reportingController: Invalid value: \"-\": ")
    );
    let name = new_event(&json!({"metadata": {"name": "A_", "namespace": "default"}}));
    assert!(read(&events(true).validate(&name))[0].starts_with("metadata.name: Invalid value: \"A_\": "));
    assert!(events(true).validate_update(&name, &name).is_empty(), "what is there may stay");
}

#[test]
fn the_core_group_asks_less() {
    let old = json!({"metadata": {"name": "A_", "namespace": "default"}, "type": "Grave", "count": 3, "source": {"component": "c"}});
    assert!(events(false).validate(&old).is_empty());
    let new =
        json!({"message": "x".repeat(9000), "series": {"count": 0}, "metadata": {"namespace": "default"}});
    assert!(events(false).validate_update(&new, &old).is_empty());
    let of_new_kind = json!({"metadata": {"namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z", "reportingComponent": "c"});
    assert_eq!(
        read(&events(false).validate(&of_new_kind)),
        ["reportingInstance: Required value", "action: Required value", "reason: Required value"]
    );
}

#[test]
fn an_update_of_an_event_changes_its_series_alone() {
    let old = new_event(&json!({}));
    for (changes, fault) in [
        (json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}), None),
        (
            json!({"eventTime": "2026-01-01T00:00:00Z", "deprecatedSource": {}, "deprecatedCount": 0, "related": null}),
            None,
        ),
        (json!({"series": {"count": 2}}), Some("series.lastObservedTime: Required value")),
        (json!({"note": "x"}), Some("message: Invalid value: \"x\": field is immutable")),
        (json!({"deprecatedCount": 2}), Some("count: Invalid value: 2: field is immutable")),
        (
            json!({"eventTime": "2026-01-02T01:00:00+01:00"}),
            Some("eventTime: Invalid value: \"2026-01-02T00:00:00.000000Z\": field is immutable"),
        ),
        (
            json!({"deprecatedLastTimestamp": "2026-01-02T00:00:00Z"}),
            Some("lastTimestamp: Invalid value: \"2026-01-02T00:00:00Z\": field is immutable"),
        ),
        (
            json!({"deprecatedSource": {"component": "c"}}),
            Some("source: Invalid value: {\"Component\":\"c\",\"Host\":\"\"}: field is immutable"),
        ),
        (
            json!({"related": {"name": "r"}}),
            Some(
                "related: Invalid value: {\"Kind\":\"\",\"Namespace\":\"\",\"Name\":\"r\",\"UID\":\"\",\"APIVersion\":\"\",\
                 \"ResourceVersion\":\"\",\"FieldPath\":\"\"}: field is immutable",
            ),
        ),
        (
            json!({"reportingController": "d"}),
            Some("reportingController: Invalid value: \"d\": field is immutable"),
        ),
    ] {
        let found = read(&events(true).validate_update(&new_event(&changes), &old));
        assert_eq!(found, Vec::from_iter(fault), "{changes}");
    }
}
