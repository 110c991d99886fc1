//! One query of a request: the keys that the host understands, and those that only the plugin does, kept as they came.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap as _, Serializer as _};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::decode::QueryError;

/// A JSON object whose values are not looked into.
pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// Which data source a query is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Reference {
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) api_version: String,
}

/// Two points in time, unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

/// A query with the known keys read.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) ref_id: String,
    pub(crate) datasource: Option<Reference>,
    pub(crate) query_type: String,
    /// Zero when not given.
    pub(crate) max_data_points: i64,
    /// Milliseconds; zero when not given.
    pub(crate) interval_ms: f64,
    /// The query's own range.
    pub(crate) span: Option<Span>,
    hide: bool,
    datasource_id: i64,
    result_assertions: Option<Box<RawValue>>,
    /// The keys that only the plugin understands.
    rest: Fields,
}

impl Query {
    /// Reads the known keys of `fields`.
    pub(crate) fn read(mut fields: Fields) -> Result<Self, QueryError> {
        let ref_id = take(&mut fields, "refId")?.unwrap_or_default();
        let span =
            take::<Fields>(&mut fields, "timeRange")?.map(|mut span| Span::read(&mut span)).transpose()?;
        Ok(Self {
            ref_id,
            span,
            datasource: reference(&mut fields)?,
            query_type: take(&mut fields, "queryType")?.unwrap_or_default(),
            max_data_points: whole_number(&mut fields, "maxDataPoints")?,
            interval_ms: take(&mut fields, "intervalMs")?.unwrap_or_default(),
            hide: take(&mut fields, "hide")?.unwrap_or_default(),
            datasource_id: take(&mut fields, "datasourceId")?.unwrap_or_default(),
            result_assertions: take(&mut fields, "resultAssertions")?,
            rest: fields,
        })
    }

    /// The query as the plugin reads it: known keys first and only if they say something, then the rest in order. A
    /// range of its own is left out, and then all keys are in order. The encoding is upstream's.
    pub(crate) fn to_json(&self) -> serde_json::Result<Bytes> {
        let mut pairs = self.known()?;
        pairs.extend(self.rest.iter().map(|(key, value)| (key.as_str(), value.clone())));
        if self.span.is_some() {
            pairs.sort_by_key(|(key, _)| *key);
        }
        let mut out = serde_json::Serializer::new(Vec::new());
        let mut map = (&mut out).serialize_map(None)?;
        for (key, value) in &pairs {
            map.serialize_entry(key, value)?;
        }
        map.end()?;
        Ok(out.into_inner().into())
    }

    fn known(&self) -> serde_json::Result<Vec<(&str, Box<RawValue>)>> {
        fn said<T: Serialize + Default + PartialEq>(value: &T) -> serde_json::Result<Option<Box<RawValue>>> {
            if *value == T::default() { Ok(None) } else { to_raw_value(value).map(Some) }
        }
        let known = [
            ("refId", said(&self.ref_id)?),
            ("resultAssertions", self.result_assertions.clone()),
            ("datasource", self.datasource.as_ref().map(to_raw_value).transpose()?),
            ("datasourceId", said(&self.datasource_id)?),
            ("queryType", said(&self.query_type)?),
            ("maxDataPoints", said(&self.max_data_points)?),
            ("intervalMs", said(&self.interval_ms)?),
            ("hide", said(&self.hide)?),
        ];
        Ok(known.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }
}

impl Span {
    /// Takes `from` and `to` out of `fields`: texts or numbers.
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, QueryError> {
        Ok(Self { from: moment(fields, "from")?, to: moment(fields, "to")? })
    }
}

/// Takes a key out and reads it; null is as good as absent.
fn take<T: DeserializeOwned>(fields: &mut Fields, key: &'static str) -> Result<Option<T>, QueryError> {
    let Some(raw) = fields.remove(key) else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|fault| QueryError::Field { key, why: fault.to_string() })
}

fn moment(fields: &mut Fields, key: &'static str) -> Result<Option<String>, QueryError> {
    let Some(text) = text_or_number(fields, key)? else { return Ok(None) };
    Ok((!text.is_empty()).then_some(text))
}

/// A text's content, or a number's digits.
fn text_or_number(fields: &mut Fields, key: &'static str) -> Result<Option<String>, QueryError> {
    let Some(raw) = fields.get(key) else { return Ok(None) };
    match raw.get().as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Ok(fields.remove(key).map(|raw| raw.get().to_owned())),
        Some(b'"' | b'n') => take(fields, key),
        _ => Err(QueryError::Field { key, why: "must be a text or a number".to_owned() }),
    }
}

fn whole_number(fields: &mut Fields, key: &'static str) -> Result<i64, QueryError> {
    let Some(text) = text_or_number(fields, key)? else { return Ok(0) };
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| QueryError::Field {
        key,
        why: format!("must be a whole number of at least 0, not {text:?}"),
    })
}

/// The data source, as an object or as a bare uid.
fn reference(fields: &mut Fields) -> Result<Option<Reference>, QueryError> {
    let is_uid = fields.get("datasource").is_some_and(|raw| raw.get().starts_with('"'));
    if is_uid {
        let uid = take(fields, "datasource")?.unwrap_or_default();
        return Ok(Some(Reference { uid, ..Reference::default() }));
    }
    take(fields, "datasource")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(json: &str) -> String {
        let query = Query::read(serde_json::from_str(json).unwrap()).unwrap();
        String::from_utf8(query.to_json().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn known_keys_come_first_and_the_rest_in_order_untouched() {
        let json = r#"{"zoo": {"b":1e400, "a": 12345678901234567890123}, "expr":"up", "hide":false, "intervalMs": 2.5,
                       "maxDataPoints":"300", "datasource":"u", "refId":"A", "queryType":"", "datasourceId":0}"#;
        assert_eq!(
            encoded(json),
            r#"{"refId":"A","datasource":{"uid":"u"},"maxDataPoints":300,"intervalMs":2.5,"expr":"up","zoo":{"b":1e400, "a": 12345678901234567890123}}"#
        );
    }

    #[test]
    fn without_its_range_all_keys_are_in_order() {
        let json = r#"{"refId":"A","timeRange":{"from":"now-1h","to":1},"expr":1,"hide":true,"datasource":{"type":"p","uid":"u","x":1}}"#;
        assert_eq!(
            encoded(json),
            r#"{"datasource":{"type":"p","uid":"u"},"expr":1,"hide":true,"refId":"A"}"#
        );
    }

    #[test]
    fn null_is_absent() {
        let json = r#"{"refId":"A","datasource":null,"timeRange":null,"maxDataPoints":null,"hide":null,"resultAssertions":null}"#;
        assert_eq!(encoded(json), r#"{"refId":"A"}"#);
    }
}
