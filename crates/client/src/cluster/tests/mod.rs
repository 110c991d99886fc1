//! A cluster of real servers in this process, which go away, come back, break off and hold back.

mod place;
mod properties;

use std::collections::HashSet;
use std::time::Duration;

use detectviz_core::http::{Body, Request};
use http::{Method, StatusCode};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::policy::DialPolicy;
use place::{Manner, Place, Seen};

/// Long enough that only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

fn cluster(addresses: &[Address]) -> Arc<Cluster> {
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), HANG);
    Arc::new(Cluster::new(addresses, None, dialer, ClusterOptions::default()).unwrap())
}

async fn places<const N: usize>() -> ([Place; N], Arc<Cluster>) {
    let (mut places, seen) = (Vec::new(), Seen::default());
    for _ in 0..N {
        places.push(Place::start(&seen).await);
    }
    let cluster = cluster(&places.iter().map(Place::at).collect::<Vec<_>>());
    (places.try_into().ok().unwrap(), cluster)
}

fn request(method: Method, path: &str) -> Request {
    let body = if method == Method::POST { Body::full("body") } else { Body::empty() };
    let length = if method == Method::POST { 4 } else { 0 };
    let request = http::Request::builder().method(method).uri(path).header("content-length", length);
    request.body(body).unwrap()
}

/// Code and body of the answer, which is read to its end.
async fn send(cluster: &Cluster, method: Method) -> Result<(StatusCode, String), ClusterError> {
    let exchange = cluster.exchange(request(method, "/"), Class::Request);
    let (answer, _lease) = timeout(HANG, exchange).await.expect("an answer, or none")?;
    let code = answer.status();
    let body = timeout(HANG, answer.into_body().collect(1000)).await.expect("a body").unwrap();
    Ok((code, String::from_utf8(body.to_vec()).unwrap()))
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(HANG, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

fn standing(cluster: &Cluster, place: &Place) -> Standing {
    let state = cluster.state();
    state.endpoints.iter().find(|endpoint| endpoint.address == place.at()).unwrap().standing
}

#[tokio::test]
async fn a_place_that_is_gone_costs_nobody_anything_and_is_used_again_when_it_is_back() {
    let ([first, mut second], cluster) = places().await;
    let mut answered = HashSet::new();
    for _ in 0..100 {
        answered.insert(send(&cluster, Method::GET).await.unwrap().1);
    }
    assert_eq!(answered.len(), 2, "both are used");
    second.close().await;
    eventually("it should be noticed that nobody is there", async || {
        // A kept connection may end just when a request is sent on it: then only a safe one can be sent again.
        send(&cluster, Method::GET).await.unwrap();
        standing(&cluster, &second) == Standing::Unreachable
    })
    .await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE].into_iter().cycle().take(40) {
        assert_eq!(send(&cluster, method).await.unwrap().1, first.address.port().to_string());
    }
    assert!(*cluster.reachable().borrow(), "the other one is there");
    second.open().await;
    eventually("it should be used again", async || {
        send(&cluster, Method::POST).await.unwrap().1 == second.address.port().to_string()
    })
    .await;
}

#[tokio::test]
async fn whatever_was_not_sent_goes_elsewhere() {
    let ([there, mut gone], _) = places().await;
    gone.close().await;
    for method in [Method::GET, Method::POST].into_iter().cycle().take(40) {
        // Nothing is known of the one that is gone, so that it is as likely as the other.
        let cluster = cluster(&[there.at(), gone.at()]);
        assert_eq!(send(&cluster, method).await.unwrap().0, StatusCode::OK);
    }
}

#[tokio::test]
async fn when_nobody_is_there_requests_fail_at_once_and_word_is_given_of_it_and_of_the_return() {
    let ([mut place], cluster) = places().await;
    let mut reachable = cluster.reachable();
    send(&cluster, Method::GET).await.unwrap();
    place.close().await;
    let mut last = None;
    eventually("the breaker should open", async || {
        last = send(&cluster, Method::POST).await.err();
        matches!(last, Some(ClusterError::Open { .. }))
    })
    .await;
    let error = last.unwrap();
    assert!(
        error.is_unsent() && error.to_string().starts_with("no endpoint can be reached: connect to"),
        "{error}"
    );
    assert!(error.retry_after().is_some());
    assert_ne!(cluster.state().breaker, BreakerState::Closed);
    timeout(HANG, reachable.wait_for(|reachable| !reachable)).await.unwrap().unwrap();
    place.open().await;
    timeout(HANG, reachable.wait_for(|reachable| *reachable)).await.unwrap().unwrap();
    assert_eq!(cluster.state().breaker, BreakerState::Closed);
    assert_eq!(send(&cluster, Method::POST).await.unwrap().0, StatusCode::OK);
}

/// A port at which a connection is neither made nor refused, for as long as the sockets are held.
async fn black_hole() -> (Address, Vec<tokio::net::TcpStream>, tokio::net::TcpListener) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let (at, mut waiting) = (full.local_addr().unwrap(), Vec::new());
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), Duration::from_millis(50));
    while let Ok(stream) = dialer.connect("127.0.0.1", at.port()).await {
        waiting.push(stream);
        assert!(waiting.len() < 4096, "the accept queue must fill up");
    }
    (Address::tcp("127.0.0.1", at.port()), waiting, full)
}

#[tokio::test]
async fn a_place_that_swallows_connections_holds_up_only_those_who_came_before_it_was_noticed() {
    let (hole, _waiting, _full) = black_hole().await;
    let cluster = cluster(&[hole]);
    let first = tokio::spawn({
        let cluster = Arc::clone(&cluster);
        async move { cluster.exchange(request(Method::POST, "/"), Class::Request).await.map(drop) }
    });
    let mut reachable = cluster.reachable();
    timeout(HANG, reachable.wait_for(|reachable| !reachable)).await.unwrap().unwrap();
    assert!(!first.is_finished(), "its own limit is a minute");
    for _ in 0..100 {
        assert!(matches!(send(&cluster, Method::GET).await, Err(ClusterError::Open { .. })));
    }
    first.abort();
}

