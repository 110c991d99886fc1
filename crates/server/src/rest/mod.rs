//! The REST engine: one file a verb, written once for every definition.

mod apply;
mod body;
mod change;
mod computed;
mod create;
mod delete;
mod delete_collection;
mod ending;
mod filter;
mod get;
mod list;
mod metadata;
mod object;
mod output;
mod page;
mod patch;
mod present;
mod scale;
mod source;
mod update;
mod watch;
mod write;

use async_trait::async_trait;
use detectviz_api::request_info::ResourceInfo;
use detectviz_api::{Reason, Status, Verb};
use detectviz_core::http::{Request, Response};
use detectviz_core::tunnel::Upgradable;
use detectviz_core::{Context, Handler};
use detectviz_storage::StoreError;
use detectviz_storage::cache::CacheError;
use http::{HeaderMap, Method};
use std::sync::Arc;

use crate::resource::{Part, Resource};

pub use ending::{Ending, end};
#[doc(hidden)]
pub use page::reread_continue_token;

/// A request to a resource, with what is read from it at most once.
pub(crate) struct Call {
    resource: Arc<Resource>,
    context: Arc<Context>,
    headers: HeaderMap,
    /// Whether its connection can become a WebSocket.
    upgradable: bool,
}

impl Call {
    fn info(&self) -> &ResourceInfo {
        self.context.info.resource.as_ref().expect("only requests with a resource are routed here")
    }

    fn accept(&self) -> Option<&str> {
        self.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok())
    }

    fn key(&self, name: &str) -> String {
        let namespace = self.resource.definition.is_namespaced().then_some(self.info().namespace.as_str());
        detectviz_storage::keys::object_key(&self.resource.prefix, namespace, name)
    }

    /// Refuses scopes that do not fit before anything is read (CVE-2019-11247).
    fn check_scope(&self) -> Result<(), Status> {
        let info = self.info();
        let namespaced = self.resource.definition.is_namespaced();
        let is_namespace =
            info.gvr.group.is_empty() && &*info.gvr.resource == "namespaces" && info.name == info.namespace;
        let across = matches!(self.context.info.verb, Verb::List | Verb::Watch | Verb::DeleteCollection)
            && info.subresource.is_empty();
        match info.namespace() {
            Some(_) if !namespaced && !is_namespace => Err(Status::no_such_path()),
            None if namespaced && !across => Err(Status::no_such_path()),
            _ if !info.rest.is_empty() => Err(Status::no_such_path()),
            _ => Ok(()),
        }
    }
}

/// A resource as the chain sees it.
pub(crate) struct Served(pub(crate) Arc<Resource>);

#[async_trait]
impl Handler for Served {
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status> {
        let (head, body) = request.into_parts();
        let upgradable = head.method == Method::GET && head.extensions.get::<Upgradable>().is_some();
        let call = Call { resource: Arc::clone(&self.0), context, headers: head.headers, upgradable };
        call.check_scope()?;
        if call.resource.is_computed() {
            return computed::answer(call, body).await;
        }
        let part = call.resource.part(&call.info().subresource).ok_or_else(Status::no_such_path)?;
        match (call.context.info.verb, part) {
            (Verb::Get, Part::Scale) => scale::get(call).await,
            (Verb::Get, _) => get::get(call).await,
            (Verb::List, Part::Whole) => list::list(call).await,
            (Verb::Watch, Part::Whole) => watch::watch(call).await,
            (Verb::Watch, _) => Err(Status::no_such_path()),
            (Verb::Create, Part::Whole) if call.info().name.is_empty() => create::create(call, body).await,
            (Verb::Update, part) if !call.info().name.is_empty() => update::update(call, body, part).await,
            (Verb::Patch, part) if !call.info().name.is_empty() => patch::patch(call, body, part).await,
            (Verb::Delete, Part::Whole) => delete::delete(call, body).await,
            (Verb::DeleteCollection, Part::Whole) => delete_collection::delete_collection(call, body).await,
            _ => Err(Status::method_not_allowed()),
        }
    }
}

/// What the cache says becomes what the API says.
fn cache_fault(fault: CacheError) -> Status {
    match fault {
        CacheError::Expired { requested, oldest } => {
            Status::failure(Reason::Expired, format!("too old resource version: {requested} ({oldest})"))
        }
        CacheError::Future { requested, current } => Status::failure(
            Reason::Timeout,
            format!("Timeout: Too large resource version: {requested}, current: {current}"),
        )
        .because("ResourceVersionTooLarge", "Too large resource version", "")
        .retry_after(1),
        CacheError::Store(fault) => store_fault(fault),
        fault @ (CacheError::Unhealthy(_) | CacheError::Stopped) => {
            Status::failure(Reason::ServiceUnavailable, fault.to_string()).retry_after(1)
        }
    }
}

/// What the store says becomes what the API says. Details that are ours to mend go to the log.
fn store_fault(fault: StoreError) -> Status {
    match fault {
        StoreError::ReadOnly { .. } => {
            tracing::error!(error = %fault, "write refused by the store");
            Status::failure(
                Reason::InsufficientStorage,
                "the store is read-only since a disk error; reads go on",
            )
        }
        StoreError::Full { .. } => Status::failure(
            Reason::InsufficientStorage,
            "the disk of the store is full: objects can be read and deleted, and nothing else until there is room",
        ),
        StoreError::Unavailable { reason } => {
            let message = format!("the store cannot be reached: {reason}");
            Status::failure(Reason::ServiceUnavailable, message).retry_after(1)
        }
        StoreError::Uncertain { reason } => {
            let message =
                format!("the write was sent, and whether it happened is unknown; read to find out: {reason}");
            Status::failure(Reason::Timeout, message)
        }
        StoreError::TooLarge { bytes, max, .. } => Status::failure(
            Reason::RequestEntityTooLarge,
            format!("the object has {bytes} bytes with its key, at most {max} can be stored"),
        ),
        StoreError::Closed => {
            Status::failure(Reason::ServiceUnavailable, "the server is shutting down").retry_after(1)
        }
        other => {
            tracing::error!(error = %other, "the store failed");
            Status::internal("the store failed")
        }
    }
}
