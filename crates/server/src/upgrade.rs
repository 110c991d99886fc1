//! What the listener and a handler say to one another about a connection that becomes a WebSocket: how its messages are
//! made. That it may become something else at all is said as for any other protocol, by `detectviz_core::tunnel`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, header};

/// In the extensions of an answer that accepts: what the frames of its body become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    /// Text, as it is.
    Text,
    /// Bytes, as they are.
    Binary,
    /// Text in base64.
    Base64,
}

/// A subprotocol that carries a bearer token in base64url, since pages cannot set headers; upstream's name.
pub(crate) const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// Whether the client asks for another protocol.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE) && has(headers, &header::CONNECTION, "upgrade")
}

/// Whether the client asks for a WebSocket.
pub(crate) fn wants_websocket(headers: &HeaderMap) -> bool {
    wants_upgrade(headers) && has(headers, &header::UPGRADE, "websocket")
}

/// Whether `token` is among the comma-separated values of `name`.
fn has(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The subprotocols that the client offers, best first.
pub(crate) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

/// The `Authorization` that stands among the subprotocols. Upstream's rules: one token, and a subprotocol beside it that
/// can be answered with, since this one must not be.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    if !wants_websocket(headers) || protocols(headers).all(|name| name.starts_with(BEARER_PROTOCOL)) {
        return None;
    }
    let mut tokens = protocols(headers).filter_map(|name| name.strip_prefix(BEARER_PROTOCOL));
    let (token, None) = (tokens.next()?, tokens.next()) else { return None };
    let token = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    Some(format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_token_among_the_subprotocols_needs_another_beside_it() {
        let token = format!("{BEARER_PROTOCOL}c2VjcmV0");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        for (offered, found) in [
            (format!("{token}, binary.k8s.io"), Some("Bearer secret")),
            (token.clone(), None),
            (format!("{token}, {token}, binary.k8s.io"), None),
            (format!("{BEARER_PROTOCOL}!!, binary.k8s.io"), None),
            ("binary.k8s.io".to_owned(), None),
        ] {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, offered.parse().unwrap());
            assert_eq!(bearer(&headers).as_deref(), found, "{offered}");
        }
        headers.remove(header::UPGRADE);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, format!("{token}, a").parse().unwrap());
        assert_eq!(bearer(&headers), None, "only a handshake carries a token so");
    }
}
