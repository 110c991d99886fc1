//! One call at a time on one member: which member, how often, and what a failure means. What may have changed something
//! is never sent twice, unless the caller says that the second time cannot change anything more.

use std::{
    error::Error as _,
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    sync::watch as latest,
    time::{Instant, sleep, timeout_at},
};
use tonic::{Code, ConnectError, Response, Status, transport::Channel};

use super::EtcdEndpoint;
use crate::StoreError;

/// The pauses between attempts: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// When a call whose fate is unknown may be made again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It changes nothing, or what nobody sees.
    Always,
    /// It changes something once at most, however often it is made.
    Once,
    /// It may change something a second time.
    Never,
}

/// A call without the answer that was hoped for.
#[derive(Debug)]
pub(super) enum Failure {
    /// etcd decided against it, and no earlier attempt may have changed what matters.
    Refused(Status),
    /// It certainly changed nothing: no member could be reached, or none that knows a leader.
    NotSent(String),
    /// It was sent, and what became of it is unknown.
    Unknown(String),
}

impl From<Failure> for StoreError {
    /// For calls that change nothing.
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(status) => Self::Unavailable { reason: status.message().to_owned() },
            Failure::NotSent(reason) | Failure::Unknown(reason) => Self::Unavailable { reason },
        }
    }
}

/// An answer.
pub(super) struct Answer<T> {
    pub(super) message: T,
    /// Whether an earlier attempt may have done the work already.
    pub(super) repeated: bool,
}

/// What is known of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Refused,
    NotSent,
    Unknown,
}

/// The members of the cluster, of which one is used until it fails.
pub(super) struct Client {
    endpoints: Vec<EtcdEndpoint>,
    current: AtomicUsize,
    timeout: Duration,
    /// Why the last call failed, if it did.
    trouble: latest::Sender<Option<String>>,
}

impl Client {
    pub(super) fn new(endpoints: Vec<EtcdEndpoint>, timeout: Duration) -> Self {
        Self { endpoints, current: AtomicUsize::new(0), timeout, trouble: latest::Sender::new(None) }
    }

    /// How long a call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The member in use, for a call that stays on it.
    pub(super) fn member(&self) -> Result<(usize, Channel), StoreError> {
        let index = self.current.load(Ordering::Relaxed);
        let endpoint = self.endpoints.get(index).or(self.endpoints.first());
        let none = || StoreError::Unavailable { reason: "no etcd endpoint is given".to_owned() };
        endpoint.map(|endpoint| (index, endpoint.channel.clone())).ok_or_else(none)
    }

    /// Makes a call, on other members too while time is left and it may be repeated.
    pub(super) async fn call<T, F>(
        &self,
        repeat: Repeat,
        call: impl Fn(Channel) -> F,
    ) -> Result<Answer<T>, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let end = Instant::now() + self.timeout;
        let (mut pause, mut repeated) = (FIRST_PAUSE, false);
        loop {
            let (index, channel) = self.member().map_err(|error| Failure::NotSent(error.to_string()))?;
            let status = match timeout_at(self.attempt_end(repeat).min(end), call(channel)).await {
                Ok(Ok(response)) => {
                    self.up();
                    return Ok(Answer { message: response.into_inner(), repeated });
                }
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let fate = fate(&status);
            if fate == Fate::Refused {
                self.up();
                // That the last attempt was refused tells nothing of an earlier one whose answer was lost.
                return Err(match repeated && repeat == Repeat::Once {
                    true => Failure::Unknown(format!("etcd was cut off, and then: {}", describe(&status))),
                    false => Failure::Refused(status),
                });
            }
            let reason = self.down(index, &status);
            repeated |= fate == Fate::Unknown;
            let is_last = Instant::now() + pause >= end;
            match fate {
                Fate::Unknown if repeat == Repeat::Never => return Err(Failure::Unknown(reason)),
                _ if is_last && repeated => return Err(Failure::Unknown(reason)),
                _ if is_last => return Err(Failure::NotSent(reason)),
                _ => sleep(jitter(pause)).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// When to give up on one member: early enough to ask another one.
    fn attempt_end(&self, repeat: Repeat) -> Instant {
        let others = repeat != Repeat::Never && self.endpoints.len() > 1;
        Instant::now() + if others { self.timeout / 2 } else { self.timeout }
    }

    /// Why calls fail, as far as the last one tells.
    pub(super) fn health(&self) -> Result<(), String> {
        self.trouble.borrow().clone().map_or(Ok(()), Err)
    }

    /// Waits until a call has failed, and none has succeeded since.
    pub(super) async fn in_trouble(&self) {
        // The sender is `self`, so that this ends for no other reason.
        let _ = self.trouble.subscribe().wait_for(Option::is_some).await;
    }

    /// Notes that etcd answered.
    pub(super) fn up(&self) {
        if self.trouble.send_if_modified(|trouble| trouble.take().is_some()) {
            tracing::info!("etcd answers again");
        }
    }

    /// Notes that a member failed, and turns to the next one; gives the reason in words.
    pub(super) fn down(&self, index: usize, status: &Status) -> String {
        let name = self.endpoints.get(index).map_or("etcd", |endpoint| &endpoint.name);
        let reason = format!("etcd at {name}: {}", describe(status));
        let next = (index + 1) % self.endpoints.len().max(1);
        // Whoever fails second finds that the first one has turned already.
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
        if self.trouble.send_replace(Some(reason.clone())).is_none() {
            tracing::warn!(reason, "etcd does not answer");
        }
        reason
    }
}

/// The pause before attempt number `failures` (from 1) to reconnect.
pub(super) fn backoff(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    jitter(doubled.min(LONGEST_PAUSE))
}

/// Between half of `pause` and the whole, so that not all servers come back at once.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    pause / 2 + pause.mul_f64(0.5 * random as f64 / 1000.0)
}

fn fate(status: &Status) -> Fate {
    let message = status.message();
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return Fate::NotSent;
        }
        cause = error.source();
    }
    // Both are said before the request is looked at.
    if message == "etcdserver: no leader" || message == "etcdserver: too many requests" {
        return Fate::NotSent;
    }
    let is_etcds =
        message.starts_with("etcdserver: ") || message.starts_with("grpc: received message larger");
    match status.code() {
        Code::OutOfRange if is_too_long(status) => Fate::Refused,
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Internal | Code::DataLoss => {
            Fate::Unknown
        }
        _ if is_etcds => Fate::Refused,
        _ => Fate::Unknown,
    }
}

