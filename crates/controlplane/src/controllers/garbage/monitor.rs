//! Follows one collection: its objects' metadata, listed in pages and then watched. A watch that ends goes on where it
//! was; only what the server has forgotten is listed again.

use bytes::Bytes;
use detectviz_api::{Reason, Status};
use detectviz_core::Loopback;
use detectviz_core::http::Body;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

use super::graph::Source;
use super::object::{Meta, Uid};
use crate::controllers::metadata::{LIST, OBJECT, answer, document, request};
use crate::controllers::write::segment;

/// Objects a page of a list.
const PAGE: usize = 500;
/// How long to wait before trying again, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// What a collection tells.
#[derive(Debug)]
pub(super) enum Change {
    /// An object is as its metadata says.
    Seen(Source, Box<Meta>),
    /// An object is gone.
    Gone(Uid),
    /// The collection was listed, and this is all that was there.
    Listed(Source, HashSet<Uid>),
    /// It cannot be followed for now.
    Failed(Source),
}

/// The follower of one collection.
pub(super) struct Monitor {
    pub(super) loopback: Arc<dyn Loopback>,
    pub(super) path: String,
    pub(super) source: Source,
    pub(super) changes: mpsc::Sender<Change>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Meta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    metadata: ListMeta,
    items: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

impl Monitor {
    /// Follows the collection for as long as it is polled.
    pub(super) async fn run(self) {
        let (mut version, mut wait) = (None, BACKOFF.0);
        loop {
            match self.follow(&mut version).await {
                Ok(()) => wait = BACKOFF.0,
                Err(fault) => {
                    tracing::debug!(path = self.path, error = %fault, "follow collection again");
                    version = None;
                    wait = (wait * 2).min(BACKOFF.1);
                    self.tell(Change::Failed(self.source.clone())).await;
                }
            }
            // Also after a clean end: a server that is going down ends every watch at once.
            tokio::time::sleep(wait).await;
        }
    }

    /// Lists, unless `version` says where the last watch was, and watches until the server ends it.
    async fn follow(&self, version: &mut Option<String>) -> Result<(), Status> {
        let mut at = match version.take() {
            Some(at) => at,
            None => self.list().await?,
        };
        let path =
            format!("{}?watch=true&allowWatchBookmarks=true&resourceVersion={}", self.path, segment(&at));
        let outcome = self.watch(&path, &mut at).await;
        match outcome {
            // What is forgotten is listed; all else goes on.
            Err(fault) if fault.is(Reason::Expired) || fault.code == 410 => Ok(()),
            outcome => {
                *version = Some(at);
                outcome
            }
        }
    }

    async fn list(&self) -> Result<String, Status> {
        let (mut present, mut from) = (HashSet::new(), String::new());
        loop {
            let page: List =
                document(&*self.loopback, &format!("{}?limit={PAGE}{from}", self.path), LIST).await?;
            for item in page.items.into_iter().flatten() {
                present.insert(Uid::of(&item.metadata.uid));
                self.tell(Change::Seen(self.source.clone(), Box::new(item.metadata))).await;
            }
            match page.metadata.next.as_deref().unwrap_or_default() {
                "" => {
                    self.tell(Change::Listed(self.source.clone(), present)).await;
                    return Ok(page.metadata.resource_version);
                }
                next => from = format!("&continue={}", segment(next)),
            }
        }
    }

    async fn watch(&self, path: &str, at: &mut String) -> Result<(), Status> {
        let mut body = answer(self.loopback.send(request(path, OBJECT)?).await).await?;
        let mut lines = Vec::new();
        while let Some(data) = next(&mut body).await? {
            lines.extend_from_slice(&data);
            let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in lines[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.event(line, at).await?;
            }
            lines.drain(..whole);
        }
        Ok(())
    }

    async fn event(&self, line: &[u8], at: &mut String) -> Result<(), Status> {
        let event: Event<'_> = serde_json::from_slice(line).map_err(Status::internal)?;
        if event.kind == "ERROR" {
            return Err(serde_json::from_str(event.object.get()).unwrap_or_else(Status::internal));
        }
        let Item { metadata } = serde_json::from_str(event.object.get()).map_err(Status::internal)?;
        at.clone_from(&metadata.resource_version);
        match event.kind {
            "ADDED" | "MODIFIED" => self.tell(Change::Seen(self.source.clone(), Box::new(metadata))).await,
            "DELETED" => self.tell(Change::Gone(Uid::of(&metadata.uid))).await,
            _ => {}
        }
        Ok(())
    }

    async fn tell(&self, change: Change) {
        // Nobody listens any more: this ends, too.
        let _ = self.changes.send(change).await;
    }
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Status> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.map_err(Status::internal)?.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
