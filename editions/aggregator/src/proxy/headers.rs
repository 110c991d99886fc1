//! Headers on their way to a backend. The order is the point: first everything that a client may not say is removed,
//! whatever it is called and whatever `Connection` lists; then the caller's identity is set, and nothing is removed
//! after that (CVE-2026-61682).

use detectviz_api::identity::SYSTEM_MASTERS;
use detectviz_api::{Identity, Status};
use detectviz_auth::headers::sanitize_trailers;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::caller;
use crate::error::{LOOP_DETECTED, refused};

/// Names the aggregators that a request passed. One that comes back to one of them goes round in a loop.
pub(crate) const HOP: HeaderName = HeaderName::from_static("detectviz-hop");
/// The most aggregators that a request may pass.
const MAX_HOPS: usize = 8;

const USER: HeaderName = HeaderName::from_static("x-remote-user");
const GROUP: HeaderName = HeaderName::from_static("x-remote-group");

/// A subprotocol that is a credential; upstream's name.
const BEARER_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The name under which the aggregator itself asks; upstream's.
const AGGREGATOR_USER: &str = "system:kube-aggregator";

/// Hop-by-hop headers (RFC 9110 section 7.6.1), as the beginning of their names, with `_` read as `-`.
const HOP_BY_HOP: [&str; 8] =
    ["connection", "http2-settings", "keep-alive", "proxy-", "te", "trailer", "transfer-encoding", "upgrade"];
/// What is between the client and us: credentials, whom the caller is or wants to be, what only a proxy can know, and the
/// trace, which goes on under a name of ours. And what some servers execute in place of the method or path that stand in
/// the request, which are what was authorized.
const PRIVATE: [&str; 17] = [
    "x-remote-",
    "traceparent",
    "tracestate",
    "authorization",
    "cookie",
    "impersonate-",
    "expect",
    "forwarded",
    "x-forwarded-",
    "x-real-ip",
    "detectviz-hop",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-rewrite-url",
];

/// What a browser takes for the word of all that is served at our address, as the beginning of names: cookies and
/// logins, where else and how to connect, what to forget, where to go, and who else may read. And what a proxy in front of
/// this server takes for orders: to answer with a file or a place of its own, or to keep the answer.
const OUR_ORIGINS: [&str; 24] = [
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "alt-svc",
    "strict-transport-security",
    "public-key-pins",
    "public-key-pins-report-only",
    "clear-site-data",
    "refresh",
    "access-control-",
    "service-worker-allowed",
    "report-to",
    "nel",
    "reporting-endpoints",
    "expect-ct",
    "accept-ch",
    "critical-ch",
    "set-login",
    "use-as-dictionary",
    "x-accel-redirect",
    "x-accel-expires",
    "x-sendfile",
    "x-lighttpd-send-file",
    "x-reproxy-url",
];

/// What is in the media types whose documents a browser runs, or that may hold such documents.
const PAGES: [&str; 5] = ["html", "multipart", "svg", "xml", "xsl"];

