//! What holds whatever the places do, in whatever order.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::cluster::budget;

#[derive(Clone, Copy, Debug)]
enum Turn {
    Behave(usize, Manner),
    Close(usize),
    Open(usize),
    Send(usize),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let manner = prop_oneof![Just(Manner::Break), Just(Manner::Answer(200)), Just(Manner::Answer(503))];
    let turn = prop_oneof![
        (0..3_usize, manner).prop_map(|(place, manner)| Turn::Behave(place, manner)),
        (0..3_usize).prop_map(Turn::Close),
        (0..3_usize).prop_map(Turn::Open),
        (1..30_usize).prop_map(Turn::Send),
    ];
    prop::collection::vec(turn, 1..30)
}

/// Sends requests at the same time, none like another, while the places do what they are told; the budget is looked at
/// whenever one ends.
async fn play(turns: Vec<Turn>) -> (Seen, HashSet<String>) {
    let (mut places, seen) = (Vec::new(), Seen::default());
    for _ in 0..3 {
        places.push((Place::start(&seen).await, true));
    }
    let cluster = cluster(&places.iter().map(|(place, _)| place.at()).collect::<Vec<_>>());
    let (mut requests, mut number, mut answered) = (JoinSet::new(), 0, HashSet::new());
    for turn in turns {
        match turn {
            Turn::Behave(place, manner) => places[place].0.behave(manner),
            Turn::Close(place) if std::mem::take(&mut places[place].1) => places[place].0.close().await,
            Turn::Open(place) if !std::mem::replace(&mut places[place].1, true) => {
                places[place].0.open().await
            }
            Turn::Close(_) | Turn::Open(_) => {}
            Turn::Send(count) => {
                for _ in 0..count {
                    number += 1;
                    let (method, cluster) =
                        ([Method::GET, Method::POST][number % 2].clone(), Arc::clone(&cluster));
                    let path = format!("/{method}/{number}");
                    requests.spawn(async move {
                        let outcome = cluster.exchange(request(method, &path), Class::Request).await;
                        let state = cluster.state();
                        assert!(state.retries <= budget::most(30 * 30), "{state:?}");
                        (path, outcome.map(drop))
                    });
                }
            }
        }
    }
    while let Some(ended) = timeout(HANG, requests.join_next()).await.expect("every request ends") {
        let (path, outcome) = ended.unwrap();
        if let Err(error) = &outcome
            && error.is_unsent()
        {
            assert_eq!(seen.lock().unwrap().get(&path), None, "{path}: {error}");
        }
        answered.extend(outcome.ok().map(|()| path));
    }
    let state = cluster.state();
    assert_eq!((state.requests, state.retries), (0, 0));
    assert!(state.endpoints.iter().all(|endpoint| endpoint.load == 0), "{state:?}");
    (seen, answered)
}

#[test]
fn no_body_is_sent_twice_no_answer_is_made_up_and_nothing_is_left_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() });
    let outcome = runner.run(&turns(), |turns| {
        let (seen, answered) = runtime.block_on(play(turns));
        for (path, (heads, bodies)) in seen.lock().unwrap().iter() {
            let most = if path.starts_with("/POST") { 1 } else { 2 };
            prop_assert!(*heads <= most && *bodies <= 1, "{path}: {heads} heads, {bodies} bodies");
        }
        prop_assert!(answered.iter().all(|path| seen.lock().unwrap().contains_key(path)));
        Ok(())
    });
    outcome.unwrap();
}
