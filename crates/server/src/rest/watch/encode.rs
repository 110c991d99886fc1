//! How a change looks on the wire: an event a line, encoded once for all watches that show it alike.

use bytes::{BufMut, Bytes, BytesMut};
use detectviz_api::Status;
use detectviz_storage::cache::{Form, Object, WatchEvent, Watcher};
use serde_json::json;
use std::sync::Arc;

use super::super::present::View;
use crate::resource::Resource;

/// What happened to an object, as this watch sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Modified,
    Deleted,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// Writes the events of one watch.
pub(super) struct Encoder {
    resource: Arc<Resource>,
    view: View,
}

impl Encoder {
    pub(super) fn new(resource: &Arc<Resource>, view: View) -> Self {
        Self { resource: Arc::clone(resource), view }
    }

    /// A change, whose bytes are shared with all watches that show it alike.
    pub(super) fn change(
        &mut self,
        watcher: &Watcher,
        event: &Arc<WatchEvent>,
        kind: Kind,
        object: &Object,
    ) -> Bytes {
        let encode = || {
            let mut out = BytesMut::with_capacity(object.size() + 40);
            write(&self.resource, &self.view, kind, object, &mut out);
            out.freeze()
        };
        let bytes = watcher.encoded(event, self.form(kind), encode);
        self.view = self.view.without_columns();
        bytes
    }

    /// An object of the initial state, which is not shared.
    pub(super) fn initial(&mut self, object: &Object, out: &mut BytesMut) {
        write(&self.resource, &self.view, Kind::Added, object, out);
        self.view = self.view.without_columns();
    }

    /// How far the watch is. The end of the initial events has this one mark: upstream's blueprint of a list came with
    /// 1.32 and went with 1.34.
    pub(super) fn bookmark(&mut self, revision: u64, initial_end: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": self.resource.kind(), "apiVersion": self.resource.api_version(), "metadata": metadata,
        });
        let mut out = BytesMut::new();
        match self.view.object(&self.resource, &object.to_string().into()) {
            Ok(shown) => line("BOOKMARK", &mut out, |out| out.put_slice(&shown)),
            Err(fault) => write_error(&fault, &mut out),
        }
        self.view = self.view.without_columns();
        out.freeze()
    }

    /// The form that an event has for this watch: the served version, what is shown of objects, and what happened.
    fn form(&self, kind: Kind) -> Form {
        u64::from(self.resource.number) << 16 | u64::from(self.view.number()) << 8 | kind as u64
    }
}

fn write(resource: &Resource, view: &View, kind: Kind, object: &Object, out: &mut BytesMut) {
    let object = match resource.served(object) {
        Ok(object) => object,
        Err(fault) => return write_error(&fault, out),
    };
    if view.is_plain() {
        return line(kind.name(), out, |out| object.write_to(out));
    }
    match view.object(resource, &object.json()) {
        Ok(shown) => line(kind.name(), out, |out| out.put_slice(&shown)),
        Err(fault) => write_error(&fault, out),
    }
}

fn line(kind: &str, out: &mut BytesMut, object: impl FnOnce(&mut BytesMut)) {
    out.put_slice(br#"{"type":""#);
    out.put_slice(kind.as_bytes());
    out.put_slice(br#"","object":"#);
    object(out);
    out.put_slice(b"}\n");
}

fn write_error(fault: &Status, out: &mut BytesMut) {
    line("ERROR", out, |out| out.put_slice(&fault.to_json()));
}

/// The event that ends a watch which failed.
pub(super) fn error(fault: &Status) -> Bytes {
    let mut out = BytesMut::new();
    write_error(fault, &mut out);
    out.freeze()
}
