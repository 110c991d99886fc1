//! From the body of a query request to the queries of a plugin call: a fixed order of checks, each with upstream's text.

use std::collections::BTreeSet;

use detectviz_pluginv2::proto::{DataQuery, TimeRange};
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::model::{Fields, Query, Reference, Span};
use super::range::{self, Edge, RangeError};

/// Points a query asks for when it does not say.
const DEFAULT_MAX_DATA_POINTS: i64 = 100;
/// Milliseconds between points when a query does not say.
const DEFAULT_INTERVAL_MS: i64 = 1000;
/// The range of a request that has none: the defaults in the published schema of a query request.
const DEFAULT_RANGE: (&str, &str) = ("now-6h", "now");
/// The name of a single query that has none.
const DEFAULT_REF_ID: &str = "A";

/// Why a request is no query for this data source. All are the caller's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The body is no JSON object of the expected form.
    #[error("read the query request: {0}")]
    Body(#[source] serde_json::Error),
    /// A known key has an unreadable value.
    #[error("read the query request: {key}: {why}")]
    Field {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        why: String,
    },
    /// Queries for different plugins.
    #[error("expect same datasource types")]
    Types,
    /// Queries for different data sources.
    #[error("expect same datasource UID")]
    Uids,
    /// No query, and so none for this data source.
    #[error("missing datasource reference: the request has no queries")]
    NoQueries,
    /// A query for another plugin or data source than this path's.
    #[error("invalid datasource {what}: found {found:?}, expected {expected:?}")]
    Invalid {
        /// `type` or `UID`.
        what: &'static str,
        /// What the query says.
        found: String,
        /// What the path says.
        expected: String,
    },
    /// Two queries with one name, whose answers would be one.
    #[error("read the query request: refId {0:?} is used twice; each query needs its own")]
    SharedRefId(String),
    /// A time that is none.
    #[error("read the range of query {ref_id:?}: {fault}")]
    Range {
        /// The query's name.
        ref_id: String,
        /// What is wrong.
        fault: RangeError,
    },
}

/// What the path of the request says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The plugin that answers here.
    pub(crate) plugin_id: &'a str,
    /// The data source in the path.
    pub(crate) uid: &'a str,
}

#[derive(Deserialize)]
struct Body {
    from: Option<Box<RawValue>>,
    to: Option<Box<RawValue>>,
    queries: Option<Vec<Fields>>,
}

/// Reads `body` into the queries of a plugin call.
///
/// # Errors
/// The first check that fails.
pub(crate) fn decode(
    body: &[u8],
    target: Target<'_>,
    now: OffsetDateTime,
) -> Result<Vec<DataQuery>, QueryError> {
    let body: Body = serde_json::from_slice(body).map_err(QueryError::Body)?;
    let bounds = [("from", body.from), ("to", body.to)];
    let mut bounds = bounds.into_iter().filter_map(|(key, raw)| Some((key.to_owned(), raw?))).collect();
    let span = Span::read(&mut bounds)?;
    let queries = body.queries.unwrap_or_default().into_iter().map(Query::read);
    let mut queries: Vec<Query> = queries.collect::<Result<_, _>>()?;
    check_references(&queries, target)?;
    complete_references(&mut queries, target);
    name(&mut queries)?;
    queries.iter().map(|query| data_query(query, &span, now)).collect()
}

/// What queries say of their data source must be right; what they leave out is the path's.
fn check_references(queries: &[Query], target: Target<'_>) -> Result<(), QueryError> {
    if queries.is_empty() {
        return Err(QueryError::NoQueries);
    }
    let kind = said(queries, |reference| &reference.kind).map_err(|()| QueryError::Types)?;
    let uid = said(queries, |reference| &reference.uid).map_err(|()| QueryError::Uids)?;
    for (what, found, expected) in [("type", kind, target.plugin_id), ("UID", uid, target.uid)] {
        if let Some(found) = found.filter(|found| *found != expected) {
            return Err(QueryError::Invalid { what, found: found.to_owned(), expected: expected.to_owned() });
        }
    }
    Ok(())
}

