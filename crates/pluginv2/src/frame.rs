//! A data frame is a table kept by columns: a schema of fields, and one array of values for each of them.
//!
//! [`Frame`] writes the JSON form (`DataFrameFormat::Json`), with the column types that a plugin of time series
//! needs: time, nullable numbers and strings. JSON has no NaN and no infinities: their place in the values holds
//! null, and `entities` lists the rows.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::Value;

/// What a consumer may expect of a frame's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameType {
    /// One time field, then one number field a series, told apart by labels.
    TimeseriesWide,
    /// Any columns.
    Table,
}

/// What a frame tells about itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The contract that the fields keep.
    #[serde(rename = "type")]
    pub frame_type: FrameType,
    /// Major and minor version of that contract.
    pub type_version: [u32; 2],
    /// Anything of the plugin's own; left out when null.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub custom: Value,
}

/// How a field is to be shown; empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The name in legends instead of name and labels.
    #[serde(rename = "displayNameFromDS", skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// A unit by its Grafana id, such as `percent`, `bytes`, `Bps`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

impl Config {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One column's values. All columns of a frame have the same length.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Epoch milliseconds.
    Time(Vec<i64>),
    /// Numbers; `None` is absent, which is not NaN.
    Number(Vec<Option<f64>>),
    /// Text.
    String(Vec<String>),
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The column's name.
    pub name: String,
    /// Tell fields of the same name apart.
    pub labels: BTreeMap<String, String>,
    /// How to show it.
    pub config: Config,
    /// What is in it.
    pub values: Values,
}

impl Field {
    /// Returns a field without labels or configuration.
    pub fn new(name: impl Into<String>, values: Values) -> Self {
        Self { name: name.into(), labels: BTreeMap::new(), config: Config::default(), values }
    }
}

/// A data frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// A name for people; left out when empty.
    pub name: String,
    /// The query that it answers.
    pub ref_id: String,
    /// What it tells about itself.
    pub meta: Option<Meta>,
    /// Its columns.
    pub fields: Vec<Field>,
}

impl Frame {
    /// Encodes the frame as the JSON object `{schema, data}`, ready for `DataResponse::frames`.
    ///
    /// # Errors
    /// Never for values that this module can hold, unless `meta.custom` cannot be encoded.
    pub fn to_json(&self) -> serde_json::Result<Bytes> {
        serde_json::to_vec(self).map(Bytes::from)
    }

    /// The rows of NaN and infinities, field by field, unless there are none at all.
    fn entities(&self) -> Option<Vec<Option<Entities>>> {
        let entities: Vec<_> = self.fields.iter().map(|field| Entities::of(&field.values)).collect();
        entities.iter().any(Option::is_some).then_some(entities)
    }
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let schema = Schema {
            name: &self.name,
            ref_id: &self.ref_id,
            meta: self.meta.as_ref(),
            fields: self.fields.iter().map(FieldSchema::of).collect(),
        };
        let data = Data {
            values: self.fields.iter().map(|field| &field.values).collect(),
            entities: self.entities(),
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("schema", &schema)?;
        map.serialize_entry("data", &data)?;
        map.end()
    }
}

/// A column as its values alone. serde_json writes NaN and infinities as null, which is what the form asks for.
impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(times) => times.serialize(serializer),
            Self::Number(numbers) => numbers.serialize(serializer),
            Self::String(texts) => texts.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    ref_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Meta>,
    fields: Vec<FieldSchema<'a>>,
}

#[derive(Serialize)]
struct Data<'a> {
    values: Vec<&'a Values>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<Vec<Option<Entities>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FieldSchema<'a> {
    name: &'a str,
    r#type: &'static str,
    type_info: TypeInfo,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Config::is_empty")]
    config: &'a Config,
}

#[derive(Serialize)]
struct TypeInfo {
    frame: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    nullable: bool,
}

