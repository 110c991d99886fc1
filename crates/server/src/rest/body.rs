//! Request bodies: bounded, read once, in every encoding that a client of the kind may send.

use bytes::Bytes;
use detectviz_api::negotiate::{JSON, YAML};
use detectviz_api::options::DeleteOptions;
use detectviz_api::{Reason, Status};
use detectviz_core::http::Body;
use detectviz_schema::{
    Decoded, Limits, decode_envelope, decode_json, decode_yaml, delete_options_from_protobuf,
};
use http::header;
use serde_json::Value;

use super::Call;
use super::write::Form;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// How much more of a body that is too large is read and thrown away, so that the client reads the refusal instead of a
/// broken pipe.
const LINGER: usize = 4;

/// An object as it came in.
pub(super) struct Incoming {
    pub(super) object: Value,
    /// What is said of the keys that stood twice.
    pub(super) duplicates: Vec<String>,
}

impl Call {
    /// The whole body, within the bound.
    pub(super) async fn body(&self, mut body: Body) -> Result<Bytes, Status> {
        let limit = self.resource.max_body_bytes;
        let unreadable = |fault| Status::bad_request(format!("cannot read the body: {fault}"));
        let (mut kept, mut read) = (Vec::new(), 0);
        // Read past the limit, up to a bound, before refusing: a client that is still sending cannot read an answer.
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
            read += data.len();
            match () {
                () if read <= limit => kept.extend_from_slice(&data),
                () if read <= limit * LINGER => kept = Vec::new(),
                () => break,
            }
        }
        if read <= limit {
            return Ok(kept.into());
        }
        let message = format!("Request entity too large: limit is {limit} bytes");
        Err(Status::failure(Reason::RequestEntityTooLarge, message))
    }

    /// The media type of the body, in lower case and without parameters; JSON when the client does not say.
    pub(super) fn media_type(&self) -> String {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value
            .and_then(|value| value.split(';').next())
            .map(str::trim)
            .filter(|kind| !kind.is_empty())
            .unwrap_or(JSON)
            .to_ascii_lowercase()
    }

    /// The object in the body, which is of the kind `form`.
    pub(super) async fn incoming(&self, body: Body, form: Form<'_>) -> Result<Incoming, Status> {
        let kind = self.media_type();
        let protobuf = form.protobuf;
        match kind.as_str() {
            JSON | YAML => {
                let decoded = decode(&kind, &self.body(body).await?)?;
                let mut object = decoded.value;
                check_type(form, &mut object)?;
                Ok(Incoming { object, duplicates: duplicate_fields(&decoded.duplicates) })
            }
            PROTOBUF if protobuf => {
                let bytes = self.body(body).await?;
                let object = from_protobuf(form, &bytes)?;
                Ok(Incoming { object, duplicates: Vec::new() })
            }
            _ => Err(unsupported(if protobuf { &[JSON, YAML, PROTOBUF] } else { &[JSON, YAML] })),
        }
    }

    /// The options of a delete: in the body, or in the query when there is none.
    pub(super) async fn delete_options(&self, body: Body) -> Result<DeleteOptions, Status> {
        let kind = self.media_type();
        let bytes = self.body(body).await?;
        if bytes.is_empty() {
            return DeleteOptions::from_query(&self.context.info.query);
        }
        let document = match kind.as_str() {
            JSON | YAML => decode(&kind, &bytes)?.value,
            PROTOBUF => {
                let envelope =
                    decode_envelope(&bytes).map_err(|fault| Status::bad_request(fault.to_string()))?;
                check_options(envelope.kind)?;
                delete_options_from_protobuf(envelope.raw)
                    .map_err(|fault| Status::bad_request(fault.to_string()))?
            }
            _ => return Err(unsupported(&[JSON, YAML, PROTOBUF])),
        };
        check_options(document["kind"].as_str().unwrap_or_default())?;
        let options: DeleteOptions = serde_json::from_value(document)
            .map_err(|fault| Status::bad_request(format!("cannot read DeleteOptions: {fault}")))?;
        options.check()?;
        Ok(options)
    }
}

/// Refuses a delete whose body is of another kind than its options.
fn check_options(kind: &str) -> Result<(), Status> {
    match kind {
        "" | "DeleteOptions" => Ok(()),
        other => {
            Err(Status::bad_request(format!("the body of a delete must be DeleteOptions, not {other:?}")))
        }
    }
}

/// A document of JSON or of YAML, within the bounds that both have.
pub(super) fn decode(kind: &str, bytes: &[u8]) -> Result<Decoded, Status> {
    let decode = if kind == YAML { decode_yaml } else { decode_json };
    decode(bytes, Limits::default()).map_err(|fault| Status::bad_request(fault.to_string()))
}

/// 415 naming what the resource takes.
pub(super) fn unsupported(supported: &[&str]) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        supported.join(", ")
    );
    Status::failure(Reason::UnsupportedMediaType, message)
}

fn from_protobuf(form: Form<'_>, bytes: &[u8]) -> Result<Value, Status> {
    let envelope = decode_envelope(bytes).map_err(|fault| Status::bad_request(fault.to_string()))?;
    check_names(form, envelope.api_version, envelope.kind)?;
    let mut object =
        form.version.from_protobuf(envelope.raw).map_err(|fault| Status::bad_request(fault.to_string()))?;
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".to_owned(), form.api_version.into());
        map.insert("kind".to_owned(), form.kind.into());
    }
    Ok(object)
}

/// Fills in what the path says already, as upstream does for its own kinds, and refuses what contradicts it.
fn check_type(form: Form<'_>, object: &mut Value) -> Result<(), Status> {
    let Some(map) = object.as_object_mut() else {
        let message = format!("the body must be a JSON object of kind {}", form.kind);
        return Err(Status::bad_request(message));
    };
    let is_missing = |value: &Value| value.as_str().is_none_or(str::is_empty);
    for (field, own) in [("apiVersion", form.api_version), ("kind", form.kind)] {
        if map.get(field).is_none_or(is_missing) {
            map.insert(field.to_owned(), own.into());
        }
    }
    let text = |field: &str| map[field].as_str().unwrap_or_default();
    check_names(form, text("apiVersion"), text("kind"))
}

fn check_names(form: Form<'_>, api_version: &str, kind: &str) -> Result<(), Status> {
    match () {
        () if api_version != form.api_version => Err(Status::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            form.api_version
        ))),
        () if kind != form.kind => Err(Status::bad_request(other_kind(form, kind))),
        () => Ok(()),
    }
}

/// What is said of an object of another kind than the endpoint's.
pub(super) fn other_kind(form: Form<'_>, kind: &str) -> String {
    format!("the kind in the data ({kind}) does not match the expected kind ({})", form.kind)
}

/// What is said of keys that stand twice.
pub(super) fn duplicate_fields(paths: &[String]) -> Vec<String> {
    paths.iter().map(|path| format!("duplicate field {path:?}")).collect()
}
