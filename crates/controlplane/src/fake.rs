//! A server in memory for the tests of controllers: create, update, merge patch, delete, list and watch, with the real
//! strategies and the real rules of deletion.

use async_trait::async_trait;
use bytes::Bytes;
use detectviz_api::definition::Backing;
use detectviz_api::options::DeleteOptions;
use detectviz_api::request_info::ResourceInfo;
use detectviz_api::{Reason, RequestInfo, Status, Verb, meta};
use detectviz_core::catalog::{GroupVersionEntry, Owner};
use detectviz_core::http::{Body, BoxError, Request, Response};
use detectviz_core::informer::{self, Objects};
use detectviz_core::{Catalog, Loopback};
use detectviz_server::rest::{Ending, end};
use http_body::Frame;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::sync::watch;

use crate::strategies::strategy;

/// The server; clones are the same one.
#[derive(Clone)]
pub(crate) struct Fake(Arc<State>);

struct State {
    objects: Mutex<BTreeMap<Key, Value>>,
    /// Every change: its revision, where it was, and the event.
    log: Mutex<Vec<(u64, Key, Value)>>,
    revision: watch::Sender<u64>,
    /// How many of the next writes fail.
    failures: Mutex<usize>,
    /// The group whose server is down.
    down: Mutex<Option<&'static str>>,
    /// The group whose server does not answer, and how many requests for it were given up.
    silent: Mutex<(Option<&'static str>, usize)>,
    /// What somebody makes as soon as its collection was deleted: the path, and the object.
    late: Mutex<Option<(String, Value)>>,
}

/// A request that is not answered.
struct Unanswered(Fake);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.0.silent.lock().unwrap().1 += 1;
    }
}

/// Group, resource, namespace and name.
type Key = (String, String, String, String);

/// What the built-in definitions serve.
pub(crate) fn catalog() -> Arc<Catalog> {
    let catalog = Catalog::default();
    for builder in crate::definitions::groups().unwrap() {
        for gv in builder.group_versions() {
            let resources = builder.definitions.iter().map(|definition| {
                let verbs: &[&str] = match definition.extensions.backing {
                    Backing::Stored => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
                    Backing::Computed => &["create"],
                };
                let stored = definition.stored_form().map(|form| format!("{}/{}", form.api_version(), form.kind));
                json!({"resource": definition.names.plural, "storageVersionHash": stored, "responseKind": {"kind": definition.names.kind},
                    "scope": if definition.is_namespaced() { "Namespaced" } else { "Cluster" },
                    "verbs": verbs})
            });
            let (resources, priority) = (resources.collect(), crate::definitions::priority(&gv));
            let (owner, open_api, stale) = (Owner::Local, None, false);
            catalog
                .publish(GroupVersionEntry { group_version: gv, owner, priority, resources, open_api, stale })
                .unwrap();
        }
    }
    Arc::new(catalog)
}

impl Fake {
    pub(crate) fn new() -> Self {
        let (objects, log, failures, down, silent, late) = Default::default();
        let revision = watch::channel(1).0;
        Self(Arc::new(State { objects, log, revision, failures, down, silent, late }))
    }

    pub(crate) fn loopback(&self) -> Arc<dyn Loopback> {
        Arc::new(self.clone())
    }

    /// Lets the next `count` writes fail.
    pub(crate) fn fail_next(&self, count: usize) {
        *self.0.failures.lock().unwrap() = count;
    }

    /// Lets every request for this group fail, or for none.
    pub(crate) fn take_down(&self, group: Option<&'static str>) {
        *self.0.down.lock().unwrap() = group;
    }

    /// Lets no request for this group be answered.
    pub(crate) fn silence(&self, group: &'static str) {
        self.0.silent.lock().unwrap().0 = Some(group);
    }

    /// How many unanswered requests were given up.
    pub(crate) fn given_up(&self) -> usize {
        self.0.silent.lock().unwrap().1
    }

    /// Has `object` made in the collection `path` as soon as that was deleted.
    pub(crate) fn make_late(&self, path: &str, object: Value) {
        *self.0.late.lock().unwrap() = Some((path.to_owned(), object));
    }

    pub(crate) fn revision(&self) -> u64 {
        *self.0.revision.borrow()
    }

