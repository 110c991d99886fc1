//! Jobs and what starts them at times. Nothing runs them here.

use detectviz_api::{Cause, meta};
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value, json};

use super::causes::{forbidden, invalid, invalid_json, required, unsupported};
use super::workloads::{numbers, take_labels};
use super::{cron, podspec, selectors};

/// What names a job's pods: the first two are of old, the others have a domain.
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

pub(super) struct Jobs;
pub(super) struct CronJobs;

/// Upstream's text: what it did with jobs at first it does to this day.
const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
    remove them or set propagationPolicy=Orphan to suppress this warning";

impl Strategy for Jobs {
    fn orphans_by_default(&self) -> bool {
        true
    }

    fn warns_without_policy(&self) -> Option<&'static str> {
        Some(PODS_STAY)
    }

    fn normalize(&self, object: &mut Value) {
        if let Some(spec) = object.get_mut("spec") {
            complete(spec);
        }
        label(object);
    }

    fn prepare_create(&self, object: &mut Value) {
        let (name, uid) = (meta::name(object).to_owned(), meta::uid(object).to_owned());
        if let Some(object) = object.as_object_mut() {
            object.insert("status".to_owned(), json!({}));
        }
        if let Some(spec) = object.get_mut("spec").filter(|spec| spec["manualSelector"] != true) {
            select_own_pods(spec, &name, &uid);
        }
        label(object);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let spec = &object["spec"];
        let mut faults = job_faults(spec, "spec");
        let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
        if selector.is_null() {
            faults.push(required("spec.selector", ""));
        } else {
            faults.extend(selectors::validate(selector, "spec.selector"));
            if !selectors::matches(selector, labels) {
                let why = "`selector` does not match template `labels`";
                faults.push(invalid_json("spec.template.metadata.labels", labels, why));
            }
        }
        faults
    }

    fn validate_update(&self, object: &Value, old: &Value) -> Vec<Cause> {
        let mut faults = self.validate(object);
        let is_suspended = old["spec"]["suspend"] == true;
        for field in [
            "completions",
            "selector",
            "template",
            "completionMode",
            "podFailurePolicy",
            "backoffLimitPerIndex",
        ] {
            let (new, old) = (&object["spec"][field], &old["spec"][field]);
            // Of one that waits to start, the template may still be given a place to run.
            if new != old && !(field == "template" && is_suspended) {
                faults.push(invalid_json(&format!("spec.{field}"), new, "field is immutable"));
            }
        }
        faults
    }
}

