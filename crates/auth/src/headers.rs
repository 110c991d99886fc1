//! What a client must not be able to say about itself: identity headers are ours to set, never to believe.
//!
//! Names are compared with `_` read as `-`, because a backend may see them so (CGI and WSGI map both to one
//! variable). [`http::HeaderMap`] has already lowered the case.
//!
//! A client can also list our headers in `Connection:`, asking each hop to drop them. That gains nothing as long
//! as a proxy removes hop-by-hop headers *before* it sets `X-Remote-*`, and the proxies of this project do.

use http::{HeaderMap, HeaderName};

/// The headers by which a front proxy tells a backend who asks: `-User`, `-Uid`, `-Group`, `-Extra-*`.
const IDENTITY_PREFIX: &str = "x-remote-";
/// The headers by which a caller asks to act as somebody else.
const IMPERSONATION_PREFIX: &str = "impersonate-";
/// The headers by which a proxy says for whom it asks.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// Trailers that would change how the message is framed, routed or believed (RFC 9110 section 6.5.1), with `_` read as `-`.
const NEVER_A_TRAILER: [&str; 19] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-real-ip",
];

/// Removes every `X-Remote-*` header, in any spelling. Every request passes here before anything reads its
/// headers, so that what reaches a backend was set by us.
pub fn strip_identity_headers(headers: &mut HeaderMap) {
    remove_where(headers, |name| has_prefix(name, IDENTITY_PREFIX));
}

/// Whether the request asks to act as somebody else: any `Impersonate-*` header, in any spelling. Such a request
/// must be refused while there is no impersonation: running it as the caller would do what nobody asked for.
pub fn impersonation_requested(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| has_prefix(name, IMPERSONATION_PREFIX))
}

/// Removes from a message's trailers whatever would have been refused or removed among its headers, and the
/// fields that may not be trailers at all. A backend that merges trailers into headers must find nothing there.
pub fn sanitize_trailers(trailers: &mut HeaderMap) {
    remove_where(trailers, |name| {
        has_prefix(name, IDENTITY_PREFIX)
            || has_prefix(name, IMPERSONATION_PREFIX)
            || has_prefix(name, FORWARDED_PREFIX)
            || NEVER_A_TRAILER
                .iter()
                .any(|never| never.len() == name.as_str().len() && spelled(name.as_str(), never))
    });
}

fn has_prefix(name: &HeaderName, prefix: &str) -> bool {
    name.as_str().len() >= prefix.len() && spelled(name.as_str(), prefix)
}

/// Whether the shorter is how the longer begins, with the name's `_` read as `-`. Without a copy, since nearly all names of
/// all requests differ in their first byte.
fn spelled(name: &str, wanted: &str) -> bool {
    let same = |(has, wanted): (u8, u8)| has == wanted || (has == b'_' && wanted == b'-');
    name.bytes().zip(wanted.bytes()).all(same)
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(name.parse::<HeaderName>().unwrap(), "forged".parse().unwrap());
        }
        headers
    }

    #[test]
    fn identity_headers_go_in_every_spelling() {
        let forged = [
            "X-Remote-User",
            "x-remote-user",
            "X-REMOTE-USER",
            "X_Remote_User",
            "x_remote-user",
            "X-Remote_Group",
            "X-Remote-Group",
            "X-Remote-Group",
            "X-Remote-Uid",
            "X-Remote-Extra-Scopes",
            "X_Remote_Extra_acme.io%2Fproject",
            "X-Remote-",
            "X-Remote-Anything-Later",
        ];
        let mut headers = map(&forged);
        headers.extend(map(&["X-Remote", "X-Remotely", "Accept", "X-Forwarded-For"]));
        strip_identity_headers(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-forwarded-for", "x-remote", "x-remotely"]);
    }

    #[test]
    fn impersonation_is_noticed_in_every_spelling() {
        for name in ["Impersonate-User", "impersonate_group", "Impersonate-Extra-a", "IMPERSONATE-UID"] {
            assert!(impersonation_requested(&map(&["Accept", name])), "{name}");
        }
        assert!(!impersonation_requested(&map(&["Accept", "X-Impersonate-User", "Impersonated"])));
    }

    #[test]
    fn trailers_keep_only_what_is_harmless() {
        let mut trailers = map(&[
            "x_remote_user",
            "Impersonate-User",
            "Authorization",
            "Transfer-Encoding",
            "content_length",
            "X_Forwarded-For",
            "grpc-status",
        ]);
        sanitize_trailers(&mut trailers);
        assert_eq!(trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }
}
