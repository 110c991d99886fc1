//! Rows for people: the server knows which columns of a flight are worth reading.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::flight::Flight;
use crate::query::Query;
use crate::status::Status;

/// What of the object each row carries: the `includeObject` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    /// Nothing.
    None,
    /// A `PartialObjectMetadata`.
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the parameter; absent means `Metadata`.
    ///
    /// # Errors
    /// 400 for a value that Kubernetes does not know.
    pub(crate) fn parse(query: &Query) -> Result<Self, Status> {
        match query.get("includeObject") {
            None | Some("Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(Status::bad_request(format!(
                "unrecognized includeObject value: {other:?}: use None, Metadata or Object"
            ))),
        }
    }
}

/// A table of `flights`; a watch names the columns only in its first one.
pub(crate) fn table<'a>(
    flights: impl Iterator<Item = &'a Flight>,
    revision: &str,
    include: IncludeObject,
    headers: bool,
) -> Value {
    let now = OffsetDateTime::now_utc();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": if headers { columns() } else { Value::Null },
        "rows": flights.map(|flight| row(flight, include, now)).collect::<Vec<_>>(),
    })
}

fn columns() -> Value {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    json!([
        column("Name", "name", "Name, unique within the namespace."),
        column("Origin", "", "Airport of departure."),
        column("Destination", "", "Airport of arrival."),
        column("Gate", "", "Gate of departure, once it is assigned."),
        column("Age", "", "Time since the flight was created."),
    ])
}

fn row(flight: &Flight, include: IncludeObject, now: OffsetDateTime) -> Value {
    let gate = flight.spec.gate.as_deref().unwrap_or("<none>");
    let age = age(flight.metadata.creation_timestamp.as_deref(), now);
    let mut row = json!({
        "cells": [flight.metadata.name, flight.spec.origin, flight.spec.destination, gate, age],
    });
    match include {
        IncludeObject::None => {}
        IncludeObject::Metadata => row["object"] = flight.to_partial_metadata(),
        IncludeObject::Object => row["object"] = flight.to_json(),
    }
    row
}

fn age(created: Option<&str>, now: OffsetDateTime) -> String {
    created
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
        .map_or_else(|| "<unknown>".to_owned(), |created| human((now - created).whole_seconds().max(0)))
}

/// Two units while the smaller one still matters, then one, with the thresholds that kubectl's readers know.
fn human(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large, unit, small, rest| {
        if small == 0 { format!("{large}{unit}") } else { format!("{large}{unit}{small}{rest}") }
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        252_288_000.. => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (700_000, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_row_carries_the_metadata_unless_told_otherwise() {
        let mut flight = Flight::default();
        "ci-101".clone_into(&mut flight.metadata.name);
        let row = |include| table([&flight].into_iter(), "7", include, true)["rows"][0].clone();
        assert_eq!(row(IncludeObject::Metadata)["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(row(IncludeObject::Object)["object"]["kind"], "Flight");
        assert_eq!(row(IncludeObject::None).get("object"), None);
        assert_eq!(row(IncludeObject::None)["cells"], json!(["ci-101", "", "", "<none>", "<unknown>"]));
    }
}
