//! What is refused because of how it was asked: media types, methods, time.

use detectviz_tests::variants;
use serde_json::{Value, json};

use super::{accept, refuse};
use crate::support::{CONFIG_MAPS, config_map, create};

const OFFERED: &str = "only the following media types are accepted: application/json, application/yaml";
const STREAMED: &str = "only the following media types are accepted: application/json;stream=watch";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

#[test]
fn accept_headers_are_answered_or_406() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        for path in [&one, CONFIG_MAPS] {
            for (header, kind) in [
                ("*/*", "application/json"),
                ("application/*", "application/json"),
                ("application/json;q=0.5, application/yaml", "application/yaml"),
                ("application/yaml;q=0.5, application/json;q=0.4", "application/yaml"),
                ("*/*, application/yaml", "application/yaml"),
                ("application/vnd.kubernetes.protobuf, application/json", "application/json"),
                ("application/json;as=Nothing;g=x;v=y, */*;q=0.1", "application/json"),
                ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
                ("application/cbor, application/json;q=0.1", "application/json"),
            ] {
                let answer = accept(&admin, path, header);
                assert_eq!(
                    (answer.code, answer.header("content-type")),
                    (200, Some(kind)),
                    "{path} {header}"
                );
            }
            for header in [
                "application/vnd.kubernetes.protobuf",
                "application/cbor",
                "text/html",
                "application/json;as=Nothing;g=meta.k8s.io;v=v1",
                "application/json;as=Table;g=meta.k8s.io;v=v2",
                "application/json;as=Table",
                "application/json;q=0",
            ] {
                let status = accept(&admin, path, header).refused(406, "NotAcceptable");
                assert_eq!(status["message"], OFFERED, "{path} {header}");
            }
        }
    });
}

#[test]
fn what_a_path_cannot_be_shown_as_is_406_before_anything_is_done() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let watch = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1");
        for (path, header, message) in [
            (watch.as_str(), "application/yaml", STREAMED),
            (&watch, "application/vnd.kubernetes.protobuf", STREAMED),
            (
                CONFIG_MAPS,
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                "you requested PartialObjectMetadata, but the requested object is a list (ConfigMapList)",
            ),
            (
                &one,
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                "you requested PartialObjectMetadataList, but the requested object is not a list (ConfigMap)",
            ),
        ] {
            let answer = accept(&admin, path, header);
            assert_eq!(
                (answer.code, answer.header("content-type")),
                (406, Some(kind_of(header))),
                "{path} {header}"
            );
            assert!(answer.text().contains(message.trim_end_matches(')')), "{answer}");
        }
        let created =
            admin.request("POST", CONFIG_MAPS).json(&config_map("b", "x")).header("Accept", "text/html");
        created.send().refused(406, "NotAcceptable");
        admin.get(format!("{CONFIG_MAPS}/b")).refused(404, "NotFound");
        let message = "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be 'Metadata', \
                       'Object', 'None', or empty";
        let answer = accept(&admin, &format!("{one}?includeObject=All"), TABLE);
        assert_eq!(answer.refused(400, "BadRequest")["message"], message);
        assert_eq!(accept(&admin, &format!("{one}?includeObject=All"), "*/*").code, 200);
    });
}

/// A `Status` is YAML for those who take nothing else.
fn kind_of(accept: &str) -> &'static str {
    if accept == "application/yaml" { "application/yaml" } else { "application/json" }
}

#[test]
fn a_failure_is_told_in_the_encoding_that_was_asked_for() {
    variants(|server| {
        let missing = format!("{CONFIG_MAPS}/none");
        for client in [server.admin(), server.anonymous()] {
            let code = client.get(&missing).code;
            for (header, kind) in [
                ("application/json", "application/json"),
                ("application/yaml", "application/yaml"),
                ("application/yaml;as=Table;g=meta.k8s.io;v=v1,application/yaml", "application/yaml"),
                (TABLE, "application/json"),
                ("application/vnd.kubernetes.protobuf,application/yaml", "application/yaml"),
                ("*/*", "application/json"),
            ] {
                let answer = accept(&client, &missing, header);
                assert_eq!((answer.code, answer.header("content-type")), (code, Some(kind)), "{header}");
                let status: Value = yaml_serde::from_slice(&answer.body).unwrap();
                assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{answer}");
            }
        }
    });
}

