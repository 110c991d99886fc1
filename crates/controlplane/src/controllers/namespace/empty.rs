//! One sweep through a namespace: every collection is deleted page by page, as a whole where its server offers that, and
//! what stays is counted. What is left is told on the way, so that people see that it goes on.

use detectviz_api::{GroupVersion, Reason, Status, meta};
use detectviz_core::http::Body;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use super::Controller;
use super::found::Found;
use crate::controllers::metadata::{LIST, MAX_BYTES, OBJECT, answer, document, in_time, request};
use crate::controllers::served::{Resources, Served};
use crate::controllers::write::segment;

/// Objects a page.
const PAGE: usize = 500;
/// Pages of a collection a sweep: a backend whose list has no end cannot hold up the others.
const PAGES: usize = 1000;
/// Deletes under way at once, where a collection cannot be deleted as a whole.
const CONCURRENT_DELETES: usize = 32;

/// Servers that are asked at once.
const CONCURRENT_SERVERS: usize = 16;
/// How long a server is waited for that had nothing in the namespace when that was last seen.
const SHORT_PATIENCE: Duration = Duration::from_secs(3);

/// A page of a list, of whose items the metadata is read.
#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    items: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    #[serde(rename = "continue")]
    next: Option<String>,
    remaining_item_count: Option<usize>,
}

/// An object.
#[derive(Deserialize)]
pub(super) struct Item {
    metadata: ItemMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemMeta {
    name: String,
    uid: Option<String>,
    deletion_timestamp: Option<String>,
    finalizers: Option<Vec<String>>,
}

impl Item {
    /// The finalizers that the object waits for.
    pub(super) fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.metadata.finalizers.iter().flatten().map(String::as_str)
    }

    /// Whether it is deleted, and waits for something.
    pub(super) fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

impl Page {
    fn items(&self) -> &[Item] {
        self.items.as_deref().unwrap_or_default()
    }

    /// What to ask for the next page with; `None` at the end.
    fn next(&self) -> Option<String> {
        let next = self.metadata.next.as_deref().filter(|next| !next.is_empty())?;
        Some(format!("&continue={}", segment(next)))
    }
}

impl Controller {
    /// Deletes what is in the namespace, and tells what stays.
    pub(super) async fn empty(&self, namespace: &Value, name: &str) -> Found {
        let (mut found, resources) = (Found::default(), self.resources());
        let (remote, local): (Vec<Served>, Vec<Served>) = collections(&resources)
            .into_iter()
            .partition(|served| resources.is_remote(&served.group_version));
        {
            let Ok(_turn) = self.local_sweeps.acquire().await else { return found };
            for served in local {
                self.sweep(&served, namespace, name, &mut found).await;
                // What runs ends before what it may need does.
                if is_pods(&served) && found.remains(&served) {
                    return found;
                }
            }
        }
        let Ok(_turn) = self.remote_sweeps.acquire().await else { return found };
        self.empty_remote(remote, &resources, namespace, &mut found).await;
        found
    }

    /// The same with what others serve, each group-version on its own: one that is silent holds up none.
    async fn empty_remote(
        &self,
        collections: Vec<Served>,
        resources: &Resources,
        namespace: &Value,
        found: &mut Found,
    ) {
        let mut versions: BTreeMap<GroupVersion, Vec<Served>> =
            resources.unknown().map(|gv| (gv.clone(), Vec::new())).collect();
        for served in collections {
            versions.entry(served.group_version.clone()).or_default().push(served);
        }
        let sweeps: Vec<_> =
            versions.iter().map(|(gv, collections)| self.sweep_remote(gv, collections, namespace)).collect();
        let mut sweeps = stream::iter(sweeps).buffer_unordered(CONCURRENT_SERVERS);
        while let Some(one) = sweeps.next().await {
            found.add_all(one);
        }
    }

    /// Sweeps the collections of a group-version that another server serves. One that does not answer is waited for only if
    /// it may have objects there.
    async fn sweep_remote(&self, gv: &GroupVersion, collections: &[Served], namespace: &Value) -> Found {
        let (name, mut found) = (meta::name(namespace), Found::of_remote());
        let sweep = async {
            if collections.is_empty() {
                let why = format!("stale GroupVersion discovery: {gv}");
                found.unavailable.insert(gv.to_string(), (gv.path(), why));
            }
            for served in collections {
                self.sweep(served, namespace, name, &mut found).await;
            }
        };
        let is_empty = !self.knows_of(gv, collections, namespace) && !self.is_unknown(collections, namespace);
        let patience = if is_empty { SHORT_PATIENCE } else { Duration::MAX };
        let in_time = tokio::time::timeout(patience, sweep).await.is_ok();
        let is_away = !in_time || !found.unavailable.is_empty();
        if is_away && !self.may_hold(gv, collections, namespace).await {
            tracing::info!(namespace = name, %gv, "do not wait for a server that has nothing in the namespace");
            return Found::default();
        }
        if !in_time {
            found.unavailable.insert(gv.to_string(), (gv.path(), "no answer in time".to_owned()));
        }
        found.name_server(gv);
        found
    }

