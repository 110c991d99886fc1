//! Words that the tests share.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use detectviz_client::{Address, DialPolicy, Dialer, GrpcOptions, Target, TlsOptions, grpc};
use detectviz_storage::{
    Compare, Event, EventKind, Op, Revision, Store, StoreError, Txn, TxnOutcome, Watch,
    etcd::{Etcd as EtcdStore, EtcdEndpoint, EtcdOptions},
};
use detectviz_tests::{Etcd, EtcdLine};

/// The end of every wait; only what hangs reaches it.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Each line in its turn.
pub(crate) const LINES: [EtcdLine; 2] = [EtcdLine::Current, EtcdLine::Installed];

pub(crate) async fn start(line: EtcdLine) -> Etcd {
    tokio::task::spawn_blocking(move || Etcd::start(line)).await.unwrap()
}

/// An endpoint at a port of this machine.
pub(crate) fn endpoint(port: u16, tls: Option<TlsOptions>) -> EtcdEndpoint {
    let dialer = Dialer::new(Arc::new(DialPolicy::new()), Duration::from_secs(5));
    let target = Target { address: Address::tcp("127.0.0.1", port), tls };
    let channel = grpc::channel(target, dialer, &GrpcOptions::default()).unwrap();
    EtcdEndpoint { name: format!("127.0.0.1:{port}"), channel }
}

/// Options without compaction.
pub(crate) fn options(ports: &[u16]) -> EtcdOptions {
    EtcdOptions {
        endpoints: ports.iter().map(|port| endpoint(*port, None)).collect(),
        prefix: "/detectviz".to_owned(),
        compaction_interval: None,
        request_timeout: Duration::from_secs(20),
    }
}

pub(crate) async fn open(etcd: &Etcd) -> Arc<EtcdStore> {
    EtcdStore::open(options(&[etcd.port()])).await.unwrap()
}

pub(crate) fn value(text: &str) -> Op {
    Op::Put(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) async fn create(store: &EtcdStore, key: &str, text: &str) -> Revision {
    match store.txn(Txn::new(key, Compare::Absent, value(text))).await.unwrap() {
        TxnOutcome::Committed { revision, .. } => revision,
        TxnOutcome::Conflict { current } => panic!("create {key}: {current:?}"),
    }
}

/// All events up to a revision.
pub(crate) async fn events_until(watch: &mut Watch, revision: Revision) -> Vec<Arc<Event>> {
    let mut events = Vec::new();
    let follow = async {
        loop {
            let batch = watch.next().await.expect("the watch goes on").expect("next batch");
            events.extend(batch.events);
            if batch.revision >= revision {
                return;
            }
        }
    };
    tokio::time::timeout(BOUND, follow).await.expect("the watch comes to the revision");
    events
}

/// Checks that a history without deletions is ordered and unique, and that each value says what was before.
pub(crate) fn check_history(events: &[Arc<Event>]) {
    let mut last = std::collections::HashMap::new();
    assert!(events.is_sorted_by(|a, b| a.revision < b.revision), "ordered and unique");
    for event in events {
        let EventKind::Put { value, previous } = &event.kind else { panic!("{event:?}") };
        assert_eq!(last.insert(event.key.clone(), value.clone()), *previous, "{}", event.key);
    }
}

/// Asks until the store answers.
pub(crate) async fn answers(store: &EtcdStore) -> Revision {
    let ask = async {
        loop {
            match store.current_revision().await {
                Ok(revision) => return revision,
                Err(StoreError::Unavailable { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(BOUND, ask).await.expect("etcd answers again")
}
