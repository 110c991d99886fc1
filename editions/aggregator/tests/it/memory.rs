//! The server that the runner believes to live in: APIServices and what they are resolved by, with list, watch and
//! `/status`.

use async_trait::async_trait;
use bytes::Bytes;
use detectviz_api::{Status, meta};
use detectviz_core::Loopback;
use detectviz_core::http::{Body, BoxError, Request, Response};
use http::{Method, StatusCode};
use http_body::{Body as HttpBody, Frame};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

pub(crate) const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
pub(crate) const EXTERNAL_NAMES: &str = "/apis/service.grafana.app/v0alpha1/externalnames";
pub(crate) const SERVICES: &str = "/api/v1/services";
pub(crate) const ENDPOINTS: &str = "/api/v1/endpoints";
/// The label of a slice that names its Service.
pub(crate) const NAME_IN_SLICE: &str = "kubernetes.io/service-name";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/endpointslices";
const COLLECTIONS: [&str; 5] = [API_SERVICES, EXTERNAL_NAMES, SERVICES, ENDPOINTS, SLICES];

#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    revision: u64,
    objects: BTreeMap<(String, String), Value>,
    log: Vec<(u64, String, Bytes)>,
    watchers: Vec<(String, mpsc::Sender<Bytes>)>,
    status_writes: usize,
    conflicts: usize,
}

impl Memory {
    /// Creates or replaces an object.
    pub(crate) fn put(&self, collection: &str, object: Value) {
        self.0.lock().unwrap().put(collection, object);
    }

    pub(crate) fn delete(&self, collection: &str, name: &str) {
        let mut state = self.0.lock().unwrap();
        let object = state.objects.remove(&(collection.to_owned(), name.to_owned())).unwrap();
        state.tell(collection, "DELETED", &object);
    }

    pub(crate) fn get(&self, collection: &str, name: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(&(collection.to_owned(), name.to_owned())).cloned()
    }

    /// How often a status was written.
    pub(crate) fn status_writes(&self) -> usize {
        self.0.lock().unwrap().status_writes
    }

    /// Lets the next status writes meet another writer.
    pub(crate) fn conflict(&self, times: usize) {
        self.0.lock().unwrap().conflicts = times;
    }
}

impl State {
    fn put(&mut self, collection: &str, mut object: Value) {
        let key = (collection.to_owned(), meta::name(&object).to_owned());
        let kind = if self.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        object["metadata"]["resourceVersion"] = (self.revision + 1).to_string().into();
        self.objects.insert(key, object.clone());
        self.tell(collection, kind, &object);
    }

    fn tell(&mut self, collection: &str, kind: &str, object: &Value) {
        self.revision += 1;
        let line = Bytes::from(format!("{}\n", json!({"type": kind, "object": object})));
        self.log.push((self.revision, collection.to_owned(), line.clone()));
        self.watchers.retain(|(of, watcher)| of != collection || watcher.try_send(line.clone()).is_ok());
    }

    fn list(&self, collection: &str) -> Value {
        let items: Vec<_> =
            self.objects.iter().filter(|((of, _), _)| of == collection).map(|(_, object)| object).collect();
        json!({"metadata": {"resourceVersion": self.revision.to_string()}, "items": items})
    }

    fn watch(&mut self, collection: &str, query: &str) -> Body {
        let since: u64 = query.rsplit_once("resourceVersion=").unwrap().1.parse().unwrap();
        let (sender, receiver) = mpsc::channel(1000);
        for (revision, of, line) in &self.log {
            if of == collection && *revision > since {
                sender.try_send(line.clone()).unwrap();
            }
        }
        self.watchers.push((collection.to_owned(), sender));
        Body::stream(Watch(receiver))
    }

    fn update_status(&mut self, name: &str, sent: &Value) -> Result<Value, Status> {
        let key = (API_SERVICES.to_owned(), name.to_owned());
        let conflict = || Status::conflict("apiregistration.k8s.io", "apiservices", name, "it has changed");
        let mut object = self.objects.get(&key).cloned().ok_or_else(Status::no_such_path)?;
        if self.conflicts > 0 {
            self.conflicts -= 1;
            object["metadata"]["annotations"]["touched"] = "true".into();
            self.put(API_SERVICES, object);
            return Err(conflict());
        }
        if meta::resource_version(&object) != meta::resource_version(sent) {
            return Err(conflict());
        }
        object["status"] = sent["status"].clone();
        self.status_writes += 1;
        self.put(API_SERVICES, object.clone());
        Ok(object)
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        body: &[u8],
    ) -> Result<Body, Status> {
        if COLLECTIONS.contains(&path) {
            return Ok(match query.filter(|query| query.contains("watch=true")) {
                Some(query) => self.watch(path, query),
                None => Body::full(self.list(path).to_string()),
            });
        }
        let rest = path.strip_prefix(API_SERVICES).and_then(|rest| rest.strip_prefix('/'));
        let answer = match (method, rest.ok_or_else(Status::no_such_path)?.split_once('/')) {
            (&Method::PUT, Some((name, "status"))) => {
                self.update_status(name, &serde_json::from_slice(body).unwrap())?
            }
            (&Method::GET, None) => {
                let key = (API_SERVICES.to_owned(), rest.unwrap().to_owned());
                self.objects.get(&key).cloned().ok_or_else(Status::no_such_path)?
            }
            _ => return Err(Status::method_not_allowed()),
        };
        Ok(Body::full(answer.to_string()))
    }
}

#[async_trait]
impl Loopback for Memory {
    async fn send(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = body.collect(1 << 20).await.unwrap();
        let mut state = self.0.lock().unwrap();
        match state.answer(&head.method, head.uri.path(), head.uri.query(), &body) {
            Ok(body) => Response::new(body),
            Err(status) => {
                let mut response = Response::new(Body::full(status.to_json()));
                *response.status_mut() = StatusCode::from_u16(status.code).unwrap();
                response
            }
        }
    }
}

struct Watch(mpsc::Receiver<Bytes>);

impl HttpBody for Watch {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
