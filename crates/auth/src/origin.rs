//! Which page a browser asks for. WebSockets know no CORS, and a browser shows its user's client certificate to whatever
//! server a page names: without this check any page could act with the rights of whoever looks at it.

use detectviz_api::{Reason, Status};
use http::{HeaderMap, HeaderValue, header};

/// Refuses a handshake of a page that is not of this server. A bearer token is never sent by itself, and clients that are
/// no browsers send no origin or their server's.
///
/// # Errors
/// 403 for a page of another origin.
pub fn refuse_foreign_pages(headers: &HeaderMap) -> Result<(), Status> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    let credentials = text(header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    let has_token = credentials.is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (Some(origin), false) = (text(header::ORIGIN), has_token) else { return Ok(()) };
    let of_page = origin.split_once("://").map(|(_, authority)| authority);
    match (of_page, text(header::HOST)) {
        (Some(page), Some(host)) if page.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Status::failure(
            Reason::Forbidden,
            format!("origin {origin:?} is not this server: a page may watch its own server only"),
        )),
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
    fn a_page_of_another_origin_is_refused_unless_it_has_a_token() {
        for (origin, host, allowed) in [
            ("https://a.example:6443", "a.example:6443", true),
            ("https://A.example", "a.example", true),
            ("https://evil.example", "a.example", false),
            ("https://a.example.evil", "a.example", false),
            ("null", "a.example", false),
        ] {
            let pairs = [("origin", origin), ("host", host)];
            assert_eq!(refuse_foreign_pages(&headers(&pairs)).is_ok(), allowed, "{origin}");
            let with_token = [pairs[0], pairs[1], ("authorization", "Bearer x")];
            assert!(refuse_foreign_pages(&headers(&with_token)).is_ok());
            let with_other = [pairs[0], pairs[1], ("authorization", "Basic eDp5")];
            assert_eq!(refuse_foreign_pages(&headers(&with_other)).is_ok(), allowed, "{origin}");
        }
        assert!(refuse_foreign_pages(&headers(&[("host", "a.example")])).is_ok());
    }
}