/// The one value that queries have for a part of their reference, if any has it; an error when they differ.
fn said(queries: &[Query], part: impl Fn(&Reference) -> &String) -> Result<Option<&str>, ()> {
    let references = queries.iter().filter_map(|query| query.datasource.as_ref());
    let mut values = references.map(|reference| part(reference).as_str()).filter(|value| !value.is_empty());
    let first = values.next();
    if values.all(|value| Some(value) == first) { Ok(first) } else { Err(()) }
}

/// Plugins find the whole reference in each query, however little of it the client wrote.
fn complete_references(queries: &mut [Query], target: Target<'_>) {
    for query in queries {
        let reference = query.datasource.get_or_insert_default();
        target.plugin_id.clone_into(&mut reference.kind);
        target.uid.clone_into(&mut reference.uid);
    }
}

/// Sees that each query has a name of its own.
fn name(queries: &mut [Query]) -> Result<(), QueryError> {
    let mut names = BTreeSet::new();
    for query in queries {
        if query.ref_id.is_empty() {
            DEFAULT_REF_ID.clone_into(&mut query.ref_id);
        }
        if !names.insert(query.ref_id.as_str()) {
            return Err(QueryError::SharedRefId(query.ref_id.clone()));
        }
    }
    Ok(())
}

fn data_query(query: &Query, span: &Span, now: OffsetDateTime) -> Result<DataQuery, QueryError> {
    let or = |value: i64, default: i64| if value > 0 { value } else { default };
    Ok(DataQuery {
        ref_id: query.ref_id.clone(),
        max_data_points: or(query.max_data_points, DEFAULT_MAX_DATA_POINTS),
        interval_ms: or(query.interval_ms as i64, DEFAULT_INTERVAL_MS),
        time_range: Some(time_range(query, span, now)?),
        json: query.to_json().map_err(QueryError::Body)?,
        query_type: query.query_type.clone(),
    })
}

