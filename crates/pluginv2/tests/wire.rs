//! The wire is the contract: field numbers are asserted byte by byte, since plugins in other languages count on them.

use std::collections::BTreeMap;

use detectviz_pluginv2::goplugin::StdioData;
use detectviz_pluginv2::health::{HealthCheckRequest, HealthCheckResponse};
use detectviz_pluginv2::proto::*;
use prost::Message;

/// The field numbers of an encoded message in the order on the wire, nested messages not entered.
fn numbers(message: &impl Message) -> Vec<u8> {
    let mut bytes = &message.encode_to_vec()[..];
    let mut numbers = Vec::new();
    while let [tag, rest @ ..] = bytes {
        numbers.push(tag >> 3);
        bytes = match tag & 7 {
            0 => &rest[1..],                        // small numbers only
            2 => &rest[1 + usize::from(rest[0])..], // short texts only
            other => panic!("wire type {other}"),
        };
    }
    numbers
}

fn text() -> String {
    "x".to_owned()
}

fn map() -> BTreeMap<String, String> {
    BTreeMap::from([(text(), text())])
}

fn bytes() -> bytes::Bytes {
    "x".into()
}

fn data_source() -> DataSourceInstanceSettings {
    DataSourceInstanceSettings {
        id: 1,
        name: text(),
        url: text(),
        user: text(),
        database: text(),
        basic_auth_enabled: true,
        basic_auth_user: text(),
        json_data: bytes(),
        decrypted_secure_json_data: map(),
        last_updated_ms: 1,
        uid: text(),
        api_version: text(),
    }
}

fn app() -> AppInstanceSettings {
    AppInstanceSettings {
        json_data: bytes(),
        decrypted_secure_json_data: map(),
        last_updated_ms: 1,
        api_version: text(),
    }
}

#[test]
fn context_and_settings() {
    let context = PluginContext {
        org_id: 1,
        plugin_id: text(),
        user: Some(User { login: text(), name: text(), email: text(), role: text() }),
        app_instance_settings: Some(app()),
        data_source_instance_settings: Some(data_source()),
        grafana_config: map(),
        plugin_version: text(),
        user_agent: text(),
        api_version: text(),
        namespace: text(),
    };
    assert_eq!(numbers(&context), (1..=10).collect::<Vec<_>>());
    assert_eq!(numbers(&data_source()), (1..=12).collect::<Vec<_>>());
    assert_eq!(numbers(&app()), [3, 4, 5, 6]);
    assert_eq!(context.user.unwrap().encode_to_vec(), b"\x0a\x01x\x12\x01x\x1a\x01x\x22\x01x");
}

#[test]
fn queries_and_answers() {
    let query = DataQuery {
        ref_id: "A".to_owned(),
        max_data_points: 100,
        interval_ms: 7,
        time_range: Some(TimeRange { from_epoch_ms: 1, to_epoch_ms: 2 }),
        json: "{}".into(),
        query_type: "q".to_owned(),
    };
    assert_eq!(
        query.encode_to_vec(),
        b"\x0a\x01A\x10\x64\x18\x07\x22\x04\x08\x01\x10\x02\x2a\x02{}\x32\x01q"
    );
    let request = QueryDataRequest {
        plugin_context: Some(PluginContext::default()),
        headers: map(),
        queries: vec![query],
        format: DataFrameFormat::Json.into(),
    };
    assert_eq!(numbers(&request), [1, 2, 3, 4]);
    let response = DataResponse {
        frames: vec!["f".into()],
        error: "e".to_owned(),
        json_meta: "m".into(),
        status: 5,
        error_source: "s".to_owned(),
        format: DataFrameFormat::Json.into(),
    };
    assert_eq!(response.encode_to_vec(), b"\x0a\x01f\x12\x01e\x1a\x01m\x20\x05\x2a\x01s\x30\x01");
    let chunk = QueryChunkedDataResponse {
        ref_id: text(),
        frame_id: text(),
        frame: bytes(),
        error: text(),
        status: 1,
        error_source: text(),
        format: 1,
    };
    assert_eq!(numbers(&chunk), (1..=7).collect::<Vec<_>>());
}

#[test]
fn resources_and_diagnostics() {
    let headers = BTreeMap::from([(text(), StringList { values: vec![text()] })]);
    let request = CallResourceRequest {
        plugin_context: Some(PluginContext::default()),
        path: text(),
        method: text(),
        url: text(),
        headers: headers.clone(),
        body: bytes(),
    };
    assert_eq!(numbers(&request), (1..=6).collect::<Vec<_>>());
    assert_eq!(numbers(&CallResourceResponse { code: 1, headers, body: bytes() }), [1, 2, 3]);
    let health = CheckHealthResponse {
        status: check_health_response::HealthStatus::Error.into(),
        message: "m".to_owned(),
        json_details: "{}".into(),
    };
    assert_eq!(health.encode_to_vec(), b"\x08\x02\x12\x01m\x1a\x02{}");
    let metrics = Some(collect_metrics_response::Payload { prometheus: "p".into() });
    assert_eq!(CollectMetricsResponse { metrics }.encode_to_vec(), b"\x0a\x03\x0a\x01p");
}

#[test]
fn streams_admission_and_conversion() {
    let subscribe = SubscribeStreamRequest {
        plugin_context: Some(PluginContext::default()),
        path: text(),
        data: bytes(),
        headers: map(),
    };
    assert_eq!(numbers(&subscribe), [1, 2, 3, 4]);
    let admission = AdmissionRequest {
        plugin_context: Some(PluginContext::default()),
        operation: admission_request::Operation::Delete.into(),
        kind: Some(GroupVersionKind { group: text(), version: text(), kind: text() }),
        object_bytes: bytes(),
        old_object_bytes: bytes(),
    };
    assert_eq!(numbers(&admission), [1, 2, 3, 4, 5]);
    let result = Some(StatusResult { status: text(), message: text(), reason: text(), code: 4 });
    assert_eq!(numbers(result.as_ref().unwrap()), [1, 2, 3, 4]);
    let mutation = MutationResponse {
        allowed: true,
        result: result.clone(),
        warnings: vec![text()],
        object_bytes: bytes(),
    };
    assert_eq!(numbers(&mutation), [1, 2, 3, 4]);
    let objects = vec![RawObject { raw: bytes(), content_type: text() }];
    let conversion = ConversionRequest {
        plugin_context: Some(PluginContext::default()),
        uid: text(),
        objects: objects.clone(),
        target_version: Some(GroupVersion { group: text(), version: text() }),
    };
    assert_eq!(numbers(&conversion), [1, 2, 3, 4]);
    assert_eq!(numbers(&ConversionResponse { uid: text(), result, objects }), [1, 2, 3]);
}

#[test]
fn housekeeping() {
    assert_eq!(HealthCheckRequest { service: "plugin".to_owned() }.encode_to_vec(), b"\x0a\x06plugin");
    assert_eq!(HealthCheckResponse { status: 1 }.encode_to_vec(), b"\x08\x01");
    assert_eq!(StdioData { channel: 2, data: "x".into() }.encode_to_vec(), b"\x08\x02\x12\x01x");
}
