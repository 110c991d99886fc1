//! A loopback that answers from a map: objects by path, one revision counter, one watched collection.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use detectviz_api::Status;
use detectviz_core::Loopback;
use detectviz_core::http::{Body, BoxError, Request, Response};
use http::{Method, StatusCode};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

const SERVICES: &str = "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices";

/// The path of a DataPlaneService.
pub(crate) fn service_path(name: &str) -> String {
    format!("{SERVICES}/{name}")
}

/// The API; every write has a revision of its own.
#[derive(Default)]
pub(crate) struct Api {
    state: Mutex<State>,
    events: watch::Sender<Vec<(u64, Bytes)>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    revision: u64,
    writes: usize,
    conflicts: usize,
}

impl Api {
    pub(crate) fn put_service(&self, name: &str, plugin: &str, group: &str, version: &str) {
        self.put_service_of("datasource", name, plugin, group, version);
    }

    pub(crate) fn put_service_of(&self, kind: &str, name: &str, plugin: &str, group: &str, version: &str) {
        let services = json!([{"type": "query"}]);
        let spec = json!({
            "pluginID": plugin, "pluginType": kind, "group": group, "version": version, "services": services,
        });
        self.put(&service_path(name), json!({"metadata": {"name": name}, "spec": spec}));
    }

    pub(crate) fn put_source(&self, namespace: &str, uid: &str, spec: &Value) {
        let path = format!("/apis/datasource.detectviz.io/v0alpha1/namespaces/{namespace}/datasources/{uid}");
        self.put(&path, json!({"metadata": {"name": uid, "namespace": namespace, "uid": uid}, "spec": spec}));
    }

    /// A Secret that is meant for plugins.
    pub(crate) fn put_secret(&self, namespace: &str, name: &str, data: &Value) {
        self.put_secret_of("datasource.detectviz.io/credentials", namespace, name, data);
    }

    pub(crate) fn put_secret_of(&self, kind: &str, namespace: &str, name: &str, data: &Value) {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        self.put(
            &path,
            json!({"metadata": {"name": name, "namespace": namespace}, "type": kind, "data": data}),
        );
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.lock().objects.get(path).cloned()
    }

    pub(crate) fn remove(&self, path: &str) {
        let object = self.lock().objects.remove(path).expect("an object");
        self.publish(path, "DELETED", &object);
    }

    /// How many writes of a status there were.
    pub(crate) fn writes(&self) -> usize {
        self.lock().writes
    }

    /// Lets this many writes of a status meet another one.
    pub(crate) fn conflict_next_writes(&self, count: usize) {
        self.lock().conflicts = count;
    }

    fn put(&self, path: &str, mut object: Value) {
        {
            let mut state = self.lock();
            state.revision += 1;
            object["metadata"]["resourceVersion"] = state.revision.to_string().into();
            state.objects.insert(path.to_owned(), object.clone());
        }
        self.publish(path, "MODIFIED", &object);
    }

    fn publish(&self, path: &str, kind: &str, object: &Value) {
        if path.starts_with(SERVICES) {
            let line = format!("{}\n", json!({"type": kind, "object": object}));
            let revision = self.lock().revision;
            self.events.send_modify(|events| events.push((revision, line.into())));
        }
    }

    fn put_status(&self, path: &str, object: &Value) -> Result<Value, Status> {
        let current = {
            let mut state = self.lock();
            state.writes += 1;
            let current = state.objects.get(path).cloned().ok_or_else(crate::no_route)?;
            let is_stale = object["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"];
            if is_stale || state.conflicts > 0 {
                state.conflicts = state.conflicts.saturating_sub(1);
                return Err(Status::conflict("", "dataplaneservices", path, "the object has been modified"));
            }
            current
        };
        let mut object = object.clone();
        object["spec"] = current["spec"].clone();
        self.put(path, object.clone());
        Ok(object)
    }

    fn list(&self) -> Value {
        let state = self.lock();
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(SERVICES))
            .map(|(_, object)| object)
            .collect();
        json!({"metadata": {"resourceVersion": state.revision.to_string()}, "items": items})
    }

    fn watch(&self, after: u64) -> Body {
        let (lines, body) = mpsc::channel(16);
        let mut events = self.events.subscribe();
        tokio::spawn(async move {
            let mut sent = 0;
            loop {
                let new: Vec<(u64, Bytes)> = events.borrow_and_update()[sent..].to_vec();
                sent += new.len();
                for (_, line) in new.into_iter().filter(|(revision, _)| *revision > after) {
                    if lines.send(line).await.is_err() {
                        return;
                    }
                }
                if events.changed().await.is_err() {
                    return;
                }
            }
        });
        Body::stream(Lines(body))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn document(&self, request: Request) -> Result<Value, Status> {
        let path = request.uri().path().to_owned();
        match (request.method(), path.strip_suffix("/status")) {
            (&Method::PUT, Some(path)) => {
                let bytes = request.into_body().collect(usize::MAX).await.unwrap();
                self.put_status(path, &serde_json::from_slice(&bytes).unwrap())
            }
            (&Method::GET, _) if path == SERVICES => Ok(self.list()),
            (&Method::GET, _) => self.get(&path).ok_or_else(|| Status::not_found("", "objects", &path)),
            other => panic!("not expected: {other:?}"),
        }
    }
}

#[async_trait]
impl Loopback for Api {
    async fn send(&self, request: Request) -> Response {
        if let Some(after) = request.uri().query().and_then(|query| query.split_once("resourceVersion=")) {
            return Response::new(self.watch(after.1.parse().unwrap()));
        }
        match self.document(request).await {
            Ok(object) => Response::new(Body::full(object.to_string())),
            Err(status) => {
                let mut response = Response::new(Body::full(status.to_json()));
                *response.status_mut() = StatusCode::from_u16(status.code).unwrap();
                response
            }
        }
    }
}

struct Lines(mpsc::Receiver<Bytes>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
