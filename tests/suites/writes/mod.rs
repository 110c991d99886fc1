//! Writes: verbs × options × bodies, as tables. A row is a request and what has to come back, causes included; each table runs
//! on every storage.

mod apply;
mod options;
mod refusals;
mod status;

use detectviz_tests::{Answer, Client};
use serde_json::Value;

const JSON: &str = "application/json";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A request with a body.
fn send(client: &Client, method: &str, path: &str, kind: &str, body: &str) -> Answer {
    client.request(method, path).header("User-Agent", "tester/v1").body(kind, body).send()
}

/// Applies `config` as `manager`; `options` are further parameters, such as `&force=true`.
fn apply(client: &Client, path: &str, manager: &str, options: &str, config: &Value) -> Answer {
    let path = format!("{path}?fieldManager={manager}{options}");
    send(client, "PATCH", &path, APPLY, &config.to_string())
}

/// A request and what a refusal has to say: code and reason, the message, and each cause as `reason field: message`. A
/// message or a cause that ends with `…` may go on.
struct Row<'a> {
    request: (&'a str, &'a str, &'a str, &'a str),
    code: u16,
    reason: &'a str,
    message: &'a str,
    causes: &'a [&'a str],
}

/// Every row is refused as it says.
fn refuse(client: &Client, rows: &[Row<'_>]) {
    for Row { request, code, reason, message, causes } in rows {
        let (method, path, kind, body) = *request;
        let status = send(client, method, path, kind, body).expect(*code);
        assert_eq!(status["reason"].as_str().unwrap_or_default(), *reason, "{request:?}: {status}");
        assert!(
            fits(status["message"].as_str().unwrap(), message),
            "{request:?}: {status}\nwanted {message}"
        );
        let found = causes_of(&status);
        let same = found.len() == causes.len()
            && found.iter().zip(*causes).all(|(found, wanted)| fits(found, wanted));
        assert!(same, "{request:?}: {found:#?}\nwanted {causes:#?}");
    }
}

fn fits(found: &str, wanted: &str) -> bool {
    wanted.strip_suffix('…').map_or(found == wanted, |start| found.starts_with(start))
}

/// The causes of a refusal.
fn causes_of(status: &Value) -> Vec<String> {
    let causes = status["details"]["causes"].as_array();
    let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    let read = |cause: &Value| {
        format!("{} {}: {}", text(cause, "reason"), text(cause, "field"), text(cause, "message"))
    };
    causes.into_iter().flatten().map(read).collect()
}

/// The entry of a manager in the object's books.
fn entry<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let books = object["metadata"]["managedFields"].as_array()?;
    books.iter().find(|entry| entry["manager"] == manager)
}
