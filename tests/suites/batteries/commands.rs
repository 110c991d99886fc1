//! What kubectl makes of nothing, and changes by a word: each command that is about a workload, and the names by which
//! people call the kinds.

use detectviz_tests::{Line, every_line};
use serde_json::{Value, json};

use super::with_batteries;

/// Each kind's short names and categories, as upstream has them.
const NAMES: [(&str, &str, &[&str], &[&str]); 24] = [
    ("/api/v1", "configmaps", &["cm"], &[]),
    ("/api/v1", "endpoints", &["ep"], &[]),
    ("/api/v1", "events", &["ev"], &[]),
    ("/api/v1", "limitranges", &["limits"], &[]),
    ("/api/v1", "namespaces", &["ns"], &[]),
    ("/api/v1", "nodes", &["no"], &[]),
    ("/api/v1", "persistentvolumeclaims", &["pvc"], &[]),
    ("/api/v1", "persistentvolumes", &["pv"], &[]),
    ("/api/v1", "pods", &["po"], &["all"]),
    ("/api/v1", "replicationcontrollers", &["rc"], &["all"]),
    ("/api/v1", "resourcequotas", &["quota"], &[]),
    ("/api/v1", "serviceaccounts", &["sa"], &[]),
    ("/api/v1", "services", &["svc"], &["all"]),
    ("/apis/apps/v1", "daemonsets", &["ds"], &["all"]),
    ("/apis/apps/v1", "deployments", &["deploy"], &["all"]),
    ("/apis/apps/v1", "replicasets", &["rs"], &["all"]),
    ("/apis/apps/v1", "statefulsets", &["sts"], &["all"]),
    ("/apis/autoscaling/v2", "horizontalpodautoscalers", &["hpa"], &["all"]),
    ("/apis/batch/v1", "cronjobs", &["cj"], &["all"]),
    ("/apis/batch/v1", "jobs", &[], &["all"]),
    ("/apis/networking.k8s.io/v1", "ingresses", &["ing"], &[]),
    ("/apis/networking.k8s.io/v1", "networkpolicies", &["netpol"], &[]),
    ("/apis/policy/v1", "poddisruptionbudgets", &["pdb"], &[]),
    ("/apis/scheduling.k8s.io/v1", "priorityclasses", &["pc"], &[]),
];

/// What both lines can do.
const COMMANDS: [&str; 14] = [
    "create deployment web --image=nginx --replicas=2 --port=80",
    "expose deployment web --port=80 --target-port=8080",
    "expose deployment web --name=web-out --type=NodePort --port=80",
    "run one --image=busybox --port=80 --expose",
    "scale deployment web --replicas=4",
    "set image deployment/web nginx=nginx:2",
    "set env deployment/web A=b",
    "set resources deployment/web --limits=cpu=200m",
    "rollout restart deployment/web",
    "rollout pause deployment/web",
    "create job once --image=busybox",
    "create ingress way --rule=example.com/a=web:80,tls=cert",
    "create quota most --hard=cpu=1,pods=2",
    "create priorityclass high --value=10",
];

/// What the old line asks of versions that are gone from upstream, too.
const OF_CURRENT: [&str; 4] = [
    "autoscale deployment web --min=2 --max=5 --cpu=50%",
    "create cronjob often --image=busybox --schedule=*/5|*|*|*|*",
    "create job now --from=cronjob/often",
    "create pdb some --selector=app=web --min-available=1",
];

#[test]
fn each_command_about_workloads_does_what_it_says() {
    every_line(|server| {
        let server = with_batteries(server.line());
        let newer = if server.line() == Line::Current { &OF_CURRENT[..] } else { &[] };
        for command in COMMANDS.iter().chain(newer) {
            server.kubectl("").args(command).ok();
        }
        let web: Value = serde_json::from_str(&server.kubectl("get deployment web -o json").ok()).unwrap();
        assert_eq!((&web["spec"]["replicas"], &web["spec"]["paused"]), (&json!(4), &json!(true)));
        let container = &web["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "nginx:2");
        assert_eq!(container["env"], json!([{"name": "A", "value": "b"}]));
        assert_eq!(
            container["resources"],
            json!({"limits": {"cpu": "200m"}}),
            "a template requests nothing by itself"
        );
        for kind in ["deployment", "service", "pod", "job", "ingress", "quota", "priorityclass"] {
            assert!(server.kubectl(&format!("describe {kind}")).ok().contains("Name:"), "{kind}");
        }
        let admin = server.admin();
        for (version, plural, short, categories) in NAMES {
            let list = admin.get(version).expect(200);
            let resource =
                list["resources"].as_array().unwrap().iter().find(|one| one["name"] == plural).unwrap();
            let names = |field: &str| resource.get(field).cloned().unwrap_or_else(|| json!([]));
            assert_eq!(
                (names("shortNames"), names("categories")),
                (json!(short), json!(categories)),
                "{plural}"
            );
        }
    });
}
