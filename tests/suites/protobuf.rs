//! Protobuf bodies: each kind's as another encoder wrote it, from `tests/protobuf`; what the answer says is what the JSON
//! beside it says.

use detectviz_tests::{Client, each_storage, variants, wait_until};
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::support::{CONFIG_MAPS, config_map, create};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A body, and the object that it is.
struct Golden {
    body: Vec<u8>,
    object: Value,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("protobuf")
}

fn golden(name: &str) -> Golden {
    let path = folder().join(name);
    let json = std::fs::read_to_string(path.with_extension("json")).unwrap();
    Golden {
        body: std::fs::read(path.with_extension("pb")).unwrap(),
        object: serde_json::from_str(&json).unwrap(),
    }
}

/// All objects, namespaces first.
fn goldens() -> Vec<Golden> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let bodies = files.filter(|path| path.extension().unwrap() == "pb");
    let names = bodies.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let mut goldens: Vec<_> = names.map(|name| golden(&name)).collect();
    goldens.retain(|golden| golden.object["kind"] != "DeleteOptions");
    goldens.sort_by_key(|golden| golden.object["kind"] != "Namespace");
    goldens
}

/// Where objects of this kind are created, and whether they can be updated, as discovery says.
fn collection(admin: &Client, object: &Value) -> (String, bool) {
    let version = object["apiVersion"].as_str().unwrap();
    let base = format!("{}/{version}", if version.contains('/') { "/apis" } else { "/api" });
    let list = admin.get(&*base).expect(200);
    let resources = list["resources"].as_array().unwrap().iter();
    let mut of_kind = resources.filter(|one| one["kind"] == object["kind"]);
    let resource = of_kind.find(|one| !one["name"].as_str().unwrap().contains('/'));
    let resource = resource.unwrap_or_else(|| panic!("{base} serves no {}", object["kind"]));
    let place = if resource["namespaced"] == true { "/namespaces/default" } else { "" };
    let can_update = resource["verbs"].as_array().unwrap().contains(&json!("update"));
    (format!("{base}{place}/{}", resource["name"].as_str().unwrap()), can_update)
}

/// Whether `whole` has all that `part` has; the server may have added fields.
fn has(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| has(found, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| has(whole, part))
        }
        (whole, part) => whole == part,
    }
}

/// Compares what a client decides about: all but the status, what is only ever written, and who wrote what.
#[track_caller]
fn check(answer: &Value, sent: &Value) {
    let mut sent = sent.clone();
    let fields = sent.as_object_mut().unwrap();
    fields.retain(|name, _| name != "status" && name != "stringData");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    assert!(has(answer, &sent), "{answer:#} has not all of {sent:#}");
}

#[test]
fn each_kind_is_read_from_its_body() {
    each_storage(|builder, _| {
        let server = builder.option("--batteries", "true").start();
        let admin = server.admin();
        for Golden { body, object } in goldens() {
            let (collection, can_update) = collection(&admin, &object);
            // What client-go sends where it speaks protobuf: protobuf if you can, else JSON.
            let send = |method: &str, path: &str, body: Vec<u8>| {
                let request = admin.request(method, path).body(PROTOBUF, body);
                request.header("Accept", "application/vnd.kubernetes.protobuf,application/json").send()
            };
            let dry = send("POST", &format!("{collection}?dryRun=All"), body.clone());
            assert_eq!(dry.header("content-type"), Some("application/json"));
            let dry = dry.expect(201);
            if !can_update {
                assert!(dry["status"].is_object(), "{dry}");
                continue;
            }
            check(&dry, &object);
            // An owner that is not there would take the object along.
            if object["metadata"].get("ownerReferences").is_some() {
                continue;
            }
            let created = send("POST", &collection, body.clone()).expect(201);
            check(&created, &object);
            let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
            // What the server made of a job's selector is not in the body, and may not go.
            if object["kind"] == "Job" {
                continue;
            }
            let mut updated = None;
            wait_until("no controller comes in between", || {
                let version = admin.get(&*path).expect(200)["metadata"]["resourceVersion"].clone();
                let answer = send("PUT", &path, at_version(&body, version.as_str().unwrap()));
                if answer.code == 409 {
                    return Err(answer.to_string());
                }
                updated = Some(answer.expect(200));
                Ok(())
            });
            check(&updated.unwrap(), &object);
            send("PUT", &path, at_version(&body, "1")).refused(409, "Conflict");
        }
    });
}

