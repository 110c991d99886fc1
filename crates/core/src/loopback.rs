//! The server's own client: requests that go through the whole chain in this process, as `system:apiserver`.

use async_trait::async_trait;
use detectviz_api::Status;
use http::{Method, StatusCode, header};
use serde_json::Value;

use crate::http::{Body, Request, Response};

/// The most bytes of an answer that a loopback caller reads as one document.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024 * 1024;

/// What the server calls itself; it becomes the manager of the fields that its controllers write.
const USER_AGENT: &str = "detectviz";

/// Sends requests to this server without a socket.
#[async_trait]
pub trait Loopback: Send + Sync {
    /// Answers `request` as the server itself would be answered.
    async fn send(&self, request: Request) -> Response;
}

impl dyn Loopback + '_ {
    /// The document at `path`.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn get(&self, path: &str) -> Result<Value, Status> {
        self.document(Method::GET, path, None).await
    }

    /// Creates `object` in the collection at `path`.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, Status> {
        self.document(Method::POST, path, Some(object)).await
    }

    /// Replaces the object at `path`.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn update(&self, path: &str, object: &Value) -> Result<Value, Status> {
        self.document(Method::PUT, path, Some(object)).await
    }

    /// Deletes the object at `path`.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn delete(&self, path: &str) -> Result<Value, Status> {
        self.document(Method::DELETE, path, None).await
    }

    /// Starts the watch at `path`; its body carries an event a line.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn watch(&self, path: &str) -> Result<Body, Status> {
        let response = self.send(request(Method::GET, path, None)?).await;
        if response.status() == StatusCode::OK {
            Ok(response.into_body())
        } else {
            Err(refusal(response).await)
        }
    }

    async fn document(&self, method: Method, path: &str, object: Option<&Value>) -> Result<Value, Status> {
        let response = self.send(request(method, path, object)?).await;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let bytes = response.into_body().collect(MAX_DOCUMENT_BYTES).await.map_err(Status::internal)?;
        serde_json::from_slice(&bytes).map_err(Status::internal)
    }
}

fn request(method: Method, path: &str, object: Option<&Value>) -> Result<Request, Status> {
    let body = object.map(|object| Body::full(object.to_string())).unwrap_or_default();
    http::Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .body(body)
        .map_err(Status::internal)
}

async fn refusal(response: Response) -> Status {
    let code = response.status();
    let body = response.into_body().collect(MAX_DOCUMENT_BYTES).await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_else(|_| Status::internal(format!("unexpected answer: {code}")))
}
