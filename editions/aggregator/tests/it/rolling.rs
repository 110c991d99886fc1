//! Two processes behind one APIService that are restarted, or killed, while requests come without pause.

use detectviz_core::Catalog;
use detectviz_core::http::Request;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::memory::{API_SERVICES, Memory};
use crate::world::{FLIGHTS, HANG, NAME, World, api_service, elsewhere, get, request};

/// So many consecutive answers of one process say that the other gets no requests: by chance that is as likely as
/// nothing.
const MANY: usize = 60;

/// Where an APIService's backend is, said outright.
fn at(backends: &[&Backend]) -> Value {
    let mut object = api_service(443, &backends[0].serving_ca.pem());
    let targets: Vec<_> = backends.iter().map(|at| format!("https://127.0.0.1:{}", at.port)).collect();
    object["metadata"]["annotations"] = json!({"aggregator.detectviz.io/endpoints": targets.join(",")});
    object
}

async fn start(first: &Backend, second: &Backend) -> Arc<World> {
    let memory = Memory::default();
    memory.put(API_SERVICES, at(&[first, second]));
    let world = World::start(memory, first.front_proxy_client(), elsewhere(), Catalog::default()).await;
    world.until("True", "Passed").await;
    Arc::new(world)
}

/// Which process answers: each has made its flights by itself.
async fn who(world: &World) -> String {
    let (_, list) = world.send(get(FLIGHTS)).await.unwrap();
    list["items"][0]["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Waits until every one of many requests in a row is answered by one and the same process.
async fn until_one_answers(world: &World) {
    let wait = async {
        loop {
            let one = who(world).await;
            let mut same = 1;
            while same < MANY && who(world).await == one {
                same += 1;
            }
            if same == MANY {
                return;
            }
        }
    };
    tokio::time::timeout(HANG, wait).await.expect("one process should get no requests any more");
}

/// Waits until both answer.
async fn until_both_answer(world: &World) {
    let mut seen = HashMap::new();
    let wait = async {
        while seen.len() < 2 || seen.values().any(|count| *count < 5) {
            *seen.entry(who(world).await).or_insert(0) += 1;
        }
    };
    tokio::time::timeout(HANG, wait).await.expect("both processes should get requests");
}

/// Requests without pause, each of `clients` sending its next when the last is answered.
struct Load {
    clients: JoinSet<Result<(), String>>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    fn start(world: &Arc<World>, clients: usize, next: fn(usize) -> (Request, StatusCode)) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut load = Self { clients: JoinSet::new(), stop, answered };
        for client in 0..clients {
            let (world, stop, answered) =
                (Arc::clone(world), Arc::clone(&load.stop), Arc::clone(&load.answered));
            load.clients.spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let (request, expected) = next(number * 1000 + client);
                    let what = format!("{} {}", request.method(), request.uri());
                    match world.send(request).await {
                        Ok((code, _)) if code == expected => answered.fetch_add(1, Ordering::SeqCst),
                        Ok((code, body)) => return Err(format!("{what}: {code}: {body}")),
                        Err(status) => return Err(format!("{what}: {} {status}", status.code)),
                    };
                }
                Ok(())
            });
        }
        load
    }

    /// Waits for so many more answers, so that what follows happens under load.
    async fn go_on(&self, answers: usize) {
        let enough = self.answered.load(Ordering::SeqCst) + answers;
        let wait = async {
            // A client that has failed sends no more: that is told at the end.
            while self.answered.load(Ordering::SeqCst) < enough && !self.clients.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(HANG, wait).await.expect("requests should be answered");
    }

    /// How many were answered; every one must have been, and well.
    async fn end(mut self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            assert_eq!(ended.unwrap(), Ok(()));
        }
        self.answered.load(Ordering::SeqCst)
    }
}

fn read_or_write(number: usize) -> (Request, StatusCode) {
    if number.is_multiple_of(2) {
        return (get(FLIGHTS), StatusCode::OK);
    }
    let flight = json!({
        "apiVersion": "example.detectviz.io/v1", "kind": "Flight", "metadata": {"name": format!("f{number}")},
        "spec": {"origin": "TPE", "destination": "VIE", "gate": "A1"},
    });
    (request(Method::POST, FLIGHTS, &flight.to_string()), StatusCode::CREATED)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_fails_no_request() {
    let mut first = Backend::start().await;
    let mut second = first.another().await;
    let world = start(&first, &second).await;
    let load = Load::start(&world, 6, read_or_write);
    load.go_on(50).await;
    for _ in 0..2 {
        // As one is restarted by a rollout: taken out, stopped once nothing new comes, and put back when it is there.
        world.memory.put(API_SERVICES, at(&[&second]));
        until_one_answers(&world).await;
        first.terminate().await;
        load.go_on(50).await;
        first.restart().await;
        world.memory.put(API_SERVICES, at(&[&first, &second]));
        until_both_answer(&world).await;
        load.go_on(50).await;
        std::mem::swap(&mut first, &mut second);
    }
    assert!(load.end().await >= 250);
    let object = world.memory.get(API_SERVICES, NAME).unwrap();
    assert!(detectviz_api::condition::is_true(&object, "Available"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_without_notice_fails_no_read() {
    let mut first = Backend::start().await;
    let mut second = first.another().await;
    let world = start(&first, &second).await;
    // No more are under way at once than may be sent a second time.
    let load = Load::start(&world, 3, |_| (get(FLIGHTS), StatusCode::OK));
    load.go_on(50).await;
    for _ in 0..3 {
        first.kill().await;
        load.go_on(100).await;
        first.restart().await;
        until_both_answer(&world).await;
        std::mem::swap(&mut first, &mut second);
    }
    assert!(load.end().await >= 350);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_end_by_themselves_fail_no_read() {
    let mut first = Backend::start().await;
    let mut second = first.another().await;
    let world = start(&first, &second).await;
    let load = Load::start(&world, 3, |_| (get(FLIGHTS), StatusCode::OK));
    load.go_on(50).await;
    for _ in 0..3 {
        first.terminate().await;
        load.go_on(100).await;
        first.restart().await;
        until_both_answer(&world).await;
        std::mem::swap(&mut first, &mut second);
    }
    assert!(load.end().await >= 350);
}
