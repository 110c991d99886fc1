//! patch: the present state changed by the client's program, then stored like an update.

use bytes::Bytes;
use detectviz_api::options::WriteOptions;
use detectviz_api::{Status, meta, patch as patches};
use detectviz_core::http::{Body, Response};
use http::StatusCode;
use serde_json::Value;

use super::Call;
use super::body::unsupported;
use super::present::warn;

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";

#[derive(Clone, Copy)]
enum Kind {
    Json,
    Merge,
    Strategic,
}

pub(super) async fn patch(call: Call, body: Body, fields: Option<&[&str]>) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.context.info.query)?;
    let output = call.output()?;
    let kind = match call.media_type().as_str() {
        JSON_PATCH => Kind::Json,
        MERGE_PATCH => Kind::Merge,
        STRATEGIC_MERGE_PATCH => Kind::Strategic,
        _ => return Err(unsupported(&[JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH])),
    };
    let body = call.body(body).await?;
    let name = call.info().name.clone();
    let mut change = |old: &Value| call.patched(kind, &body, old);
    let (object, warnings) = call.change(&name, fields, &options, &[], &mut change).await?;
    let mut response = output.object(&call.resource, StatusCode::OK, &object.to_string().into())?;
    warn(&mut response, &warnings);
    Ok(response)
}

impl Call {
    fn patched(&self, kind: Kind, body: &Bytes, old: &Value) -> Result<Value, Status> {
        let mut document = old.clone();
        match kind {
            Kind::Json => patches::json_patch(&mut document, body)?,
            Kind::Merge => patches::merge_patch(&mut document, body)?,
            Kind::Strategic => self.resource.version.strategic_merge_patch(&mut document, body)?,
        }
        let same = |field: &str| document.get(field) == old.get(field);
        match () {
            () if !document.is_object() || !document["metadata"].is_object() => {
                Err(Status::bad_request("the patch must leave an object with metadata"))
            }
            () if !same("apiVersion") || !same("kind") => {
                Err(Status::bad_request("a patch must not change apiVersion or kind"))
            }
            () if meta::name(&document) != meta::name(old)
                || meta::namespace(&document) != meta::namespace(old) =>
            {
                Err(Status::bad_request("a patch must not change metadata.name or metadata.namespace"))
            }
            () => Ok(document),
        }
    }
}
