//! One large list: how soon it begins, how fast it flows, and how much memory it takes; whole, in pages, read slowly.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Method;
use http_body_util::BodyExt as _;

use super::Bench;
use crate::load::{Client as _, Connection, Protocol};
use crate::peer::{Etcd, Nginx, Ranger};
use crate::process::Process;
use crate::report::{Figure, Series};
use crate::server::{Server, collection};

/// The aim of issue 3 for the growth of the server's memory by a list, in MiB.
const GROWTH: f64 = 2.0;
const MIB: f64 = 1024.0 * 1024.0;
const NAMESPACE: &str = "list";
const FILE: &str = "list.json";
/// What a slow reader waits after each piece of a body; pieces have 16 KiB at most.
const SLOW: Duration = Duration::from_millis(4);

/// What one listing took: milliseconds, and MiB.
struct Listing {
    first_byte: f64,
    time: f64,
    cpu: f64,
    size: f64,
    growth: f64,
}

/// The listings of one kind, a round each.
#[derive(Default)]
struct Listings(Vec<Listing>);

#[derive(Default)]
struct Outcome {
    whole: Listings,
    pages: Listings,
    slow: Listings,
    file: Listings,
    range: Listings,
    range_pages: Listings,
}

struct Contest {
    server: Server,
    etcd: Etcd,
    nginx: Option<Nginx>,
}

pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let scale = bench.scale;
    crate::progress(&format!("make {} objects", scale.listed));
    let contest = Contest::prepare(bench).await?;
    let mut outcome = Outcome::default();
    for round in 1..=scale.rounds {
        crate::progress(&format!("lists, round {round} of {}", scale.rounds));
        outcome.whole.0.push(contest.ours(None, Duration::ZERO).await?);
        outcome.range.0.push(contest.etcd(scale.listed, 0).await?);
        outcome.file.0.extend(contest.file().await?);
        outcome.pages.0.push(contest.ours(Some(scale.page), Duration::ZERO).await?);
        outcome.range_pages.0.push(contest.etcd(scale.listed, scale.page).await?);
        outcome.slow.0.push(contest.ours(None, SLOW).await?);
    }
    Ok(outcome.figures(&format!("list of {}", scale.listed), scale.page))
}

impl Contest {
    /// nginx has our list as a file, so that it sends the same bytes.
    async fn prepare(bench: &Bench) -> anyhow::Result<Self> {
        let (server, etcd) = (bench.server("list").await?, bench.etcd("list").await?);
        server.fill(NAMESPACE, bench.scale.listed).await?;
        etcd.fill("/list/", bench.scale.listed).await?;
        let mut connection = server.target.connect(Protocol::Http2).await?;
        let list = connection.fetch(Method::GET, &collection(NAMESPACE), None).await?;
        let nginx = Nginx::start(&bench.folder().join("list/nginx"), &[(FILE, &list)]).await?;
        Ok(Self { server, etcd, nginx })
    }

    async fn ours(&self, page: Option<u64>, pause: Duration) -> anyhow::Result<Listing> {
        let mut connection = self.server.target.connect(Protocol::Http2).await?;
        let path = collection(NAMESPACE);
        Listing::of(&self.server.process, async |listing: &mut Listing| {
            let Some(limit) = page else {
                return listing.read(&mut connection, &path, pause).await.map(drop);
            };
            let mut next = format!("{path}?limit={limit}");
            while let Some(token) = listing.read(&mut connection, &next, pause).await? {
                next = format!("{path}?limit={limit}&continue={token}");
            }
            Ok(())
        })
        .await
    }

    async fn file(&self) -> anyhow::Result<Option<Listing>> {
        let Some(nginx) = &self.nginx else { return Ok(None) };
        let mut connection = nginx.target.connect(Protocol::Http2).await?;
        let read = async |listing: &mut Listing| {
            listing.read(&mut connection, &format!("/{FILE}"), Duration::ZERO).await.map(drop)
        };
        Listing::of(&nginx.process, read).await.map(Some)
    }

    async fn etcd(&self, keys: u64, page: u64) -> anyhow::Result<Listing> {
        let mut ranger = Ranger::all(&self.etcd.target, "/list/", i64::try_from(page)?).await?;
        let listing = Listing::of(&self.etcd.process, async |_: &mut Listing| ranger.call().await).await?;
        ensure!(ranger.read as u64 == keys, "etcd listed {} keys of {keys}", ranger.read);
        Ok(listing)
    }
}

