//! `status.conditions`: what a controller observed, each type at most once.

use serde_json::{Value, json};

use crate::timestamp;

/// A condition that a controller wants to be true of an object's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is observed, such as `Available`.
    pub kind: &'static str,
    /// `Some(true)` is True, `Some(false)` False, `None` Unknown.
    pub status: Option<bool>,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

impl Condition {
    /// The condition `kind` with a status, reason and message.
    pub fn new(
        kind: &'static str,
        status: impl Into<Option<bool>>,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, status: status.into(), reason: reason.to_owned(), message: message.into() }
    }

    /// The status as the API writes it.
    pub fn status_text(&self) -> &'static str {
        match self.status {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }

    /// Sets the condition in `object.status.conditions`; `lastTransitionTime` moves only with the status.
    /// Returns whether anything changed.
    pub fn apply(&self, object: &mut Value) -> bool {
        let Some(object) = object.as_object_mut() else { return false };
        let status = object.entry("status").or_insert_with(|| json!({}));
        if !status.is_object() {
            *status = json!({});
        }
        let conditions = &mut status["conditions"];
        if !conditions.is_array() {
            *conditions = json!([]);
        }
        conditions.as_array_mut().is_some_and(|list| self.apply_to(list))
    }

    fn apply_to(&self, conditions: &mut Vec<Value>) -> bool {
        let mut wanted = json!({
            "type": self.kind, "status": self.status_text(), "reason": self.reason, "message": self.message,
            "lastTransitionTime": timestamp::now(),
        });
        let Some(have) = conditions.iter_mut().find(|have| have["type"] == self.kind) else {
            conditions.push(wanted);
            return true;
        };
        if have["status"] == wanted["status"] && have["lastTransitionTime"].is_string() {
            wanted["lastTransitionTime"] = have["lastTransitionTime"].clone();
        }
        let changed = *have != wanted;
        *have = wanted;
        changed
    }
}

/// The condition `kind` of `object`: status, reason and message.
pub fn find<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    Some((found["status"].as_str()?, text("reason"), text("message")))
}

/// Whether condition `kind` of `object` is True.
pub fn is_true(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|(status, _, _)| status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut object = json!({});
        assert!(Condition::new("Available", true, "Passed", "ok").apply(&mut object));
        object["status"]["conditions"][0]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
        assert!(!Condition::new("Available", true, "Passed", "ok").apply(&mut object));
        assert!(Condition::new("Available", true, "Passed", "still").apply(&mut object));
        assert_eq!(object["status"]["conditions"][0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert!(Condition::new("Available", false, "Gone", "no").apply(&mut object));
        assert_ne!(object["status"]["conditions"][0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert_eq!(find(&object, "Available"), Some(("False", "Gone", "no")));
    }
}