    /// Empties a collection, unless whoever serves it was found not to answer.
    async fn sweep(&self, served: &Served, namespace: &Value, name: &str, found: &mut Found) {
        if found.unavailable.contains_key(&served.group_version.to_string()) {
            return;
        }
        if let Err(refusal) = self.empty_one(served, namespace, name, found).await
            && !is_absent(&refusal)
        {
            found.refuse(served, &served.collection(Some(name)), refusal);
        }
    }

    async fn empty_one(
        &self,
        served: &Served,
        namespace: &Value,
        name: &str,
        found: &mut Found,
    ) -> Result<(), Status> {
        let path = served.collection(Some(name));
        let (mut from, mut held) = (String::new(), 0);
        for _ in 0..PAGES {
            if !self.is_still(namespace) {
                return Ok(());
            }
            let page = match self.delete_page(served, &path, &from).await {
                // The snapshot is forgotten: what is left of the collection is a new one.
                Err(refusal) if refusal.is(Reason::Expired) && !from.is_empty() => {
                    (from, held) = (String::new(), 0);
                    continue;
                }
                page => page?,
            };
            held += page.items().iter().filter(|item| item.finalizers().next().is_some()).count();
            let Some(next) = page.next() else { break };
            if let Some(left) = page.metadata.remaining_item_count {
                found.remaining.insert(served.name(), held + left);
                // A refusal will be met again, and told then.
                let _ = self.tell(namespace, name, found).await;
            }
            from = next;
        }
        found.remaining.remove(&served.name());
        self.count(served, &path, name, found).await
    }

    /// Deletes a page of a collection, and returns what was on it.
    async fn delete_page(&self, served: &Served, path: &str, from: &str) -> Result<Page, Status> {
        let page = format!("{path}?limit={PAGE}{from}");
        if served.can(&["deletecollection"]) {
            match self.delete(&page, LIST, &background(None)).await {
                Err(refusal) if is_absent(&refusal) => {}
                outcome => return outcome,
            }
        }
        let listed: Page = self.list(&page).await?;
        let delete = |item: &Item| {
            let options = background(item.metadata.uid.as_deref());
            let path = format!("{path}/{}", segment(&item.metadata.name));
            async move { self.delete::<Value>(&path, OBJECT, &options).await }
        };
        let deletes: Vec<_> = listed.items().iter().filter(|item| !item.is_deleting()).map(delete).collect();
        let mut outcomes = stream::iter(deletes).buffer_unordered(CONCURRENT_DELETES);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Err(refusal) if !is_absent(&refusal) && !refusal.is(Reason::Conflict) => return Err(refusal),
                _ => {}
            }
        }
        drop(outcomes);
        Ok(listed)
    }

    /// Counts what is still there.
    async fn count(&self, served: &Served, path: &str, name: &str, found: &mut Found) -> Result<(), Status> {
        let (mut from, mut count, mut waits) = (String::new(), 0, true);
        for _ in 0..PAGES {
            let page: Page = self.list(&format!("{path}?limit={PAGE}{from}")).await?;
            for item in page.items() {
                found.add(format!("{path}/{}", segment(&item.metadata.name)), item);
                waits &= item.is_deleting();
            }
            count += page.items().len();
            let Some(next) = page.next() else { break };
            from = next;
        }
        if count > 0 {
            found.remaining.insert(served.name(), count);
        }
        if !waits {
            let (gv, resource) = (&served.group_version, &served.resource);
            let why = format!(
                "unexpected items still remain in namespace: {name} for gvr: {}/{}, Resource={resource}",
                gv.group, gv.version
            );
            found.refused.insert(path.to_owned(), why);
        }
        Ok(())
    }

    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<T, Status> {
        in_time(document(&*self.loopback, path, LIST)).await
    }

    async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        accept: &str,
        options: &Value,
    ) -> Result<T, Status> {
        let mut request = request(path, accept)?;
        *request.method_mut() = Method::DELETE;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Body::full(options.to_string());
        let sent = async {
            let body = answer(self.loopback.send(request).await).await?;
            let bytes = body.collect(MAX_BYTES).await.map_err(Status::internal)?;
            serde_json::from_slice(&bytes).map_err(Status::internal)
        };
        in_time(sent).await
    }
}

/// Every resource that has objects in namespaces to delete, whoever serves it; pods come first.
pub(super) fn collections(resources: &Resources) -> Vec<Served> {
    let mut all = resources.with(&["delete", "list"]);
    all.retain(|served| served.namespaced);
    all.sort_by_key(|served| !is_pods(served));
    all
}

/// Options by which dependents are left to the garbage collector, and an object made anew is left alone.
fn background(uid: Option<&str>) -> Value {
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
    if let Some(uid) = uid {
        options["preconditions"] = json!({"uid": uid});
    }
    options
}

fn is_pods(served: &Served) -> bool {
    served.group_version.group.is_empty() && served.resource == "pods"
}

/// Whether the refusal says that there is no such collection: nothing to delete.
pub(super) fn is_absent(refusal: &Status) -> bool {
    refusal.is(Reason::NotFound) || refusal.is(Reason::MethodNotAllowed)
}
