//! A namespace of ten thousand objects goes, and says meanwhile how far that is.

use detectviz_tests::{Server, editions, wait_until};
use serde_json::{Value, json};

use super::bulk;
use crate::support::{create, names};

const OBJECTS: usize = 10_000;
const HELD: usize = 3;

/// The message of the condition `kind`, if it is True.
fn message(namespace: &Value, kind: &str) -> Option<String> {
    let conditions = namespace["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
    (condition["status"] == "True").then(|| condition["message"].as_str().unwrap().to_owned())
}

/// How many config maps the namespace says there are.
fn remaining(namespace: &Value) -> Option<usize> {
    let message = message(namespace, "NamespaceContentRemaining")?;
    let rest = message.strip_prefix("Some resources are remaining: ")?;
    let count = rest.split(", ").find_map(|part| part.strip_prefix("configmaps. has "))?;
    count.strip_suffix(" resource instances")?.parse().ok()
}

#[test]
fn a_namespace_of_ten_thousand_objects_goes_and_says_how_far_it_is() {
    let server = Server::builder(editions()[0]).start();
    let admin = server.admin();
    create(&admin, "/api/v1/namespaces", &json!({"metadata": {"name": "full"}}));
    let maps = "/api/v1/namespaces/full/configmaps";
    let object = |number: usize| {
        let finalizers = if number < HELD { json!(["example.org/mine"]) } else { json!([]) };
        json!({"metadata": {"name": format!("c{number}"), "finalizers": finalizers}, "data": {"value": "x"}})
    };
    bulk(&admin, (0..OBJECTS).map(|number| (maps.to_owned(), object(number))).collect());
    let mut watch = admin.watch("/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3Dfull");
    watch.expect("ADDED");
    let deleted = admin.delete("/api/v1/namespaces/full").expect(200);
    assert_eq!(deleted["status"]["phase"], "Terminating");
    let mut counts = Vec::new();
    loop {
        let namespace = watch.expect("MODIFIED");
        counts.extend(remaining(&namespace));
        if let Some(message) = message(&namespace, "NamespaceFinalizersRemaining") {
            let expected = "Some content in the namespace has finalizers remaining: example.org/mine in 3 resource instances";
            assert_eq!(message, expected);
            break;
        }
    }
    let on_the_way = counts.iter().filter(|count| (HELD + 1..OBJECTS).contains(*count)).count();
    assert!(on_the_way >= 5 && counts.is_sorted_by(|a, b| a >= b), "progress is told: {counts:?}");
    assert_eq!(counts.last(), Some(&HELD));
    for number in 0..HELD {
        let path = format!("{maps}/c{number}");
        let patch = json!({"metadata": {"finalizers": []}}).to_string();
        admin.request("PATCH", path).body("application/merge-patch+json", patch).send().expect(200);
    }
    wait_until("the namespace is gone", || match admin.get("/api/v1/namespaces/full").code {
        404 => Ok(()),
        code => Err(code),
    });
    assert_eq!(admin.get(maps).expect(200)["items"], json!([]));
}

/// How many namespaces go while others write into them.
const ROUNDS: usize = 12;
const WRITERS: usize = 8;

#[test]
fn nothing_is_left_of_a_namespace_that_goes_while_others_write_into_it() {
    let server = Server::builder(editions()[0]).start();
    let admin = server.admin();
    for round in 0..ROUNDS {
        let (path, maps) =
            (format!("/api/v1/namespaces/n{round}"), format!("/api/v1/namespaces/n{round}/configmaps"));
        create(&admin, "/api/v1/namespaces", &json!({"metadata": {"name": format!("n{round}")}}));
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    let object = json!({"metadata": {"generateName": "w-"}});
                    let refused = loop {
                        let answer = admin.request("POST", &*maps).json(&object).send();
                        if answer.code != 201 {
                            break answer.code;
                        }
                    };
                    assert!([403, 404].contains(&refused), "{refused}");
                });
            }
            wait_until("somebody writes", || match admin.get(&*maps).expect(200)["items"].as_array() {
                Some(items) if items.len() >= WRITERS => Ok(()),
                other => Err(format!("{:?}", other.map(Vec::len))),
            });
            admin.delete(&path).expect(200);
        });
    }
    wait_until("the namespaces are gone", || {
        let left = names(&admin.get("/api/v1/namespaces").expect(200));
        let left: Vec<String> = left.into_iter().filter(|name| name.starts_with('n')).collect();
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    });
    let maps = admin.get("/api/v1/configmaps").expect(200);
    assert!(names(&maps).iter().all(|name| !name.starts_with("w-")), "{maps}");
}