    /// The object at `path` as it is now.
    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.0.objects.lock().unwrap().get(&key(&resource(path))).cloned()
    }

    /// The objects of a collection, as an informer would see them.
    pub(crate) fn view(&self, path: &str) -> Objects {
        let items = self.list(&resource(path));
        let key_of = |item: &Value| informer::key(meta::namespace(item), meta::name(item));
        let objects = items.into_iter().map(|item| (key_of(&item), Arc::new(item)));
        objects.collect()
    }

    /// The names of all objects in a namespace.
    pub(crate) fn paths_in(&self, namespace: &str) -> Vec<String> {
        let objects = self.0.objects.lock().unwrap();
        let inside = objects.keys().filter(|key| key.1 != "namespaces" && key.2 == namespace);
        inside.map(|(_, resource, _, name)| format!("{resource}/{name}")).collect()
    }

    /// Waits until `condition` holds.
    pub(crate) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut revisions = self.0.revision.subscribe();
        while !condition(self) {
            revisions.changed().await.unwrap();
        }
    }

    fn list(&self, at: &ResourceInfo) -> Vec<Value> {
        let objects = self.0.objects.lock().unwrap();
        objects.iter().filter(|(key, _)| is_inside(key, at)).map(|(_, object)| object.clone()).collect()
    }

    fn put(&self, key: Key, mut object: Value) -> Value {
        let mut objects = self.0.objects.lock().unwrap();
        let revision = self.revision() + 1;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let kind = if objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        let event = json!({"type": kind, "object": object});
        self.0.log.lock().unwrap().push((revision, key.clone(), event));
        objects.insert(key, object.clone());
        self.0.revision.send_replace(revision);
        object
    }

    fn remove(&self, key: &Key) {
        let mut objects = self.0.objects.lock().unwrap();
        let Some(mut object) = objects.remove(key) else { return };
        let revision = self.revision() + 1;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let event = json!({"type": "DELETED", "object": object});
        self.0.log.lock().unwrap().push((revision, key.clone(), event));
        self.0.revision.send_replace(revision);
    }

    /// The events of a collection after `version`, and the version up to which these are all.
    fn events(&self, at: &ResourceInfo, version: u64) -> (Vec<Value>, u64) {
        let log = self.0.log.lock().unwrap();
        let new = log[log.partition_point(|(revision, ..)| *revision <= version)..].iter();
        let inside = new.filter(|(_, key, _)| is_inside(key, at)).map(|(_, _, event)| event.clone());
        (inside.collect(), log.last().map_or(version, |(revision, ..)| *revision))
    }

    fn create(&self, at: &ResourceInfo, mut object: Value) -> Result<Value, Status> {
        let (group, plural) = (&*at.gvr.group, &*at.gvr.resource);
        let name = meta::name(&object).to_owned();
        let mut key = key(at);
        key.3.clone_from(&name);
        if self.0.objects.lock().unwrap().contains_key(&key) {
            return Err(Status::already_exists(group, plural, &name));
        }
        strategy(group, plural).normalize(&mut object);
        if !key.2.is_empty() {
            object["metadata"]["namespace"] = key.2.clone().into();
        }
        strategy(group, plural).prepare_create(&mut object);
        let causes = strategy(group, plural).validate(&object);
        if !causes.is_empty() {
            return Err(Status::invalid(group, plural, &name, causes));
        }
        object["metadata"]["uid"] = format!("uid-{}", self.revision()).into();
        if !at.namespace.is_empty() && plural != "namespaces" {
            object["metadata"]["namespace"] = at.namespace.as_str().into();
        }
        Ok(self.put(key, object))
    }

    fn update(&self, at: &ResourceInfo, mut new: Value) -> Result<Value, Status> {
        let (key, old) = self.existing(at)?;
        let (group, plural) = (&*at.gvr.group, &*at.gvr.resource);
        if meta::resource_version(&new) != meta::resource_version(&old) {
            return Err(Status::conflict(group, plural, &at.name, "the object has been modified"));
        }
        let rules = strategy(group, plural);
        let fields = match at.subresource.as_str() {
            "" => None,
            "status" => Some(["status"].as_slice()),
            other => Some(rules.writable_subresource(other).ok_or_else(Status::no_such_path)?),
        };
        if let Some(fields) = fields {
            let mut kept = old.clone();
            fields.iter().for_each(|field| kept[field] = new[field].take());
            new = kept;
        } else {
            new["status"] = old["status"].clone();
            rules.normalize(&mut new);
            rules.prepare_update(&mut new, &old);
        }
        if meta::is_deleting(&new) && !rules.is_held(&new) {
            self.remove(&key);
            return Ok(new);
        }
        Ok(self.put(key, new))
    }

    fn patch(&self, at: &ResourceInfo, patch: &[u8]) -> Result<Value, Status> {
        let (_, mut object) = self.existing(at)?;
        detectviz_api::patch::merge_patch(&mut object, patch)?;
        self.update(at, object)
    }

    fn delete(&self, at: &ResourceInfo, options: &DeleteOptions) -> Result<Value, Status> {
        let (key, object) = self.existing(at)?;
        let rules = strategy(&at.gvr.group, &at.gvr.resource);
        rules.check_delete(&object)?;
        let wanted = options.preconditions.clone().unwrap_or_default();
        let differs = |wanted: Option<String>, found: &str| wanted.is_some_and(|wanted| wanted != found);
        if differs(wanted.uid, meta::uid(&object))
            || differs(wanted.resource_version, meta::resource_version(&object))
        {
            return Err(Status::conflict(&at.gvr.group, &at.gvr.resource, &at.name, "another is meant"));
        }
        match end(&*rules, true, &object, options, time::OffsetDateTime::now_utc()) {
            Ending::Gone(object) => {
                self.remove(&key);
                Ok(object)
            }
            Ending::Marked(object) => Ok(self.put(key, object)),
            Ending::Pending => Ok(object),
        }
    }

    fn delete_collection(&self, at: &ResourceInfo, options: &DeleteOptions) -> Result<Value, Status> {
        let items = self.list(at);
        for item in &items {
            self.delete(&ResourceInfo { name: meta::name(item).to_owned(), ..at.clone() }, options)?;
        }
        let late = self.0.late.lock().unwrap().take_if(|(path, _)| is_inside(&key(&resource(path)), at));
        if let Some((path, object)) = late {
            self.create(&resource(&path), object)?;
        }
        Ok(json!({"metadata": {}, "items": items}))
    }

    fn existing(&self, at: &ResourceInfo) -> Result<(Key, Value), Status> {
        let key = key(at);
        let found = self.0.objects.lock().unwrap().get(&key).cloned();
        let object = found.ok_or_else(|| Status::not_found(&at.gvr.group, &at.gvr.resource, &at.name))?;
        Ok((key, object))
    }

    fn answer(&self, info: &RequestInfo, body: &[u8]) -> Result<Value, Status> {
        let at = info.resource.as_ref().unwrap();
        if *self.0.down.lock().unwrap() == Some(&*at.gvr.group) {
            return Err(Status::failure(Reason::ServiceUnavailable, "backend is down"));
        }
        if !matches!(info.verb, Verb::Get | Verb::List) {
            let mut failures = self.0.failures.lock().unwrap();
            if let Some(left) = failures.checked_sub(1) {
                *failures = left;
                return Err(Status::internal("a failure on purpose"));
            }
        }
        let object = || serde_json::from_slice(body).unwrap();
        let options = || serde_json::from_slice(body).unwrap_or_default();
        match info.verb {
            Verb::Get => self.existing(at).map(|(_, object)| object),
            Verb::List => {
                let version = self.revision().to_string();
                Ok(json!({"metadata": {"resourceVersion": version}, "items": self.list(at)}))
            }
            Verb::Create => self.create(at, object()),
            Verb::Update => self.update(at, object()),
            Verb::Patch => self.patch(at, body),
            Verb::Delete => self.delete(at, &options()),
            Verb::DeleteCollection => self.delete_collection(at, &options()),
            _ => Err(Status::method_not_allowed()),
        }
    }
}

