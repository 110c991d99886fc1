//! A backend that does what a test says, byte for byte, behind the discovery that makes an APIService available. All that
//! reached it is kept, so that a test can say what did not.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::wait::{BOUND, wait_until};

/// A request as it came, with the number of its connection.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The first line and the headers, as they were.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The lines behind the last chunk.
    pub trailers: Vec<String>,
    /// Which connection it came over, counted from 0.
    pub connection: usize,
}

impl Seen {
    /// The path and query of the first line.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The names of all headers, in lower case.
    pub fn names(&self) -> Vec<String> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.map(|(name, _)| name.to_ascii_lowercase()).collect()
    }
}

/// The backend's end of a connection, behind the head of a request.
pub struct Wire {
    stream: BufReader<StreamOwned<ServerConnection, TcpStream>>,
    number: usize,
}

/// Answers a request whose head has come; says whether the connection goes on.
type Answer = dyn Fn(&mut Seen, &mut Wire) -> io::Result<bool> + Send + Sync;

struct Shared {
    group: String,
    answer: Box<Answer>,
    seen: Mutex<Vec<Seen>>,
    asked: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// A backend of one group, `v1`, in the test's own process. Its threads end with the test.
pub struct Backend {
    shared: Arc<Shared>,
    authority: Authority,
    /// The port of 127.0.0.1 that it listens on.
    pub port: u16,
}

impl Backend {
    /// Starts it for `group`: discovery is answered by itself, all else by `answer`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(
        group: &str,
        answer: impl Fn(&mut Seen, &mut Wire) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new("backend-ca");
        let tls = tls(&authority, &service(group));
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
        let port = listener.local_addr().expect("listen").port();
        let shared = Arc::new(Shared {
            group: group.to_owned(),
            answer: Box::new(answer),
            seen: Mutex::default(),
            asked: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&accepting), Arc::clone(&tls));
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // A client that goes, or sends what is no HTTP, ends its connection alone.
                    let _ = serve(&shared, socket, tls, number);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { shared, authority, port }
    }

    /// The requests so far, without those for discovery, once all of them are answered or their clients are gone.
    ///
    /// # Panics
    /// When one of them does not end.
    pub fn seen(&self) -> Vec<Seen> {
        wait_until("the backend is done with what it was asked", || {
            let (asked, seen) =
                (self.asked(), self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner));
            if seen.len() == asked { Ok(seen.clone()) } else { Err(format!("{} of {asked}", seen.len())) }
        })
    }

    /// How many requests began, without those for discovery: the head of each has come.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The path of the group's one version.
    pub fn root(&self) -> String {
        format!("/apis/{}/v1", self.shared.group)
    }

    /// The path of its APIService.
    pub fn api_service(&self) -> String {
        format!("/apis/apiregistration.k8s.io/v1/apiservices/v1.{}", self.shared.group)
    }

    /// The objects that register it: an ExternalName and an APIService.
    pub fn manifests(&self) -> [Value; 2] {
        let (group, name) = (&self.shared.group, service(&self.shared.group));
        let service = name.split('.').next().unwrap_or_default();
        let external = json!({
            "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
            "metadata": {"name": service, "namespace": "default"}, "spec": {"host": "127.0.0.1"},
        });
        let api_service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("v1.{group}")},
            "spec": {
                "group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                "caBundle": STANDARD.encode(self.authority.pem()),
                "service": {"name": service, "namespace": "default", "port": self.port},
            },
        });
        [external, api_service]
    }
}

/// The name of the group's service, as it is in its certificate.
fn service(group: &str) -> String {
    format!("{}.default.svc", group.replace('.', "-"))
}

fn tls(authority: &Authority, name: &str) -> Arc<ServerConfig> {
    let (certificate, key) = authority.server(name);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("read our certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("read our key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("use TLS as it comes")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.expect("use our certificate"))
}

fn serve(shared: &Shared, socket: TcpStream, tls: Arc<ServerConfig>, number: usize) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let session = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut wire = Wire { stream: BufReader::new(StreamOwned::new(session, socket)), number };
    let discovery = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{}/v1", shared.group),
        "resources": [{"name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing",
            "verbs": ["get", "list", "watch", "create"]}],
    });
    while let Some(mut seen) = wire.request()? {
        let (path, root) = (seen.path().to_owned(), format!("/apis/{}/v1", shared.group));
        let goes_on = if path == root {
            wire.answer(200, &discovery.to_string()).map(|()| true)
        } else if path == "/apis" || path.starts_with("/openapi") {
            wire.answer(404, "none").map(|()| true)
        } else {
            shared.asked.fetch_add(1, Ordering::SeqCst);
            let answered = (shared.answer)(&mut seen, &mut wire);
            shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            answered
        };
        if !goes_on? {
            return Ok(());
        }
    }
    Ok(())
}

impl Wire {
    /// The head of the next request; nothing when the client has ended.
    fn request(&mut self) -> io::Result<Option<Seen>> {
        let mut head = String::new();
        loop {
            let before = head.len();
            if self.stream.read_line(&mut head)? == 0 {
                return Ok(None);
            }
            if head[before..].trim_end().is_empty() {
                break;
            }
        }
        Ok(Some(Seen { head, connection: self.number, ..Seen::default() }))
    }

    /// Answers with a length; the connection can go on.
    ///
    /// # Errors
    /// When the client is gone.
    pub fn answer(&mut self, code: u16, body: &str) -> io::Result<()> {
        self.send(&format!(
            "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Sends text as it is.
    ///
    /// # Errors
    /// When the client is gone.
    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.write_all(text.as_bytes())?;
        self.flush()
    }

    /// One chunk of a body in chunks; nothing behind the last, whose trailers go into `seen`.
    ///
    /// # Errors
    /// When the client is gone, or sends no chunk.
    pub fn chunk(&mut self, seen: &mut Seen) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let size = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
        let mut data = vec![0; size];
        self.stream.read_exact(&mut data)?;
        if size > 0 {
            self.line()?;
            seen.body.extend_from_slice(&data);
            return Ok(Some(data));
        }
        loop {
            match self.line()? {
                line if line.is_empty() => return Ok(None),
                line => seen.trailers.push(line),
            }
        }
    }

    /// Reads the body into `seen`, as its head frames it.
    ///
    /// # Errors
    /// When the client is gone.
    pub fn read_body(&mut self, seen: &mut Seen) -> io::Result<()> {
        if !seen.header("transfer-encoding").is_empty() {
            while self.chunk(seen)?.is_some() {}
            return Ok(());
        }
        let length =
            seen.header("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0);
        seen.body = vec![0; length];
        self.stream.read_exact(&mut seen.body)
    }

    /// Says that nothing more comes, and goes on reading.
    ///
    /// # Errors
    /// When the client is gone.
    pub fn finish(&mut self) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.conn.send_close_notify();
        stream.flush()?;
        stream.sock.shutdown(std::net::Shutdown::Write)
    }

    /// Bounds reads, so that a test which waits for an end that does not come fails.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bounded(&mut self) -> io::Result<()> {
        self.stream.get_ref().sock.set_read_timeout(Some(BOUND))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.get_mut().flush()
    }
}
