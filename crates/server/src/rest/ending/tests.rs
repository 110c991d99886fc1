use super::*;
use crate::strategy::Plain;
use serde_json::json;

/// Of a kind that is given 30 seconds, unless it is asked for less or more.
struct Runs;

impl Strategy for Runs {
    fn grace_seconds(&self, _: &Value, asked: Option<i64>) -> Option<i64> {
        Some(asked.unwrap_or(30))
    }
}

fn options(options: Value) -> DeleteOptions {
    serde_json::from_value(options).unwrap()
}

fn now() -> OffsetDateTime {
    timestamp::parse("2026-01-01T00:01:00Z").unwrap()
}

fn ended(strategy: &dyn Strategy, metadata: &Value, asked: &Value) -> Ending {
    end(strategy, true, &json!({"metadata": metadata}), &options(asked.clone()), now())
}

fn marked(metadata: &Value) -> Ending {
    Ending::Marked(json!({"metadata": metadata}))
}

fn gone(metadata: &Value) -> Ending {
    Ending::Gone(json!({"metadata": metadata}))
}

#[test]
fn what_nothing_holds_is_gone() {
    assert_eq!(ended(&Plain, &json!({"name": "a"}), &json!({})), gone(&json!({"name": "a"})));
    for grace in [0, 5] {
        let asked = json!({"gracePeriodSeconds": grace, "propagationPolicy": "Background"});
        assert_eq!(ended(&Plain, &json!({"name": "a"}), &asked), gone(&json!({"name": "a"})));
    }
}

#[test]
fn finalizers_are_put_on_and_taken_off_by_the_policy_else_by_what_is_there() {
    const AT: &str = "2026-01-01T00:01:00Z";
    for (before, asked, after) in [
        (json!([]), json!({"propagationPolicy": "Orphan"}), vec!["orphan"]),
        (json!([]), json!({"propagationPolicy": "Foreground"}), vec!["foregroundDeletion"]),
        (json!([]), json!({"orphanDependents": true}), vec!["orphan"]),
        (json!(["orphan"]), json!({"propagationPolicy": "Background"}), vec![]),
        (json!(["foregroundDeletion"]), json!({"orphanDependents": false}), vec![]),
        (json!(["orphan"]), json!({}), vec!["orphan"]),
        (json!(["foregroundDeletion"]), json!({}), vec!["foregroundDeletion"]),
        (json!(["a", "orphan"]), json!({"propagationPolicy": "Foreground"}), vec!["a", "foregroundDeletion"]),
        (json!(["a"]), json!({}), vec!["a"]),
    ] {
        let ending = ended(&Plain, &json!({"finalizers": before}), &asked);
        let expected = match after.is_empty() {
            true => gone(&json!({})),
            false => marked(
                &json!({"finalizers": after, "deletionTimestamp": AT, "deletionGracePeriodSeconds": 0}),
            ),
        };
        assert_eq!(ending, expected, "{before} {asked}");
    }
    let event = end(&Plain, false, &json!({}), &options(json!({"propagationPolicy": "Orphan"})), now());
    assert_eq!(event, Ending::Gone(json!({})), "nothing depends on it");
}

#[test]
fn the_beginning_of_a_deletion_is_a_generation_and_its_time_stays() {
    let held = json!({"finalizers": ["a"], "generation": 3});
    let first = json!({"finalizers": ["a"], "generation": 4, "deletionTimestamp": "2026-01-01T00:01:00Z",
        "deletionGracePeriodSeconds": 0});
    assert_eq!(ended(&Plain, &held, &json!({})), marked(&first));
    let mut earlier = first;
    earlier["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(ended(&Plain, &earlier, &json!({})), marked(&earlier));
}

#[test]
fn what_runs_is_given_time_that_later_deletes_only_shorten() {
    let begun = |end: &str, seconds: i64| json!({"deletionTimestamp": end, "deletionGracePeriodSeconds": seconds, "generation": 2});
    let given = begun("2026-01-01T00:01:30Z", 30);
    assert_eq!(ended(&Runs, &json!({"generation": 1}), &json!({})), marked(&given));
    for asked in [json!({}), json!({"gracePeriodSeconds": 30}), json!({"gracePeriodSeconds": 60})] {
        assert_eq!(ended(&Runs, &given, &asked), Ending::Pending);
    }
    let shorter = ended(&Runs, &given, &json!({"gracePeriodSeconds": 10}));
    assert_eq!(shorter, marked(&begun("2026-01-01T00:01:10Z", 10)));
    let negative = ended(&Runs, &given, &json!({"gracePeriodSeconds": -1}));
    assert_eq!(negative, marked(&begun("2026-01-01T00:01:01Z", 1)));
    let at_once = ended(&Runs, &given, &json!({"gracePeriodSeconds": 0}));
    assert_eq!(at_once, gone(&begun("2026-01-01T00:01:00Z", 0)));
    let over = begun("2026-01-01T00:00:30Z", 0);
    assert_eq!(ended(&Runs, &over, &json!({})), gone(&over));
}

#[test]
fn a_finalizer_holds_what_was_given_no_time() {
    let ending = ended(&Runs, &json!({"finalizers": ["a"]}), &json!({"gracePeriodSeconds": 0}));
    let expected = json!({"finalizers": ["a"], "deletionTimestamp": "2026-01-01T00:01:00Z", "deletionGracePeriodSeconds": 0});
    assert_eq!(ending, marked(&expected));
}

/// Of a kind whose dependents live on if nobody says otherwise.
struct Orphans;

impl Strategy for Orphans {
    fn orphans_by_default(&self) -> bool {
        true
    }
}

#[test]
fn what_is_said_of_dependents_comes_before_what_the_kind_does() {
    for (finalizers, asked, after) in [
        (json!([]), json!({}), json!(["orphan"])),
        (json!(["foregroundDeletion"]), json!({}), json!(["foregroundDeletion"])),
        (json!([]), json!({"propagationPolicy": "Foreground"}), json!(["foregroundDeletion"])),
        (json!([]), json!({"orphanDependents": true}), json!(["orphan"])),
    ] {
        let Ending::Marked(object) = ended(&Orphans, &json!({"finalizers": finalizers}), &asked) else {
            panic!("{finalizers} {asked}: it is gone");
        };
        assert_eq!(object["metadata"]["finalizers"], after, "{finalizers} {asked}");
    }
    for asked in [json!({"propagationPolicy": "Background"}), json!({"orphanDependents": false})] {
        assert_eq!(ended(&Orphans, &json!({}), &asked), gone(&json!({})));
    }
}