/// Makes a client's headers those that the backend named `host` gets; `hop` is this server.
///
/// # Errors
/// 508 for a request that has been here before, 400 for an identity that no header can carry.
pub(super) fn rewrite(
    headers: &mut HeaderMap,
    identity: &Identity,
    (host, hop): (&HeaderValue, &HeaderValue),
) -> Result<(), Status> {
    let hops = hops(headers, hop)?;
    // What a client that understands trailers says is the one part of a hop-by-hop header that is about the answer.
    let trailers = tokens(headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    strip(headers, |name| is_one_of(name, &HOP_BY_HOP) || is_one_of(name, &PRIVATE));
    without_token(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    headers.insert(header::HOST, host.clone());
    for hop in hops {
        headers.append(HOP, hop);
    }
    headers.append(HOP, hop.clone());
    caller::tell(headers, identity).map_err(|_| {
        Status::bad_request(
            "the caller's name, groups or extra values hold characters that no header can carry",
        )
    })
}

/// Sets the identity of the aggregator itself, for its probes. It is upstream's: a backend always answers it.
pub(crate) fn set_aggregator_identity(headers: &mut HeaderMap) {
    headers.insert(USER, HeaderValue::from_static(AGGREGATOR_USER));
    headers.insert(GROUP, HeaderValue::from_static(SYSTEM_MASTERS));
}

/// Removes from an answer what is for one connection only, and what would act on our origin: a backend speaks for its
/// group-version alone.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    // Where both were sent the chunks counted (RFC 9112 section 6.3), and they are read by now.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    strip(headers, |name| is_one_of(name, &HOP_BY_HOP) || is_one_of(name, &OUR_ORIGINS));
}

/// Lets a page that a backend sends act as nobody's: it stands at our address, and was not written by us.
pub(super) fn confine_pages(headers: &mut HeaderMap) {
    // Of several types a browser believes the last one that it knows.
    if headers.get_all(header::CONTENT_TYPE).into_iter().any(may_be_a_page) {
        headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    }
}

fn may_be_a_page(kind: &HeaderValue) -> bool {
    // What nearly every answer is.
    if kind == "application/json" {
        return false;
    }
    let has = |word: &&str| {
        kind.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    PAGES.iter().any(has)
}

/// Removes what `unwanted` says and whatever `Connection` names. Trailers that may travel stay announced.
fn strip(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let announced = listed(headers, &header::TRAILER);
    let mut names = listed(headers, &header::CONNECTION);
    names.extend(headers.keys().filter(|name| unwanted(name)).cloned());
    for name in names {
        headers.remove(name);
    }
    announce(headers, announced);
}

fn announce(headers: &mut HeaderMap, names: Vec<HeaderName>) {
    if names.is_empty() {
        return;
    }
    let mut trailers: HeaderMap =
        names.into_iter().map(|name| (name, HeaderValue::from_static(""))).collect();
    sanitize_trailers(&mut trailers);
    for name in trailers.keys() {
        headers.append(header::TRAILER, HeaderValue::from(name.clone()));
    }
}

/// The header names that the comma-separated values of `field` list.
fn listed(headers: &HeaderMap, field: &HeaderName) -> Vec<HeaderName> {
    let values = headers.get_all(field).into_iter();
    let names = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
}

/// The hops so far.
fn hops(headers: &HeaderMap, own: &HeaderValue) -> Result<Vec<HeaderValue>, Status> {
    let hops: Vec<_> = headers.get_all(HOP).into_iter().cloned().collect();
    if hops.len() >= MAX_HOPS || hops.iter().any(|hop| contains(hop, own)) {
        return Err(refused(LOOP_DETECTED, "the request came back to an aggregator that it has passed"));
    }
    Ok(hops)
}

/// A proxy on the way may have joined the values by commas.
fn contains(joined: &HeaderValue, own: &HeaderValue) -> bool {
    joined.as_bytes().split(|byte| *byte == b',').any(|hop| hop.trim_ascii() == own.as_bytes())
}

/// Whether `name` is one of `patterns`, or begins with one that ends in `-`. Its `_` are read as `-`, as they are by a
/// backend that sees headers as CGI variables.
fn is_one_of(name: &HeaderName, patterns: &[&str]) -> bool {
    let name = name.as_str();
    patterns.iter().any(|pattern| {
        let fits =
            if pattern.ends_with('-') { name.len() >= pattern.len() } else { name.len() == pattern.len() };
        fits && spelled(name, pattern)
    })
}

/// Whether `name` begins with `pattern`, with its `_` read as `-`. Most names differ in their first byte: no copy is made
/// to find that out.
fn spelled(name: &str, pattern: &str) -> bool {
    let same = |(has, wanted): (u8, u8)| has == wanted || (has == b'_' && wanted == b'-');
    name.bytes().zip(pattern.bytes()).all(same)
}

/// The comma-separated values of `name`.
pub(super) fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Takes the subprotocols that carry a bearer token away: it was for us, as `Authorization` is.
fn without_token(headers: &mut HeaderMap) {
    let name = header::SEC_WEBSOCKET_PROTOCOL;
    if !headers.contains_key(&name) {
        return;
    }
    let rest: Vec<&str> =
        tokens(headers, &name).filter(|protocol| !protocol.starts_with(BEARER_PROTOCOL)).collect();
    let rest = HeaderValue::from_str(&rest.join(", ")).ok().filter(|value| !value.is_empty());
    match rest {
        Some(rest) => drop(headers.insert(name, rest)),
        None => drop(headers.remove(name)),
    }
}

#[cfg(test)]
mod tests;
