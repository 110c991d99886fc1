//! Answers that a client may have already: the entity tag, and 304 for whoever knows it (RFC 9110, 13.1.2).

use detectviz_core::catalog::Document;
use detectviz_core::http::{Body, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// `document` as media type `kind`, or 304 when the client has it.
pub(super) fn document(document: &Document, kind: &'static str, request: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", document.hash);
    let mut response = if is_known(request, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::full(document.bytes.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    // Kept by clients, and asked for again each time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    headers
        .insert(header::ETAG, HeaderValue::from_str(&tag).expect("a hash in hexadecimal is a header value"));
    response
}

/// Whether `If-None-Match` names `tag`, or anything.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(tags).any(|have| have == "*" || have == tag)
}

/// The tags of a list, without the marks of weak ones, since a GET compares weakly. A comma may stand inside of a tag.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let tags = list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    tags.map(str::trim).map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_knows_is_not_sent_again() {
        for (known, expected) in [
            (&["\"A\""][..], true),
            (&["W/\"A\""], true),
            (&["*"], true),
            (&["\"B\", \"A\""], true),
            (&["\"B\"", "W/\"C\",W/\"A\""], true),
            (&["\"x,y\" , \"A\""], true),
            (&[], false),
            (&["\"B\""], false),
            (&["A"], false),
            (&["\"a\""], false),
            (&["\"x,\"A\""], false),
            (&["\"*\""], false),
            (&[""], false),
        ] {
            let mut request = HeaderMap::new();
            for value in known {
                request.append(header::IF_NONE_MATCH, HeaderValue::from_static(value));
            }
            assert_eq!(is_known(&request, "\"A\""), expected, "{known:?}");
        }
    }
}
