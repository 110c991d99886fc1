//! What people copy from Kubernetes' documentation: it is accepted as strictly as kubectl can ask, is completed as there,
//! changes nothing when it is applied again, and is shown in the same columns.

use detectviz_tests::{Line, Server, every_line};
use serde_json::{Value, json};
use std::path::PathBuf;

use super::with_batteries;

/// Of these kubectl finds a difference each time, here as there: a list as a whole whose items the server completes, and
/// a selector that is replaced as a whole.
const COMPLETED: [&str; 4] = [
    "pod/full configured",
    "statefulset.apps/web configured",
    "poddisruptionbudget.policy/zk-pdb configured",
    "poddisruptionbudget.policy/zk-pdb2 configured",
];

/// And of these kubectl of the old line does.
const UNKNOWN: [&str; 1] = ["cronjob.batch/hello configured"];

/// The heading of each kind's table, with the wide columns.
const HEADINGS: [(&str, &str); 29] = [
    ("configmaps", "NAME DATA AGE"),
    ("cronjobs", "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE CONTAINERS IMAGES SELECTOR"),
    (
        "daemonsets",
        "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE CONTAINERS IMAGES SELECTOR",
    ),
    ("deployments", "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"),
    ("endpoints", "NAME ENDPOINTS AGE"),
    ("endpointslices", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
    ("horizontalpodautoscalers", "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE"),
    ("ingressclasses", "NAME CONTROLLER PARAMETERS AGE"),
    ("ingresses", "NAME CLASS HOSTS ADDRESS PORTS AGE"),
    ("jobs", "NAME STATUS COMPLETIONS DURATION AGE CONTAINERS IMAGES SELECTOR"),
    ("leases", "NAME HOLDER AGE"),
    ("limitranges", "NAME CREATED AT"),
    ("namespaces", "NAME STATUS AGE"),
    ("networkpolicies", "NAME POD-SELECTOR AGE"),
    (
        "nodes",
        "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
    ),
    (
        "persistentvolumeclaims",
        "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE VOLUMEMODE",
    ),
    (
        "persistentvolumes",
        "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE VOLUMEMODE",
    ),
    ("poddisruptionbudgets", "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE"),
    ("pods", "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"),
    ("podtemplates", "NAME CONTAINERS IMAGES POD LABELS"),
    ("priorityclasses", "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY"),
    ("replicasets", "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR"),
    ("replicationcontrollers", "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR"),
    ("runtimeclasses", "NAME HANDLER AGE"),
    ("secrets", "NAME TYPE DATA AGE"),
    ("serviceaccounts", "NAME SECRETS AGE"),
    ("services", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR"),
    ("statefulsets", "NAME READY AGE CONTAINERS IMAGES"),
    ("storageclasses", "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE"),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

fn object(server: &Server, name: &str) -> Value {
    serde_json::from_str(&server.kubectl(&format!("get {name} -o json")).ok()).unwrap()
}

/// The version of each object of the folder.
fn versions(server: &Server) -> String {
    let path = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let versions = server.kubectl("get -o").arg(path).arg("-f").arg(folder()).ok();
    assert!(versions.lines().count() > 30, "{versions}");
    versions
}

#[test]
fn what_the_documentation_shows_is_applied_and_stays_as_it_is() {
    every_line(|server| {
        let server = with_batteries(server.line());
        let apply = || server.kubectl("apply -f").arg(folder()).ok();
        let made = apply();
        assert!(made.lines().all(|line| line.ends_with(" created")), "{made}");
        let before = versions(&server);
        let again = apply();
        let changed: Vec<_> = again.lines().filter(|line| !line.ends_with(" unchanged")).collect();
        // A kind that kubectl does not know it compares list by list.
        let expected =
            |line: &&str| COMPLETED.contains(line) || server.line() == Line::Old && UNKNOWN.contains(line);
        assert!(changed.iter().all(expected), "{changed:?}");
        assert_eq!(versions(&server), before);
        let difference = server.kubectl("diff -f").arg(folder()).run();
        assert_eq!(difference.code, 0, "{difference}");
        for (kind, heading) in HEADINGS {
            let table = server.kubectl(&format!("get {kind} -o wide")).ok();
            let words: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
            assert_eq!(words.join(" "), heading, "{kind}");
        }
        is_completed(&server);
    });
}

#[test]
fn what_the_documentation_shows_is_applied_by_the_server_and_stays_as_it_is() {
    every_line(|server| {
        let server = with_batteries(server.line());
        let apply = || server.kubectl("apply --server-side -f").arg(folder()).ok();
        let made = apply();
        assert!(made.lines().all(|line| line.ends_with(" serverside-applied")), "{made}");
        let before = versions(&server);
        apply();
        assert_eq!(versions(&server), before);
        if server.line() == Line::Current {
            let difference = server.kubectl("diff --server-side -f").arg(folder()).run();
            assert_eq!(difference.code, 0, "{difference}");
        }
    });
}

/// What the server fills in, and what it leaves open.
fn is_completed(server: &Server) {
    let job = &object(server, "cronjob/hello")["spec"]["jobTemplate"]["spec"];
    assert_eq!(job.as_object().unwrap().keys().collect::<Vec<_>>(), ["template"], "{job}");
    let job = object(server, "job/pi");
    assert_eq!(job["metadata"]["labels"]["job-name"], "pi");
    assert_eq!((&job["spec"]["completions"], &job["spec"]["suspend"]), (&json!(1), &json!(false)));
    let daemons = object(server, "daemonset/fluentd-elasticsearch");
    let resources = &daemons["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"], json!({"cpu": "100m", "memory": "200Mi"}));
    let pod = object(server, "pod/full");
    assert_eq!(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"], "500m");
    assert_eq!(pod["spec"]["enableServiceLinks"], true);
    let claim = &object(server, "statefulset/web")["spec"]["volumeClaimTemplates"][0];
    assert_eq!(
        (&claim["kind"], &claim["spec"]["volumeMode"], &claim["status"]),
        (&json!("PersistentVolumeClaim"), &json!("Filesystem"), &json!({"phase": "Pending"}))
    );
    for name in ["service/my-service", "ingress/minimal-ingress"] {
        assert_eq!(object(server, name)["status"], json!({"loadBalancer": {}}), "{name}");
    }
    assert_eq!(object(server, "pdb/zk-pdb")["status"]["expectedPods"], 0);
    let behavior = &object(server, "hpa/php-apache")["spec"]["behavior"];
    assert_eq!(
        (&behavior["scaleUp"]["policies"][0]["value"], &behavior["scaleDown"]["selectPolicy"]),
        (&json!(4), &json!("Max"))
    );
    let table = server.kubectl("get hpa php-apache").ok();
    assert!(table.contains("cpu: <unknown>/50%, <unknown>/1k + 1 more..."), "{table}");
}