/// The query's own range, else that of the request, else the default.
fn time_range(query: &Query, span: &Span, now: OffsetDateTime) -> Result<TimeRange, QueryError> {
    let span = query.span.as_ref().unwrap_or(span);
    let read = |text: &Option<String>, default: &str, edge: Edge| {
        range::parse(text.as_deref().unwrap_or(default), edge, now)
            .map_err(|fault| QueryError::Range { ref_id: query.ref_id.clone(), fault })
    };
    Ok(TimeRange {
        from_epoch_ms: read(&span.from, DEFAULT_RANGE.0, Edge::From)?,
        to_epoch_ms: read(&span.to, DEFAULT_RANGE.1, Edge::To)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(1970-01-02 0:00 UTC);
    const DAY_MS: i64 = 86_400_000;

    fn read(body: &Value) -> Result<Vec<DataQuery>, String> {
        let target = Target { plugin_id: "p", uid: "u" };
        decode(body.to_string().as_bytes(), target, NOW).map_err(|fault| fault.to_string())
    }

    fn one(mut query: Value) -> Result<Vec<DataQuery>, String> {
        query["datasource"] = json!({"type": "p", "uid": "u"});
        read(&json!({"from": "now-1h", "to": "now", "queries": [query]}))
    }

    fn range(query: &DataQuery) -> (i64, i64) {
        let range = query.time_range.unwrap();
        (range.from_epoch_ms, range.to_epoch_ms)
    }

    #[test]
    fn defaults_fill_what_a_query_does_not_say() {
        let queries = one(json!({"expr": "up"})).unwrap();
        let query = &queries[0];
        assert_eq!((query.ref_id.as_str(), query.max_data_points, query.interval_ms), ("A", 100, 1000));
        assert_eq!(range(query), (DAY_MS - 3_600_000, DAY_MS));
        let queries = read(&json!({"queries": [{"datasource": {"type": "p", "uid": "u"}}]})).unwrap();
        assert_eq!(range(&queries[0]), (DAY_MS - 6 * 3_600_000, DAY_MS));
    }

    #[test]
    fn what_a_query_says_is_taken() {
        let query = json!({
            "refId": "B", "maxDataPoints": "7", "intervalMs": 2500.9, "queryType": "t",
            "timeRange": {"from": 5, "to": "7"},
        });
        let queries = one(query).unwrap();
        let query = &queries[0];
        assert_eq!((query.max_data_points, query.interval_ms, query.query_type.as_str()), (7, 2500, "t"));
        assert_eq!(range(query), (5, 7));
        let json: Value = serde_json::from_slice(&query.json).unwrap();
        assert!(json.get("timeRange").is_none() && json["maxDataPoints"] == 7);
    }

    #[test]
    fn a_wrong_reference_is_refused_in_upstreams_order_and_words() {
        let source = |kind: &str, uid: &str| json!({"datasource": {"type": kind, "uid": uid}});
        for (queries, fault) in [
            (json!([source("p", "u"), source("q", "v")]), "expect same datasource types"),
            (json!([source("p", "u"), source("p", "v")]), "expect same datasource UID"),
            (json!([]), "missing datasource reference: the request has no queries"),
            (json!(null), "missing datasource reference: the request has no queries"),
            (json!([source("q", "u")]), "invalid datasource type: found \"q\", expected \"p\""),
            (json!([source("q", "")]), "invalid datasource type: found \"q\", expected \"p\""),
            (json!([{}, source("q", "v")]), "invalid datasource type: found \"q\", expected \"p\""),
            (json!([source("p", "v")]), "invalid datasource UID: found \"v\", expected \"u\""),
            (json!([{"datasource": "v"}]), "invalid datasource UID: found \"v\", expected \"u\""),
            (
                json!([source("p", "u"), source("p", "u")]),
                "read the query request: refId \"A\" is used twice; each query needs its own",
            ),
        ] {
            assert_eq!(read(&json!({"queries": queries})).unwrap_err(), fault, "{queries}");
        }
    }

    #[test]
    fn what_a_query_leaves_out_of_its_reference_is_the_paths() {
        let queries = json!([
            {"refId": "A"},
            {"refId": "B", "datasource": null},
            {"refId": "C", "datasource": "u"},
            {"refId": "D", "datasource": {"uid": "u"}},
            {"refId": "E", "datasource": {"type": "p", "apiVersion": "v1"}},
        ]);
        let read = read(&json!({"queries": queries})).unwrap();
        assert_eq!(read.len(), 5);
        for query in read {
            let source = &serde_json::from_slice::<Value>(&query.json).unwrap()["datasource"];
            assert_eq!((&source["type"], &source["uid"]), (&json!("p"), &json!("u")), "{}", query.ref_id);
            assert_eq!(source["apiVersion"] == "v1", query.ref_id == "E", "{source}");
        }
    }

    #[test]
    fn an_unreadable_body_is_refused_with_the_key_at_fault() {
        for (query, fault) in [
            (json!({"refId": 1}), "refId: "),
            (json!({"maxDataPoints": "many"}), "maxDataPoints: must be a whole number of at least 0"),
            (json!({"maxDataPoints": -1}), "maxDataPoints: must be a whole number of at least 0"),
            (json!({"maxDataPoints": []}), "maxDataPoints: must be a text or a number"),
            (json!({"intervalMs": "1s"}), "intervalMs: "),
            (json!({"hide": "yes"}), "hide: "),
            (json!({"timeRange": "now"}), "timeRange: "),
            (json!({"timeRange": {"from": true}}), "from: must be a text or a number"),
        ] {
            let refusal = one(query.clone()).unwrap_err();
            assert!(refusal.starts_with(&format!("read the query request: {fault}")), "{query}: {refusal}");
        }
        for body in [json!([]), json!({"queries": {}}), json!({"queries": [1]}), json!({"from": {}})] {
            assert!(read(&body).unwrap_err().starts_with("read the query request: "), "{body}");
        }
        assert!(decode(b"", Target { plugin_id: "p", uid: "u" }, NOW).is_err());
    }

    #[test]
    fn an_unreadable_time_is_refused_and_not_taken_for_1970() {
        let fault = one(json!({"timeRange": {"from": "yesterday", "to": "now"}})).unwrap_err();
        assert!(fault.starts_with("read the range of query \"A\": read time \"yesterday\""), "{fault}");
    }
}
