//! Dialling: by real sockets, and by a resolver that changes its mind.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::*;
use tokio::net::{TcpListener, TcpSocket};

const LIMIT: Duration = Duration::from_secs(20);

fn dialer(policy: &Arc<DialPolicy>) -> Dialer {
    Dialer::new(policy.clone(), LIMIT)
}

#[tokio::test]
async fn our_own_listener_is_not_dialled_by_any_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let policy = Arc::new(DialPolicy::new());
    dialer(&policy).connect("127.0.0.1", port).await.unwrap();

    policy.deny_listener(listener.local_addr().unwrap());
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "::",
        "127.1",
        "0x7f000001",
        "2130706433",
    ] {
        let error = dialer(&policy).connect(host, port).await.unwrap_err();
        assert!(matches!(error, DialError::Refused { .. }), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn each_failure_is_told_apart() {
    let policy = Arc::new(DialPolicy::new());
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = dialer(&policy).connect("127.0.0.1", free).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
    let error = dialer(&policy).connect("not a host name", 1).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error:?}");
    let error = dialer(&policy).connect("169.254.169.254", 80).await.unwrap_err();
    assert!(matches!(error, DialError::Refused { source: Refused::LinkLocal(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_backend_that_does_not_answer_is_given_up() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let port = full.local_addr().unwrap().port();
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), Duration::from_millis(50));
    let mut waiting = Vec::new();
    let error = loop {
        match dialer.connect("127.0.0.1", port).await {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 4096, "the accept queue must fill up");
    };
    assert!(matches!(error, DialError::Timeout { .. }), "{error:?}");
}

#[test]
fn a_refused_address_is_skipped_while_there_is_another() {
    let dialer = dialer(&Arc::new(DialPolicy::new()));
    let [good, bad]: [SocketAddr; 2] = ["192.0.2.1:80".parse().unwrap(), "169.254.1.1:80".parse().unwrap()];
    assert_eq!(dialer.allowed("a", &[bad, good]).unwrap(), [good]);
    assert!(dialer.allowed("a", &[bad, bad]).is_err());
}

/// A name server whose answers differ from one question to the next.
struct Answers(Mutex<VecDeque<Vec<SocketAddr>>>);

impl Answers {
    fn new<const N: usize>(answers: [Vec<SocketAddr>; N]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.into())))
    }
}

#[async_trait]
impl Resolve for Answers {
    async fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        assert_eq!(host, "backend.test");
        Ok(self.0.lock().unwrap().pop_front().unwrap_or_default())
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_address_that_was_judged_is_dialled_though_the_name_means_another_by_then() {
    let ((_good, good), (_own, own)) = (listener().await, listener().await);
    let policy = Arc::new(DialPolicy::new());
    policy.deny_listener(own);
    // Good when it is judged, ours when it would be asked for again, and once more.
    let answers = Answers::new([vec![good], vec![own], vec![own]]);
    let dialer = dialer(&policy).with_resolver(answers.clone());
    assert_eq!(dialer.connect("backend.test", 1).await.unwrap().peer_addr().unwrap(), good);
    assert_eq!(answers.0.lock().unwrap().len(), 2, "asked once");
    let error = dialer.connect("backend.test", 1).await.unwrap_err();
    assert!(matches!(error, DialError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn a_change_of_the_name_is_followed() {
    let ((_first, first), (_second, second)) = (listener().await, listener().await);
    let policy = Arc::new(DialPolicy::new());
    let dialer = dialer(&policy).with_resolver(Answers::new([vec![first], vec![second], vec![]]));
    for expected in [first, second] {
        assert_eq!(dialer.connect("backend.test", 1).await.unwrap().peer_addr().unwrap(), expected);
    }
    let error = dialer.connect("backend.test", 1).await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }), "{error:?}");
}

#[tokio::test]
async fn another_address_is_tried_when_one_refuses_or_is_silent() {
    let (_good, good) = listener().await;
    let silent: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let policy = Arc::new(DialPolicy::new());
    for bad in [free(), silent] {
        let dialer = dialer(&policy).with_resolver(Answers::new([vec![bad, good]]));
        assert_eq!(dialer.connect("backend.test", 1).await.unwrap().peer_addr().unwrap(), good);
    }
    let dialer = dialer(&policy).with_resolver(Answers::new([vec![free(), free()]]));
    let error = dialer.connect("backend.test", 1).await.unwrap_err();
    assert!(matches!(error, DialError::Connect { .. }), "{error:?}");
}

/// A name server that answers once it is told to, and counts who asks and whom it answered.
#[derive(Default)]
struct Slow(std::sync::atomic::AtomicUsize, tokio::sync::Notify, std::sync::atomic::AtomicUsize);

#[async_trait]
impl Resolve for Slow {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.1.notified().await;
        self.2.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn lookups_that_nobody_waits_for_are_still_counted() {
    let slow = Arc::new(Slow::default());
    let asked = || slow.0.load(std::sync::atomic::Ordering::SeqCst);
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), Duration::from_millis(1));
    let dialer = dialer.with_resolver(Arc::new(Bounded::new(slow.clone(), 3)));
    let times_out = async |host: &str| {
        let error = dialer.connect(host, 1).await.unwrap_err();
        assert!(matches!(error, DialError::Timeout { .. }), "{error:?}");
    };
    for _ in 0..5 {
        times_out("one.test").await;
    }
    assert_eq!(asked(), 1, "each name is asked for once at a time");
    for number in 0..5 {
        times_out(&format!("{number}.test")).await;
    }
    assert_eq!(asked(), 3);
    // As soon as they are over there are places again.
    let patient = dialer.within(LIMIT);
    let found = patient.connect("another.test", 1);
    let over = async {
        while slow.2.load(std::sync::atomic::Ordering::SeqCst) < 7 {
            slow.1.notify_waiters();
            tokio::task::yield_now().await;
        }
    };
    let (error, ()) = tokio::join!(found, over);
    assert!(matches!(error.unwrap_err(), DialError::Resolve { .. }));
}

#[test]
fn the_families_take_turns() {
    let read = |text: &str| -> Vec<SocketAddr> {
        text.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 1)).collect()
    };
    for (given, turned) in [
        ("::1 ::2 ::3 1.1.1.1", "::1 1.1.1.1 ::2 ::3"),
        ("1.1.1.1 ::1 ::2", "1.1.1.1 ::1 ::2"),
        ("1.1.1.1 2.2.2.2", "1.1.1.1 2.2.2.2"),
        ("", ""),
    ] {
        assert_eq!(in_turn(read(given)), read(turned));
    }
}
