//! Headers on their way to a backend. The order is the point: first everything that a client may not say is removed,
//! whatever it is called and whatever `Connection` lists; then the caller's identity is set, and nothing is removed
//! after that (CVE-2026-61682).

use detectviz_api::identity::SYSTEM_MASTERS;
use detectviz_api::{Identity, Status};
use detectviz_auth::headers::{sanitize_trailers, strip_identity_headers};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::{LOOP_DETECTED, refused};
use crate::escape;

/// Names the aggregators that a request passed. One that comes back to one of them goes round in a loop.
pub(crate) const HOP: HeaderName = HeaderName::from_static("detectviz-hop");
/// The most aggregators that a request may pass.
const MAX_HOPS: usize = 8;

const USER: HeaderName = HeaderName::from_static("x-remote-user");
const UID: HeaderName = HeaderName::from_static("x-remote-uid");
const GROUP: HeaderName = HeaderName::from_static("x-remote-group");
const EXTRA: &str = "x-remote-extra-";

/// The name under which the aggregator itself asks; upstream's.
const AGGREGATOR_USER: &str = "system:kube-aggregator";

/// Hop-by-hop headers (RFC 9110 section 7.6.1), as the beginning of their names, with `_` read as `-`.
const HOP_BY_HOP: [&str; 6] = ["connection", "keep-alive", "proxy-", "te", "transfer-encoding", "upgrade"];
/// What is between the client and us: credentials, whom the caller wants to be, and what only a proxy can know.
const PRIVATE: [&str; 8] = [
    "authorization",
    "cookie",
    "impersonate-",
    "expect",
    "forwarded",
    "x-forwarded-",
    "x-real-ip",
    "detectviz-hop",
];

/// What a browser takes for the word of all that is served at our address, as the beginning of names: cookies and
/// logins, where else and how to connect, what to forget, where to go, and who else may read.
const OUR_ORIGINS: [&str; 13] = [
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
];

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
    strip_hop_by_hop(headers);
    strip_identity_headers(headers);
    remove_where(headers, |name| is_one_of(name, &PRIVATE));
    headers.insert(header::HOST, host.clone());
    for hop in hops {
        headers.append(HOP, hop);
    }
    set_identity(headers, identity).map_err(|_| {
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

/// Removes what is for one connection only: the hop-by-hop headers and whatever `Connection` names. Trailers that may
/// travel stay announced.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let announced = listed(headers, &header::TRAILER);
    for name in listed(headers, &header::CONNECTION) {
        headers.remove(name);
    }
    headers.remove(header::TRAILER);
    remove_where(headers, |name| is_one_of(name, &HOP_BY_HOP));
    announce(headers, announced);
}

/// Removes from an answer what would act on our origin: a backend speaks for its group-version alone.
pub(super) fn strip_origin_wide(headers: &mut HeaderMap) {
    remove_where(headers, |name| is_one_of(name, &OUR_ORIGINS));
}

fn announce(headers: &mut HeaderMap, names: Vec<HeaderName>) {
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

/// The hops to name to the backend: those so far, and this one.
fn hops(headers: &HeaderMap, own: &HeaderValue) -> Result<Vec<HeaderValue>, Status> {
    let mut hops: Vec<_> = headers.get_all(HOP).into_iter().cloned().collect();
    if hops.len() >= MAX_HOPS || hops.iter().any(|hop| contains(hop, own)) {
        return Err(refused(LOOP_DETECTED, "the request came back to an aggregator that it has passed"));
    }
    hops.push(own.clone());
    Ok(hops)
}

/// A proxy on the way may have joined the values by commas.
fn contains(joined: &HeaderValue, own: &HeaderValue) -> bool {
    joined.as_bytes().split(|byte| *byte == b',').any(|hop| hop.trim_ascii() == own.as_bytes())
}

fn set_identity(headers: &mut HeaderMap, identity: &Identity) -> Result<(), http::Error> {
    headers.insert(USER, value(&identity.name)?);
    if !identity.uid.is_empty() {
        headers.insert(UID, value(&identity.uid)?);
    }
    for group in &identity.groups {
        headers.append(GROUP, value(group)?);
    }
    for (key, values) in &identity.extra {
        let name = format!("{EXTRA}{}", escape::header_name(&key.to_lowercase()));
        let name = HeaderName::from_bytes(name.as_bytes())?;
        for text in values {
            headers.append(&name, value(text)?);
        }
    }
    Ok(())
}

fn value(text: &str) -> Result<HeaderValue, http::Error> {
    Ok(HeaderValue::from_bytes(text.as_bytes())?)
}

/// Whether `name` is one of `patterns`, or begins with one that ends in `-`. `_` counts as `-`, as it does for a backend
/// that sees headers as CGI variables.
fn is_one_of(name: &HeaderName, patterns: &[&str]) -> bool {
    let plain = name.as_str().replace('_', "-");
    let fits = |pattern: &&str| {
        if pattern.ends_with('-') { plain.starts_with(*pattern) } else { plain == **pattern }
    };
    patterns.iter().any(fits)
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
