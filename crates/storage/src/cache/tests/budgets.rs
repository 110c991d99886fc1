//! What is kept for several watchers, or for later ones, has a bound, and is given back.

use super::*;

const WATCHERS: u64 = 1000;

/// Follows `watcher` until `revision`, and gives each event's bytes as made by a length.
async fn encoded(watcher: &mut Watcher, revision: Revision, length: usize) -> Vec<Bytes> {
    let mut all = Vec::new();
    loop {
        let event = watcher.next().await.unwrap().unwrap();
        all.push(watcher.encoded(&event, 7, || vec![b'x'; length].into()));
        if event.revision == revision {
            return all;
        }
    }
}

#[tokio::test]
async fn an_event_is_encoded_once_however_many_watchers_it_has() {
    let store = Memory::new();
    let cache = start(&store).await;
    let mut watchers: Vec<_> = (0..WATCHERS).map(|_| cache.list_and_watch(PREFIX, PREFIX).1).collect();
    let mut revision = 0;
    for number in 0..10 {
        revision = put(&store, PREFIX, &format!("n/{number}"), "1").await;
    }
    let mut first = None;
    for watcher in &mut watchers {
        let bytes = encoded(watcher, revision, 100).await;
        let first = first.get_or_insert_with(|| bytes.clone());
        assert!(first.iter().zip(&bytes).all(|(one, other)| one.as_ptr() == other.as_ptr()));
    }
    let stats = cache.stats();
    assert_eq!((stats.encodings, stats.encodings_shared), (10, 10 * (WATCHERS - 1)));
    assert_eq!(stats.encoding_bytes, 10 * 100);

    // Older events forget theirs; one who comes late encodes for itself, and nothing is kept of it.
    for number in 0..encodings::RECENT {
        put(&store, PREFIX, &format!("later/{number}"), "1").await;
    }
    cache.fresh().await.unwrap();
    assert_eq!(cache.stats().encoding_bytes, 0);
    let mut late = cache.watch(PREFIX, PREFIX, 1).await.unwrap();
    encoded(&mut late, revision, 100).await;
    assert_eq!((cache.stats().encodings, cache.stats().encoding_bytes), (20, 0));
}

#[tokio::test]
async fn encodings_are_given_back_with_the_last_watcher_and_beyond_the_budget() {
    let store = Memory::new();
    let options = CacheOptions { encoding_bytes: 1000, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    let (mut one, mut other) =
        (cache.list_and_watch(PREFIX, PREFIX).1, cache.list_and_watch(PREFIX, PREFIX).1);
    let mut revision = 0;
    for number in 0..5 {
        revision = put(&store, PREFIX, &format!("n/{number}"), "1").await;
    }
    encoded(&mut one, revision, 300).await;
    assert_eq!(cache.stats().encoding_bytes, 900);
    encoded(&mut other, revision, 300).await;
    let stats = cache.stats();
    assert_eq!((stats.encodings, stats.encodings_shared), (7, 3), "the oldest two were forgotten");
    drop((one, other));
    assert_eq!(cache.stats().encoding_bytes, 0);

    let (_, mut alone) = cache.list_and_watch(PREFIX, PREFIX);
    let revision = put(&store, PREFIX, "n/alone", "1").await;
    encoded(&mut alone, revision, 300).await;
    assert_eq!(cache.stats().encoding_bytes, 0, "for one watcher nothing is kept");
}

#[tokio::test]
async fn above_the_common_budget_the_largest_windows_are_cut_and_100_events_stay() {
    const THIRD: &str = "/registry/core/events/root/";
    let store = Memory::new();
    let options = CacheOptions { total_window_bytes: 200_000, ..CacheOptions::default() };
    let cache = Cache::start(store.clone(), options).await.unwrap();
    let text = "x".repeat(1000);
    for number in 0..20 {
        put(&store, OTHER, &format!("n/{number}"), &text).await;
        put(&store, THIRD, &format!("n/{number}"), &text).await;
    }
    for _ in 0..400 {
        put(&store, PREFIX, "n/a", &text).await;
        cache.fresh().await.unwrap();
        assert!(cache.stats().window_bytes <= 200_000);
    }
    let window = |cache: &Cache, prefix| {
        let stats = cache.resources();
        let plural = keys::resource_of(prefix).unwrap().1;
        stats.into_iter().find(|stats| stats.resource == plural).unwrap().window_events
    };
    assert_eq!((window(&cache, OTHER), window(&cache, THIRD)), (20, 20), "the small ones are left alone");
    assert!((100..200).contains(&window(&cache, PREFIX)));

    // What each window keeps anyway may be more than the budget.
    let large = "x".repeat(10_000);
    for _ in 0..150 {
        put(&store, PREFIX, "n/a", &large).await;
        put(&store, OTHER, "n/a", &large).await;
    }
    cache.fresh().await.unwrap();
    assert!(window(&cache, PREFIX) >= 100 && window(&cache, OTHER) >= 100);
    let from = cache.applied_revision() - 100;
    assert!(cache.watch(PREFIX, PREFIX, from).await.is_ok());
}
