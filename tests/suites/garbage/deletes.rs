//! delete and deletecollection over HTTP: options, preconditions, and what is answered.

use detectviz_tests::{Server, each_storage, editions, variants, wait_until};
use serde_json::{Value, json};

use super::{delete_with, owned, reference};
use crate::support::{CONFIG_MAPS, config_map, create, names};

fn held(name: &str) -> Value {
    json!({"metadata": {"name": name, "finalizers": ["example.org/mine"]}})
}

#[test]
fn a_delete_answers_with_a_status_or_with_what_is_held() {
    variants(|server| {
        let admin = server.admin();
        let object = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let path = format!("{CONFIG_MAPS}/a");
        let tried = admin.delete(format!("{path}?dryRun=All")).expect(200);
        let details = json!({"name": "a", "kind": "configmaps", "uid": object["metadata"]["uid"]});
        let expected = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        assert_eq!(tried, expected);
        assert_eq!(admin.get(&*path).expect(200), object);
        assert_eq!(admin.delete(&*path).expect(200), expected);
        admin.delete(&*path).refused(404, "NotFound");

        create(&admin, CONFIG_MAPS, &held("h"));
        let path = format!("{CONFIG_MAPS}/h");
        let marked = admin.delete(&*path).expect(200);
        assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
        assert_eq!(admin.get(&*path).expect(200), marked);
        assert_eq!(admin.delete(&*path).expect(200), marked, "nothing changes by asking again");
        let old = delete_with(&admin, &path, &json!({"orphanDependents": false}));
        assert_eq!(old.code, 202);
        let both = delete_with(&admin, &path, &json!({"propagationPolicy": "Foreground"})).expect(200);
        assert_eq!(both["metadata"]["finalizers"], json!(["example.org/mine", "foregroundDeletion"]));
        let patch = json!({"metadata": {"finalizers": []}}).to_string();
        admin.request("PATCH", &*path).body("application/merge-patch+json", patch).send().expect(200);
        admin.get(&*path).refused(404, "NotFound");
    });
}

#[test]
fn a_delete_that_cannot_be_meant_is_refused() {
    variants(|server| {
        let admin = server.admin();
        let object = create(&admin, CONFIG_MAPS, &config_map("a", "x"));
        let (path, uid) = (format!("{CONFIG_MAPS}/a"), object["metadata"]["uid"].as_str().unwrap());
        let invalid = "DeleteOptions.meta.k8s.io \"\" is invalid: ";
        for (options, message) in [
            (
                json!({"propagationPolicy": "Sometimes"}),
                "propagationPolicy: Unsupported value: \"Sometimes\": supported values: \"Foreground\", \"Background\", \
                 \"Orphan\", \"nil\"",
            ),
            (
                json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
                "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
            ),
            (
                json!({"dryRun": ["Some"]}),
                "dryRun: Unsupported value: []string{\"Some\"}: supported values: \"All\"",
            ),
        ] {
            for path in [&*path, CONFIG_MAPS] {
                let refused = delete_with(&admin, path, &options).refused(422, "Invalid");
                assert_eq!(refused["message"], format!("{invalid}{message}"));
            }
        }
        for (preconditions, message) in [
            (
                json!({"uid": "other"}),
                format!(
                    "the UID in the precondition (other) does not match the UID in record ({uid}). The object might have been \
                     deleted and then recreated"
                ),
            ),
            (
                json!({"uid": uid, "resourceVersion": "1"}),
                format!(
                    "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({}). The object \
                     might have been modified",
                    object["metadata"]["resourceVersion"].as_str().unwrap()
                ),
            ),
        ] {
            let options = json!({"preconditions": preconditions});
            let refused = delete_with(&admin, &path, &options).refused(409, "Conflict");
            let expected = format!("Operation cannot be fulfilled on ConfigMap \"a\": {message}");
            assert_eq!(refused["message"], expected);
        }
        admin.delete(format!("{path}?uid=other")).refused(409, "Conflict");
        delete_with(&admin, &path, &json!({"kind": "ConfigMap"})).refused(400, "BadRequest");
        delete_with(&admin, &path, &json!({"preconditions": {"uid": uid}})).expect(200);
    });
}

