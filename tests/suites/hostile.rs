//! Bodies and patches that mean harm: each has a clear answer of a bounded size, costs bounded memory, changes nothing that it
//! should not, and the server goes on.
//!
//! Each body is sent as a create, an update and every kind of patch. Nothing is said about time but that there is an answer.

mod bodies;
mod frames;

use detectviz_tests::{Answer, Client, Request, Server, editions, variants};
use serde_json::{Value, json};
use std::io;

use crate::support::{create, names, version};
use bodies::{Body, bodies, json_patches};

/// Where the data sources of the namespace `default` are: their settings are free, so that any document can stand there.
const SOURCES: &str = "/apis/datasource.detectviz.io/v0alpha1/namespaces/default/datasources";
/// The most bytes of an answer to a refusal, its head included.
const MAX_ANSWER: usize = 512 * 1024;
/// The most that a request may make the server grow by while it is answered; bodies are 3 MiB.
const MAX_GROWTH: usize = 256 * 1024 * 1024;
/// The most by which the server may have grown after all of them. An allocator keeps what it had for each of its threads; it is
/// the same however often they come.
const MAX_KEPT: usize = 512 * 1024 * 1024;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn source(name: &str) -> Value {
    json!({
        "apiVersion": "datasource.detectviz.io/v0alpha1", "kind": "DataSource",
        "metadata": {"name": name}, "spec": {"type": "x", "jsonData": {"kept": true}},
    })
}

/// How much of the server is in memory, and how much was at most, in bytes.
fn memory(server: &Server) -> (usize, usize) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Does something, and checks how much the server grew meanwhile.
fn within_bounds(server: &Server, what: &str, send: impl FnOnce() -> io::Result<Answer>) -> Answer {
    // From now on the most is counted anew.
    std::fs::write(format!("/proc/{}/clear_refs", server.id()), "5").unwrap();
    let (before, _) = memory(server);
    let answer = send();
    let grown = memory(server).1.saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{what}: {grown} bytes more than before");
    answer.unwrap_or_else(|fault| panic!("{what}: {fault}"))
}

/// A refusal is a `Status` of a bounded size with one of these codes; an acceptance is one where it is allowed.
fn check(what: &str, answer: &Answer, allowed: &[u16]) {
    assert!(answer.head_size() < MAX_ANSWER, "{what}: {} bytes of headers", answer.head_size());
    assert!(allowed.contains(&answer.code), "{what}: {answer}");
    if answer.code >= 300 {
        assert!(answer.body.len() < MAX_ANSWER, "{what}: {} bytes", answer.body.len());
        let status = answer.json();
        assert_eq!(
            (&status["kind"], &status["status"]),
            (&json!("Status"), &json!("Failure")),
            "{what}: {answer}"
        );
        assert!(status["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {answer}");
    }
}

/// `body` about the object that is named so; what follows in quotes stands beside the name.
fn named(body: &str, name: &str) -> String {
    body.replacen("\"hostile\"", name, 1)
}

/// The requests that carry `body`: what each is called, and how it is sent.
fn requests<'a>(admin: &'a Client, body: &'a Body) -> Vec<(String, Request<'a>)> {
    let target = format!("{SOURCES}/target");
    let version = version(&admin.get(&target).expect(200));
    let send = |method: &'static str, path: String, kind: &'static str| {
        let what = format!("{}: {method} {kind}", body.name);
        // A body is about the object that its path names, and an update about the version that is there.
        let text = match method {
            "POST" => body.text.clone(),
            "PUT" => named(&body.text, &format!(r#""target","resourceVersion":"{version}""#)),
            _ => named(&body.text, r#""target""#),
        };
        (what, admin.request(method, path).body(kind, text))
    };
    let kind = if body.is_yaml { YAML } else { JSON };
    let mut requests = vec![
        send("POST", SOURCES.to_owned(), kind),
        send("PUT", target.clone(), kind),
        send("PATCH", format!("{target}?fieldManager=hostile&force=true"), APPLY),
    ];
    if !body.is_yaml {
        requests.push(send("PATCH", target.clone(), "application/merge-patch+json"));
        requests.push(send("PATCH", target, "application/strategic-merge-patch+json"));
    }
    requests
}

/// Takes away what was created, or puts back what was written to.
fn restore(admin: &Client, created: bool) {
    if created {
        admin.delete(format!("{SOURCES}/hostile"));
        return;
    }
    admin.delete(format!("{SOURCES}/target"));
    create(admin, SOURCES, &source("target"));
}

/// One server: which store is behind it is no matter for what never gets there, and what gets there is no more than large.
#[test]
fn bodies_that_mean_harm_are_answered_within_bounds() {
    let server = Server::builder(editions()[0]).start();
    let admin = server.admin();
    let kept = create(&admin, SOURCES, &source("kept"));
    create(&admin, SOURCES, &source("target"));
    let (before, _) = memory(&server);
    for body in bodies() {
        for (what, request) in requests(&admin, &body) {
            let answer = within_bounds(&server, &what, || request.try_send());
            // What does not fit its schema is 500 to an apply, as upstream has it.
            let allowed =
                if what.contains(APPLY) { &[body.allowed, &[500][..]].concat() } else { body.allowed };
            check(&what, &answer, allowed);
            if answer.code < 300 {
                restore(&admin, answer.code == 201);
            }
        }
    }
    goes_on(&server, &kept, before);
}

#[test]
fn json_patches_that_mean_harm_are_answered_within_bounds() {
    variants(|server| {
        let admin = server.admin();
        let kept = create(&admin, SOURCES, &source("kept"));
        create(&admin, SOURCES, &source("target"));
        let (before, _) = memory(&server);
        for patch in json_patches() {
            let request =
                admin.request("PATCH", format!("{SOURCES}/target")).body(JSON_PATCH, patch.text.as_bytes());
            let answer = within_bounds(&server, patch.name, || request.try_send());
            check(patch.name, &answer, patch.allowed);
            if answer.code < 300 {
                restore(&admin, false);
            }
        }
        goes_on(&server, &kept, before);
    });
}

/// Nothing was lost, the server answers, and it did not keep what it was sent.
fn goes_on(server: &Server, kept: &Value, before: usize) {
    let admin = server.admin();
    assert_eq!(&admin.get(format!("{SOURCES}/kept")).expect(200), kept);
    assert_eq!(names(&admin.get(SOURCES).expect(200)), ["kept", "target"]);
    assert_eq!(server.anonymous().get("/readyz").code, 200);
    let grown = memory(server).0.saturating_sub(before);
    assert!(grown < MAX_KEPT, "{grown} bytes more than before");
}
