//! The engine with one kind, over a store in memory, without a listener and without a chain.

use async_trait::async_trait;
use detectviz_api::definition::Definition;
use detectviz_api::{Identity, RequestInfo, Status};
use detectviz_core::delegate::End;
use detectviz_core::http::{Body, Request};
use detectviz_core::{ApiGroupBuilder, Catalog, Context, Delegate};
use detectviz_server::admission::{Admission, AdmissionChain};
use detectviz_server::strategy::{Plain, Strategy};
use detectviz_server::{Backend, Installer, Link};
use detectviz_storage::cache::{Cache, CacheOptions};
use detectviz_storage::memory::Memory;
use detectviz_storage::{Compare, Op, Range, Revision, Store, StoreError, Txn, TxnOutcome, Watch};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Where widgets of the namespace `a` are.
pub(crate) const WIDGETS: &str = "/apis/e.org/v1/namespaces/a/widgets";
pub(crate) const JSON: &str = "application/json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";

/// A server.
pub(crate) struct World {
    pub(crate) catalog: Catalog,
    link: Arc<dyn Delegate>,
    pub(crate) store: Arc<Held>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.body);
        self.body
    }

    /// The message of a refusal with this code.
    #[track_caller]
    pub(crate) fn refused(self, code: u16) -> String {
        self.expect(code)["message"].as_str().unwrap().to_owned()
    }
}

/// Something that happens right before a write.
type Before = Box<dyn FnMut() -> Option<Txn> + Send>;

/// A store in which somebody else may be faster.
pub(crate) struct Held {
    inner: Arc<Memory>,
    before: Mutex<Option<Before>>,
    /// Writes of more bytes are too large.
    pub(crate) max: Mutex<usize>,
}

impl Held {
    /// Lets `before` write first, each time that something is written.
    pub(crate) fn before_each_write(&self, before: impl FnMut() -> Option<Txn> + Send + 'static) {
        *self.before.lock().unwrap() = Some(Box::new(before));
    }
}

#[async_trait]
impl Store for Held {
    async fn get(
        &self,
        key: &str,
        at: Option<Revision>,
    ) -> Result<Option<detectviz_storage::KeyValue>, StoreError> {
        self.inner.get(key, at).await
    }

    async fn range(&self, prefix: &str, at: Option<Revision>) -> Result<Range, StoreError> {
        self.inner.range(prefix, at).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        let first = self.before.lock().unwrap().as_mut().and_then(|before| before());
        if let Some(first) = first {
            self.inner.txn(first).await?;
        }
        let max = *self.max.lock().unwrap();
        if let Op::Put(value) = &txn.op
            && value.len() > max
        {
            return Err(StoreError::TooLarge { key: txn.key.to_string(), bytes: value.len(), max });
        }
        self.inner.txn(txn).await
    }

    async fn current_revision(&self) -> Result<Revision, StoreError> {
        self.inner.current_revision().await
    }

    async fn oldest_revision(&self) -> Result<Revision, StoreError> {
        self.inner.oldest_revision().await
    }

    async fn watch(&self, after: Revision) -> Result<Watch, StoreError> {
        self.inner.watch(after).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.inner.compact(revision).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// Replaces what is at `key`.
pub(crate) fn put(key: &str, object: &Value) -> Txn {
    Txn::new(key, Compare::Any, Op::Put(object.to_string().into()))
}

/// Deletes what is at `key`.
pub(crate) fn gone(key: &str) -> Txn {
    Txn::new(key, Compare::Any, Op::Delete)
}

fn widgets(extensions: Value) -> Definition {
    let definition = json!({
        "group": "e.org", "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {
                    "replicas": {"type": "integer", "format": "int32"},
                    "color": {"type": "string", "default": "blue", "enum": ["blue", "red"]},
                    "text": {"type": "string"},
                    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                    "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                }},
                "status": {"type": "object", "properties": {
                    "replicas": {"type": "integer", "minimum": 0}, "selector": {"type": "string"}, "phase": {"type": "string"},
                }},
            }}}}],
        "x-detectviz": extensions,
    });
    serde_json::from_value(definition).unwrap()
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Vec::new(), Arc::new(Plain), json!({"generation": true})).await
    }

    pub(crate) async fn admitting(plugin: Arc<dyn Admission>) -> Self {
        Self::with(vec![plugin], Arc::new(Plain), json!({"generation": true})).await
    }

    pub(crate) async fn with(
        plugins: Vec<Arc<dyn Admission>>,
        strategy: Arc<dyn Strategy>,
        extensions: Value,
    ) -> Self {
        let (before, max) = (Mutex::default(), Mutex::new(usize::MAX));
        let store = Arc::new(Held { inner: Memory::new(), before, max });
        let cache = Cache::start(store.clone(), CacheOptions::default()).await.unwrap();
        let installer = Installer {
            backend: Backend { store: Arc::clone(&store) as Arc<dyn Store>, cache },
            admission: AdmissionChain::new(plugins),
            fragments: Arc::default(),
            max_body_bytes: 3 << 20,
        };
        let group = ApiGroupBuilder {
            group: "e.org".to_owned(),
            priority: 1000,
            definitions: vec![Arc::new(widgets(extensions))],
        };
        let catalog = Catalog::default();
        let strategies = |_: &str, _: &str| Arc::clone(&strategy);
        let resources = installer.install(&[group], &strategies, &catalog).unwrap();
        Self { catalog, link: Link::new(Arc::new(resources), Arc::new(End)), store }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .header("user-agent", "tester/v1 (linux)")
            .body(Body::full(body.into()))
            .unwrap();
        let response = self.answer(request).await.unwrap_or_else(|status| {
            http::Response::builder().status(status.code).body(Body::full(status.to_json())).unwrap()
        });
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().unwrap().to_owned()).collect();
        let body = response.into_body().collect(1 << 24).await.unwrap();
        Answer { code, body: serde_json::from_slice(&body).unwrap(), warnings }
    }

    async fn answer(&self, request: Request) -> Result<detectviz_core::http::Response, Status> {
        let info = RequestInfo::parse(request.method(), request.uri().path(), request.uri().query())?;
        let handler = self.link.route(&info).ok_or_else(Status::no_such_path)?;
        let identity = Identity::authenticated("jane", []);
        handler.handle(Arc::new(Context { info, identity: identity.into() }), request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, JSON, "").await
    }

    pub(crate) async fn create(&self, object: &Value) -> Answer {
        self.send("POST", WIDGETS, JSON, object.to_string()).await
    }

    pub(crate) async fn update(&self, path: &str, object: &Value) -> Answer {
        self.send("PUT", path, JSON, object.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.send("PATCH", path, kind, body.to_string()).await
    }
}

/// A widget.
pub(crate) fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "e.org/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

/// Where the widget called `name` is.
pub(crate) fn at(name: &str) -> String {
    format!("{WIDGETS}/{name}")
}

/// Where the store keeps it.
pub(crate) fn key(name: &str) -> String {
    let prefix = detectviz_storage::keys::resource_prefix("e.org", "widgets", "root");
    detectviz_storage::keys::object_key(&prefix, Some("a"), name)
}
