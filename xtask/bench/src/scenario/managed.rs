//! How much memory objects with managedFields take, in bytes a byte that the server sends of them, beside objects of the same
//! size without: once when they were just written, once after a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Bench;
use crate::load::{self, Client, Target};
use crate::managed::Maker;
use crate::report::Figure;
use crate::server::Server;

const NAMESPACE: &str = "managed";
/// How long a server is left alone before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// Bytes of memory a byte of the objects.
struct Taken {
    written: f64,
    restarted: f64,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let count = bench.scale.kept;
    crate::progress(&format!("make {count} objects with managedFields"));
    let ours = taken(bench, "managed", Kind::Managed).await?;
    crate::progress(&format!("make {count} objects without"));
    let plain = taken(bench, "unmanaged", Kind::Plain).await?;
    let figure = |name: &str, ours: f64, plain: f64| {
        let what =
            format!("{count} objects of 3 KiB with managedFields: resident memory a byte of them, {name}");
        Figure::lower(what, "B").reached(vec![ours].into()).beside("without", vec![plain].into())
    };
    Ok(vec![
        figure("as they were written", ours.written, plain.written),
        figure("after a restart", ours.restarted, plain.restarted),
    ])
}

async fn taken(bench: &Bench, name: &str, kind: Kind) -> anyhow::Result<Taken> {
    let mut server = bench.server(name).await?;
    server.namespace(NAMESPACE).await?;
    let empty = resident(&server).await?;
    let bytes = Arc::new(AtomicU64::new(0));
    let clients = Filler::clients(&server.target, kind, &bytes).await?;
    load::fill(clients, bench.scale.kept).await?;
    let size = bytes.load(Ordering::Relaxed) as f64;
    let written = (resident(&server).await? - empty) / size;
    server.process.kill().await?;
    let server = Server::start(&bench.binary, &bench.folder().join(name).join("detectviz")).await?;
    let restarted = (resident(&server).await? - empty) / size;
    Ok(Taken { written, restarted })
}

async fn resident(server: &Server) -> anyhow::Result<f64> {
    tokio::time::sleep(REST).await;
    Ok(server.process.memory()?.resident)
}

#[derive(Clone, Copy)]
enum Kind {
    Managed,
    Plain,
}

/// A client that makes one object after another, and adds up how large they are.
struct Filler {
    maker: Maker,
    kind: Kind,
    prefix: String,
    made: u64,
    bytes: Arc<AtomicU64>,
}

impl Filler {
    async fn clients(target: &Target, kind: Kind, bytes: &Arc<AtomicU64>) -> anyhow::Result<Vec<Self>> {
        let mut clients = Vec::with_capacity(crate::FILLERS);
        for index in 0..crate::FILLERS {
            let prefix = format!("filled-{index}");
            let maker = Maker::new(target, NAMESPACE, &format!("{prefix}-probe")).await?;
            clients.push(Self { maker, kind, prefix, made: 0, bytes: Arc::clone(bytes) });
        }
        Ok(clients)
    }
}

impl Client for Filler {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.made += 1;
        let name = format!("{}-{}", self.prefix, self.made);
        let answer = match self.kind {
            Kind::Managed => self.maker.make(&name).await?,
            Kind::Plain => self.maker.make_plain(&name).await?,
        };
        self.bytes.fetch_add(answer.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