impl Strategy for CronJobs {
    fn normalize(&self, object: &mut Value) {
        // The jobs that are made of it are completed, the template is not.
        if let Some(pod) = object.pointer_mut("/spec/jobTemplate/spec/template/spec") {
            podspec::complete(pod);
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        if let Some(object) = object.as_object_mut() {
            object.insert("status".to_owned(), json!({}));
        }
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        const LONGEST: usize = 52;
        let spec = &object["spec"];
        let mut faults = Vec::new();
        if meta::name(object).len() > LONGEST {
            faults.push(invalid("metadata.name", meta::name(object), "must be no more than 52 characters"));
        }
        let schedule = spec["schedule"].as_str().unwrap_or_default();
        match cron::check(schedule) {
            // The schema says it where the field is missing.
            _ if schedule.is_empty() => {
                faults.extend(spec["schedule"].is_string().then(|| required("spec.schedule", "")));
            }
            Err(why) => faults.push(invalid("spec.schedule", schedule, &why)),
            Ok(()) => {}
        }
        faults.extend(numbers(
            spec,
            &["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"],
        ));
        let job = &spec["jobTemplate"]["spec"];
        if job["manualSelector"] == true {
            let field = "spec.jobTemplate.spec.manualSelector";
            faults.push(unsupported(field, "true", &["nil", "false"]));
        }
        if job.is_object() {
            faults.extend(job_faults(job, "spec.jobTemplate.spec"));
        }
        faults
    }
}

/// A job without labels has those of its pods.
fn label(job: &mut Value) {
    let labels = job.pointer("/spec/template/metadata/labels").filter(|labels| labels.is_object());
    if let Some(labels) = labels.cloned() {
        take_labels(job, "metadata", "labels", &labels);
    }
}

/// The defaults of a job's spec that depend on other fields.
fn complete(spec: &mut Value) {
    if let Some(pod) = spec.pointer_mut("/template/spec") {
        podspec::complete(pod);
    }
    let Some(spec) = spec.as_object_mut() else { return };
    let has = |spec: &Map<String, Value>, field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    if !has(spec, "parallelism") {
        if !has(spec, "completions") {
            spec.insert("completions".to_owned(), 1.into());
        }
        spec.insert("parallelism".to_owned(), 1.into());
    }
    let limit = if has(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    let policy = if has(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    for (field, value) in [
        ("backoffLimit", json!(limit)),
        ("podReplacementPolicy", json!(policy)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("manualSelector", json!(false)),
    ] {
        if !has(spec, field) {
            spec.insert(field.to_owned(), value);
        }
    }
}

/// Lets a job select the pods that bear its own uid, and marks them.
fn select_own_pods(spec: &mut Value, name: &str, uid: &str) {
    let Some(template) = spec.get_mut("template").and_then(Value::as_object_mut) else { return };
    let Some(metadata) = template.entry("metadata").or_insert_with(|| json!({})).as_object_mut() else {
        return;
    };
    let Some(labels) = metadata.entry("labels").or_insert_with(|| json!({})).as_object_mut() else { return };
    let marks =
        UID_LABELS.map(|label| (label, uid)).into_iter().chain(NAME_LABELS.map(|label| (label, name)));
    for (label, value) in marks {
        labels.entry(label).or_insert_with(|| value.into());
    }
    let Some(spec) = spec.as_object_mut() else { return };
    let selector = spec.entry("selector").or_insert_with(|| json!({}));
    if selectors::is_empty(selector) {
        *selector = json!({"matchLabels": {}});
    }
    if let Some(wanted) = selector.get_mut("matchLabels").and_then(Value::as_object_mut) {
        wanted.entry(UID_LABELS[1]).or_insert_with(|| uid.into());
    }
}

/// What is wrong with a job's spec at `path`, apart from its selector.
fn job_faults(spec: &Value, path: &str) -> Vec<Cause> {
    const NUMBERS: [&str; 6] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "maxFailedIndexes",
    ];
    let mut faults = numbers(spec, &NUMBERS);
    for fault in &mut faults {
        fault.field = fault.field.replacen("spec", path, 1);
    }
    if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
        let why = "when completion mode is Indexed";
        faults.push(required(&format!("{path}.completions"), why));
    }
    if spec["backoffLimitPerIndex"].is_i64() && spec["completionMode"] != "Indexed" {
        let why = "requires indexed completion mode";
        faults.push(forbidden(&format!("{path}.backoffLimitPerIndex"), why));
    }
    // Without a template the schema says so.
    if spec["template"].is_object() {
        let (pod, path) = (&spec["template"]["spec"], format!("{path}.template.spec"));
        faults.extend(podspec::validate(pod, &path));
        if pod["restartPolicy"] == "Always" {
            let why = "valid values: \"OnFailure\", \"Never\"";
            faults.push(required(&format!("{path}.restartPolicy"), why));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;

    fn job(change: &Value) -> Value {
        let mut job = json!({"metadata": {"name": "j", "uid": "u"}, "spec": {
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}}});
        job["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Jobs.normalize(&mut job);
        Jobs.prepare_create(&mut job);
        job
    }

    #[test]
    fn a_job_selects_its_own_pods_and_is_completed() {
        let job = job(&json!({}));
        let spec = &job["spec"];
        assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}));
        assert_eq!(
            spec["template"]["metadata"]["labels"],
            json!({"controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "job-name": "j", "batch.kubernetes.io/job-name": "j"})
        );
        assert_eq!(job["metadata"]["labels"], spec["template"]["metadata"]["labels"]);
        for (field, value) in [
            ("completions", json!(1)),
            ("parallelism", json!(1)),
            ("backoffLimit", json!(6)),
            ("podReplacementPolicy", json!("TerminatingOrFailed")),
            ("manualSelector", json!(false)),
            ("completionMode", json!("NonIndexed")),
            ("suspend", json!(false)),
        ] {
            assert_eq!(spec[field], value, "{field}");
        }
        assert!(Jobs.validate(&job).is_empty());
        let mut labelled = json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}});
        Jobs.normalize(&mut labelled);
        assert_eq!(labelled["metadata"]["labels"], json!({"a": "b"}));
    }

    #[test]
    fn the_template_of_a_cron_job_is_left_as_it_is_apart_from_its_pod() {
        let pod = json!({"containers": [{"name": "a", "image": "i:1"}]});
        let mut cron_job = json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}});
        CronJobs.normalize(&mut cron_job);
        let job = &cron_job["spec"]["jobTemplate"]["spec"];
        assert_eq!(job.as_object().map(Map::len), Some(1), "{job}");
        assert_eq!(job["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    }

    #[test]
    fn jobs_keep_upstreams_rules() {
        for (change, expected) in [
            (json!({"parallelism": 2}), vec![]),
            (
                json!({"backoffLimit": -1}),
                vec!["spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"],
            ),
            (
                json!({"completionMode": "Indexed", "parallelism": 1}),
                vec!["spec.completions: Required value: when completion mode is Indexed"],
            ),
            (
                json!({"template": {"spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "i"}]}}}),
                vec![
                    "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
                ],
            ),
            (json!({"manualSelector": true}), vec!["spec.selector: Required value"]),
        ] {
            assert_eq!(read(&Jobs.validate(&job(&change))), expected, "{change}");
        }
        let (old, new) = (job(&json!({})), job(&json!({"completions": 3, "parallelism": 2})));
        assert_eq!(
            read(&Jobs.validate_update(&new, &old)),
            ["spec.completions: Invalid value: 3: field is immutable"]
        );
    }

    #[test]
    fn cron_jobs_keep_upstreams_rules() {
        let cron_job = |schedule: &str, job: Value| {
            let mut object = json!({"metadata": {"name": "c"}, "spec": {"schedule": schedule, "jobTemplate": {"spec": job}}});
            CronJobs.normalize(&mut object);
            read(&CronJobs.validate(&object))
        };
        let job = json!({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}});
        assert!(cron_job("*/5 * * * *", job.clone()).is_empty());
        assert_eq!(cron_job("", job.clone()), ["spec.schedule: Required value"]);
        assert_eq!(
            cron_job("x", job),
            ["spec.schedule: Invalid value: \"x\": expected exactly 5 fields, found 1: [x]"]
        );
        assert_eq!(
            cron_job("@daily", json!({"backoffLimit": -1, "manualSelector": true})),
            [
                "spec.jobTemplate.spec.manualSelector: Unsupported value: \"true\": supported values: \"nil\", \"false\"",
                "spec.jobTemplate.spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
            ]
        );
    }
}
