//! What ends objects: deletes and their policies, the deletion of collections, owners that go, and namespaces.

mod deletes;
mod exactly;
mod namespace;
mod policies;

use detectviz_tests::Client;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::thread;

/// Connections that [`bulk`] writes over at once.
const WRITERS: usize = 16;

/// Creates objects, many at once, each in the collection beside it; returns them as they were stored, in the same order.
fn bulk(client: &Client, objects: Vec<(String, Value)>) -> Vec<Value> {
    let count = objects.len();
    let todo = Mutex::new(objects.into_iter().enumerate());
    let done = Mutex::new(vec![Value::Null; count]);
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let mut kept = None;
                loop {
                    let Some((index, (path, object))) = todo.lock().unwrap().next() else { return };
                    let connection = kept.take().unwrap_or_else(|| client.connect().unwrap());
                    let (answer, connection) =
                        client.request("POST", path).json(&object).send_on(connection).unwrap();
                    done.lock().unwrap()[index] = answer.expect(201);
                    kept = connection;
                }
            });
        }
    });
    done.into_inner().unwrap()
}

/// A reference to `owner`.
fn reference(owner: &Value) -> Value {
    json!({"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"]})
}

/// A reference to `owner` that it waits for.
fn blocking(owner: &Value) -> Value {
    let mut reference = reference(owner);
    reference["blockOwnerDeletion"] = true.into();
    reference
}

/// A config map that depends on `owners`.
fn owned(name: &str, owners: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": owners}})
}

/// Deletes with options.
fn delete_with(client: &Client, path: &str, options: &Value) -> detectviz_tests::Answer {
    client.request("DELETE", path).json(options).send()
}
