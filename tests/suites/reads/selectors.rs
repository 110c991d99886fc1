//! Label and field selectors, and what of the keys they spare.

use detectviz_tests::{Client, variants};
use serde_json::{Value, json};

use super::{joined, refuse};
use crate::support::{CONFIG_MAPS, config_map, create};

const ALL: &str = "/api/v1/configmaps";
const EVENTS: &str = "/api/v1/namespaces/default/events";

fn event(name: &str, kind: &str, component: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"}, "type": kind, "reason": "Tested",
        "involvedObject": {"kind": "ConfigMap", "name": name, "namespace": "default"}, "source": {"component": component},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2999-01-01T00:00:00Z",
    })
}

/// Config maps of two namespaces, and two events.
fn prepare(admin: &Client) {
    create(
        admin,
        "/api/v1/namespaces",
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}),
    );
    for (namespace, name, labels) in [
        ("default", "a", json!({"tier": "front", "n": "1"})),
        ("default", "ab", json!({"tier": "front", "n": "2"})),
        ("default", "b", json!({"tier": "back", "example.com/x": ""})),
        ("default", "c", json!({})),
        ("other", "a", json!({"tier": "back"})),
    ] {
        let mut object = config_map(name, "x");
        object["metadata"]["labels"] = labels;
        create(admin, &format!("/api/v1/namespaces/{namespace}/configmaps"), &object);
    }
    create(admin, EVENTS, &event("one", "Warning", "tests"));
    create(admin, EVENTS, &event("two", "Normal", "others"));
}

#[test]
fn selectors_select() {
    variants(|server| {
        let admin = server.admin();
        prepare(&admin);
        for (path, query, names) in [
            (CONFIG_MAPS, "labelSelector=tier+in+(front,none)", "a,ab"),
            (CONFIG_MAPS, "labelSelector=tier+notin+(front)", "b,c"),
            (CONFIG_MAPS, "labelSelector=tier", "a,ab,b"),
            (CONFIG_MAPS, "labelSelector=!tier", "c"),
            (CONFIG_MAPS, "labelSelector=tier%3D%3Dfront,n!%3D1", "ab"),
            (CONFIG_MAPS, "labelSelector=n+in+(1,2),tier!%3Dback", "a,ab"),
            (CONFIG_MAPS, "labelSelector=n%3E1", "ab"),
            (CONFIG_MAPS, "labelSelector=example.com%2Fx%3D", "b"),
            (CONFIG_MAPS, "labelSelector=", "a,ab,b,c"),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3Da", "a"),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3D%3Da", "a"),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3Daa", ""),
            (CONFIG_MAPS, "fieldSelector=metadata.name!%3Da", "ab,b,c"),
            (CONFIG_MAPS, "fieldSelector=metadata.name!%3Da,metadata.name!%3Db", "ab,c"),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3Da,metadata.name%3Db", ""),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3Da&labelSelector=tier%3Dback", ""),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3Da%5C%2Cb", ""),
            (CONFIG_MAPS, "fieldSelector=metadata.namespace%3Dother", ""),
            (CONFIG_MAPS, "fieldSelector=,", "a,ab,b,c"),
            (ALL, "fieldSelector=metadata.name%3Da", "a,a"),
            (ALL, "fieldSelector=metadata.namespace%3Dother", "a"),
            (ALL, "fieldSelector=metadata.namespace%3Dother,metadata.name%3Da", "a"),
            (ALL, "fieldSelector=metadata.namespace%3Doth", ""),
            (ALL, "fieldSelector=metadata.namespace!%3Ddefault,metadata.namespace!%3Dkube-system", "a"),
            (ALL, "fieldSelector=metadata.namespace%3Ddefault&limit=2", "a,ab"),
            ("/api/v1/namespaces", "fieldSelector=metadata.name%3Dother", "other"),
            ("/api/v1/namespaces", "fieldSelector=metadata.name%3Doth", ""),
            ("/api/v1/namespaces", "fieldSelector=status.phase%3DTerminating", ""),
            (EVENTS, "fieldSelector=type%3DWarning", "one"),
            (EVENTS, "fieldSelector=type!%3DWarning,reason%3DTested", "two"),
            (EVENTS, "fieldSelector=involvedObject.name%3Dtwo,source%3Dothers", "two"),
            (CONFIG_MAPS, "fieldSelector=metadata.name%3Da%2Fb", ""),
        ] {
            assert_eq!(joined(&admin.get(format!("{path}?{query}")).expect(200)), names, "{path}?{query}");
        }
    });
}

#[test]
fn selectors_that_cannot_be_read_are_refused() {
    variants(|server| {
        let admin = server.admin();
        let bad = |message: &'static str| (400, "BadRequest", message);
        refuse(
            &admin,
            &[
                (
                    &format!("{CONFIG_MAPS}?fieldSelector=data.value%3Dx"),
                    bad(
                        "\"data.value\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                    ),
                ),
                (&format!("{EVENTS}?fieldSelector=message%3Dx"), bad("field label not supported: message")),
                (
                    &format!("{CONFIG_MAPS}?fieldSelector=a"),
                    bad("invalid selector: 'a'; can't understand 'a'"),
                ),
                (
                    &format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Da%3Db"),
                    bad("invalid field selector: unescaped character in value: 61"),
                ),
                (
                    "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Db",
                    bad("fieldSelector metadata.name doesn't match requested name"),
                ),
            ],
        );
        for selector in ["%3D", "a+in+b", "a%3D%3D%3Db", "-a", "a%3Db%3Dc", "a+in+(b"] {
            admin.get(format!("{CONFIG_MAPS}?labelSelector={selector}")).refused(400, "BadRequest");
        }
    });
}
