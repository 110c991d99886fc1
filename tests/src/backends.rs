//! Many small API servers in this process, each with a port and a group of its own, which can be made to fail in the ways
//! in which servers do.

mod answer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::answer::{Answer, Objects};
use crate::certificates::Authority;
use crate::wait::wait_for;

/// The Service that all of them are of, which is the name in their certificate.
const SERVICE: &str = "many";

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Healthy,
    /// It answers after this time.
    Slow(Duration),
    /// It answers, but not as an API server does.
    Garbage,
    /// It takes no connection and answers nothing: to its clients a black hole.
    Silent,
    /// Nobody listens.
    Refusing,
}

/// The servers; they end with the value.
pub struct Backends {
    authority: Authority,
    backends: Vec<Backend>,
    /// Ends all tasks when it is dropped.
    _runtime: Runtime,
}

struct Backend {
    group: String,
    port: u16,
    mode: watch::Sender<Mode>,
    watched: Arc<AtomicBool>,
}

/// What a server knows.
struct State {
    group: String,
    objects: Objects,
    mode: watch::Receiver<Mode>,
    watched: Arc<AtomicBool>,
}

impl Backends {
    /// Starts so many.
    ///
    /// # Panics
    /// When there are no ports.
    pub fn start(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let (runtime, authority) = (runtime.expect("make a runtime"), Authority::new("many-ca"));
        let acceptor = TlsAcceptor::from(Arc::new(tls(&authority)));
        let start = |number: usize| {
            let group = format!("g{number}.many.example.com");
            let (mode, receiver) = watch::channel(Mode::Healthy);
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("listen");
            let port = listener.local_addr().expect("a port").port();
            let watched = Arc::<AtomicBool>::default();
            let state = State {
                group: group.clone(),
                objects: Objects::default(),
                mode: receiver,
                watched: Arc::clone(&watched),
            };
            runtime.spawn(run(Arc::new(state), listener, acceptor.clone()));
            Backend { group, port, mode, watched }
        };
        let backends = (0..count).map(start).collect();
        Self { authority, backends, _runtime: runtime }
    }

    /// Lets one behave so from now on.
    pub fn behave(&self, number: usize, mode: Mode) {
        self.backends[number].mode.send_replace(mode);
    }

    /// Waits until somebody has listed the things of one, and watches them.
    pub fn await_watched(&self, number: usize) {
        let watched = &self.backends[number].watched;
        wait_for("the things are watched", || watched.load(Ordering::SeqCst).then_some(()));
    }

    /// The group of each.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.backends.iter().map(|backend| backend.group.as_str())
    }

    /// The path of the group-version of one.
    pub fn path(&self, number: usize) -> String {
        format!("/apis/{}/v1", self.backends[number].group)
    }

    /// The path of the things of one in a namespace.
    pub fn things(&self, number: usize, namespace: &str) -> String {
        format!("{}/namespaces/{namespace}/things", self.path(number))
    }

    /// The things of one as kubectl calls them.
    pub fn resource(&self, number: usize) -> String {
        format!("things.{}", self.backends[number].group)
    }

    /// The name of the APIService of one.
    pub fn api_service(&self, number: usize) -> String {
        format!("v1.{}", self.backends[number].group)
    }

    /// The ExternalName of all of them.
    pub fn external_name(&self) -> Value {
        json!({
            "apiVersion": "service.grafana.app/v0alpha1", "kind": "ExternalName",
            "metadata": {"name": SERVICE, "namespace": "default"}, "spec": {"host": "127.0.0.1"},
        })
    }

    /// The APIService of each.
    pub fn api_services(&self) -> impl Iterator<Item = Value> {
        let ca = STANDARD.encode(self.authority.pem());
        self.backends.iter().map(move |backend| {
            json!({
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": format!("v1.{}", backend.group)},
                "spec": {
                    "group": backend.group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                    "service": {"name": SERVICE, "namespace": "default", "port": backend.port}, "caBundle": ca,
                },
            })
        })
    }
}

fn tls(authority: &Authority) -> ServerConfig {
    let (certificate, key) = authority.server(&format!("{SERVICE}.default.svc"));
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("our own certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("our own key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions of TLS").with_no_client_auth();
    builder.with_single_cert(chain, key).expect("our own certificate")
}

/// Listens as the mode says, for as long as there is one.
async fn run(state: Arc<State>, listener: TcpListener, acceptor: TlsAcceptor) {
    let address = listener.local_addr().expect("a port");
    let (mut mode, mut listener, mut connections) = (state.mode.clone(), Some(listener), JoinSet::new());
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Refusing {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            // Nobody else takes a port that was ours a moment ago but by chance.
            listener = Some(TcpListener::bind(address).await.expect("listen again"));
        }
        let accept = async {
            match listener.as_ref().filter(|_| now != Mode::Silent) {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accept => {
                if let Ok((socket, _)) = accepted {
                    connections.spawn(connection(Arc::clone(&state), socket, acceptor.clone()));
                }
            }
            changed = mode.changed() => if changed.is_err() { return },
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the requests of a connection, one after another.
async fn connection(state: Arc<State>, socket: TcpStream, acceptor: TlsAcceptor) -> Option<()> {
    let mut stream = BufReader::new(acceptor.accept(socket).await.ok()?);
    let mut mode = state.mode.clone();
    loop {
        let (request, body) = read(&mut stream).await?;
        let mode = *mode.wait_for(|mode| *mode != Mode::Silent).await.ok()?;
        if let Mode::Slow(time) = mode {
            tokio::time::sleep(time).await;
        }
        let (method, path) = request.split_once(' ')?;
        let answer = match mode {
            Mode::Garbage => Answer::Whole(200, "<html>It works!</html>".to_owned()),
            _ => answer::answer(&state.group, &state.objects, method, path, &body),
        };
        let text = match &answer {
            Answer::Whole(code, body) => format!(
                "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            Answer::Watch => {
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    .to_owned()
            }
        };
        stream.get_mut().write_all(text.as_bytes()).await.ok()?;
        stream.get_mut().flush().await.ok()?;
        if matches!(answer, Answer::Watch) {
            state.watched.store(true, Ordering::SeqCst);
            // Nothing ever happens; the client ends it.
            let _ = stream.read_u8().await;
            return None;
        }
    }
}

/// Method and path of the next request, and its body; `None` at the end.
async fn read(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if first.is_none() {
            first = Some(line.trim_end_matches(" HTTP/1.1").to_owned());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first?, body))
}