/// Whether there is an answer, longer than is read.
pub(super) fn is_too_long(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().contains("decoded message length too large")
}

/// The status with its causes, in one line.
fn describe(status: &Status) -> String {
    let (mut line, mut cause) = (status.message().to_owned(), status.source());
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = if line.is_empty() { text } else { format!("{line}: {text}") };
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_etcd_decided_counts_as_decided() {
        for (status, expected) in [
            (Status::out_of_range("etcdserver: mvcc: required revision has been compacted"), Fate::Refused),
            (Status::resource_exhausted("etcdserver: mvcc: database space exceeded"), Fate::Refused),
            (Status::resource_exhausted("etcdserver: too many requests"), Fate::NotSent),
            (Status::resource_exhausted("h2 protocol error: enhance your calm"), Fate::Unknown),
            (Status::unavailable("etcdserver: no leader"), Fate::NotSent),
            (Status::unavailable("etcdserver: request timed out"), Fate::Unknown),
            (Status::unavailable("etcdserver: leader changed"), Fate::Unknown),
            (Status::unknown("transport error"), Fate::Unknown),
            (Status::cancelled("operation was canceled"), Fate::Unknown),
        ] {
            assert_eq!(fate(&status), expected, "{status:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_after_a_lost_answer_leaves_a_write_uncertain() {
        let channel = Channel::from_static("http://[::1]:1").connect_lazy();
        let endpoint = EtcdEndpoint { name: "test".into(), channel };
        let client = Client::new(vec![endpoint], Duration::from_secs(60));
        for (repeat, is_uncertain) in [(Repeat::Always, false), (Repeat::Once, true)] {
            let attempts = AtomicUsize::new(0);
            let call = |_| {
                let is_first = attempts.fetch_add(1, Ordering::Relaxed) == 0;
                std::future::ready(Err::<Response<()>, _>(match is_first {
                    true => Status::unavailable("etcdserver: request timed out"),
                    false => Status::resource_exhausted("etcdserver: mvcc: database space exceeded"),
                }))
            };
            let failure = client.call(repeat, call).await.err();
            assert_eq!(matches!(failure, Some(Failure::Unknown(_))), is_uncertain, "{failure:?}");
            assert_eq!(matches!(failure, Some(Failure::Refused(_))), !is_uncertain, "{failure:?}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_bound() {
        assert!(backoff(1) <= FIRST_PAUSE);
        for failures in [0, 1, 5, 100, u32::MAX] {
            let pause = backoff(failures);
            assert!(FIRST_PAUSE / 2 <= pause && pause <= LONGEST_PAUSE, "{failures}: {pause:?}");
        }
    }
}
