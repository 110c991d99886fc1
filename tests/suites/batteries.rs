//! Batteries: workload kinds that are kept and that nothing runs, off unless they are asked for; and pods, which are always
//! there.

mod commands;
mod manifests;

use detectviz_tests::{Edition, Line, Server, every_line};
use serde_json::{Value, json};

use crate::support::create;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// A server with the batteries, for kubectl of `line`.
fn with_batteries(line: Line) -> Server {
    Server::builder(Edition::Oss).option("--batteries", "true").kubectl(line).start()
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "a", "image": "a:1", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]}})
}

/// The lines of a table without its heading, as words.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn batteries_are_off_unless_they_are_asked_for() {
    every_line(|server| {
        let admin = server.admin();
        admin.get(DEPLOYMENTS).refused(404, "NotFound");
        admin.get("/apis/apps/v1").refused(404, "NotFound");
        admin.get("/api/v1/persistentvolumes").refused(404, "NotFound");
        admin.get(PODS).expect(200);
        let server = with_batteries(server.line());
        let names = server.kubectl("api-resources -o name").ok();
        for name in [
            "deployments.apps",
            "replicasets.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "jobs.batch",
            "cronjobs.batch",
            "replicationcontrollers",
            "persistentvolumeclaims",
            "horizontalpodautoscalers.autoscaling",
            "poddisruptionbudgets.policy",
            "ingresses.networking.k8s.io",
            "priorityclasses.scheduling.k8s.io",
            "storageclasses.storage.k8s.io",
        ] {
            assert!(names.lines().any(|line| line == name), "{name} in {names}");
        }
    });
}

#[test]
fn kubectl_makes_shows_explains_and_scales_workloads() {
    every_line(|server| {
        let server = with_batteries(server.line());
        server.kubectl("create deployment web --image=nginx --replicas=2").ok();
        server.kubectl("create job once --image=busybox").ok();
        server.kubectl("run one --image=busybox:1 --restart=Never").ok();
        let all = server.kubectl("get all").ok();
        for name in ["pod/one", "deployment.apps/web", "job.batch/once"] {
            assert!(all.contains(name), "{name} in {all}");
        }
        assert_eq!(rows(&server.kubectl("get deployment web").ok())[0][..4], ["web", "0/2", "0", "0"]);
        let wide = server.kubectl("get deployment web -o wide").ok();
        assert_eq!(rows(&wide)[0][5..], ["nginx", "nginx", "app=web"]);
        assert_eq!(rows(&server.kubectl("get pod one").ok())[0][..4], ["one", "0/1", "Pending", "0"]);
        assert_eq!(rows(&server.kubectl("get job once").ok())[0][..3], ["once", "Running", "0/1"]);
        let explained = server.kubectl("explain deployment.spec").ok();
        assert!(explained.contains("revisionHistoryLimit"), "{explained}");
        assert!(explained.contains("-required-"), "{explained}");
        server.kubectl("scale deployment web --replicas=5").ok();
        assert_eq!(rows(&server.kubectl("get deployment web").ok())[0][1], "0/5");
        server.kubectl("set image deployment/web nginx=nginx:2").ok();
        let policy = "-o jsonpath={.spec.template.spec.containers[0].image}";
        assert_eq!(server.kubectl(&format!("get deployment web {policy}")).ok(), "nginx:2");
        server.kubectl("delete deployment web").ok();
    });
}

#[test]
fn a_workload_that_breaks_a_rule_is_refused_in_upstreams_words() {
    let server = with_batteries(Line::Current);
    let admin = server.admin();
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": -1, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}});
    let status = admin.create(DEPLOYMENTS, &deployment).refused(422, "Invalid");
    assert_eq!(
        status["message"],
        "Deployment.apps \"web\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, \
         spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`]"
    );
    assert_eq!(status["details"]["causes"][1]["field"], "spec.template.metadata.labels");
}

#[test]
fn a_pod_is_completed_kept_and_found_by_its_fields() {
    every_line(|server| {
        let admin = server.admin();
        let made = create(&admin, PODS, &pod("a"));
        assert_eq!(made["status"], json!({"phase": "Pending", "qosClass": "Guaranteed"}));
        let container = &made["spec"]["containers"][0];
        let amounts = json!({"cpu": "500m", "memory": "1Gi"});
        assert_eq!(container["resources"], json!({"limits": amounts, "requests": amounts}));
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(
            (&made["spec"]["restartPolicy"], &made["spec"]["dnsPolicy"]),
            (&json!("Always"), &json!("ClusterFirst"))
        );
        let found = |selector: &str| {
            let list = admin.get(format!("{PODS}?fieldSelector={selector}")).expect(200);
            list["items"].as_array().unwrap().len()
        };
        assert_eq!(
            (found("status.phase%3DPending"), found("status.phase%3DRunning"), found("spec.nodeName%3D")),
            (1, 0, 1)
        );
        let mut changed = made.clone();
        changed["spec"]["hostNetwork"] = true.into();
        let status = admin.update(format!("{PODS}/a"), &changed).refused(422, "Invalid");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with(
                "Pod \"a\" is invalid: spec: Forbidden: pod updates may not change fields other than"
            ),
            "{message}"
        );
        let mut changed = made;
        changed["spec"]["containers"][0]["image"] = "a:2".into();
        admin.update(format!("{PODS}/a"), &changed).expect(200);
        let mut bad = pod("b");
        bad["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
        let status = admin.create(PODS, &bad).refused(422, "Invalid");
        assert_eq!(status["details"]["causes"][0]["message"], "Not found: \"v\"");
        server.kubectl("delete pod a").ok();
        admin.get(format!("{PODS}/a")).refused(404, "NotFound");
    });
}
