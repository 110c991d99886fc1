//! How objects look to the client: as they are, as table rows, or as their metadata.

use bytes::{Bytes, BytesMut};
use detectviz_api::negotiate::Presentation;
use detectviz_api::query::Query;
use detectviz_api::{Status, meta};
use detectviz_core::http::{Body, Response};
use detectviz_storage::cache::Object;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::resource::Resource;

/// The most characters of one warning, and bytes of all of an answer; upstream's bounds. More would make heads that
/// clients refuse, of answers to writes that were done.
const MAX_WARNING: usize = 256;
const MAX_WARNINGS: usize = 4096;

const PARTIAL: &str = r#"{"apiVersion":"meta.k8s.io/v1","kind":"PartialObjectMetadata","metadata":"#;

/// What a table's rows carry of their object (`includeObject`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Include {
    None,
    Metadata,
    Object,
}

/// The presentation of one request.
#[derive(Clone, Copy)]
pub(super) struct View {
    presentation: Presentation,
    include: Include,
    /// Whether a table says what its columns are.
    columns: bool,
}

impl View {
    /// The presentation that `presentation` and the query ask for.
    ///
    /// # Errors
    /// 400 for an unknown `includeObject`.
    pub(super) fn new(presentation: Presentation, query: &Query) -> Result<Self, Status> {
        let include = match query.get("includeObject") {
            None | Some("" | "Metadata") => Include::Metadata,
            Some("None") => Include::None,
            Some("Object") => Include::Object,
            Some(other) => {
                let message = format!(
                    "invalid includeObject {other:?}: supported values: \"Metadata\", \"None\", \"Object\""
                );
                return Err(Status::bad_request(message));
            }
        };
        Ok(Self { presentation, include, columns: true })
    }

    /// Whether objects are shown as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.presentation == Presentation::Object
    }

    /// The view of all but the first event of a watch: a table's columns are told once.
    pub(super) fn without_columns(self) -> Self {
        Self { columns: self.columns && self.presentation != Presentation::Table, ..self }
    }

    /// Tells the view from others.
    pub(super) fn number(&self) -> u8 {
        (self.presentation as u8) << 4 | (self.include as u8) << 1 | u8::from(self.columns)
    }

    /// One object as a document of its own.
    pub(super) fn object(&self, resource: &Resource, bytes: &Bytes) -> Result<Bytes, Status> {
        match self.presentation {
            Presentation::Object => Ok(bytes.clone()),
            Presentation::Metadata => Ok(partial(&parse(bytes)?).into()),
            Presentation::Table => {
                let object = parse(bytes)?;
                let mut table = self.table_head(resource);
                table["metadata"] = json!({"resourceVersion": meta::resource_version(&object)});
                table["rows"] = json!([self.row(resource, &object)]);
                Ok(table.to_string().into())
            }
        }
    }

    /// What stands before the items of a list.
    pub(super) fn list_head(&self, resource: &Resource) -> String {
        match self.presentation {
            Presentation::Object => {
                format!(
                    r#"{{"kind":{},"apiVersion":{},"items":["#,
                    json!(resource.definition.names.list_kind),
                    json!(resource.api_version())
                )
            }
            Presentation::Metadata => {
                r#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":["#.to_owned()
            }
            Presentation::Table => {
                let head = self.table_head(resource).to_string();
                format!(r#"{},"rows":["#, head.trim_end_matches('}'))
            }
        }
    }

    /// Appends one item of a list.
    pub(super) fn item(
        &self,
        resource: &Resource,
        object: &Object,
        out: &mut BytesMut,
    ) -> Result<(), Status> {
        match self.presentation {
            Presentation::Object => object.write_to(out),
            Presentation::Metadata => out.extend_from_slice(partial(&parse(&object.json())?).as_bytes()),
            Presentation::Table => {
                let row = self.row(resource, &parse(&object.json())?);
                out.extend_from_slice(row.to_string().as_bytes());
            }
        }
        Ok(())
    }

    /// What stands behind the items of a list.
    /// A page that is not the last says with which token the next one begins, and how much is left.
    pub(super) fn list_tail(revision: u64, rest: Option<(String, Option<usize>)>) -> String {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let Some((token, remaining)) = rest {
            metadata["continue"] = token.into();
            if let Some(remaining) = remaining {
                metadata["remainingItemCount"] = remaining.into();
            }
        }
        format!(r#"],"metadata":{metadata}}}"#)
    }

    fn table_head(&self, resource: &Resource) -> Value {
        let columns = if self.columns { json!(resource.columns.definitions()) } else { Value::Null };
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": columns})
    }

    fn row(&self, resource: &Resource, object: &Value) -> Value {
        let cells = resource.columns.row(object);
        match self.include {
            Include::None => json!({"cells": cells}),
            Include::Metadata => json!({"cells": cells, "object": meta::partial(object)}),
            Include::Object => json!({"cells": cells, "object": object}),
        }
    }
}

fn partial(object: &Value) -> String {
    format!("{PARTIAL}{}}}", object.get("metadata").unwrap_or(&Value::Null))
}

fn parse(bytes: &Bytes) -> Result<Value, Status> {
    serde_json::from_slice(bytes).map_err(Status::internal)
}

/// A JSON answer.
pub(super) fn answer(code: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds a `Warning` header for each text, as RFC 7234 writes them and kubectl prints them.
pub(super) fn warn(response: &mut Response, warnings: &[String]) {
    let mut bytes = 0;
    for warning in warnings {
        let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let text: String = warning.chars().take(MAX_WARNING).map(plain).collect();
        bytes += text.len();
        if bytes > MAX_WARNINGS {
            return;
        }
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}
