//! What of a backend's answer may reach the client: no redirect, no upgrade, no header that is for one
//! connection only or for all of our origin.

use detectviz_api::Status;
use detectviz_core::RunContext;
use detectviz_core::http::Response;
use http::{StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

use super::{body, headers};
use crate::error::{BAD_GATEWAY, refused};
use crate::metrics::Numbers;

/// What ends a body that does not end by itself.
#[derive(Clone, Copy)]
pub(super) enum End<'a> {
    /// The server's stop, for an answer that may be silent for long.
    With(&'a RunContext),
    /// So long a silence, for all others: no deadline covers what comes after the head.
    Idle(Duration),
}

/// Judges an answer's head; its body streams on, until `end`.
///
/// # Errors
/// 502 for a redirect, which would make the client carry its credentials elsewhere (CVE-2022-3172), and for an
/// upgrade that nobody asked for.
pub(super) fn accept(
    name: &str,
    answer: Response,
    numbers: &Arc<Numbers>,
    end: End<'_>,
) -> Result<Response, Status> {
    let code = answer.status();
    if code.is_informational() || (code.is_redirection() && code != StatusCode::NOT_MODIFIED) {
        let what = if code.is_redirection() { "redirect the request" } else { "switch protocols" };
        let message = format!("the backend of APIService {name:?} tried to {what}, which is not permitted");
        return Err(refused(BAD_GATEWAY, message));
    }
    let (head, body) = answer.into_parts();
    let mut fields = head.headers;
    headers::clean_answer(&mut fields);
    headers::confine_pages(&mut fields);
    if code == StatusCode::NOT_MODIFIED {
        fields.remove(header::LOCATION);
    }
    let body = match end {
        End::With(context) => body::streamed(body, numbers, context.clone()),
        End::Idle(limit) => body::answered(body, numbers, limit),
    };
    // Status and headers alone: extensions of the outgoing connection are none of the incoming one's business.
    let mut response = Response::new(body);
    *response.status_mut() = code;
    *response.headers_mut() = fields;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::body::tests::{Endless, next};
    use detectviz_core::http::Body;

    const END: End<'_> = End::Idle(Duration::from_secs(60));

    fn answer(code: u16) -> Response {
        let builder = http::Response::builder().status(code).header("location", "https://elsewhere");
        builder.header("connection", "x-hop").header("x-hop", "1").body(Body::full("x")).unwrap()
    }

    #[test]
    fn no_redirect_and_no_upgrade_reaches_the_client() {
        for code in (300..400).filter(|code| *code != 304).chain([100, 101]) {
            let status = accept("v1.a", answer(code), &Arc::default(), END).err().unwrap();
            assert_eq!(status.code, 502, "{code}");
            assert!(!status.message.contains("elsewhere"));
        }
        let response = accept("v1.a", answer(304), &Arc::default(), END).unwrap();
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }

    #[test]
    fn other_answers_keep_all_but_hop_by_hop_headers() {
        for code in [200, 201, 404, 500, 503] {
            let response = accept("v1.a", answer(code), &Arc::default(), END).unwrap();
            assert_eq!(response.status(), code);
            let left: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
            assert_eq!(left, ["location"]);
        }
    }

    #[test]
    fn no_header_that_acts_on_our_origin_reaches_the_client() {
        for name in [
            "Set-Cookie",
            "Set-Cookie2",
            "WWW-Authenticate",
            "Alt-Svc",
            "Refresh",
            "Clear-Site-Data",
            "Strict-Transport-Security",
            "Public-Key-Pins",
            "Access-Control-Allow-Origin",
            "Access-Control-Allow-Credentials",
            "Service-Worker-Allowed",
            "Reporting-Endpoints",
            "Expect-CT",
            "Accept-CH",
            "Set-Login",
            "Use-As-Dictionary",
            // What a proxy in front of this server would take for its own server's word.
            "X-Accel-Redirect",
            "X-Accel-Expires",
            "X-Sendfile",
            "X-LIGHTTPD-send-file",
            "X-Reproxy-URL",
        ] {
            for code in [200, 304, 401, 500] {
                let builder = http::Response::builder().status(code).header(name, "x").header(name, "y");
                let answer = builder.header("etag", "1").body(Body::full("x")).unwrap();
                let response = accept("v1.a", answer, &Arc::default(), END).unwrap();
                let left: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
                assert_eq!(left, ["etag"], "{name}");
            }
        }
    }

    #[test]
    fn a_page_is_nobodys() {
        for (kind, confined) in [
            ("text/html; charset=utf-8", true),
            ("Image/SVG+xml", true),
            ("application/json, text/html", true),
            ("application/xslt+xml", true),
            ("application/atom+xml", true),
            ("multipart/x-mixed-replace; boundary=x", true),
            ("text/plain; charset=utf-8", false),
            ("application/json", false),
            ("", false),
        ] {
            let builder = http::Response::builder().header("content-type", kind);
            let answer =
                builder.header("content-security-policy", "default-src *").body(Body::full("x")).unwrap();
            let response = accept("v1.a", answer, &Arc::default(), END).unwrap();
            let policies = response.headers().get_all("content-security-policy").into_iter();
            assert_eq!(policies.skip(1).any(|policy| policy == "sandbox"), confined, "{kind}");
        }
    }

    #[test]
    fn the_last_of_several_types_counts_too() {
        let builder = http::Response::builder().header("content-type", "application/json");
        let answer = builder.header("content-type", "text/html").body(Body::full("x")).unwrap();
        let response = accept("v1.a", answer, &Arc::default(), END).unwrap();
        assert_eq!(response.headers()["content-security-policy"], "sandbox");
    }

    #[test]
    fn a_length_beside_chunks_says_nothing() {
        let builder = http::Response::builder().header("transfer-encoding", "chunked");
        let answer = builder.header("content-length", "9").body(Body::stream(Endless(None))).unwrap();
        let response = accept("v1.a", answer, &Arc::default(), END).unwrap();
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }

    #[tokio::test]
    async fn an_answer_that_falls_silent_ends_with_an_error() {
        let answer = Response::new(Body::stream(Endless(None)));
        let limit = Duration::from_millis(1);
        let mut body = accept("v1.a", answer, &Arc::default(), End::Idle(limit)).unwrap().into_body();
        assert!(next(&mut body).await.unwrap().is_err());
    }
}
