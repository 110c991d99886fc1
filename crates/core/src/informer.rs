//! A controller's view of a collection: listed once, then followed by a watch, through the loopback.

use detectviz_api::{Status, meta};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use crate::http::Body;
use crate::lifecycle::RunContext;
use crate::loopback::Loopback;

/// The objects of a collection by `namespace/name` (`name` alone when cluster-scoped). A clone is O(1), and a change
/// costs O(log n) while somebody holds one.
pub type Objects = imbl::OrdMap<String, Arc<Value>>;

/// How long to wait before listing again after a failure, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Follows one collection; clones see the same view.
#[derive(Clone)]
pub struct Informer {
    view: watch::Receiver<Option<Objects>>,
}

impl Informer {
    /// Follows the collection at `path`, which may have a query with selectors, until `context` ends.
    pub fn start(context: &RunContext, loopback: Arc<dyn Loopback>, path: &str) -> Self {
        let (publish, view) = watch::channel(None);
        let path = path.to_owned();
        context.spawn(async move {
            let mut wait = BACKOFF.0;
            loop {
                match follow(&*loopback, &path, &publish).await {
                    Ok(()) => wait = BACKOFF.0,
                    Err(fault) => {
                        tracing::debug!(path, error = %fault, "follow collection again");
                        wait = (wait * 2).min(BACKOFF.1);
                    }
                }
                // Also after a clean end: a server that is going down ends every watch at once.
                tokio::time::sleep(wait).await;
            }
        });
        Self { view }
    }

    /// The objects as last seen; empty before the first list.
    pub fn objects(&self) -> Objects {
        self.view.borrow().clone().unwrap_or_default()
    }

    /// The object named `name` in `namespace` (empty when cluster-scoped).
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.view.borrow().as_ref()?.get(&key(namespace, name)).cloned()
    }

    /// Waits for the first list.
    pub async fn synced(&mut self) {
        let _ = self.view.wait_for(Option::is_some).await;
    }

    /// Waits until the view differs from the one last seen by this clone; pends for ever once the follower ended.
    pub async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The key of an object in [`Objects`].
pub fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

async fn follow(
    loopback: &dyn Loopback,
    path: &str,
    publish: &watch::Sender<Option<Objects>>,
) -> Result<(), Status> {
    let list = loopback.get(path).await?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let objects = items.into_iter().map(|item| (key_of(&item), Arc::new(item))).collect();
    publish.send_replace(Some(objects));
    let version = meta::resource_version(&list);
    let joint = if path.contains('?') { '&' } else { '?' };
    let body = loopback.watch(&format!("{path}{joint}watch=true&resourceVersion={version}")).await?;
    read_events(body, publish).await
}

async fn read_events(mut body: Body, publish: &watch::Sender<Option<Objects>>) -> Result<(), Status> {
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Status::internal)?.into_data() else { continue };
        pending.extend_from_slice(&data);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            apply(serde_json::from_slice(&line).map_err(Status::internal)?, publish)?;
        }
    }
    Ok(())
}

fn apply(mut event: Value, publish: &watch::Sender<Option<Objects>>) -> Result<(), Status> {
    let object = event["object"].take();
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => {
            edit(publish, |objects| objects.insert(key_of(&object), Arc::new(object)));
        }
        Some("DELETED") => edit(publish, |objects| objects.remove(&key_of(&object))),
        Some("BOOKMARK") => {}
        _ => return Err(serde_json::from_value(object).unwrap_or_else(Status::internal)),
    }
    Ok(())
}

fn edit(publish: &watch::Sender<Option<Objects>>, change: impl FnOnce(&mut Objects) -> Option<Arc<Value>>) {
    publish.send_modify(|view| {
        change(view.get_or_insert_default());
    });
}

fn key_of(object: &Value) -> String {
    key(meta::namespace(object), meta::name(object))
}
