//! A query names a metric; its range selects samples, and the answer is one wide frame of them.

use std::collections::BTreeMap;

use detectviz_pluginv2::frame::{Config, Field, Frame, FrameType, Meta, Values};
use detectviz_pluginv2::proto::{
    DataFrameFormat, DataQuery, DataResponse, DataSourceInstanceSettings, PluginContext,
};
use serde::Deserialize;
use serde_json::json;

use crate::sample::{Metric, Point, disk};
use crate::sampler::Sampler;
use crate::series::{Column, Table};

/// The data source's `jsonData`. Other keys are other readers' business.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// The paths whose filesystems are shown.
    pub(crate) disks: Vec<String>,
    /// Labels put on every series, to tell machines apart.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { disks: vec!["/".to_owned()], labels: BTreeMap::new() }
    }
}

impl Settings {
    /// Reads the settings of the data source in the context; none at all means the defaults.
    pub(crate) fn of(context: Option<&PluginContext>) -> Result<Self, QueryError> {
        match data_source(context).map(|source| &source.json_data[..]) {
            None | Some([]) => Ok(Self::default()),
            Some(json) => serde_json::from_slice(json).map_err(QueryError::Settings),
        }
    }
}

fn data_source(context: Option<&PluginContext>) -> Option<&DataSourceInstanceSettings> {
    context?.data_source_instance_settings.as_ref()
}

/// Returns the uid of the data source that is asked, empty if the host does not say.
pub(crate) fn uid(context: Option<&PluginContext>) -> &str {
    data_source(context).map_or("", |source| &source.uid)
}