impl<'a> FieldSchema<'a> {
    fn of(field: &'a Field) -> Self {
        let (r#type, frame, nullable) = match field.values {
            Values::Time(_) => ("time", "time.Time", false),
            Values::Number(_) => ("number", "float64", true),
            Values::String(_) => ("string", "string", false),
        };
        let type_info = TypeInfo { frame, nullable };
        Self { name: &field.name, r#type, type_info, labels: &field.labels, config: &field.config }
    }
}

/// The rows of one field that JSON cannot say.
#[derive(Default, PartialEq, Serialize)]
struct Entities {
    #[serde(rename = "NaN", skip_serializing_if = "Vec::is_empty")]
    nan: Vec<usize>,
    #[serde(rename = "Inf", skip_serializing_if = "Vec::is_empty")]
    inf: Vec<usize>,
    #[serde(rename = "NegInf", skip_serializing_if = "Vec::is_empty")]
    neg_inf: Vec<usize>,
}

impl Entities {
    fn of(values: &Values) -> Option<Self> {
        let Values::Number(numbers) = values else { return None };
        let mut entities = Self::default();
        for (row, number) in numbers.iter().enumerate() {
            match *number {
                Some(number) if number.is_nan() => entities.nan.push(row),
                Some(f64::INFINITY) => entities.inf.push(row),
                Some(f64::NEG_INFINITY) => entities.neg_inf.push(row),
                _ => {}
            }
        }
        (entities != Self::default()).then_some(entities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame(fields: Vec<Field>) -> Frame {
        Frame { name: String::new(), ref_id: String::new(), meta: None, fields }
    }

    fn encode(frame: &Frame) -> Value {
        serde_json::from_slice(&frame.to_json().unwrap()).unwrap()
    }

    #[test]
    fn writes_schema_and_data_in_the_published_form() {
        let mut load = Field::new("load", Values::Number(vec![Some(0.5), None]));
        load.labels.insert("window".to_owned(), "1m".to_owned());
        load.config.unit = "short".to_owned();
        let frame = Frame {
            name: "load".to_owned(),
            ref_id: "A".to_owned(),
            meta: Some(Meta {
                frame_type: FrameType::TimeseriesWide,
                type_version: [0, 1],
                custom: Value::Null,
            }),
            fields: vec![
                Field::new("time", Values::Time(vec![1_700_000_000_000, 1_700_000_001_000])),
                load,
                Field::new("host", Values::String(vec!["a".to_owned(), "b".to_owned()])),
            ],
        };
        let expected = json!({
            "schema": {
                "name": "load",
                "refId": "A",
                "meta": {"type": "timeseries-wide", "typeVersion": [0, 1]},
                "fields": [
                    {"name": "time", "type": "time", "typeInfo": {"frame": "time.Time"}},
                    {"name": "load", "type": "number", "typeInfo": {"frame": "float64", "nullable": true},
                     "labels": {"window": "1m"}, "config": {"unit": "short"}},
                    {"name": "host", "type": "string", "typeInfo": {"frame": "string"}},
                ],
            },
            "data": {"values": [[1_700_000_000_000_i64, 1_700_000_001_000_i64], [0.5, null], ["a", "b"]]},
        });
        assert_eq!(encode(&frame), expected);
    }

    #[test]
    fn nan_and_infinities_become_null_and_are_listed() {
        let numbers = [f64::NAN, 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(Some).to_vec();
        let time = Field::new("time", Values::Time(vec![1, 2, 3, 4, 5]));
        let data = &encode(&frame(vec![time, Field::new("x", Values::Number(numbers))]))["data"];
        assert_eq!(data["values"][1], json!([null, 1.0, null, null, null]));
        assert_eq!(data["entities"], json!([null, {"NaN": [0, 4], "Inf": [2], "NegInf": [3]}]));
    }

    #[test]
    fn absent_numbers_are_no_entities() {
        let data = &encode(&frame(vec![Field::new("x", Values::Number(vec![None]))]))["data"];
        assert_eq!(*data, json!({"values": [[null]]}));
    }
}
