//! The watchers: each reads its stream as it comes and notes when it saw which change.
//!
//! Both contestants send the object of [`crate::server::config_map`] whole, so one way to find its sequence does for both.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use crate::load::Connection;

/// How long the slowest watcher may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether all have seen everything.
const LOOK: Duration = Duration::from_millis(5);
const MARK: &[u8] = br#""sequence":""#;
/// Behind a sequence comes the filler of the object, in which nothing has to be looked for.
const FILLER: usize = 700;

/// Open watches. They end when this is dropped.
pub(super) struct Fan {
    seen: Vec<Arc<Seen>>,
    tasks: JoinSet<anyhow::Result<()>>,
    _connections: Vec<Connection>,
}

/// What one watcher saw and nobody took yet, with its latest sequence.
#[derive(Default)]
struct Seen(Mutex<(usize, Vec<(usize, Instant)>)>);

impl Fan {
    /// Opens `each` watches over each connection.
    pub(super) async fn open(
        mut connections: Vec<Connection>,
        each: usize,
        watch: impl AsyncFn(&mut Connection) -> anyhow::Result<Response<Incoming>>,
    ) -> anyhow::Result<Self> {
        let (mut seen, mut tasks) = (Vec::new(), JoinSet::new());
        for connection in &mut connections {
            for _ in 0..each {
                let body = watch(connection).await.context("open a watch")?.into_body();
                let own = Arc::<Seen>::default();
                seen.push(Arc::clone(&own));
                tasks.spawn(async move { own.read(body).await });
            }
        }
        Ok(Self { seen, tasks, _connections: connections })
    }

    /// How many watchers there are.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Waits until every watcher has seen `sequence`.
    pub(super) async fn reached(&mut self, sequence: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            if let Some(ended) = self.tasks.try_join_next() {
                ended.context("run a watcher")??;
                bail!("a watch ended before it was to");
            }
            let behind = self.seen.iter().filter(|seen| seen.latest() < sequence).count();
            if behind == 0 {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                bail!("{behind} of {} watchers have not seen change {sequence}", self.len());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Everything that was seen since the last call, and when.
    pub(super) fn take(&self) -> impl Iterator<Item = (usize, Instant)> {
        self.seen.iter().flat_map(|seen| std::mem::take(&mut seen.lock().1))
    }
}

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, (usize, Vec<(usize, Instant)>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self) -> usize {
        self.lock().0
    }

    async fn read(&self, mut body: Incoming) -> anyhow::Result<()> {
        let mut stream = Stream::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.context("read a watch")?.into_data() else { continue };
            let at = Instant::now();
            stream.add(&data, |sequence| {
                let mut seen = self.lock();
                seen.0 = sequence;
                seen.1.push((sequence, at));
            });
        }
        Ok(())
    }
}

/// Finds sequences in a stream that is cut anywhere.
#[derive(Default)]
struct Stream {
    rest: Vec<u8>,
}

impl Stream {
    fn add(&mut self, data: &[u8], mut found: impl FnMut(usize)) {
        self.rest.extend_from_slice(data);
        let mut from = 0;
        while let Some(mark) = find(&self.rest[from..], MARK) {
            let digits = from + mark + MARK.len();
            let Some(length) = find(&self.rest[digits..], b"\"") else {
                from += mark;
                self.rest.drain(..from);
                return;
            };
            let text = std::str::from_utf8(&self.rest[digits..digits + length]).unwrap_or_default();
            found(text.parse().unwrap_or_default());
            from = digits + length;
            if self.rest.len() > from + FILLER {
                from += FILLER;
            }
        }
        let keep = self.rest.len().saturating_sub(MARK.len()).max(from.min(self.rest.len()));
        self.rest.drain(..keep);
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_is_found_once_however_the_stream_is_cut() {
        let mut text = Vec::new();
        for sequence in 1..=20 {
            text.extend_from_slice(b"{\"type\":\"MODIFIED\",\"object\":");
            text.extend_from_slice(&crate::server::config_map("one", sequence));
            text.extend_from_slice(b"}\n");
        }
        for size in [1, 7, 13, 1000, 1500, 5000] {
            let (mut stream, mut seen) = (Stream::default(), Vec::new());
            text.chunks(size).for_each(|piece| stream.add(piece, |sequence| seen.push(sequence)));
            assert_eq!(seen, (1..=20).collect::<Vec<_>>(), "in pieces of {size}");
        }
    }
}
