//! Events: one lies where the object lies that it is about, and is news for a while. Whether its fields have to be complete
//! depends on the group that it is written through, as upstream has it (`ValidateEventCreate`, `ValidateEventUpdate`); the
//! fields are called by upstream's internal names in both.

use detectviz_api::names::{check_dns_subdomain, check_label_key};
use detectviz_api::{Cause, meta, timestamp};
use detectviz_server::strategy::Strategy;
use serde_json::{Value, json};
use std::time::Duration;

use super::causes::{invalid, invalid_shown, required};

/// The most bytes of a reporting instance, an action and a reason.
const MAX_WORD: usize = 128;
/// The most bytes of a message.
const MAX_MESSAGE: usize = 1024;

/// Fields that have another name than the internal one: that, the core group's, and `events.k8s.io`'s.
const NAMES: [(&str, &str, &str); 7] = [
    ("involvedObject", "involvedObject", "regarding"),
    ("message", "message", "note"),
    ("reportingController", "reportingComponent", "reportingController"),
    ("source", "source", "deprecatedSource"),
    ("firstTimestamp", "firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "count", "deprecatedCount"),
];

/// What an update through `events.k8s.io` may not change, and what it is.
const IMMUTABLE: [(&str, Kind); 13] = [
    ("involvedObject", Kind::Reference),
    ("reason", Kind::Text),
    ("message", Kind::Text),
    ("source", Kind::Source),
    ("firstTimestamp", Kind::Time),
    ("lastTimestamp", Kind::Time),
    ("count", Kind::Number),
    ("type", Kind::Text),
    ("eventTime", Kind::MicroTime),
    ("action", Kind::Text),
    ("related", Kind::Pointer),
    ("reportingController", Kind::Text),
    ("reportingInstance", Kind::Text),
];

pub(super) struct Events {
    /// How long an event is news.
    pub(super) lifetime: Duration,
    /// Whether events have the form of `events.k8s.io`, whose rules are stricter.
    pub(super) strict: bool,
}

impl Strategy for Events {
    fn lifetime(&self) -> Option<Duration> {
        Some(self.lifetime)
    }

    fn validate(&self, event: &Value) -> Vec<Cause> {
        let mut faults = self.lenient(event);
        if self.strict {
            let name = meta::name(event);
            faults.extend(check_dns_subdomain(name).err().map(|why| invalid("metadata.name", name, &why)));
            faults.extend(series_faults(event));
            faults.extend(self.incomplete(event));
        }
        faults
    }

    fn validate_update(&self, event: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = self.lenient(event);
        if self.strict {
            if event["series"] != old["series"] {
                faults.extend(series_faults(event));
            }
            faults.extend(self.changed(event, old));
        }
        faults
    }
}

impl Events {
    /// The field with this internal name.
    fn field<'a>(&self, event: &'a Value, name: &str) -> &'a Value {
        let named = NAMES.iter().find(|(internal, ..)| *internal == name);
        let served = named.map(|(_, core, own)| if self.strict { *own } else { *core });
        &event[served.unwrap_or(name)]
    }

    fn text<'a>(&self, event: &'a Value, name: &str) -> &'a str {
        self.field(event, name).as_str().unwrap_or_default()
    }

    /// What has been asked of events at all times. One with an `eventTime` is of the new kind, whichever group it comes by.
    fn lenient(&self, event: &Value) -> Vec<Cause> {
        let involved = self.field(event, "involvedObject")["namespace"].as_str().unwrap_or_default();
        let is_new = !self.text(event, "eventTime").is_empty();
        let allowed = match (involved, meta::namespace(event)) {
            ("", "kube-system") => is_new,
            ("", namespace) => matches!(namespace, "" | "default"),
            (involved, namespace) => is_new || involved == namespace,
        };
        let misplaced = || invalid("involvedObject.namespace", involved, "does not match event.namespace");
        let mut faults = Vec::from_iter((!allowed).then(misplaced));
        if is_new {
            faults.extend(self.unfinished(event));
        }
        faults
    }

    /// What is missing or too long in an event of the new kind.
    fn unfinished(&self, event: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        let controller = self.text(event, "reportingController");
        if controller.is_empty() {
            faults.push(required("reportingController", ""));
        }
        faults.extend(
            check_label_key(controller).err().map(|why| invalid("reportingController", controller, &why)),
        );
        for (field, most) in [
            ("reportingInstance", MAX_WORD),
            ("action", MAX_WORD),
            ("reason", MAX_WORD),
            ("message", MAX_MESSAGE),
        ] {
            let text = self.text(event, field);
            if text.is_empty() && field != "message" {
                faults.push(required(field, ""));
            }
            if text.len() > most {
                faults.push(invalid(field, "", &format!("can have at most {most} characters")));
            }
        }
        faults
    }

    /// What an event that is created through `events.k8s.io` must have, and must not have.
    fn incomplete(&self, event: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        if self.text(event, "eventTime").is_empty() {
            faults.push(required("eventTime", ""));
        }
        let kind = self.text(event, "type");
        if !matches!(kind, "Normal" | "Warning") {
            faults.push(invalid("type", "", &format!("has invalid value: {kind}")));
        }
        let source = Kind::Source.shown(self.field(event, "source"));
        let number = self.field(event, "count").as_i64();
        for (field, is_set) in [
            ("firstTimestamp", !self.text(event, "firstTimestamp").is_empty()),
            ("lastTimestamp", !self.text(event, "lastTimestamp").is_empty()),
            ("count", number.is_some_and(|number| number != 0)),
            ("source", source != Kind::Source.shown(&Value::Null)),
        ] {
            if is_set {
                faults.push(invalid(field, "", "needs to be unset"));
            }
        }
        faults
    }

    fn changed(&self, event: &Value, old: &Value) -> Vec<Cause> {
        let fault = |(field, kind): &(&str, Kind)| {
            let (new, old) = (kind.shown(self.field(event, field)), kind.shown(self.field(old, field)));
            (new != old).then(|| invalid_shown(field, &new, "field is immutable"))
        };
        IMMUTABLE.iter().filter_map(fault).collect()
    }
}