fn is_inside(key: &Key, at: &ResourceInfo) -> bool {
    (key.0.as_str(), key.1.as_str()) == (&*at.gvr.group, &*at.gvr.resource)
        && (at.namespace.is_empty() || key.2 == at.namespace)
}

fn resource(path: &str) -> ResourceInfo {
    RequestInfo::parse(&http::Method::GET, path, None).unwrap().resource.unwrap()
}

fn key(at: &ResourceInfo) -> Key {
    let namespace = if &*at.gvr.resource == "namespaces" { String::new() } else { at.namespace.clone() };
    (at.gvr.group.to_string(), at.gvr.resource.to_string(), namespace, at.name.clone())
}

#[async_trait]
impl Loopback for Fake {
    async fn send(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let info = RequestInfo::parse(&parts.method, parts.uri.path(), parts.uri.query()).unwrap();
        if info.verb == Verb::Watch {
            let version: u64 = info.query.get("resourceVersion").unwrap().parse().unwrap();
            let watching = Watching::new(self.clone(), info.resource.unwrap(), version);
            return Response::new(Body::stream(watching));
        }
        let group = info.resource.as_ref().map(|at| at.gvr.group.to_string());
        if self.0.silent.lock().unwrap().0 == group.as_deref() {
            let _unanswered = Unanswered(self.clone());
            return std::future::pending().await;
        }
        let body = body.collect(1 << 20).await.unwrap();
        let (code, bytes) = match self.answer(&info, &body) {
            Ok(value) => (200, value.to_string().into_bytes()),
            Err(refusal) => (refusal.code, refusal.to_json()),
        };
        http::Response::builder().status(code).body(Body::full(bytes)).unwrap()
    }
}

/// A watch, which does not end by itself.
struct Watching {
    fake: Fake,
    at: ResourceInfo,
    version: u64,
    change: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Watching {
    fn new(fake: Fake, at: ResourceInfo, version: u64) -> Self {
        let change = Self::change(&fake, version);
        Self { fake, at, version, change }
    }

    fn change(fake: &Fake, version: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut revisions = fake.0.revision.subscribe();
        Box::pin(async move {
            let _ = revisions.wait_for(|revision| *revision > version).await;
        })
    }
}

impl http_body::Body for Watching {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            ready!(self.change.as_mut().poll(cx));
            let (events, version) = self.fake.events(&self.at, self.version);
            self.version = version;
            self.change = Self::change(&self.fake, version);
            if !events.is_empty() {
                let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
                return Poll::Ready(Some(Ok(Frame::data(lines.into()))));
            }
        }
    }
}
