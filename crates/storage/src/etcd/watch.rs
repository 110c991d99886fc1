//! A watch is a position in history. The stream from etcd is replaceable: when it breaks, the next one goes on after the
//! position, which moves only when all events of a revision are in hand. So nothing is lost, and nothing comes twice.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream;
use tokio::{
    sync::{mpsc, watch as latest},
    time::{Instant, sleep_until, timeout},
};
use tonic::{Status, Streaming, transport::Channel};

use super::{
    Inner,
    client::{Failure, backoff},
    convert::{self, from_wire, to_wire},
    proto::{self, watch_request::RequestUnion},
    range, txn,
};
use crate::{Batch, Event, Revision, StoreError, WatchSource};

/// How long an event that is known to exist may take to come by itself, before the member is asked how far the stream is
/// (which costs little), or a key is written (which costs a write).
const PATIENCE_ASKING: Duration = Duration::from_millis(2);
const PATIENCE_WRITING: Duration = Duration::from_millis(10);
/// Between one such question and the next: a member does not answer while the stream is behind.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// So many connections in a row may fail before the reader is told.
const REPORTED_FAILURES: u32 = 5;

type Writing = Pin<Box<dyn Future<Output = Result<Revision, Failure>> + Send>>;

/// See the module.
pub(super) struct Follower {
    inner: Arc<Inner>,
    wanted: latest::Receiver<Revision>,
    /// Everything up to here was delivered, or is in no key of the store.
    position: Revision,
    connection: Option<Connection>,
    /// Connections in a row that broke before they delivered anything.
    failures: u32,
    retry_at: Instant,
    /// When to help the stream along, the write that does so, and its revision, which will come by itself.
    nudge_at: Option<Instant>,
    writing: Option<Writing>,
    written: Revision,
    /// When a member that says nothing, though there is something to say, counts as gone.
    give_up_at: Option<Instant>,
    ended: bool,
}

/// A stream from one member.
struct Connection {
    member: usize,
    requests: mpsc::Sender<proto::WatchRequest>,
    responses: Streaming<proto::WatchResponse>,
    /// Whether the member tells reliably how far the stream is.
    tells_progress: bool,
    /// The events of a response that comes in fragments.
    pending: Vec<proto::Event>,
}

/// What a stream brought.
enum Step {
    Batch(Batch),
    Nothing,
    Broken(Status),
}

impl Follower {
    /// A watch after a revision, with its stream.
    pub(super) async fn start(inner: Arc<Inner>, after: Revision) -> Result<Self, StoreError> {
        let mut follower = Self::at(inner, after);
        follower.connect().await?;
        Ok(follower)
    }

    fn at(inner: Arc<Inner>, position: Revision) -> Self {
        Self {
            wanted: inner.wanted.subscribe(),
            inner,
            position,
            connection: None,
            failures: 0,
            retry_at: Instant::now(),
            nudge_at: None,
            writing: None,
            written: 0,
            give_up_at: None,
            ended: false,
        }
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        let current = range::check(&self.inner, self.position).await?;
        let (member, channel) = self.inner.client.member()?;
        // Beginning with what is already known lets etcd see to it that nothing after it was compacted meanwhile.
        let first = if self.position < current { self.position } else { self.position + 1 };
        let opened = timeout(self.inner.client.timeout(), open(&self.inner, member, channel, first)).await;
        let opened = opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        let fault = |status| StoreError::Unavailable { reason: self.inner.client.down(member, &status) };
        self.connection = Some(opened.map_err(fault)?);
        Ok(())
    }

    /// The next batch. An error ends the watch.
    async fn advance(&mut self) -> Result<Batch, StoreError> {
        loop {
            if self.connection.is_none() {
                sleep_until(self.retry_at).await;
                match self.connect().await {
                    Err(StoreError::Unavailable { reason }) => self.broke(reason)?,
                    outcome => outcome?,
                }
                continue;
            }
            match self.step().await? {
                Step::Batch(batch) => return Ok(batch),
                Step::Nothing => {}
                Step::Broken(status) => {
                    let member = self.connection.as_ref().map_or(0, |connection| connection.member);
                    let reason = self.inner.client.down(member, &status);
                    self.broke(reason)?;
                }
            }
        }
    }

