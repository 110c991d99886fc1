//! The generated messages and clients, and how requests are made: `cargo run -p detectviz-codegen` after a change of
//! `proto/etcd.proto`.

use tonic::{Request, metadata::MetadataValue, transport::Channel};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, dead_code, reason = "generated code")]
mod generated {
    include!("generated/etcdserverpb.rs");
}

pub(super) use generated::*;

/// The longest message that is read: pages of a range are meant to be far shorter, and one event with the value before
/// has at most twice what etcd lets a request have (1.5 MiB unless told otherwise).
const MAX_MESSAGE: usize = 64 << 20;

/// A request that a member answers only while it knows a leader: one that is cut off from the others says so at once.
pub(super) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    request
}

pub(super) fn kv(channel: Channel) -> kv_client::KvClient<Channel> {
    kv_client::KvClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

pub(super) fn watch(channel: Channel) -> watch_client::WatchClient<Channel> {
    watch_client::WatchClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}
