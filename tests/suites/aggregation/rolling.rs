//! Two processes behind one APIService that are restarted in turn, while clients read and write without pause.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use detectviz_tests::{Client, ExtensionServer, enterprise, wait_for};
use serde_json::{Value, json};

use super::{FLIGHTS, SERVICE, register};
use crate::support::await_available;

const ENDPOINTS: &str = "aggregator.detectviz.io/endpoints";
/// So many consecutive answers of one process say that the other gets no requests: by chance that is as likely as
/// nothing.
const MANY: usize = 60;

fn annotate(admin: &Client, annotations: &Value) {
    let change = json!({"metadata": {"annotations": annotations}});
    admin
        .request("PATCH", SERVICE)
        .body("application/merge-patch+json", change.to_string())
        .send()
        .expect(200);
}

fn point(admin: &Client, processes: &[&ExtensionServer]) {
    let targets: Vec<_> = processes.iter().map(|process| process.target()).collect();
    annotate(admin, &json!({ENDPOINTS: targets.join(",")}));
}

/// Which process answers: each has made its flights by itself.
fn who(admin: &Client) -> String {
    admin.get(FLIGHTS).expect(200)["items"][0]["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn await_one(admin: &Client) {
    wait_for("one process alone answers", || {
        let one = who(admin);
        (1..MANY).all(|_| who(admin) == one).then_some(())
    });
}

fn await_both(admin: &Client) {
    let mut seen = HashMap::new();
    wait_for("both processes answer", || {
        *seen.entry(who(admin)).or_insert(0) += 1;
        (seen.len() == 2 && seen.values().all(|count| *count >= 5)).then_some(())
    });
}

#[test]
fn a_rolling_restart_under_load_fails_no_request() {
    enterprise(|builder| {
        let server = builder.start();
        let (admin, first) = (server.admin(), ExtensionServer::start(&server));
        let mut processes = [first.another(), first];
        register(&admin, &processes[0]);
        point(&admin, &[&processes[0], &processes[1]]);
        await_available(&admin, SERVICE, "True", Some("Passed"));
        let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|client| {
                    let (admin, stop, answered) = (server.admin(), &stop, &answered);
                    scope.spawn(move || {
                        while !stop.load(Ordering::SeqCst) {
                            read_and_write(&admin, client, answered.fetch_add(2, Ordering::SeqCst));
                        }
                    })
                })
                .collect();
            let more = || {
                let enough = answered.load(Ordering::SeqCst) + 40;
                wait_for("requests are answered", || {
                    let failed = clients.iter().any(thread::ScopedJoinHandle::is_finished);
                    (failed || answered.load(Ordering::SeqCst) >= enough).then_some(())
                });
            };
            more();
            for _ in 0..2 {
                // As one is restarted by a rollout: taken out, stopped once nothing new comes, put back when it is there.
                point(&admin, &[&processes[1]]);
                await_one(&admin);
                processes[0].terminate();
                more();
                processes[0].restart();
                point(&admin, &[&processes[0], &processes[1]]);
                await_both(&admin);
                more();
                processes.swap(0, 1);
            }
            stop.store(true, Ordering::SeqCst);
        });
    });
}

/// One read and one write of a name that nobody else has; both must be answered well.
fn read_and_write(admin: &Client, client: usize, number: usize) {
    admin.get(FLIGHTS).expect(200);
    let flight = json!({
        "apiVersion": "example.detectviz.io/v1", "kind": "Flight",
        "metadata": {"name": format!("f{client}-{number}")},
        "spec": {"origin": "TPE", "destination": "VIE", "gate": "A1"},
    });
    admin.create(FLIGHTS, &flight).expect(201);
}

#[test]
fn bounds_are_read_from_annotations_warned_of_and_told() {
    enterprise(|builder| {
        let server = builder.start();
        let (admin, example) = (server.admin(), ExtensionServer::start(&server));
        register(&admin, &example);
        await_available(&admin, SERVICE, "True", Some("Passed"));
        let rate = "aggregator.detectviz.io/requests-per-second";
        let change = json!({"metadata": {"annotations": {rate: "few"}}}).to_string();
        let patch = admin.request("PATCH", SERVICE).body("application/merge-patch+json", change).send();
        assert!(
            patch.header("warning").is_some_and(|text| text.contains("must be a whole number")),
            "{patch}"
        );
        let policy = |status: &str| {
            wait_for("the condition about the policy", || {
                let object = admin.get(SERVICE).expect(200);
                let conditions = object["status"]["conditions"].as_array()?.clone();
                conditions.into_iter().find(|c| c["type"] == "PolicyAccepted" && c["status"] == status)
            })
        };
        let message = policy("False")["message"].as_str().unwrap().to_owned();
        assert!(message.contains(rate) && message.contains("\"few\""), "{message}");
        admin.get(FLIGHTS).expect(200);
        annotate(&admin, &json!({rate: "1"}));
        policy("True");
        let refused = wait_for("a request over the bound", || {
            let answer = admin.get(FLIGHTS);
            (answer.code == 429).then_some(answer)
        });
        let status = refused.refused(429, "TooManyRequests");
        assert!(status["message"].as_str().unwrap().contains(rate), "{status}");
        assert_eq!(refused.header("retry-after"), Some("1"));
        annotate(&admin, &json!({rate: null}));
        wait_for("a hundred requests in a row", || {
            (0..100).all(|_| admin.get(FLIGHTS).code == 200).then_some(())
        });
    });
}