/// A field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let (mut bytes, mut length) = (vec![number << 3 | 2], content.len());
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [&bytes, content].concat()
}

/// The body with a `resourceVersion` (6) in a second part of its metadata (1): a message may come in several parts.
fn at_version(body: &[u8], version: &str) -> Vec<u8> {
    let envelope = body.strip_prefix(b"k8s\0").unwrap();
    assert_eq!(envelope[0], 0x0a, "first comes the type");
    let (kind, rest) = envelope[1..].split_at(usize::from(envelope[1]) + 1);
    assert_eq!(rest[0], 0x12, "then the object");
    let digits = rest[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let length = rest[1..=digits].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    let object = &rest[1 + digits..][..length];
    let object = [object, &field(1, &field(6, version.as_bytes()))].concat();
    [b"k8s\0\x0a", kind, &field(2, &object)].concat()
}

#[test]
fn the_options_of_a_delete_are_read_from_its_body() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let delete =
            |body: Vec<u8>| admin.request("DELETE", format!("{CONFIG_MAPS}/a")).body(PROTOBUF, body).send();
        // It has both forms of a policy, of which it may have one.
        let both = delete(golden("deleteoptions").body).refused(422, "Invalid");
        assert_eq!(both["details"]["causes"][0]["field"], "propagationPolicy", "{both}");
        let other = delete(golden("configmap").body).refused(400, "BadRequest");
        assert!(other["message"].as_str().unwrap().contains("ConfigMap"), "{other}");
        assert_eq!(delete(golden("deleteoptions-empty").body).expect(200)["status"], "Success");
    });
}

#[test]
fn what_has_no_protobuf_says_so() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let body = golden("configmap").body;
        let unknown = "the body of the request was in an unknown format - accepted media types include: ";
        let names = "/apis/service.grafana.app/v0alpha1/namespaces/default/externalnames";
        let patches = "application/json-patch+json, application/merge-patch+json";
        for (method, path, accepted) in [
            ("POST", names.to_owned(), "application/json, application/yaml"),
            ("PATCH", format!("{CONFIG_MAPS}/a"), patches),
        ] {
            let refused = admin.request(method, path).body(PROTOBUF, body.clone()).send();
            let refused = refused.refused(415, "UnsupportedMediaType");
            let message = refused["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{unknown}{accepted}")), "{message}");
            assert!(!message.contains("protobuf"), "{message}");
        }
        let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        for (method, path, accept, offered) in [
            ("GET", CONFIG_MAPS, PROTOBUF, "application/json, application/yaml"),
            ("POST", CONFIG_MAPS, PROTOBUF, "application/json, application/yaml"),
            ("POST", reviews, PROTOBUF, "application/json, application/yaml"),
            (
                "GET",
                "/api/v1/namespaces/default/configmaps?watch=1",
                "application/vnd.kubernetes.protobuf;stream=watch",
                "application/json;stream=watch",
            ),
        ] {
            let request = admin.request(method, path).header("Accept", accept);
            let request = if method == "POST" { request.body(PROTOBUF, body.clone()) } else { request };
            let refused = request.send().refused(406, "NotAcceptable");
            assert_eq!(
                refused["message"],
                format!("only the following media types are accepted: {offered}"),
                "{path}"
            );
        }
    });
}

#[test]
fn a_body_must_be_of_the_kind_of_its_path_and_whole() {
    variants(|server| {
        let admin = server.admin();
        let send = |body: Vec<u8>| admin.request("POST", CONFIG_MAPS).body(PROTOBUF, body).send();
        let refused = send(golden("secret").body).refused(400, "BadRequest");
        assert_eq!(
            refused["message"],
            "the kind in the data (Secret) does not match the expected kind (ConfigMap)"
        );
        let body = golden("configmap").body;
        for end in 0..body.len() {
            // What is cut between two fields of the envelope may be whole.
            let answer = send(body[..end].to_vec());
            assert!(matches!(answer.code, 201 | 400 | 409 | 422), "{end}: {answer}");
        }
        let with_tail = [&body[..], &[0x12, 0xff]].concat();
        send(with_tail).refused(400, "BadRequest");
    });
}