    /// Plans the next connection; an error when many failed while somebody waits, or none could be made.
    fn broke(&mut self, reason: String) -> Result<(), StoreError> {
        let is_missed = self.connection.is_none() || *self.wanted.borrow() > self.position;
        (self.connection, self.give_up_at) = (None, None);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Instant::now() + backoff(self.failures);
        match is_missed && self.failures >= REPORTED_FAILURES {
            true => Err(StoreError::Unavailable { reason }),
            false => Ok(()),
        }
    }

    /// Waits for one thing to happen; cancel-safe, as all that lasts is in `self`.
    async fn step(&mut self) -> Result<Step, StoreError> {
        self.plan_nudge();
        let Some(connection) = &mut self.connection else { return Ok(Step::Nothing) };
        let nudge_at = self.nudge_at.unwrap_or_else(Instant::now);
        let give_up_at = self.give_up_at.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            response = connection.responses.message() => match response {
                Ok(Some(response)) => return self.take(response),
                Ok(None) => return Ok(Step::Broken(Status::unavailable("the watch stream ended"))),
                Err(status) => return Ok(Step::Broken(status)),
            },
            written = finished(&mut self.writing), if self.writing.is_some() => {
                (self.writing, self.written) = (None, self.written.max(written));
            }
            () = sleep_until(nudge_at), if self.nudge_at.is_some() && self.writing.is_none() => self.nudge(),
            () = sleep_until(give_up_at), if self.give_up_at.is_some() => {
                self.give_up_at = None;
                return Ok(Step::Broken(Status::deadline_exceeded("the watch is behind, and silent")));
            }
            // The sender is in `inner`, so that this waits for a new value.
            _ = self.wanted.changed() => {}
        }
        Ok(Step::Nothing)
    }

    /// Sets the alarms while a reader waits for what has not come.
    fn plan_nudge(&mut self) {
        let Some(connection) = &self.connection else { return };
        let (expected, patience) = match connection.tells_progress {
            true => (self.position, PATIENCE_ASKING),
            false => (self.position.max(self.written), PATIENCE_WRITING),
        };
        let (wanted, now) = (*self.wanted.borrow_and_update(), Instant::now());
        self.nudge_at = (wanted > expected).then(|| self.nudge_at.unwrap_or(now + patience));
        let timeout = self.inner.client.timeout();
        self.give_up_at = (wanted > self.position).then(|| self.give_up_at.unwrap_or(now + timeout));
    }

    /// Makes something come: others may have written what no key of ours shows.
    fn nudge(&mut self) {
        self.nudge_at = Some(Instant::now() + ASK_AGAIN);
        let Some(connection) = &self.connection else { return };
        if connection.tells_progress {
            let ask = RequestUnion::ProgressRequest(proto::WatchProgressRequest {});
            // With a full queue, questions enough are under way.
            let _ = connection.requests.try_send(proto::WatchRequest { request_union: Some(ask) });
        } else {
            let inner = self.inner.clone();
            self.writing = Some(Box::pin(async move { txn::touch(&inner).await }));
        }
    }

    fn take(&mut self, response: proto::WatchResponse) -> Result<Step, StoreError> {
        let Some(connection) = &mut self.connection else { return Ok(Step::Nothing) };
        if response.canceled && response.compact_revision > 0 {
            let (requested, oldest) = (self.position, from_wire(response.compact_revision));
            return Err(StoreError::Compacted { requested, oldest });
        }
        if response.canceled {
            return Ok(Step::Broken(Status::unavailable(response.cancel_reason)));
        }
        self.inner.client.up();
        self.give_up_at = None;
        if response.created {
            return Ok(Step::Nothing);
        }
        self.failures = 0;
        if response.events.is_empty() && connection.pending.is_empty() {
            let told = convert::revision(response.header);
            if !connection.tells_progress || told <= self.position {
                return Ok(Step::Nothing);
            }
            // If by now more is wanted, that is a new question.
            self.nudge_at = None;
            return Ok(Step::Batch(self.arrived(told, Vec::new())));
        }
        connection.pending.extend(response.events);
        let whole = match response.fragment {
            true => before_the_last_revision(&connection.pending),
            false => connection.pending.len(),
        };
        let whole: Vec<_> = connection.pending.drain(..whole).collect();
        self.deliver(&whole)
    }

    /// Delivers whole revisions, but for what was delivered before.
    fn deliver(&mut self, whole: &[proto::Event]) -> Result<Step, StoreError> {
        let (mut events, mut reached) = (Vec::with_capacity(whole.len()), self.position);
        for event in whole.iter().filter(|event| revision(event) > self.position) {
            let gone = |_| StoreError::Compacted { requested: self.position, oldest: revision(event) };
            let (revision, event) = convert::event(&self.inner.keyspace, event).map_err(gone)?;
            if event.is_some() && events.last().is_some_and(|last: &Arc<Event>| last.revision == revision) {
                tracing::warn!(revision, "somebody else changed several objects in etcd in one transaction");
            }
            events.extend(event);
            reached = reached.max(revision);
        }
        if reached == self.position {
            return Ok(Step::Nothing);
        }
        Ok(Step::Batch(self.arrived(reached, events)))
    }

    fn arrived(&mut self, revision: Revision, events: Vec<Arc<Event>>) -> Batch {
        self.position = revision;
        Batch { events, revision }
    }
}