#[test]
fn bodies_of_other_types_are_415() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let unknown = "the body of the request was in an unknown format - accepted media types include: ";
        let bodies = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        let patches = "application/json-patch+json, application/merge-patch+json, \
                       application/strategic-merge-patch+json, application/apply-patch+yaml";
        let groups = "/apis/apiregistration.k8s.io/v1/apiservices";
        for (method, path, kind, accepted) in [
            ("POST", CONFIG_MAPS, "application/xml", bodies),
            ("POST", CONFIG_MAPS, "application/cbor", bodies),
            ("PUT", &one, "text/plain", bodies),
            ("DELETE", &one, "text/plain", bodies),
            ("PATCH", &one, "application/json", patches),
            ("PATCH", &one, "application/yaml", patches),
            ("PATCH", &one, "application/apply-patch+cbor", patches),
            ("POST", groups, "text/plain", "application/json, application/yaml"),
        ] {
            let answer = admin.request(method, path).body(kind, "{}").send();
            let status = answer.refused(415, "UnsupportedMediaType");
            let message = status["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("{unknown}{accepted}")), "{method} {kind}: {message}");
        }
    });
}

#[test]
fn methods_are_answered_or_405_with_what_is_allowed() {
    variants(|server| {
        let admin = server.admin();
        create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let one = format!("{CONFIG_MAPS}/a");
        let status = "/api/v1/namespaces/default/status";
        for (method, path, allow) in [
            ("OPTIONS", CONFIG_MAPS, "GET, HEAD, POST"),
            ("OPTIONS", &one, "DELETE, GET, HEAD, PATCH, PUT"),
            ("TRACE", &one, "DELETE, GET, HEAD, PATCH, PUT"),
            ("POST", &one, "DELETE, GET, HEAD, PATCH, PUT"),
            ("PUT", CONFIG_MAPS, "GET, HEAD, POST"),
            ("DELETE", status, "GET, HEAD, PATCH, PUT"),
            ("POST", "/version", "GET, HEAD"),
            ("POST", "/api/v1/watch/namespaces/default/configmaps", "GET, HEAD"),
            ("DELETE", "/api/v1/watch/namespaces/default/configmaps/a", "GET, HEAD"),
        ] {
            let answer = admin.request(method, path).send();
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}: {answer}");
            answer.refused(405, "MethodNotAllowed");
        }
        admin.get("/api/v1/watch/namespaces/default/status").refused(404, "NotFound");
        let get = admin.get(&one);
        let head = admin.request("HEAD", &one).send();
        assert_eq!((head.code, head.body.len()), (200, 0));
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        assert_eq!(admin.request("HEAD", CONFIG_MAPS).send().code, 200);
        assert_eq!(admin.request("HEAD", format!("{CONFIG_MAPS}/none")).send().code, 404);
    });
}

#[test]
fn a_caller_may_say_how_long_to_wait() {
    variants(|server| {
        let admin = server.admin();
        for query in [
            "timeout=5s",
            "timeout=0s",
            "timeout=-3s",
            "timeout=1h30m",
            "timeout=",
            "timeout=1.5s",
            "timeout=0",
        ] {
            assert_eq!(admin.get(format!("{CONFIG_MAPS}?{query}")).code, 200, "{query}");
        }
        let invalid = "invalid timeout specified in the request URL - time: ";
        refuse(
            &admin,
            &[
                (
                    &format!("{CONFIG_MAPS}?timeout=5"),
                    (400, "BadRequest", &format!("{invalid}missing unit in duration \"5\"")),
                ),
                (
                    &format!("{CONFIG_MAPS}/a?timeout=soon"),
                    (400, "BadRequest", &format!("{invalid}invalid duration \"soon\"")),
                ),
                (
                    &format!("{CONFIG_MAPS}?timeout=5parsec"),
                    (400, "BadRequest", &format!("{invalid}unknown unit \"parsec\" in duration \"5parsec\"")),
                ),
            ],
        );
        let written = admin.create(format!("{CONFIG_MAPS}?timeout=never"), &config_map("a", "x"));
        written.refused(400, "BadRequest");
        admin.get(format!("{CONFIG_MAPS}/a")).refused(404, "NotFound");
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1&timeout=soon"));
        assert_eq!(watch.next(), None, "a watch has a time of its own");
    });
}