#[tokio::test]
async fn one_that_swallows_connections_is_avoided_while_there_is_another() {
    let ([place], _) = places().await;
    let (hole, _waiting, _full) = black_hole().await;
    let cluster = cluster(&[hole.clone(), place.at()]);
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let cluster = Arc::clone(&cluster);
        requests.spawn(
            async move { cluster.exchange(request(Method::GET, "/"), Class::Request).await.map(drop) },
        );
    }
    eventually("it should be noticed", async || {
        cluster.state().endpoints.iter().any(|endpoint| endpoint.standing == Standing::Unreachable)
    })
    .await;
    for _ in 0..100 {
        assert_eq!(send(&cluster, Method::POST).await.unwrap().1, place.address.port().to_string());
    }
}

#[tokio::test]
async fn bad_answers_are_passed_on_and_eject_one_of_two_but_never_the_last() {
    let ([good, bad], cluster) = places().await;
    bad.behave(Manner::Answer(503));
    eventually("it should be ejected", async || {
        send(&cluster, Method::POST).await.unwrap();
        matches!(standing(&cluster, &bad), Standing::Ejected(_))
    })
    .await;
    assert_eq!(bad.requests(), 5);
    good.behave(Manner::Answer(503));
    for _ in 0..20 {
        assert_eq!(send(&cluster, Method::POST).await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(standing(&cluster, &good), Standing::Healthy);
    bad.behave(Manner::Answer(404));
    eventually("a trial should bring it back", async || {
        send(&cluster, Method::POST).await.unwrap();
        standing(&cluster, &bad) == Standing::Healthy
    })
    .await;
    assert!(*cluster.reachable().borrow(), "an answer is an answer");
}

#[tokio::test]
async fn what_broke_is_sent_once_more_if_it_is_safe() {
    let ([first, second], cluster) = places().await;
    first.behave(Manner::Break);
    second.behave(Manner::Break);
    let sent = || first.requests() + second.requests();
    for (method, times) in [(Method::GET, 2), (Method::HEAD, 2), (Method::POST, 1), (Method::DELETE, 1)] {
        let before = sent();
        let error = send(&cluster, method.clone()).await.unwrap_err();
        assert!(!error.is_unsent(), "{method}: {error}");
        assert_eq!(sent() - before, times, "{method}");
    }
    second.behave(Manner::Answer(200));
    for _ in 0..20 {
        assert_eq!(send(&cluster, Method::GET).await.unwrap().1, second.address.port().to_string());
    }
}

#[tokio::test]
async fn the_one_with_less_to_do_is_taken_and_watches_are_something_to_do() {
    let ([first, second], cluster) = places().await;
    first.behave(Manner::Hold);
    second.behave(Manner::Hold);
    let mut watches = JoinSet::new();
    for _ in 0..20 {
        let cluster = Arc::clone(&cluster);
        watches
            .spawn(async move { cluster.exchange(request(Method::GET, "/"), Class::Stream).await.map(drop) });
    }
    eventually("all should be under way", async || first.requests() + second.requests() == 20).await;
    assert_eq!(
        (first.requests(), second.requests()),
        (10, 10),
        "of two, the one with less to do is the other one"
    );
    assert_eq!((cluster.state().streams, cluster.state().requests), (20, 0));
    watches.abort_all();
    while watches.join_next().await.is_some() {}
    assert_eq!(cluster.state().streams, 0);
}

#[tokio::test]
async fn endpoints_that_stay_keep_their_connections_and_those_that_go_finish_what_they_have() {
    let ([stays, goes], cluster) = places().await;
    for _ in 0..50 {
        send(&cluster, Method::GET).await.unwrap();
    }
    let connections = stays.connections();
    goes.behave(Manner::Hold);
    stays.behave(Manner::Hold);
    let mut held = JoinSet::new();
    for _ in 0..2 {
        let cluster = Arc::clone(&cluster);
        held.spawn(async move { send(&cluster, Method::POST).await });
    }
    eventually("both should be busy", async || cluster.state().endpoints.iter().all(|at| at.load == 1)).await;
    let cluster = cluster.with_targets(&[stays.at()]).unwrap();
    assert_eq!(cluster.state().endpoints.len(), 1);
    goes.go_on(1);
    stays.go_on(1);
    while let Some(answer) = held.join_next().await {
        assert_eq!(answer.unwrap().unwrap().0, StatusCode::OK);
    }
    stays.behave(Manner::Answer(200));
    let before = goes.requests();
    for _ in 0..50 {
        send(&cluster, Method::GET).await.unwrap();
    }
    assert_eq!((goes.requests(), stays.connections()), (before, connections));
    assert!(cluster.with_targets(&[Address::tcp("a b", 1)]).is_err());
    let cluster = cluster.with_targets(&[]).unwrap();
    assert!(matches!(send(&cluster, Method::GET).await, Err(ClusterError::NoEndpoint)));
    assert!(!*cluster.reachable().borrow());
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let ([place], cluster) = places().await;
    place.behave(Manner::Hold);
    let exchange = cluster.exchange(request(Method::GET, "/"), Class::Request);
    assert!(timeout(Duration::from_millis(1), exchange).await.is_err());
    let state = cluster.state();
    assert_eq!(
        (state.requests, state.endpoints[0].load, state.endpoints[0].standing),
        (0, 0, Standing::Healthy)
    );
}