#[async_trait]
impl WatchSource for Follower {
    async fn next(&mut self) -> Option<Result<Batch, StoreError>> {
        if self.ended {
            return None;
        }
        let inner = self.inner.clone();
        let outcome = tokio::select! {
            biased;
            () = inner.closing.cancelled() => None,
            outcome = self.advance() => Some(outcome),
        };
        self.ended = !matches!(outcome, Some(Ok(_)));
        outcome
    }
}

async fn open(inner: &Inner, member: usize, channel: Channel, first: Revision) -> Result<Connection, Status> {
    let tells_progress = tells_progress(&version(channel.clone()).await?);
    let (requests, queue) = mpsc::channel(4);
    let (key, range_end) = inner.keyspace.all();
    let create = proto::WatchCreateRequest {
        key: key.into(),
        range_end: range_end.into(),
        start_revision: to_wire(first),
        prev_kv: true,
        fragment: true,
    };
    let create = proto::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    // The queue is new and has room; were it not so, the stream would end without having begun.
    let _ = requests.try_send(create);
    let queue = stream::unfold(queue, |mut queue| async move { Some((queue.recv().await?, queue)) });
    let responses = proto::watch(channel).watch(proto::request(queue)).await?.into_inner();
    Ok(Connection { member, requests, responses, tells_progress, pending: Vec::new() })
}

/// The revision that was written; 0 when it was not, so that it is tried again.
async fn finished(writing: &mut Option<Writing>) -> Revision {
    let Some(writing) = writing else { return 0 };
    writing.await.unwrap_or_else(|failure| {
        tracing::debug!(?failure, "progress key was not written");
        0
    })
}

fn revision(event: &proto::Event) -> Revision {
    event.kv.as_ref().map_or(0, |kv| from_wire(kv.mod_revision))
}

/// How many events come before those of the last revision, of which there may be more.
fn before_the_last_revision(events: &[proto::Event]) -> usize {
    let last = events.last().map_or(0, revision);
    events.iter().rposition(|event| revision(event) != last).map_or(0, |position| position + 1)
}

async fn version(channel: Channel) -> Result<String, Status> {
    let mut client = proto::maintenance_client::MaintenanceClient::new(channel);
    Ok(client.status(proto::StatusRequest {}).await?.into_inner().version)
}