#[test]
fn a_collection_is_deleted_by_selectors_and_page_by_page() {
    each_storage(|builder, storage| {
        let server = builder.start();
        let admin = server.admin();
        for (name, label) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("e", "x")] {
            let mut object = config_map(name, "v");
            object["metadata"]["labels"] = json!({"app": label});
            create(&admin, CONFIG_MAPS, &object);
        }
        let (before, other) =
            (admin.get(CONFIG_MAPS).expect(200), "/api/v1/namespaces/kube-public/configmaps");
        create(&admin, other, &config_map("a", "v"));
        let tried = admin.delete(format!("{CONFIG_MAPS}?dryRun=All")).expect(200);
        assert_eq!((&tried["kind"], &tried["items"]), (&json!("ConfigMapList"), &before["items"]));
        let gone = admin.delete(format!("{CONFIG_MAPS}?labelSelector=app%3Dx")).expect(200);
        assert_eq!(names(&gone), ["a", "c", "e"]);
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)), ["b", "d"]);
        let page = admin.delete(format!("{CONFIG_MAPS}?limit=1")).expect(200);
        assert_eq!(
            (names(&page), &page["metadata"]["remainingItemCount"]),
            (vec!["b".to_owned()], &json!(1))
        );
        let next = page["metadata"]["continue"].as_str().unwrap();
        let page = admin.delete(format!("{CONFIG_MAPS}?limit=1&continue={next}")).expect(200);
        assert_eq!((names(&page), &page["metadata"]["continue"]), (vec!["d".to_owned()], &Value::Null));
        create(&admin, CONFIG_MAPS, &held("h"));
        create(&admin, CONFIG_MAPS, &owned("i", &[]));
        let named = admin.delete(format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Di")).expect(200);
        assert_eq!(names(&named), ["i"], "on {}", storage.name());
        let options = json!({"propagationPolicy": "Foreground"});
        delete_with(&admin, CONFIG_MAPS, &options).expect(200);
        let left = admin.get(CONFIG_MAPS).expect(200);
        let finalizers = json!(["example.org/mine", "foregroundDeletion"]);
        assert_eq!(left["items"][0]["metadata"]["finalizers"], finalizers);
        assert_eq!(names(&admin.get(other).expect(200)), ["a"], "another namespace is another collection");
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let shown = admin.request("DELETE", other).header("Accept", metadata).send().expect(200);
        assert_eq!(
            (&shown["kind"], names(&shown)),
            (&json!("PartialObjectMetadataList"), vec!["a".to_owned()])
        );
        assert!(names(&admin.get(other).expect(200)).is_empty());
    });
}

#[test]
fn not_every_collection_can_be_deleted_as_a_whole() {
    variants(|server| {
        let admin = server.admin();
        for path in ["/api/v1/configmaps", "/api/v1/namespaces"] {
            admin.delete(path).refused(405, "MethodNotAllowed");
        }
        admin.delete(format!("{CONFIG_MAPS}?labelSelector=%3D")).refused(400, "BadRequest");
        admin.delete(format!("{CONFIG_MAPS}?fieldSelector=data%3Dx")).refused(400, "BadRequest");
        admin.delete("/api/v1/namespaces/absent/configmaps").expect(200);
    });
}

#[test]
fn the_pods_of_a_job_live_on_unless_somebody_says_otherwise() {
    let server = Server::builder(editions()[0]).option("--batteries", "true").start();
    let admin = server.admin();
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}});
    let said = |answer: &detectviz_tests::Answer| {
        answer.header("warning").is_some_and(|text| text.contains("child pods are preserved by default"))
    };
    for path in [format!("{jobs}/once"), jobs.to_owned()] {
        let owner = create(&admin, jobs, &job);
        create(&admin, CONFIG_MAPS, &owned("child", &[reference(&owner)]));
        let deleted = delete_with(&admin, &path, &json!({}));
        assert!(said(&deleted), "{path}");
        deleted.expect(200);
        wait_until("the job is gone", || match admin.get(format!("{jobs}/once")).code {
            404 => Ok(()),
            code => Err(code),
        });
        let child = admin.get(format!("{CONFIG_MAPS}/child")).expect(200);
        assert_eq!(child["metadata"].get("ownerReferences"), None);
        admin.delete(format!("{CONFIG_MAPS}/child")).expect(200);
    }
    create(&admin, jobs, &job);
    let deleted = delete_with(&admin, &format!("{jobs}/once"), &json!({"propagationPolicy": "Background"}));
    assert!(!said(&deleted), "it was said");
    assert_eq!(admin.get(format!("{jobs}/once")).code, 404);
}
