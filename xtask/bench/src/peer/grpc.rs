//! As much gRPC as etcd's calls need: one message a request, framed by hand. Source: gRPC over HTTP/2, and etcd's
//! `rpc.proto` and `kv.proto`, of which only the fields that are used are named here.

use anyhow::{Context as _, bail};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt as _;
use prost::Message;

use crate::load::{Connection, RequestBody};

/// Flag and length in front of a message.
const PREFIX: usize = 5;

#[derive(Clone, PartialEq, Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) range_end: Bytes,
    #[prost(int64, tag = "3")]
    pub(super) limit: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
    #[prost(bool, tag = "3")]
    pub(super) more: bool,
    #[prost(int64, tag = "4")]
    pub(super) count: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchRequest {
    /// One of several kinds of request in etcd's message; the only one here.
    #[prost(message, optional, tag = "1")]
    pub(super) create: Option<WatchCreateRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WatchCreateRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) range_end: Bytes,
}

/// A call of `METHOD`, such as `KV/Put`; one that stays open asks for a stream.
pub(super) fn request(
    connection: &Connection,
    method: &str,
    message: &impl Message,
    open: bool,
) -> anyhow::Result<Request<RequestBody>> {
    let mut framed = BytesMut::with_capacity(PREFIX + message.encoded_len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).context("frame a message")?);
    message.encode(&mut framed).context("encode a message")?;
    let body =
        if open { RequestBody::open(framed.freeze()) } else { RequestBody::whole(Some(framed.freeze())) };
    connection
        .request(Method::POST, &format!("/etcdserverpb.{method}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(body)
        .context("make a request")
}

/// Calls and returns the message of the answer, not yet decoded.
pub(super) async fn call(
    connection: &mut Connection,
    method: &str,
    message: &impl Message,
) -> anyhow::Result<Bytes> {
    let answer = connection.send(request(connection, method, message, false)?).await?;
    check(answer.headers()).with_context(|| format!("call {method}"))?;
    let body = answer.into_body().collect().await.context("read an answer")?;
    body.trailers().map_or(Ok(()), check).with_context(|| format!("call {method}"))?;
    let mut bytes = body.to_bytes();
    if bytes.len() < PREFIX {
        bail!("{method} was answered without a message");
    }
    Ok(bytes.split_off(PREFIX))
}

/// An answer fails by a header or by a trailer, never by its HTTP code.
fn check(headers: &HeaderMap) -> anyhow::Result<()> {
    match headers.get("grpc-status") {
        Some(status) if status != "0" => {
            let message = headers.get("grpc-message").and_then(|message| message.to_str().ok());
            bail!("gRPC status {status:?}: {}", message.unwrap_or_default())
        }
        _ => Ok(()),
    }
}