fn series_faults(event: &Value) -> Vec<Cause> {
    let Some(series) = event["series"].as_object() else { return Vec::new() };
    let mut faults = Vec::new();
    if series.get("count").and_then(Value::as_i64).unwrap_or_default() < 2 {
        faults.push(invalid("series.count", "", "should be at least 2"));
    }
    if series.get("lastObservedTime").and_then(Value::as_str).is_none_or(str::is_empty) {
        faults.push(required("series.lastObservedTime", ""));
    }
    faults
}

/// What a field is in upstream's types: they decide what an absence is equal to, and how errors show a value.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Time,
    MicroTime,
    Source,
    Reference,
    /// A reference that may be absent.
    Pointer,
}

impl Kind {
    /// The value as an error shows it, which is upstream's JSON of its internal type; equal values are shown alike.
    fn shown(self, value: &Value) -> String {
        let part = |field: &str| json!(value[field].as_str().unwrap_or_default());
        match self {
            Self::Text => json!(value.as_str().unwrap_or_default()).to_string(),
            Self::Number => value.as_i64().unwrap_or_default().to_string(),
            Self::Time => shown_time(value, timestamp::seconds),
            Self::MicroTime => shown_time(value, timestamp::micros),
            Self::Source => format!(r#"{{"Component":{},"Host":{}}}"#, part("component"), part("host")),
            Self::Pointer if value.is_null() => "null".to_owned(),
            Self::Reference | Self::Pointer => {
                let fields = REFERENCE.map(|(name, shown)| format!(r#""{shown}":{}"#, part(name)));
                format!("{{{}}}", fields.join(","))
            }
        }
    }
}

/// The fields of a reference, and what they are called in upstream's internal type.
const REFERENCE: [(&str, &str); 7] = [
    ("kind", "Kind"),
    ("namespace", "Namespace"),
    ("name", "Name"),
    ("uid", "UID"),
    ("apiVersion", "APIVersion"),
    ("resourceVersion", "ResourceVersion"),
    ("fieldPath", "FieldPath"),
];

fn shown_time(value: &Value, write: impl Fn(time::OffsetDateTime) -> String) -> String {
    let time = value.as_str().and_then(timestamp::parse).map_or(Value::Null, |at| write(at).into());
    time.to_string()
}

#[cfg(test)]
mod tests;
