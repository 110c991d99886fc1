//! The steps of the chain that are more than one line.

use detectviz_api::query::go_duration;
use detectviz_api::{Identity, Reason, RequestInfo, Status};
use detectviz_auth::authenticate::{Authenticator, Credentials};
use detectviz_auth::{authorize, headers};
use detectviz_core::http::Request;
use futures_util::FutureExt;
use http::{Version, header};
use std::any::Any;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use uuid::Uuid;

use super::Peer;

/// Names of requests: no two are the same, and another process has others. Keyed hashes of a counter, since a request
/// should not cost a system call for randomness that nothing rests on.
static REQUEST_IDS: LazyLock<([RandomState; 2], AtomicU64)> = LazyLock::new(Default::default);

/// A name for the request in logs and answers (`Audit-Id`). Ours, so that nobody can forge the log's keys.
pub(super) fn request_id() -> Uuid {
    let ([high, low], counter) = &*REQUEST_IDS;
    let number = counter.fetch_add(1, Ordering::Relaxed);
    let bits = u128::from(high.hash_one(number)) << 64 | u128::from(low.hash_one(number));
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

/// A request names one server, and once: who takes it for another's must not be found out by which of two names they read
/// (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
pub(super) fn refuse_two_hosts(request: &Request) -> Result<(), Status> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    let (host, another) = (hosts.next(), hosts.next());
    let authority = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
    let missing = host.is_none() && request.version() == Version::HTTP_11;
    let differs = |authority: &http::uri::Authority| {
        host.is_some_and(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
    };
    if missing || another.is_some() || authority.is_some_and(differs) {
        return Err(Status::bad_request(
            "a request must have one Host header, which is its :authority if it has one",
        ));
    }
    Ok(())
}

pub(super) fn request_info(request: &Request) -> Result<RequestInfo, Status> {
    RequestInfo::parse(request.method(), request.uri().path(), request.uri().query())
}

pub(super) fn authenticate(
    engine: &Authenticator,
    peer: &Peer,
    request: &Request,
) -> Result<Arc<Identity>, Status> {
    if peer.certificate.is_some() {
        // A connection's certificate does not change: it is read once.
        let read = || {
            judge(engine, &Credentials { peer_certificate: peer.certificate.as_deref(), authorization: None })
        };
        return peer.identity.get_or_init(read).clone();
    }
    let authorization = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::to_str);
    // Pages cannot set headers: theirs stands among the subprotocols.
    let among_protocols =
        if authorization.is_none() { crate::upgrade::bearer(request.headers()) } else { None };
    match authorization.transpose() {
        Ok(None) if among_protocols.is_some() => {
            let authorization = among_protocols.as_deref();
            judge(engine, &Credentials { peer_certificate: None, authorization })
        }
        Ok(authorization) => judge(engine, &Credentials { peer_certificate: None, authorization }),
        Err(_) => Err(unauthorized()),
    }
}

fn judge(engine: &Authenticator, credentials: &Credentials<'_>) -> Result<Arc<Identity>, Status> {
    engine.authenticate(credentials).map(Arc::new).map_err(|why| {
        tracing::debug!(error = %why, "unable to authenticate the request");
        unauthorized()
    })
}

fn unauthorized() -> Status {
    Status::failure(Reason::Unauthorized, "Unauthorized")
}

pub(super) fn strip_identity_headers(request: &mut Request) {
    headers::strip_identity_headers(request.headers_mut());
}

pub(super) fn refuse_impersonation(request: &Request) -> Result<(), Status> {
    if headers::impersonation_requested(request.headers()) {
        return Err(Status::failure(
            Reason::Forbidden,
            "impersonation is not supported: send the request without Impersonate-* headers",
        ));
    }
    Ok(())
}

pub(super) fn authorize(
    engine: &dyn authorize::Authorizer,
    identity: &Identity,
    info: &RequestInfo,
) -> Result<(), Status> {
    match engine.authorize(identity, info) {
        authorize::Decision::Allow => Ok(()),
        decision => {
            tracing::debug!(user = identity.name, ?decision, "forbidden");
            Err(authorize::forbidden(identity, info))
        }
    }
}

