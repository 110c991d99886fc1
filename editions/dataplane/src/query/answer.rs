//! A plugin's answer as the response's body: `{"results": {REFID: …}}`, frames spliced in as the plugin wrote them.

use std::collections::BTreeMap;

use detectviz_pluginv2::proto::{DataFrameFormat, DataResponse};
use serde::Serialize;
use serde_json::value::RawValue;

/// The status of a refId whose frames this server cannot read.
const NOT_IMPLEMENTED: i32 = 501;

#[derive(Serialize)]
struct Answer<'a> {
    results: BTreeMap<&'a str, Outcome<'a>>,
}

/// What became of one query.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error_source: &'a str,
    status: i32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    frames: Vec<&'a RawValue>,
}

/// Why the frames of one query cannot be passed on.
#[derive(Clone, Copy, Debug)]
enum FrameError {
    /// An old SDK, which does not know that JSON can be asked for.
    Arrow,
    /// Not what the answer says it is.
    Json,
}

impl FrameError {
    /// The query's error and status.
    const fn verdict(self) -> (&'static str, i32) {
        match self {
            Self::Arrow => (
                "the plugin answered in Arrow, which this server does not decode yet: use a version of the plugin that \
                 answers in JSON when asked to",
                NOT_IMPLEMENTED,
            ),
            Self::Json => ("the plugin answered with a frame that is not JSON", 500),
        }
    }
}

/// The body of the response. It is a success whatever became of the queries, each of which has its own status.
pub(crate) fn encode(responses: &BTreeMap<String, DataResponse>) -> serde_json::Result<Vec<u8>> {
    let results = responses.iter().map(|(ref_id, response)| (ref_id.as_str(), outcome(response))).collect();
    serde_json::to_vec(&Answer { results })
}

fn outcome(response: &DataResponse) -> Outcome<'_> {
    match frames(response) {
        Ok(frames) => {
            let failed = !response.error.is_empty();
            let status = match response.status {
                0 if failed => 500,
                0 => 200,
                status => status,
            };
            let error_source = if failed { response.error_source.as_str() } else { "" };
            Outcome { error: &response.error, error_source, status, frames }
        }
        Err(fault) => {
            let (error, status) = fault.verdict();
            Outcome { error, error_source: "plugin", status, frames: Vec::new() }
        }
    }
}

fn frames(response: &DataResponse) -> Result<Vec<&RawValue>, FrameError> {
    if !response.frames.is_empty() && response.format != i32::from(DataFrameFormat::Json) {
        return Err(FrameError::Arrow);
    }
    let frames = response.frames.iter().map(|frame| serde_json::from_slice(frame));
    frames.collect::<Result<_, _>>().map_err(|_| FrameError::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(responses: Vec<(&str, DataResponse)>) -> String {
        let responses =
            responses.into_iter().map(|(ref_id, response)| (ref_id.to_owned(), response)).collect();
        String::from_utf8(encode(&responses).unwrap()).unwrap()
    }

    fn json(frames: &[&'static str]) -> DataResponse {
        let frames = frames.iter().map(|frame| frame.as_bytes().into()).collect();
        DataResponse { frames, format: DataFrameFormat::Json.into(), ..DataResponse::default() }
    }

    #[test]
    fn frames_are_spliced_in_untouched_and_names_are_in_order() {
        let frame = r#"{"schema": {"z":1, "a":1e400}, "data":{"values":[[1.0]]}}"#;
        let failed =
            DataResponse { error: "no".into(), error_source: "downstream".into(), ..DataResponse::default() };
        let quiet =
            DataResponse { status: 204, error_source: "downstream".into(), ..DataResponse::default() };
        assert_eq!(
            body(vec![("C", quiet), ("B", failed), ("A", json(&[frame]))]),
            format!(
                r#"{{"results":{{"A":{{"status":200,"frames":[{frame}]}},"B":{{"error":"no","errorSource":"downstream","status":500}},"C":{{"status":204}}}}}}"#
            )
        );
        assert_eq!(body(vec![]), r#"{"results":{}}"#);
    }

    #[test]
    fn what_cannot_be_passed_on_fails_its_query_alone() {
        let arrow = DataResponse { frames: vec!["ARROW1".into()], ..DataResponse::default() };
        let text = body(vec![("A", arrow), ("B", json(&["{oops"])), ("C", json(&["{}"]))]);
        assert!(text.contains("answered in Arrow") && text.contains(r#""status":501"#), "{text}");
        assert!(text.contains("a frame that is not JSON") && text.contains(r#""frames":[{}]"#), "{text}");
    }
}
