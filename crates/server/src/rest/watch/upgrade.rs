//! A watch over WebSocket: the same events, a message each, for clients that cannot read a body while it comes. What is
//! checked here is the handshake; the rest of the request has passed what every request passes.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use detectviz_api::Status;
use detectviz_auth::origin;
use detectviz_core::http::{Body, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::super::Call;
use crate::upgrade::{BEARER_PROTOCOL, Messages, protocols, wants_websocket};

/// The one version of the protocol (RFC 6455).
const VERSION: &str = "13";

/// A handshake that can be accepted.
pub(super) struct Upgrade {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
    messages: Messages,
}

/// The handshake of a client that wants one; on anything but a watch it is ignored, as upstream does.
///
/// # Errors
/// 400 for a handshake that is none, 403 for one of a foreign page.
pub(super) fn wanted(call: &Call) -> Result<Option<Upgrade>, Status> {
    let headers = &call.headers;
    if !call.upgradable || !wants_websocket(headers) {
        return Ok(None);
    }
    let text = |name: &header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(&header::SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(Status::bad_request(format!("Sec-WebSocket-Version must be {VERSION}")));
    }
    let key = text(&header::SEC_WEBSOCKET_KEY).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err(Status::bad_request("Sec-WebSocket-Key must be 16 bytes in base64"));
    }
    origin::refuse_foreign_pages(headers)?;
    let (protocol, messages) = choose(headers);
    let accept = HeaderValue::from_str(&accept(key)).map_err(Status::internal)?;
    Ok(Some(Upgrade { accept, protocol, messages }))
}

/// What proves that the handshake was understood (RFC 6455, section 4.2.2). Nothing is kept secret by it.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// The subprotocol, and what messages it makes: of several offers the first that we know; a single one is accepted
/// whatever it is, as upstream does.
fn choose(headers: &HeaderMap) -> (Option<HeaderValue>, Messages) {
    let offered: Vec<&str> = protocols(headers).filter(|name| !name.starts_with(BEARER_PROTOCOL)).collect();
    let known = |name: &&str| match *name {
        "binary.k8s.io" => Some(Messages::Binary),
        "base64.binary.k8s.io" => Some(Messages::Base64),
        _ => None,
    };
    let found = offered.iter().find_map(|name| Some((*name, known(name)?)));
    let single = (offered.len() == 1).then(|| (offered[0], Messages::Text));
    match found.or(single) {
        Some((name, messages)) => (HeaderValue::from_str(name).ok(), messages),
        None => (None, Messages::Text),
    }
}

impl Upgrade {
    /// The answer that accepts the handshake. Its body's frames are the messages; the listener sends them.
    pub(super) fn accept(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response.extensions_mut().insert(self.messages);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn the_key_of_the_rfc_has_the_answer_of_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_first_known_subprotocol_or_a_single_one_is_chosen() {
        for (offered, chosen, messages) in [
            ("", None, Messages::Text),
            ("binary.k8s.io", Some("binary.k8s.io"), Messages::Binary),
            ("a, base64.binary.k8s.io, binary.k8s.io", Some("base64.binary.k8s.io"), Messages::Base64),
            ("chat", Some("chat"), Messages::Text),
            ("chat, news", None, Messages::Text),
            ("chat, base64url.bearer.authorization.k8s.io.dG9rZW4", Some("chat"), Messages::Text),
        ] {
            let headers = headers(&[("sec-websocket-protocol", offered)]);
            let found = choose(&headers);
            assert_eq!((found.0.as_ref().map(|name| name.to_str().unwrap()), found.1), (chosen, messages));
        }
    }
}
