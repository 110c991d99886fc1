//! A client of the API: who it is, what it sends, and what came back. What it sends is not put right on the way.

use std::io::{self, Read as _};
use std::sync::Arc;

use serde_json::Value;

use crate::watch::{Transport, Watch};
use crate::wire::{Connection, Endpoint, Head};

/// A client with a certificate, a token, or nothing. Each request has a connection of its own.
#[derive(Clone)]
pub struct Client {
    endpoint: Arc<Endpoint>,
    headers: Vec<(String, String)>,
}

/// A request that is being put together.
#[derive(Clone)]
pub struct Request<'a> {
    client: &'a Client,
    method: &'a str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
    asked: String,
}

impl Client {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: Arc::new(endpoint), headers: Vec::new() }
    }

    /// The same client, which sends this header, in this spelling, with every request.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same client, for which the kernel keeps little that it has not read.
    #[must_use]
    pub fn small_buffer(&self) -> Self {
        let endpoint = Arc::new(self.endpoint.with_small_buffer());
        Self { endpoint, headers: self.headers.clone() }
    }

    /// The same client with a bearer token.
    #[must_use]
    pub fn token(&self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// A request; `path` is sent as it is.
    pub fn request<'a>(&'a self, method: &'a str, path: impl Into<String>) -> Request<'a> {
        let headers = self.headers.clone();
        Request { client: self, method, path: path.into(), headers, body: Vec::new() }
    }

    /// GET.
    pub fn get(&self, path: impl Into<String>) -> Answer {
        self.request("GET", path).send()
    }

    /// POST of a JSON object.
    pub fn create(&self, path: impl Into<String>, object: &Value) -> Answer {
        self.request("POST", path).json(object).send()
    }

    /// PUT of a JSON object.
    pub fn update(&self, path: impl Into<String>, object: &Value) -> Answer {
        self.request("PUT", path).json(object).send()
    }

    /// DELETE.
    pub fn delete(&self, path: impl Into<String>) -> Answer {
        self.request("DELETE", path).send()
    }

    /// A watch.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn watch(&self, path: impl Into<String>) -> Watch {
        self.watch_over(Transport::Http1, path)
    }

    /// A watch over the given transport.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn watch_over(&self, transport: Transport, path: impl Into<String>) -> Watch {
        Watch::open(&self.request("GET", path), transport)
    }

    /// A connection of its own on which HTTP/2 was agreed on, for frames that a test writes itself.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect_http2(&self) -> io::Result<Connection> {
        self.endpoint.with_protocol(b"h2").connect()
    }

    /// What a request says as its `Host`.
    pub fn host(&self) -> String {
        self.endpoint.host().to_string()
    }

    /// A connection of its own, for bytes and for many requests.
    ///
    /// # Errors
    /// When nobody listens. A refused certificate shows with the first read.
    pub fn connect(&self) -> io::Result<Connection> {
        self.endpoint.connect()
    }
}

impl Request<'_> {
    /// Adds a header in this spelling.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends `body` as media type `kind`.
    #[must_use]
    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", kind)
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends the request and reads the answer.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub fn send(&self) -> Answer {
        self.try_send().unwrap_or_else(|fault| panic!("{}: {fault}", self.asked()))
    }

    /// Like [`Self::send`].
    ///
    /// # Errors
    /// When there is no whole answer: nobody listens, the handshake is refused, the connection is cut.
    pub fn try_send(&self) -> io::Result<Answer> {
        Ok(self.send_on(self.client.connect()?)?.0)
    }

    /// Like [`Self::try_send`], on a connection that is kept; it comes back when more can be sent on it.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub fn send_on(&self, mut connection: Connection) -> io::Result<(Answer, Option<Connection>)> {
        connection.send(&self.bytes())?;
        let head = connection.head()?;
        let mut body = connection.body(self.method, &head)?;
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        let kept = body.into_connection().filter(|_| head.header("connection") != Some("close"));
        let Head { code, headers } = head;
        Ok((Answer { code, body: bytes, headers, asked: self.asked() }, kept))
    }

    /// A connection for it.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn try_connect(&self) -> io::Result<Connection> {
        self.client.connect()
    }

    /// The method and the path.
    pub fn what(&self) -> String {
        self.asked()
    }

    /// Sends the request and reads the answer's head alone; what follows is read from the connection.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn open(&self) -> io::Result<(Answer, Connection)> {
        self.open_with(&[])
    }

    /// Like [`Self::open`], with `behind` in the same write as the head.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn open_with(&self, behind: &[u8]) -> io::Result<(Answer, Connection)> {
        let mut connection = self.client.connect()?;
        connection.send(&[&self.bytes(), behind].concat())?;
        let Head { code, headers } = connection.head()?;
        Ok((Answer { code, body: Vec::new(), headers, asked: self.asked() }, connection))
    }

    /// The request as it stands on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.path, self.client.endpoint.host());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || matches!(self.method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    pub(crate) fn connect(&self) -> io::Result<Connection> {
        self.client.connect()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.client.endpoint
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub(crate) fn asked(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Answer {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// How many bytes the names and values of all headers have.
    pub fn head_size(&self) -> usize {
        self.headers.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {self}"))
    }

    /// The body as JSON, when the answer has this code.
    ///
    /// # Panics
    /// When it has another.
    #[track_caller]
    pub fn expect(&self, code: u16) -> Value {
        assert_eq!(self.code, code, "{self}");
        self.json()
    }

    /// The `Status` of a failure with this code and reason.
    ///
    /// # Panics
    /// When it is none, or of another code or reason.
    #[track_caller]
    pub fn refused(&self, code: u16, reason: &str) -> Value {
        let status = self.expect(code);
        let found = ["apiVersion", "kind", "status", "reason"].map(|key| status[key].as_str());
        assert_eq!(found, ["v1", "Status", "Failure", reason].map(Some), "{self}");
        assert_eq!(status["code"], code, "{self}");
        assert!(status["message"].as_str().is_some_and(|text| !text.is_empty()), "{self}");
        status
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = self.text().chars().take(2000).collect();
        write!(f, "{} gave {}: {text}", self.asked, self.code)
    }
}
