//! `/livez`, `/readyz` and `/healthz`: all checks, or one by its path; the form is upstream's, which probes parse.

use detectviz_api::query::Query;
use detectviz_api::{Reason, Status};
use detectviz_core::health::{Checks, Kind, Outcome};
use detectviz_core::http::Response;
use http::StatusCode;
use std::fmt::Write;

pub(super) fn page(checks: &Checks, kind: &str, check: &str, query: &Query) -> Result<Response, Status> {
    let wanted = if kind == "readyz" { Kind::Ready } else { Kind::Live };
    let outcomes = checks.run(wanted);
    if !check.is_empty() {
        let found = outcomes.iter().find(|outcome| outcome.name == check);
        let one =
            found.ok_or_else(|| Status::failure(Reason::NotFound, format!("no such check: {check}")))?;
        return Ok(answer(kind, std::slice::from_ref(one), query.flag("verbose")));
    }
    let excluded: Vec<&str> = query.all("exclude").collect();
    let outcomes: Vec<Outcome> =
        outcomes.into_iter().filter(|outcome| !excluded.contains(&outcome.name.as_str())).collect();
    Ok(answer(kind, &outcomes, query.get("verbose").is_some()))
}

fn answer(kind: &str, outcomes: &[Outcome], verbose: bool) -> Response {
    let failed = outcomes.iter().any(|outcome| outcome.result.is_err());
    let body = if failed || verbose { report(kind, outcomes, failed) } else { "ok".to_owned() };
    let mut response = super::text("text/plain; charset=utf-8", body);
    if failed {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
}

fn report(kind: &str, outcomes: &[Outcome], failed: bool) -> String {
    let mut text = String::new();
    for Outcome { name, result } in outcomes {
        // The reason is for the log: everyone may read this page.
        let line = match result {
            Ok(()) => writeln!(text, "[+]{name} ok"),
            Err(_) => writeln!(text, "[-]{name} failed: reason withheld"),
        };
        line.expect("writing to a String does not fail");
    }
    text.push_str(kind);
    text.push_str(if failed { " check failed\n" } else { " check passed\n" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    async fn check(path: (&str, &str), query: &str, code: u16, body: &str) {
        let checks = Checks::default();
        checks.add(Kind::Live, "ping", Arc::new(|| Ok(())));
        checks.add(Kind::Ready, "cache", Arc::new(|| Err("behind".to_owned())));
        let response = page(&checks, path.0, path.1, &Query::parse(Some(query)).unwrap());
        let (got, text) = match response {
            Ok(response) => (response.status().as_u16(), response.into_body().collect(1000).await.unwrap()),
            Err(status) => (status.code, status.message.into()),
        };
        assert_eq!((got, String::from_utf8_lossy(&text).as_ref()), (code, body), "{path:?}?{query}");
    }

    #[tokio::test]
    async fn pages_have_upstreams_form() {
        check(("livez", ""), "", 200, "ok").await;
        check(("livez", ""), "verbose", 200, "[+]ping ok\nlivez check passed\n").await;
        check(("readyz", ""), "", 500, "[-]cache failed: reason withheld\n[+]ping ok\nreadyz check failed\n")
            .await;
        check(("readyz", ""), "exclude=cache", 200, "ok").await;
        check(("readyz", "ping"), "", 200, "ok").await;
        check(("livez", "cache"), "", 404, "no such check: cache").await;
    }
}