/// How long the answer may take: what the caller says, up to `limit`. No time, or a negative one, says nothing.
pub(super) fn timeout(info: &RequestInfo, limit: Duration) -> Result<Duration, Status> {
    let Some(text) = info.query.get("timeout").filter(|text| !text.is_empty() && !info.is_long_running())
    else {
        return Ok(limit);
    };
    let seconds = go_duration(text).map_err(|why| {
        Status::bad_request(format!("invalid timeout specified in the request URL - {why}"))
    })?;
    let asked = Duration::try_from_secs_f64(seconds).ok().filter(|asked| !asked.is_zero());
    Ok(asked.map_or(limit, |asked| asked.min(limit)))
}

pub(super) async fn deadline<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = "Timeout: request did not complete within the allotted timeout";
        Err(Status::failure(Reason::Timeout, message))
    })
}

/// A panic in one handler is that request's 500, never the server's end.
/// Not `async`, which would keep room for two of `answer`.
pub(super) fn guard_panics<T>(
    answer: impl Future<Output = Result<T, Status>>,
) -> impl Future<Output = Result<T, Status>> {
    AssertUnwindSafe(answer).catch_unwind().map(|outcome| {
        outcome.unwrap_or_else(|panic| {
            tracing::error!(panic = panic_text(&*panic), "a handler panicked");
            Err(Status::internal("the handler panicked"))
        })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_one_name() {
        let names: std::collections::HashSet<_> = (0..1000).map(|_| request_id()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.get_version() == Some(uuid::Version::Random)));
    }

    #[tokio::test]
    async fn a_panic_is_a_500_and_a_slow_answer_a_504() {
        let panicked = guard_panics::<()>(async { panic!("boom") }).await.unwrap_err();
        assert_eq!(panicked.code, 500);
        let late = deadline::<()>(Duration::from_millis(1), std::future::pending()).await.unwrap_err();
        assert_eq!(late.code, 504);
    }

    #[test]
    fn a_request_names_one_server_once() {
        let request = |version: Version, uri: &str, hosts: &[&str]| {
            let mut request = http::Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            refuse_two_hosts(&request.body(detectviz_core::http::Body::empty()).unwrap()).is_ok()
        };
        for (version, uri, hosts, fits) in [
            (Version::HTTP_11, "/x", &["a"][..], true),
            (Version::HTTP_11, "/x", &[], false),
            (Version::HTTP_11, "/x", &["a", "a"], false),
            (Version::HTTP_11, "http://b/x", &["a"], true),
            (Version::HTTP_10, "/x", &[], true),
            (Version::HTTP_2, "https://a/x", &[], true),
            (Version::HTTP_2, "https://a/x", &["A"], true),
            (Version::HTTP_2, "https://a/x", &["b"], false),
            (Version::HTTP_2, "https://a/x", &["a", "b"], false),
        ] {
            assert_eq!(request(version, uri, hosts), fits, "{version:?} {uri} {hosts:?}");
        }
    }

    #[test]
    fn a_caller_may_ask_for_less_time_and_not_for_more() {
        let limit = Duration::from_secs(60);
        let asked =
            |query| timeout(&RequestInfo::parse(&http::Method::GET, "/x", Some(query)).unwrap(), limit);
        for (query, seconds) in [
            ("timeout=5s", 5),
            ("timeout=2m", 60),
            ("timeout=0s", 60),
            ("timeout=-1s", 60),
            ("timeout=", 60),
            ("", 60),
        ] {
            assert_eq!(asked(query).unwrap(), Duration::from_secs(seconds), "{query}");
        }
        assert_eq!(
            asked("timeout=5").unwrap_err().message,
            "invalid timeout specified in the request URL - time: missing unit in duration \"5\""
        );
    }
}
