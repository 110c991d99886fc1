//! How objects look to the client: as they are, as table rows, or as their metadata. All of it is JSON.

use bytes::{BufMut, Bytes, BytesMut};
use detectviz_api::negotiate::{MetaVersion, Presentation};
use detectviz_api::query::Query;
use detectviz_api::{Reason, Status, meta};
use detectviz_core::http::Response;
use detectviz_storage::cache::Object;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::resource::Resource;

/// The most characters of one warning, and bytes of all of an answer; upstream's bounds. More would make heads that
/// clients refuse, of answers to writes that were done.
const MAX_WARNING: usize = 256;
const MAX_WARNINGS: usize = 4096;

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
            Some(other) if matches!(presentation, Presentation::Table(_)) => {
                return Err(Status::bad_request(format!(
                    "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                     'Object', 'None', or empty"
                )));
            }
            Some(_) => Include::Metadata,
        };
        Ok(Self { presentation, include, columns: true })
    }

    /// Whether objects are shown as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.presentation == Presentation::Object
    }

    /// The view of all but the first event of a watch: a table's columns are told once.
    pub(super) fn without_columns(self) -> Self {
        Self { columns: self.columns && !matches!(self.presentation, Presentation::Table(_)), ..self }
    }

    /// Tells the view from others.
    pub(super) fn number(&self) -> u8 {
        let presentation = match self.presentation {
            Presentation::Object => 0,
            Presentation::Table(version) => 2 | version as u8,
            Presentation::Metadata(version) | Presentation::MetadataList(version) => 4 | version as u8,
        };
        presentation << 4 | (self.include as u8) << 1 | u8::from(self.columns)
    }

    /// Refuses the presentation that only a list has, or, if `list`, that only an object has.
    ///
    /// # Errors
    /// 406 in upstream's words.
    pub(super) fn check_shape(&self, list: bool, resource: &Resource) -> Result<(), Status> {
        let names = &resource.definition.names;
        let message = match self.presentation {
            Presentation::Metadata(_) if list => {
                format!(
                    "you requested PartialObjectMetadata, but the requested object is a list ({})",
                    names.list_kind
                )
            }
            Presentation::MetadataList(_) if !list => format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list ({})",
                names.kind
            ),
            _ => return Ok(()),
        };
        Err(Status::failure(Reason::NotAcceptable, message))
    }

    /// One object as a document of its own.
    pub(super) fn object(&self, resource: &Resource, bytes: &Bytes) -> Result<Bytes, Status> {
        match self.presentation {
            Presentation::Object => Ok(bytes.clone()),
            Presentation::Metadata(version) | Presentation::MetadataList(version) => {
                let mut out = BytesMut::new();
                partial(version, metadata(bytes)?, &mut out);
                Ok(out.freeze())
            }
            Presentation::Table(version) => self.table(version, resource, bytes),
        }
    }

    fn table(&self, version: MetaVersion, resource: &Resource, bytes: &Bytes) -> Result<Bytes, Status> {
        let object = parse(bytes)?;
        let about = json!({"resourceVersion": meta::resource_version(&object)});
        let mut out = BytesMut::from(self.table_head(version, resource).as_bytes());
        out.extend_from_slice(format!(r#","metadata":{about},"rows":["#).as_bytes());
        self.row(version, resource, &object, bytes, &mut out)?;
        out.extend_from_slice(b"]}");
        Ok(out.freeze())
    }

    /// What stands before the items of a list.
    pub(super) fn list_head(&self, resource: &Resource) -> String {
        let list = |api_version: &str, kind: &str| {
            format!(r#"{{"kind":{},"apiVersion":{},"items":["#, json!(kind), json!(api_version))
        };
        match self.presentation {
            Presentation::Object => list(&resource.api_version(), &resource.definition.names.list_kind),
            Presentation::Metadata(version) | Presentation::MetadataList(version) => {
                list(version.as_str(), "PartialObjectMetadataList")
            }
            Presentation::Table(version) => format!(r#"{},"rows":["#, self.table_head(version, resource)),
        }
    }

    /// Appends one item of a list.
    pub(super) fn item(
        &self,
        resource: &Resource,
        object: &Object,
        out: &mut BytesMut,
    ) -> Result<(), Status> {
        let object = resource.served(object)?;
        match self.presentation {
            Presentation::Object => object.write_to(out),
            Presentation::Metadata(version) | Presentation::MetadataList(version) => {
                partial(version, metadata(&object.json())?, out);
            }
            Presentation::Table(version) => {
                let bytes = object.json();
                self.row(version, resource, &parse(&bytes)?, &bytes, out)?;
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

    /// A table up to its column definitions, or without them.
    fn table_head(&self, version: MetaVersion, resource: &Resource) -> String {
        let none = Value::Null;
        let columns = if self.columns { resource.columns.definitions() } else { &none };
        format!(r#"{{"kind":"Table","apiVersion":"{}","columnDefinitions":{columns}"#, version.as_str())
    }

    /// Appends a row: its cells are computed of the parsed object, and what it carries is copied from its bytes.
    fn row(
        &self,
        version: MetaVersion,
        resource: &Resource,
        object: &Value,
        bytes: &Bytes,
        out: &mut BytesMut,
    ) -> Result<(), Status> {
        let cells = json!(resource.columns.row(object));
        out.extend_from_slice(format!(r#"{{"cells":{cells},"object":"#).as_bytes());
        match self.include {
            Include::None => out.extend_from_slice(b"null"),
            Include::Metadata => partial(version, metadata(bytes)?, out),
            Include::Object => out.extend_from_slice(bytes),
        }
        out.put_u8(b'}');
        Ok(())
    }
}

/// The object's metadata as it stands in the text; nothing else of it is parsed.
fn metadata(bytes: &Bytes) -> Result<&RawValue, Status> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    serde_json::from_slice::<Envelope<'_>>(bytes).map(|envelope| envelope.metadata).map_err(Status::internal)
}

fn partial(version: MetaVersion, metadata: &RawValue, out: &mut BytesMut) {
    let version = version.as_str();
    let head = format!(r#"{{"kind":"PartialObjectMetadata","apiVersion":"{version}","metadata":"#);
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(metadata.get().as_bytes());
    out.put_u8(b'}');
}

fn parse(bytes: &Bytes) -> Result<Value, Status> {
    serde_json::from_slice(bytes).map_err(Status::internal)
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