/// Whether a member of this version answers a request for progress only after the events before it: fixed in 3.4.31, 3.5.13
/// and 3.6 (etcd issues 15220 and 17507).
fn tells_progress(version: &str) -> bool {
    let number = |part: Option<&str>| -> Option<u32> {
        let digits = part?.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    let mut parts = version.split('.');
    let numbers = [number(parts.next()), number(parts.next()), number(parts.next())];
    match numbers {
        [Some(3), Some(4), Some(patch)] => patch >= 31,
        [Some(3), Some(5), Some(patch)] => patch >= 13,
        [Some(3), Some(minor), _] => minor >= 6,
        [Some(major), ..] => major > 3,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::{
        super::{client::Client, keyspace::Keyspace},
        *,
    };
    use crate::etcd::proto::event::EventType;

    #[test]
    fn progress_is_believed_from_versions_that_have_the_fixes() {
        for version in ["3.4.31", "3.5.13", "3.5.34", "3.6.0-rc.1", "3.7.2", "4.0.0"] {
            assert!(tells_progress(version), "{version}");
        }
        for version in ["", "3", "3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.5.x", "3.3.99", "2.3.8", "dev"] {
            assert!(!tells_progress(version), "{version}");
        }
    }

    #[test]
    fn a_fragment_is_cut_where_a_revision_ends() {
        let events = |revisions: &[i64]| -> Vec<_> {
            let event = |mod_revision: &i64| proto::Event {
                kv: Some(proto::KeyValue { mod_revision: *mod_revision, ..Default::default() }),
                ..Default::default()
            };
            revisions.iter().map(event).collect()
        };
        for (revisions, whole) in [(&[][..], 0), (&[5], 0), (&[5, 5], 0), (&[4, 5, 5], 1), (&[3, 4], 1)] {
            assert_eq!(before_the_last_revision(&events(revisions)), whole, "{revisions:?}");
        }
    }

    fn follower(position: Revision) -> Follower {
        let inner = Arc::new(Inner {
            client: Client::new(Vec::new(), Duration::ZERO),
            keyspace: Keyspace::new("/p"),
            wanted: latest::Sender::new(0),
            closing: CancellationToken::new(),
        });
        Follower::at(inner, position)
    }

    /// A creation, an update, or a deletion with what it needs.
    fn change(key: &str, revision: i64, created: i64, previous: Option<&'static [u8]>) -> proto::Event {
        let kv = |mod_revision, create_revision| proto::KeyValue {
            key: key.to_owned().into(),
            mod_revision,
            create_revision,
            ..Default::default()
        };
        let kind = if created == 0 { EventType::Delete } else { EventType::Put };
        let prev_kv = previous.map(|value| proto::KeyValue { value: value.into(), ..kv(1, 1) });
        proto::Event { r#type: kind as i32, kv: Some(kv(revision, created)), prev_kv }
    }

    #[test]
    fn what_was_delivered_is_not_delivered_again() {
        let events = [
            change("/p/data/a", 4, 4, None),
            change("/p/data/a", 5, 4, Some(b"4")),
            change("/p/data/a", 6, 0, Some(b"5")),
            change("/p/meta/x", 7, 7, None),
        ];
        let mut follower = follower(4);
        let Step::Batch(batch) = follower.deliver(&events).unwrap() else { panic!("nothing is delivered") };
        assert_eq!(batch.events.iter().map(|event| event.revision).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(batch.revision, 7, "what is no key of the store counts too");
        assert!(matches!(follower.deliver(&events).unwrap(), Step::Nothing));
    }

    #[test]
    fn an_event_whose_past_was_compacted_ends_the_watch() {
        for event in [change("/p/data/a", 5, 4, None), change("/p/data/a", 5, 0, None)] {
            let Err(error) = follower(3).deliver(&[event]) else { panic!("it is delivered") };
            assert!(matches!(error, StoreError::Compacted { requested: 3, oldest: 5 }), "{error}");
        }
    }

    #[test]
    fn several_changes_in_one_revision_are_all_delivered() {
        let events = [change("/p/data/a", 5, 0, Some(b"x")), change("/p/data/b", 5, 0, Some(b"y"))];
        let Step::Batch(batch) = follower(4).deliver(&events).unwrap() else {
            panic!("nothing is delivered")
        };
        assert_eq!((batch.events.len(), batch.revision), (2, 5));
    }
}
