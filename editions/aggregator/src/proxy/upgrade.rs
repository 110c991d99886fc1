//! A request that asks for another protocol (`kubectl exec`-like: WebSocket, SPDY). It is a request like any other until
//! its backend says 101 to what was asked; then the two connections are joined, and what goes over them is none of our
//! business. Any other answer is an answer like any other, and both connections end with it (CVE-2018-1002105).

use detectviz_api::Status;
use detectviz_auth::origin;
use detectviz_core::http::{Body, Request, Response};
use detectviz_core::tunnel::{Tunnel, Upgradable};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode};

use super::headers::{self, tokens};
use super::tunnel;
use crate::error::{BAD_GATEWAY, NOT_IMPLEMENTED, refused};

/// The protocols that are asked for, as they go to the backend.
pub(super) struct Wanted(HeaderValue);

/// What a request asks for; nothing for one that goes on as it is, since nobody has to heed `Upgrade`: over HTTP/1.0,
/// without `Connection: Upgrade`, and for no protocol but another HTTP or TLS.
///
/// # Errors
/// 501 for CONNECT, 400 for a request with a body, 403 for a page of another origin.
pub(super) fn wanted(request: &Request) -> Result<Option<Wanted>, Status> {
    let headers = request.headers();
    if request.method() == Method::CONNECT {
        let message = "CONNECT is not supported: a WebSocket is opened with GET and Upgrade over HTTP/1.1";
        return Err(refused(NOT_IMPLEMENTED, message));
    }
    if !headers.contains_key(header::UPGRADE) || request.extensions().get::<Upgradable>().is_none() {
        return Ok(None);
    }
    let protocols: Vec<&str> =
        tokens(headers, &header::UPGRADE).filter(|name| !is_http_or_tls(name)).collect();
    if protocols.is_empty() {
        return Ok(None);
    }
    if !http_body::Body::is_end_stream(request.body()) {
        let message =
            "a request with Upgrade must have no body: what follows it belongs to the other protocol";
        return Err(Status::bad_request(message));
    }
    // A browser shows its user's certificate to whatever server a page names, and asks nobody before a WebSocket.
    origin::refuse_foreign_pages(headers)?;
    let value = HeaderValue::from_str(&protocols.join(", ")).map_err(Status::internal)?;
    Ok(Some(Wanted(value)))
}

/// Another HTTP would carry requests past every check, with whatever identity they name; TLS would hide them.
fn is_http_or_tls(protocol: &str) -> bool {
    let name = protocol.split('/').next().unwrap_or(protocol);
    ["h2c", "h2", "h3", "http", "https", "tls"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

impl Wanted {
    /// Asks the backend for it, in headers that are otherwise ready.
    pub(super) fn ask(&self, fields: &mut HeaderMap) {
        fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(header::UPGRADE, self.0.clone());
    }

    /// Whether the head of a 101 agrees to one of the protocols.
    fn agreed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut named = tokens(headers, &header::UPGRADE);
        let (protocol, None) = (named.next()?, named.next()) else { return None };
        let asked = self.0.to_str().ok()?;
        let fits = asked.split(", ").any(|wanted| wanted.eq_ignore_ascii_case(protocol));
        let connection =
            tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
        (fits && connection).then(|| HeaderValue::from_str(protocol).ok()).flatten()
    }

    /// The answer to the client when the backend switches: its head, with the tunnel.
    ///
    /// # Errors
    /// 502 when the backend switches to something that nobody asked for.
    pub(super) fn accept(
        &self,
        name: &str,
        mut fields: HeaderMap,
        tunnel: tunnel::Tunnel,
    ) -> Result<Response, Status> {
        let protocol = self.agreed(&fields).ok_or_else(|| {
            let message = format!(
                "the backend of APIService {name:?} tried to switch to a protocol that was not asked for, which is not \
                 permitted"
            );
            refused(BAD_GATEWAY, message)
        })?;
        headers::clean_answer(&mut fields);
        fields.remove(header::CONTENT_LENGTH);
        fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(header::UPGRADE, protocol);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = fields;
        response.extensions_mut().insert(Tunnel::new(|client| tunnel.run(client)));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Upgradable);
        for (name, value) in pairs {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn any_protocol_but_another_http_and_tls_can_be_asked_for() {
        for (upgrade, asked) in [
            ("websocket", Some("websocket")),
            ("SPDY/3.1", Some("SPDY/3.1")),
            ("h2c", None),
            ("H2C", None),
            ("h2c, HTTP/2.0, TLS/1.3, https", None),
            ("h2c, websocket", Some("websocket")),
            ("", None),
        ] {
            let found = wanted(&request(&[("upgrade", upgrade)])).unwrap();
            assert_eq!(
                found.map(|wanted| wanted.0.to_str().unwrap().to_owned()).as_deref(),
                asked,
                "{upgrade}"
            );
        }
        let mut plain = request(&[("upgrade", "websocket")]);
        plain.extensions_mut().clear();
        assert!(wanted(&plain).unwrap().is_none(), "its connection cannot be switched");
    }

    #[test]
    fn what_cannot_be_switched_safely_is_refused() {
        let mut with_body = request(&[("upgrade", "websocket")]);
        *with_body.body_mut() = Body::full("x");
        assert_eq!(wanted(&with_body).err().unwrap().code, 400);
        let mut connect = request(&[]);
        *connect.method_mut() = Method::CONNECT;
        assert_eq!(wanted(&connect).err().unwrap().code, 501);
        let foreign = request(&[("upgrade", "websocket"), ("origin", "https://evil.example"), ("host", "a")]);
        assert_eq!(wanted(&foreign).err().unwrap().code, 403);
    }

    #[test]
    fn only_what_was_asked_for_is_agreed_to() {
        let wanted = Wanted(HeaderValue::from_static("SPDY/3.1, websocket"));
        for (connection, upgrade, agreed) in [
            ("Upgrade", "spdy/3.1", true),
            ("keep-alive, upgrade", "websocket", true),
            ("upgrade", "SPDY/3.1, websocket", false),
            ("upgrade", "h2c", false),
            ("close", "websocket", false),
            ("upgrade", "", false),
        ] {
            let answer = request(&[("connection", connection), ("upgrade", upgrade)]);
            assert_eq!(wanted.agreed(answer.headers()).is_some(), agreed, "{connection}: {upgrade}");
        }
    }
}