impl Listing {
    /// Measures what `process` needs while `read` reads.
    async fn of(
        process: &Process,
        read: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        process.reset_peak()?;
        let (memory, cpu, began) = (process.memory()?, process.cpu()?, Instant::now());
        let mut own = Self { first_byte: 0.0, time: 0.0, cpu: 0.0, size: 0.0, growth: 0.0 };
        read(&mut own).await?;
        own.time = millis(began.elapsed());
        own.cpu = millis(process.cpu()?.saturating_sub(cpu));
        own.growth = (process.memory()?.peak - memory.resident).max(0.0) / MIB;
        Ok(own)
    }

    /// Reads one answer, resting after each piece, and returns the token of the page behind it.
    async fn read(
        &mut self,
        connection: &mut Connection,
        path: &str,
        pause: Duration,
    ) -> anyhow::Result<Option<String>> {
        let began = Instant::now();
        let mut body = connection.ask(Method::GET, path, None).await?.into_body();
        let mut tail = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.context("read a list")?.into_data() else { continue };
            if self.size == 0.0 {
                self.first_byte = millis(began.elapsed());
            }
            self.size += data.len() as f64 / MIB;
            keep_end(&mut tail, &data);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(continue_token(&tail))
    }
}

/// How much of a list's end holds its metadata.
const TAIL: usize = 2048;

fn keep_end(tail: &mut Vec<u8>, data: &[u8]) {
    tail.extend_from_slice(data);
    tail.drain(..tail.len().saturating_sub(TAIL));
}

fn continue_token(tail: &[u8]) -> Option<String> {
    let tail = String::from_utf8_lossy(tail);
    let (_, metadata) = tail.rsplit_once(r#""metadata":{"#)?;
    let (_, token) = metadata.split_once(r#""continue":""#)?;
    Some(token.split_once('"')?.0.to_owned()).filter(|token| !token.is_empty())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Listings {
    fn of(&self, of: impl Fn(&Listing) -> f64) -> Series {
        self.0.iter().map(of).collect()
    }
}

impl Outcome {
    fn figures(&self, what: &str, page: u64) -> Vec<Figure> {
        let whole = |figure: Figure, of: fn(&Listing) -> f64| {
            let figure = figure.reached(self.whole.of(of)).beside("etcd", self.range.of(of));
            if self.file.0.is_empty() { figure } else { figure.beside("nginx", self.file.of(of)) }
        };
        let pages = |figure: Figure, of: fn(&Listing) -> f64| {
            figure.reached(self.pages.of(of)).beside("etcd", self.range_pages.of(of))
        };
        let first =
            Figure::lower(format!("{what}: first byte"), "ms").reached(self.whole.of(|one| one.first_byte));
        let flow = Figure::higher(format!("{what}: throughput"), "MiB/s");
        let flow = flow.reached(self.whole.of(Listing::throughput));
        let flow = match self.file.0.is_empty() {
            true => flow,
            false => flow.beside("nginx", self.file.of(Listing::throughput)).aim_peer("nginx"),
        };
        let growth = |what: &str| Figure::lower(format!("{what}: memory growth"), "MiB").aim_below(GROWTH);
        let in_pages = format!("{what} in pages of {page}");
        vec![
            flow,
            first,
            whole(Figure::lower(format!("{what}: time"), "ms"), |one| one.time),
            whole(Figure::lower(format!("{what}: CPU"), "ms"), |one| one.cpu),
            whole(growth(what), |one| one.growth),
            pages(Figure::lower(format!("{in_pages}: time"), "ms"), |one| one.time),
            pages(growth(&in_pages), |one| one.growth),
            growth(&format!("{what}, a slow reader")).reached(self.slow.of(|one| one.growth)),
        ]
    }
}

impl Listing {
    fn throughput(&self) -> f64 {
        self.size / self.time * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_next_page_is_found_in_pieces() {
        let mut tail = Vec::new();
        let list = format!(
            r#"{{"items":[{{"metadata":{{"name":"{}"}}}}],"metadata":{{"continue":"abc","resourceVersion":"7"}}}}"#,
            "x".repeat(3000)
        );
        list.as_bytes().chunks(700).for_each(|piece| keep_end(&mut tail, piece));
        assert_eq!(continue_token(&tail).as_deref(), Some("abc"));
        assert_eq!(continue_token(br#""metadata":{"resourceVersion":"7"}}"#), None);
    }
}
