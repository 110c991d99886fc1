//! One object of 1 KiB, got over connections that are kept alive: what a read costs.

use http::Method;

use super::Bench;
use super::rounds::{Compete, Contestant, count, interleave};
use crate::load::{Client, Protocol};
use crate::peer::{Etcd, Nginx, Putter, Ranger};
use crate::report::Figure;
use crate::server::{Getter, Server, Updater, collection};

/// The aim of issue 3 for a GET over TLS with keep-alive, in microseconds of CPU.
const CPU: f64 = 40.0;
const NAMESPACE: &str = "gets";
const FILE: &str = "object.json";

struct Contest {
    server: Server,
    etcd: Etcd,
    nginx: Option<Nginx>,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let contest = Contest::prepare(bench).await?;
    let mut figures = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for connections in [1, 16] {
            crate::progress(&format!("gets over {}, {}", protocol.name(), count(connections, "connection")));
            figures.extend(contest.gets(bench, protocol, connections).await?);
        }
    }
    Ok(figures)
}

impl Contest {
    /// The same bytes everywhere: nginx serves what our server answers.
    async fn prepare(bench: &Bench) -> anyhow::Result<Self> {
        let (server, etcd) = (bench.server("gets").await?, bench.etcd("gets").await?);
        server.namespace(NAMESPACE).await?;
        Updater::new(&server.target, NAMESPACE, "one").await?;
        for putter in &mut Putter::clients(&etcd.target, "one", 1, true).await? {
            putter.call().await?;
        }
        let mut connection = server.target.connect(Protocol::Http2).await?;
        let object = connection.fetch(Method::GET, &object_path(), None).await?;
        let nginx = Nginx::start(&bench.folder().join("gets/nginx"), &[(FILE, &object)]).await?;
        Ok(Self { server, etcd, nginx })
    }

    /// etcd speaks HTTP/2 alone.
    async fn gets(
        &self,
        bench: &Bench,
        protocol: Protocol,
        connections: usize,
    ) -> anyhow::Result<Vec<Figure>> {
        let clients = Getter::clients(&self.server.target, protocol, &object_path(), connections).await?;
        let mut ours = Contestant { process: &self.server.process, clients };
        let clients = Ranger::clients(&self.etcd.target, "one0", connections).await?;
        let mut etcd = Contestant { process: &self.etcd.process, clients };
        let mut nginx = None;
        if let Some(floor) = &self.nginx {
            let clients = Getter::clients(&floor.target, protocol, &format!("/{FILE}"), connections).await?;
            nginx = Some(Contestant { process: &floor.process, clients });
        }
        let mut peers: Vec<(&'static str, &mut dyn Compete)> = Vec::new();
        if protocol == Protocol::Http2 {
            peers.push(("etcd", &mut etcd));
        }
        peers.extend(nginx.as_mut().map(|nginx| ("nginx", nginx as &mut dyn Compete)));
        let outcome = interleave(bench.scale, &mut ours, &mut peers).await?;
        let what = format!("gets, {}, {}", protocol.name(), count(connections, "connection"));
        let cpu = Figure::lower(format!("{what}: CPU of one"), "µs").aim_below(CPU);
        let mut figures = vec![
            outcome.figure(cpu, |round| round.cpu),
            outcome.figure(Figure::higher(format!("{what}: rate"), "1/s"), |round| round.rate),
        ];
        figures.extend(outcome.latencies(&what));
        Ok(figures)
    }
}

fn object_path() -> String {
    format!("{}/one", collection(NAMESPACE))
}
