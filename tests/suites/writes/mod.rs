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

/// What a refusal has to say: code and reason, the message (one that ends with `…` may go on), and the reasons of its causes,
/// joined by commas. The message names field and fault of every cause, and that is checked too.
type Refusal<'a> = (u16, &'a str, &'a str, &'a str);

/// The request is refused as `refusal` says.
fn refuse(client: &Client, method: &str, path: &str, (kind, body): (&str, &str), refusal: Refusal<'_>) {
    let (code, reason, message, reasons) = refusal;
    let about = format!("{method} {path} {kind} {body}");
    let status = send(client, method, path, kind, body).expect(code);
    assert_eq!(status["reason"].as_str().unwrap_or_default(), reason, "{about}: {status}");
    let said = status["message"].as_str().unwrap();
    assert!(fits(said, message), "{about}: {status}\nwanted {message}");
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    let found: Vec<String> = causes.iter().map(|cause| text(cause, "reason")).collect();
    assert_eq!(found.join(","), reasons, "{about}: {status}");
    for cause in &causes {
        let told = format!("{}: {}", text(cause, "field"), text(cause, "message"));
        assert!(said.contains(&told), "{about}: {said}\nshould tell {told}");
    }
}

fn fits(found: &str, wanted: &str) -> bool {
    wanted.strip_suffix('…').map_or(found == wanted, |start| found.starts_with(start))
}

/// The entry of a manager in the object's books.
fn entry<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    let books = object["metadata"]["managedFields"].as_array()?;
    books.iter().find(|entry| entry["manager"] == manager)
}