/// Why a query has no answer. All but the last are the asker's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("read the data source's jsonData: {0}")]
    Settings(#[source] serde_json::Error),
    #[error("read the query: {0}")]
    Json(#[source] serde_json::Error),
    #[error("answer metric {name:?}: allowed are {}", Metric::ALL.map(Metric::name).join(", "))]
    Metric { name: String },
    #[error("select samples from {from_ms} to {to_ms}: the range ends before it begins")]
    Range { from_ms: i64, to_ms: i64 },
    #[error("encode the frame: {0}")]
    Encode(#[source] serde_json::Error),
}

impl QueryError {
    /// HTTP status and whose fault it is. In this protocol a fault that is not the plugin's is "downstream".
    fn verdict(&self) -> (i32, &'static str) {
        match self {
            Self::Encode(_) => (500, "plugin"),
            _ => (400, "downstream"),
        }
    }
}

/// Answers one query. Frames are JSON whatever was asked for: the answer says so, and hosts go by the answer.
pub(crate) fn answer(sampler: &Sampler, settings: &Settings, uid: &str, query: &DataQuery) -> DataResponse {
    let encoded =
        frame(sampler, settings, uid, query).and_then(|frame| frame.to_json().map_err(QueryError::Encode));
    match encoded {
        Ok(frame) => DataResponse {
            frames: vec![frame],
            status: 200,
            format: DataFrameFormat::Json.into(),
            ..DataResponse::default()
        },
        Err(error) => refuse(&error),
    }
}

/// The answer to a query that has none.
pub(crate) fn refuse(error: &QueryError) -> DataResponse {
    let (status, source) = error.verdict();
    DataResponse {
        error: error.to_string(),
        status,
        error_source: source.to_owned(),
        format: DataFrameFormat::Json.into(),
        ..DataResponse::default()
    }
}

/// Builds the frame: a time column, and a column a series.
fn frame(sampler: &Sampler, settings: &Settings, uid: &str, query: &DataQuery) -> Result<Frame, QueryError> {
    let metric = metric(query)?;
    let (from_ms, to_ms) = range(query)?;
    let samples = sampler.series.select(from_ms, to_ms);
    let table = Table::new(&samples, metric, |point| shown(point, &settings.disks));
    let table = table.decimated(query.max_data_points);
    let time = Field::new("time", Values::Time(table.times));
    let series = table.columns.into_iter().map(|column| field(column, &settings.labels));
    Ok(Frame {
        name: metric.name().to_owned(),
        ref_id: query.ref_id.clone(),
        meta: Some(Meta {
            frame_type: FrameType::TimeseriesWide,
            type_version: [0, 1],
            custom: json!({"uid": uid, "samples": samples.len()}),
        }),
        fields: std::iter::once(time).chain(series).collect(),
    })
}

/// The metric by the query's own key, else by its type, else the first of all.
fn metric(query: &DataQuery) -> Result<Metric, QueryError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Model {
        metric: String,
    }
    let model: Model = match &query.json[..] {
        [] => Model::default(),
        json => serde_json::from_slice(json).map_err(QueryError::Json)?,
    };
    let name = if model.metric.is_empty() { &query.query_type } else { &model.metric };
    if name.is_empty() {
        return Ok(Metric::Cpu);
    }
    Metric::from_name(name).ok_or_else(|| QueryError::Metric { name: name.clone() })
}

/// The asked range, epoch milliseconds; all of time when there is none.
fn range(query: &DataQuery) -> Result<(i64, i64), QueryError> {
    let (from_ms, to_ms) =
        query.time_range.map_or((i64::MIN, i64::MAX), |range| (range.from_epoch_ms, range.to_epoch_ms));
    if from_ms > to_ms { Err(QueryError::Range { from_ms, to_ms }) } else { Ok((from_ms, to_ms)) }
}

/// Of the filesystems, only those that this data source names; of all else everything.
fn shown(point: &Point, disks: &[String]) -> bool {
    point.quantity.label != disk::PATH || disks.iter().any(|disk| **disk == *point.label)
}

fn field(column: Column, labels: &BTreeMap<String, String>) -> Field {
    let quantity = column.quantity;
    let mut labels = labels.clone();
    let mut config = Config { unit: quantity.unit.to_owned(), ..Config::default() };
    if !quantity.label.is_empty() {
        labels.insert(quantity.label.to_owned(), column.label.to_string());
        config.display_name = format!("{} {}", column.label, quantity.name);
    }
    Field { labels, config, ..Field::new(quantity.name, Values::Number(column.values)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use detectviz_pluginv2::proto::TimeRange;
    use serde_json::Value;

    use super::*;
    use crate::sample::Sample;

    fn sampler() -> Sampler {
        let sampler = Sampler::new(Duration::from_secs(1));
        (1..=9).for_each(|n| sampler.series.push(Sample::of_load(n * 1000, &[n as f64, 0.5])));
        sampler
    }

    fn query(json: &str) -> DataQuery {
        let time_range = Some(TimeRange { from_epoch_ms: 2000, to_epoch_ms: 4000 });
        let json = json.to_owned().into();
        DataQuery { ref_id: "A".to_owned(), time_range, json, ..DataQuery::default() }
    }

    fn ask(settings: &Settings, query: &DataQuery) -> DataResponse {
        answer(&sampler(), settings, "u1", query)
    }

    #[test]
    fn answers_with_the_samples_of_the_range_as_a_wide_frame() {
        let response = ask(&Settings::default(), &query(r#"{"metric":"load"}"#));
        let frame: Value = serde_json::from_slice(&response.frames[0]).unwrap();
        assert_eq!((response.status, response.format()), (200, DataFrameFormat::Json));
        assert_eq!(frame["data"]["values"][0], json!([2000, 3000, 4000]));
        assert_eq!(frame["data"]["values"][1], json!([2.0, 3.0, 4.0]));
        assert_eq!(frame["schema"]["refId"], "A");
        assert_eq!(frame["schema"]["meta"]["type"], "timeseries-wide");
        assert_eq!(frame["schema"]["meta"]["custom"]["uid"], "u1");
    }

    #[test]
    fn settings_put_labels_on_every_series() {
        let settings =
            Settings { labels: BTreeMap::from([("rack".into(), "7".into())]), ..Settings::default() };
        let response = ask(&settings, &query(r#"{"metric":"load"}"#));
        let frame: Value = serde_json::from_slice(&response.frames[0]).unwrap();
        assert_eq!(frame["schema"]["fields"][1]["labels"], json!({"rack": "7"}));
    }

    #[test]
    fn metric_is_found_in_the_query_then_in_its_type_and_is_cpu_otherwise() {
        let typed = DataQuery { query_type: "disk".to_owned(), ..query("{}") };
        assert_eq!(metric(&typed).unwrap(), Metric::Disk);
        let both = DataQuery { query_type: "disk".to_owned(), ..query(r#"{"metric":"load"}"#) };
        assert_eq!(metric(&both).unwrap(), Metric::Load);
        assert_eq!(metric(&query("")).unwrap(), Metric::Cpu);
        assert_eq!(metric(&query(r#"{"refId":"A"}"#)).unwrap(), Metric::Cpu);
    }

    #[test]
    fn a_wrong_query_is_refused_with_what_is_allowed() {
        let response = ask(&Settings::default(), &query(r#"{"metric":"gpu"}"#));
        assert_eq!((response.status, &*response.error_source), (400, "downstream"));
        assert_eq!(response.error, r#"answer metric "gpu": allowed are cpu, memory, disk, load, network"#);
        let time_range = Some(TimeRange { from_epoch_ms: 5, to_epoch_ms: 4 });
        let response = ask(&Settings::default(), &DataQuery { time_range, ..query("{}") });
        assert!(response.error.contains("ends before it begins"), "{}", response.error);
        let response = ask(&Settings::default(), &query("[not json"));
        assert!(response.error.starts_with("read the query: "), "{}", response.error);
    }

    #[test]
    fn settings_have_defaults_and_ignore_other_keys() {
        let context = |json: &str| PluginContext {
            data_source_instance_settings: Some(DataSourceInstanceSettings {
                json_data: json.to_owned().into(),
                ..DataSourceInstanceSettings::default()
            }),
            ..PluginContext::default()
        };
        assert_eq!(Settings::of(None).unwrap(), Settings::default());
        let settings = Settings::of(Some(&context(r#"{"disks":["/data"],"theme":"dark"}"#))).unwrap();
        assert_eq!(settings.disks, ["/data"]);
        assert!(matches!(Settings::of(Some(&context("{\"disks\":1}"))), Err(QueryError::Settings(_))));
    }
}
