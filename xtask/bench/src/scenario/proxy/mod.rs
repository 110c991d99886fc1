//! The aggregator beside nginx as a reverse proxy, both from TLS to TLS in front of one backend. As many workers each:
//! worker threads of ours, worker processes of nginx, one a core. Ours knows who asks, and whether they may, each time.
//!
//! With one connection, time and CPU depend on where the kernel puts the threads: on one core a request takes a fifth of
//! what it takes when every step wakes another. Both contestants see both; compare such figures by their spread.

mod load;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::Method;

use self::load::Reader;
use super::Bench;
use super::rounds::{Compete, Contestant, count, interleave};
use crate::load::{Client as _, Credentials, Protocol, Target};
use crate::peer::{Backend, Nginx, Proxy};
use crate::report::Figure;
use crate::server::Server;

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
/// Bytes of a body, and what people call them.
const BODIES: [(usize, &str); 2] = [(1024, "1 KiB"), (1024 * 1024, "1 MiB")];
/// Clients, with a connection each.
const CONNECTIONS: [usize; 3] = [1, 32, 256];
/// Clients on one connection.
const STREAMS: usize = 32;
/// How long the backend may take to become available.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both proxies, freshly started, in front of one backend.
struct Contest {
    server: Server,
    nginx: Option<Nginx>,
    backend: Backend,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for protocol in PROTOCOLS {
        figures.extend(memory::run(bench, protocol).await?);
    }
    let contest = Contest::prepare(bench, "load").await?;
    for case in Case::all().filter(|case| bench.wants(&case.name())) {
        figures.extend(contest.gets(bench, case).await?);
    }
    Ok(figures)
}

/// Who reads what.
#[derive(Clone, Copy)]
struct Case {
    protocol: Protocol,
    body: (usize, &'static str),
    clients: usize,
    /// Whether all clients share one connection, as goroutines over one client-go do.
    shared: bool,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        let of = |protocol, body| {
            let apart =
                CONNECTIONS.into_iter().map(move |clients| Self { protocol, body, clients, shared: false });
            let shared = Self { protocol, body, clients: STREAMS, shared: true };
            apart.chain((protocol == Protocol::Http2).then_some(shared))
        };
        PROTOCOLS
            .into_iter()
            .flat_map(move |protocol| BODIES.into_iter().flat_map(move |body| of(protocol, body)))
    }

    fn name(self) -> String {
        let clients = if self.shared {
            format!("{} on one connection", count(self.clients, "stream"))
        } else {
            count(self.clients, "connection")
        };
        format!("proxied get of {}, {}, {clients}", self.body.1, self.protocol.name())
    }

    async fn clients(self, target: &Target, answers: &Arc<AtomicU64>) -> anyhow::Result<Vec<Reader>> {
        let connections = if self.shared {
            target.streams(self.clients).await?
        } else {
            target.connections(self.protocol, self.clients).await?
        };
        let reader = |connection| Reader::new(connection, self.body.0, answers);
        Ok(connections.into_iter().map(reader).collect())
    }
}

impl Contest {
    async fn prepare(bench: &Bench, name: &str) -> anyhow::Result<Self> {
        let folder = bench.folder().join("proxy").join(name);
        let arguments = ["--toggle", "kubernetesAggregator=true"];
        let server = Server::start_with(&bench.enterprise, &folder.join("detectviz"), &arguments).await?;
        let sizes = BODIES.map(|(size, _)| size);
        let front_proxy_ca = server.pki("front-proxy-ca.crt");
        let backend = Backend::start(&folder.join("backend"), &front_proxy_ca, &sizes).await?;
        register(&server, &backend).await?;
        let proxy = Proxy {
            serving: ["serving.crt", "serving.key"].map(|file| server.pki(file)),
            client_ca: server.pki("client-ca.crt"),
            client: ["front-proxy-client.crt", "front-proxy-client.key"].map(|file| server.pki(file)),
            backend_ca: backend.ca(),
            backend: backend.address,
            workers: std::thread::available_parallelism().context("count the cores")?.get(),
            credentials: Credentials::clone(&server.target.credentials),
        };
        let nginx = Nginx::start_proxy(&folder.join("nginx"), &proxy).await?;
        Ok(Self { server, nginx, backend })
    }

    async fn gets(&self, bench: &Bench, case: Case) -> anyhow::Result<Vec<Figure>> {
        let what = case.name();
        crate::progress(&what);
        let (served, answers) = (self.backend.served(), Arc::default());
        let clients = case.clients(&self.server.target, &answers).await?;
        let mut ours = Contestant { process: &self.server.process, clients };
        let mut nginx = None;
        if let Some(peer) = &self.nginx {
            let clients = case.clients(&peer.target, &answers).await?;
            nginx = Some(Contestant { process: &peer.process, clients });
        }
        let mut peers: Vec<(&'static str, &mut dyn Compete)> = Vec::new();
        peers.extend(nginx.as_mut().map(|nginx| ("nginx", nginx as &mut dyn Compete)));
        let outcome = interleave(bench.scale, &mut ours, &mut peers).await?;
        let (served, answers) = (self.backend.served() - served, answers.load(Ordering::Relaxed));
        anyhow::ensure!(served >= answers, "{what}: of {answers} answers {served} are the backend's");
        let rate = Figure::higher(format!("{what}: rate"), "1/s").aim_peer("nginx");
        let mut figures = vec![
            outcome.figure(Figure::lower(format!("{what}: CPU of one"), "µs"), |round| round.cpu),
            outcome.figure(rate, |round| round.rate),
        ];
        let [median, tail] = outcome.latencies(&what);
        figures.extend([median, tail.aim_peer("nginx")]);
        Ok(figures)
    }
}

/// Registers the backend, and waits until requests reach it.
async fn register(server: &Server, backend: &Backend) -> anyhow::Result<()> {
    let mut connection = server.target.connect(Protocol::Http2).await?;
    for (path, object) in backend.registration()? {
        connection.fetch(Method::POST, path, Some(object.to_string().into())).await?;
    }
    let (size, _) = BODIES[0];
    let mut reader = Reader::new(connection, size, &Arc::default());
    let began = Instant::now();
    while let Err(fault) = reader.call().await {
        if began.elapsed() > PATIENCE {
            return Err(fault.context("wait until the backend is available"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
