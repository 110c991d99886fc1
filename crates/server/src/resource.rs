//! A resource as the server serves it: a compiled definition, its strategy, and where its objects are.

use bytes::Bytes;
use detectviz_api::definition::{Backing, Definition, Scale, Version};
use detectviz_api::{GroupVersionResource, Status};
use detectviz_schema::CompiledVersion;
use detectviz_schema::columns::Columns;
use detectviz_storage::cache::{Cache, Object};
use detectviz_storage::{Compare, Op, Store, Txn};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::Semaphore;

use crate::admission::AdmissionChain;
use crate::conversion::Conversion;
use crate::metrics::WatchCounts;
use crate::strategy::Strategy;

/// Where objects are kept, and from where they are read.
#[derive(Clone)]
pub struct Backend {
    /// Takes writes.
    pub store: Arc<dyn Store>,
    /// Answers reads and watches.
    pub cache: Arc<Cache>,
}

/// One resource in one served version.
pub struct Resource {
    /// What it is.
    pub definition: Arc<Definition>,
    /// Group, version and plural.
    pub gvr: GroupVersionResource,
    pub(crate) api_version: String,
    pub(crate) version: CompiledVersion,
    pub(crate) declared: Version,
    pub(crate) columns: Columns,
    pub(crate) strategy: Arc<dyn Strategy>,
    /// Where its objects are; another resource's place, if they are stored as that one's.
    pub(crate) prefix: String,
    /// How the stored form becomes the served one; `None` if it is.
    pub(crate) conversion: Option<Conversion>,
    pub(crate) backend: Backend,
    pub(crate) admission: AdmissionChain,
    pub(crate) max_body_bytes: usize,
    /// Tells it from every other resource that this process has served.
    pub(crate) number: u32,
    pub(crate) watches: WatchCounts,
    /// Places for lists that the store reads from its history, each of which is a copy of its own.
    pub(crate) history_reads: Arc<Semaphore>,
}

impl Resource {
    /// The kind of its objects.
    pub fn kind(&self) -> &str {
        &self.definition.names.kind
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        self.api_version.clone()
    }

    /// Whether it has a `/status`.
    pub fn has_status(&self) -> bool {
        self.declared.subresources.as_ref().is_some_and(|sub| sub.status.is_some())
    }

    /// Whether its objects are answers, and none is kept.
    pub(crate) fn is_computed(&self) -> bool {
        self.definition.extensions.backing == Backing::Computed
    }

    /// A write of one of its objects, which lasts as long as the strategy says.
    pub(crate) fn txn(&self, key: impl Into<Arc<str>>, compare: Compare, op: Op) -> Txn {
        Txn { lifetime: self.strategy.lifetime(), ..Txn::new(key, compare, op) }
    }

    /// 404 for one of its objects.
    pub(crate) fn not_found(&self, name: &str) -> Status {
        Status::not_found(&self.gvr.group, &self.gvr.resource, name)
    }
}

/// What of an object a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it but the status, if it has one.
    Whole,
    /// These top-level fields.
    Fields(&'static [&'static str]),
    /// How many of something it asks for.
    Scale,
}

/// Forms of its objects.
impl Resource {
    /// The object as it is served.
    pub(crate) fn served<'a>(&self, object: &'a Object) -> Result<Cow<'a, Object>, Status> {
        match &self.conversion {
            None => Ok(Cow::Borrowed(object)),
            Some(conversion) => Ok(Cow::Owned(conversion.served(object)?)),
        }
    }

    /// Stored bytes as they are served.
    pub(crate) fn to_served(&self, stored: &Bytes) -> Result<Bytes, Status> {
        match &self.conversion {
            None => Ok(stored.clone()),
            Some(conversion) => Ok(conversion.to_served(stored)?),
        }
    }

    /// Served bytes as they are stored.
    pub(crate) fn to_stored(&self, served: Bytes) -> Result<Bytes, Status> {
        match &self.conversion {
            None => Ok(served),
            Some(conversion) => Ok(conversion.to_stored(&served)?),
        }
    }
}

impl Resource {
    /// The part that `subresource` names; `None` when there is no such subresource.
    pub(crate) fn part(&self, subresource: &str) -> Option<Part> {
        match subresource {
            "" => Some(Part::Whole),
            "scale" if self.scale().is_some() => Some(Part::Scale),
            other => self.subresource_fields(other).map(Part::Fields),
        }
    }

    /// Where its objects say what their `Scale` says.
    pub(crate) fn scale(&self) -> Option<&Scale> {
        self.declared.subresources.as_ref()?.scale.as_ref()
    }

    /// The top-level fields that a write of `subresource` may change; `None` when there is no such subresource.
    pub(crate) fn subresource_fields(&self, subresource: &str) -> Option<&'static [&'static str]> {
        match subresource {
            "status" if self.has_status() => Some(&["status"]),
            other => self.strategy.writable_subresource(other),
        }
    }
}
