//! `/status` and `/finalize`: what each takes, and who owns it then.

use detectviz_tests::variants;
use serde_json::json;

use super::{MERGE, apply, entry, send};
use crate::support::create;

const SERVICES: &str = "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices";

#[test]
fn status_and_the_rest_are_written_and_owned_apart() {
    variants(|server| {
        let admin = server.admin();
        let service = json!({"apiVersion": "aggregation.grafana.app/v0alpha1", "kind": "DataPlaneService",
            "metadata": {"name": "v1.p"}, "spec": {"pluginID": "p", "pluginType": "datasource", "group": "p", "version": "v1"}});
        let made = create(&admin, SERVICES, &service);
        assert_eq!(made["metadata"]["generation"], 1);
        let (one, status) = (format!("{SERVICES}/v1.p"), format!("{SERVICES}/v1.p/status"));
        let mut wanted = service;
        wanted["spec"]["pluginID"] = "q".into();
        wanted["metadata"]["labels"] = json!({"a": "b"});
        let condition = json!({"type": "Tested", "status": "True", "reason": "Tested", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        wanted["status"] = json!({"conditions": [condition]});
        let written = apply(&admin, &status, "watcher", "&force=true", &wanted).expect(200);
        assert_eq!(written["spec"], made["spec"]);
        assert!(written["metadata"].get("labels").is_none());
        assert_eq!(written["metadata"]["generation"], 1);
        let conditions = written["status"]["conditions"].as_array().unwrap();
        assert!(conditions.contains(&condition), "{written}");
        let books = entry(&written, "watcher").unwrap();
        assert_eq!(books["subresource"], "status");
        let fields = books["fieldsV1"].as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["f:status"], "what is not taken is not owned");
        let other = json!({"spec": {"pluginID": "r"}, "status": null}).to_string();
        let changed = send(&admin, "PATCH", &format!("{one}?fieldManager=writer"), MERGE, &other).expect(200);
        assert_eq!(changed["metadata"]["generation"], 2);
        let conditions = changed["status"]["conditions"].as_array().unwrap();
        assert!(conditions.contains(&condition), "{changed}");
        let books = entry(&changed, "writer").unwrap();
        assert_eq!(books["fieldsV1"], json!({"f:spec": {"f:pluginID": {}}}));
        let absent = format!("{SERVICES}/v1.none/status");
        let mut none = wanted.clone();
        none["metadata"]["name"] = "v1.none".into();
        apply(&admin, &absent, "watcher", "", &none).refused(404, "NotFound");
    });
}

#[test]
fn a_namespaces_finalizers_are_finalizes_alone() {
    variants(|server| {
        let admin = server.admin();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
        let mut made = create(&admin, "/api/v1/namespaces", &namespace);
        assert_eq!(made["spec"]["finalizers"], json!(["kubernetes"]));
        let owned = entry(&made, "unknown").or_else(|| made["metadata"]["managedFields"].get(0)).unwrap();
        assert_eq!(
            owned["fieldsV1"]["f:metadata"]["f:labels"],
            json!({".": {}, "f:kubernetes.io/metadata.name": {}})
        );
        made["spec"]["finalizers"] = json!(["kubernetes", "e.org/more"]);
        let kept = admin.update("/api/v1/namespaces/n", &made).expect(200);
        assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]));
        made["metadata"] = kept["metadata"].clone();
        let more = admin.update("/api/v1/namespaces/n/finalize", &made).expect(200);
        assert_eq!(more["spec"]["finalizers"], json!(["kubernetes", "e.org/more"]));
        let status = json!({"metadata": {"annotations": {"e.org/seen": "yes"}}, "spec": {"finalizers": []}});
        let seen =
            send(&admin, "PATCH", "/api/v1/namespaces/n/status", MERGE, &status.to_string()).expect(200);
        assert_eq!(seen["metadata"]["annotations"], json!({"e.org/seen": "yes"}));
        assert_eq!(seen["spec"], more["spec"]);
    });
}
