//! The store on real etcds: the current line, and an older one where it is installed.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod faults;
mod history;
mod proxy;
mod sharing;
mod support;
mod tls;

use std::sync::Arc;

use detectviz_storage::{Store, contract_tests};
use detectviz_tests::{Etcd, EtcdLine};

contract_tests!(current, super::fresh(super::EtcdLine::Current));
contract_tests!(installed, super::fresh(super::EtcdLine::Installed));

async fn fresh(line: EtcdLine) -> (Arc<dyn Store>, Etcd) {
    let etcd = support::start(line).await;
    (support::open(&etcd).await, etcd)
}
